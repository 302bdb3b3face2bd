//! The caller's ACKs to 2xx, kept to answer each repetition of the 2xx (RFC 3261 §13.2.2.4).

use alloc::collections::{BTreeMap, VecDeque};

use super::DialogId;
use crate::sip::transaction::Timers;
use crate::time::Instant;
use crate::wire::sip::Message;

type Key = (DialogId, u32);

/// ACKs that were sent, by dialog and CSeq, for 64*T1 each. `A` is the ACK in whatever form its
/// sender keeps it.
#[derive(Debug)]
pub struct AckCache<A> {
    timers: Timers,
    limit: usize,
    acks: BTreeMap<Key, A>,
    /// All live equally long, so the order of entry is the order of leaving.
    ends: VecDeque<(Instant, Key)>,
}

impl<A> AckCache<A> {
    /// An empty cache for at most `limit` ACKs; the oldest makes room for the newest.
    pub fn new(timers: Timers, limit: usize) -> Self {
        let limit = limit.max(1);
        Self { timers, limit, acks: BTreeMap::new(), ends: VecDeque::new() }
    }

    /// Keeps the ACK to a 2xx, which the caller sends at `now`.
    pub fn insert(&mut self, now: Instant, response: &Message, ack: A) {
        let Some(key) = key_of(response) else { return };
        if self.acks.insert(key.clone(), ack).is_some() {
            self.ends.retain(|(_, k)| *k != key);
        } else if self.acks.len() > self.limit {
            self.drop_oldest();
        }
        self.ends.push_back((now + self.timers.give_up(), key));
    }

    /// A 2xx came: the ACK to send again if it is a repetition, `None` if it is new.
    pub fn again(&self, response: &Message) -> Option<&A> {
        self.acks.get(&key_of(response)?)
    }

    /// Forgets the ACKs whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while self.next_timeout().is_some_and(|at| at <= now) {
            self.drop_oldest();
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.ends.front().map(|(at, _)| *at)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.ends.pop_front() {
            self.acks.remove(&key);
        }
    }
}

fn key_of(response: &Message) -> Option<Key> {
    Some((DialogId::of_response(response)?, response.cseq().number))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ok, request};
    use super::*;

    #[test]
    fn a_repeated_2xx_gets_its_own_ack_again_for_64_t1() {
        let mut cache = AckCache::new(Timers::default(), 8);
        let invite = request("INVITE", 5, None);
        let (first, fork) = (ok(&invite, "b1"), ok(&invite, "b2"));
        assert!(cache.again(&first).is_none());
        cache.insert(Instant::ZERO, &first, "b1");
        assert_eq!(cache.again(&first), Some(&"b1"));
        assert!(cache.again(&fork).is_none());
        assert!(cache.again(&ok(&request("INVITE", 6, None), "b1")).is_none());
        cache.handle_timeout(Instant::from_millis(31_999));
        assert!(cache.again(&first).is_some());
        cache.handle_timeout(cache.next_timeout().unwrap());
        assert!(cache.again(&first).is_none());
        assert_eq!(cache.next_timeout(), None);
    }

    #[test]
    fn a_full_cache_forgets_the_oldest() {
        let mut cache = AckCache::new(Timers::default(), 2);
        let invite = request("INVITE", 5, None);
        for tag in ["b1", "b2", "b2", "b3"] {
            cache.insert(Instant::ZERO, &ok(&invite, tag), tag);
        }
        let kept = ["b1", "b2", "b3"].map(|t| cache.again(&ok(&invite, t)).is_some());
        assert_eq!(kept, [false, true, true]);
        cache.handle_timeout(Instant::MAX);
        assert!(cache.again(&ok(&invite, "b3")).is_none() && cache.next_timeout().is_none());
    }
}

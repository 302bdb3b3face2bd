//! The callee's 2xx to INVITE, repeated until its ACK comes (RFC 3261 §13.3.1.4).

use crate::sip::transaction::{Backoff, Timers};
use crate::time::Instant;

/// What is to be done with a 2xx that waits for its ACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reliable2xxAction {
    /// Send the 2xx again.
    Repeat,
    /// No ACK came within 64*T1: the dialog is confirmed, but the session is to be ended by BYE.
    GiveUp,
}

/// The clock of a 2xx to INVITE, over any transport: it may be lost at any hop, so it is the
/// callee that repeats it, after T1, doubling up to T2.
#[derive(Clone, Debug)]
pub struct Reliable2xx {
    number: u32,
    timers: Timers,
    /// `None` once acknowledged or given up.
    waiting: Option<(Backoff, Instant)>,
}

impl Reliable2xx {
    /// For the 2xx to the INVITE with this sequence number, sent at `now` for the first time.
    pub fn new(now: Instant, timers: Timers, number: u32) -> Self {
        let waiting = Some((Backoff::start(now, timers.t1()), now + timers.give_up()));
        Self { number, timers, waiting }
    }

    /// An ACK with this sequence number came in the dialog. True if it is the first to
    /// acknowledge this 2xx.
    pub fn handle_ack(&mut self, number: u32) -> bool {
        number == self.number && self.waiting.take().is_some()
    }

    /// Does what is due. At most one repetition per call, so a late call makes no burst.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Reliable2xxAction> {
        let (repeat, end) = self.waiting.as_mut()?;
        if *end <= now {
            self.waiting = None;
            return Some(Reliable2xxAction::GiveUp);
        }
        if repeat.due() > now {
            return None;
        }
        repeat.advance(now, self.timers.t2());
        Some(Reliable2xxAction::Repeat)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|(repeat, end)| repeat.due().min(*end))
    }

    /// True while the ACK is missing.
    pub const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn start() -> Reliable2xx {
        Reliable2xx::new(Instant::ZERO, Timers::default(), 5)
    }

    #[test]
    fn an_unacknowledged_2xx_is_repeated_up_to_t2_and_given_up_after_64_t1() {
        let mut m = start();
        let mut sent = Vec::new();
        let gave_up = loop {
            let now = m.next_timeout().unwrap();
            match m.handle_timeout(now) {
                Some(Reliable2xxAction::Repeat) => sent.push(now.as_micros() / 1000),
                Some(Reliable2xxAction::GiveUp) => break now,
                None => unreachable!(),
            }
        };
        assert_eq!(sent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(gave_up, Instant::from_millis(32000));
        assert_eq!(m.next_timeout(), None);
    }

    #[test]
    fn only_the_ack_of_this_invite_stops_it_and_only_once() {
        let mut m = start();
        assert!(!m.handle_ack(4));
        assert!(m.is_waiting());
        assert!(m.handle_ack(5));
        assert!(!m.handle_ack(5));
        assert_eq!(m.next_timeout(), None);
        assert!(m.handle_timeout(Instant::MAX).is_none());
    }
}

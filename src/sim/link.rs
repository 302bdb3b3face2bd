//! What a network path does to datagrams: delay, jitter, loss, reordering, duplication,
//! bandwidth.

use super::seed::{Draw, split};
use crate::time::{Duration, Instant};
use crate::util::SeededRng;

/// How datagrams get lost.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Loss {
    /// None is lost.
    #[default]
    None,
    /// Each one with this probability.
    Random(f64),
    /// Gilbert's model: a good state without loss, a bad state where all is lost.
    Bursts {
        /// Probability per datagram of entering the bad state.
        enter: f64,
        /// Probability per datagram of leaving it: its inverse is the mean burst length.
        leave: f64,
    },
}

/// The quality of one path, the same in both directions unless set for each.
///
/// ```
/// use subrosa::sim::{Link, Loss};
/// use subrosa::time::Duration;
///
/// let mut dsl = Link::wan();
/// dsl.loss = Loss::Random(0.02);
/// dsl.bandwidth = Some(1_000_000);
/// assert!(dsl.delay > Duration::ZERO);
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Link {
    /// Time on the way, one direction.
    pub delay: Duration,
    /// Up to this much is added to each datagram's delay, uniformly; it may reorder.
    pub jitter: Duration,
    /// Losses.
    pub loss: Loss,
    /// Probability that a datagram arrives twice.
    pub duplicate: f64,
    /// Probability that a datagram is held back by `reorder_by`.
    pub reorder: f64,
    /// How long a datagram that is held back waits.
    pub reorder_by: Duration,
    /// Bits per second; `None` for no limit.
    pub bandwidth: Option<u64>,
    /// With a bandwidth: a datagram that would wait longer than this for its turn is dropped.
    pub queue: Duration,
}

impl Link {
    /// Nothing lost, nothing changed, one microsecond.
    pub fn perfect() -> Self {
        Self {
            delay: Duration::from_micros(1),
            jitter: Duration::ZERO,
            loss: Loss::None,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_by: Duration::ZERO,
            bandwidth: None,
            queue: Duration::from_millis(200),
        }
    }

    /// An office network: 0.3 ms, 0.2 ms jitter.
    pub fn lan() -> Self {
        Self {
            delay: Duration::from_micros(300),
            jitter: Duration::from_micros(200),
            ..Self::perfect()
        }
    }

    /// A healthy path through the Internet: 20 ms, 3 ms jitter.
    pub fn wan() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(3),
            ..Self::perfect()
        }
    }

    /// Profiles of impaired networks that media is measured against, 1 to 8: 1 % loss, 5 %
    /// loss, 10 % loss in bursts of mean length 3, 20 % loss, jitter of 0 to 40 ms, spikes of
    /// 150 ms, 5 % reordered by 5 frames of 20 ms, 10 % duplicates. Any other number gives
    /// [`wan`](Self::wan).
    pub fn impaired(profile: u8) -> Self {
        let mut link = Self::wan();
        match profile {
            1 => link.loss = Loss::Random(0.01),
            2 => link.loss = Loss::Random(0.05),
            // Share of the bad state: enter / (enter + leave) = 10 %.
            3 => link.loss = Loss::Bursts { enter: 1.0 / 27.0, leave: 1.0 / 3.0 },
            4 => link.loss = Loss::Random(0.20),
            5 => link.jitter = Duration::from_millis(40),
            6 => (link.reorder, link.reorder_by) = (0.01, Duration::from_millis(150)),
            7 => (link.reorder, link.reorder_by) = (0.05, Duration::from_millis(100)),
            8 => link.duplicate = 0.10,
            _ => {}
        }
        link
    }
}

/// One direction of a path, with what it remembers.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) link: Link,
    pub(crate) cut: bool,
    rng: SeededRng,
    bad: bool,
    free_at: Instant,
}

/// When copies of a datagram arrive; both `None` means lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Arrivals {
    pub(crate) first: Option<Instant>,
    pub(crate) second: Option<Instant>,
}

impl Path {
    pub(crate) fn new(link: Link, seed: u64, index: u64) -> Self {
        let rng = split(seed, "link", index);
        Self { link, cut: false, rng, bad: false, free_at: Instant::ZERO }
    }

    /// Decides the fate of one datagram.
    pub(crate) fn carry(&mut self, now: Instant, len: usize) -> Arrivals {
        let lost = self.is_lost();
        let (first, second) = (self.travel(now, len), self.rng.chance(self.link.duplicate));
        if self.cut || lost {
            return Arrivals::default();
        }
        let second = if second { self.travel(now, len) } else { None };
        Arrivals { first, second }
    }

    /// Decides when a stream's segment arrives: what would be lost is sent again, later.
    pub(crate) fn carry_segment(&mut self, now: Instant, len: usize) -> Instant {
        let mut sent = now;
        let mut wait = Duration::from_millis(200);
        // Bounded, so that a link that loses everything still ends the loop.
        for _ in 0..8 {
            if !self.is_lost()
                && let Some(at) = self.travel(sent, len)
            {
                return at;
            }
            sent += wait;
            wait = wait.saturating_mul(2);
        }
        sent + self.link.delay
    }

    fn is_lost(&mut self) -> bool {
        match self.link.loss {
            Loss::None => false,
            Loss::Random(share) => self.rng.chance(share),
            Loss::Bursts { enter, leave } => {
                let flip = self.rng.chance(if self.bad { leave } else { enter });
                self.bad ^= flip;
                self.bad
            }
        }
    }

    /// Arrival of one copy; `None` if the queue before the bottleneck is full.
    fn travel(&mut self, now: Instant, len: usize) -> Option<Instant> {
        let mut at = now;
        if let Some(bits) = self.link.bandwidth {
            let start = self.free_at.max(now);
            if start - now > self.link.queue {
                return None;
            }
            let micros = (len as u64).saturating_mul(8_000_000) / bits.max(1);
            self.free_at = start + Duration::from_micros(micros);
            at = self.free_at;
        }
        at = at + self.link.delay + self.rng.up_to(self.link.jitter);
        if self.rng.chance(self.link.reorder) {
            at += self.link.reorder_by;
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_of(link: Link, n: usize) -> usize {
        let mut path = Path::new(link, 1, 0);
        (0..n).filter(|_| path.carry(Instant::ZERO, 200).first.is_none()).count()
    }

    #[test]
    fn loss_is_near_its_share() {
        assert_eq!(lost_of(Link::wan(), 1000), 0);
        assert!((150..250).contains(&lost_of(Link::impaired(4), 1000)));
        assert!((700..1300).contains(&lost_of(Link::impaired(3), 10_000)));
    }

    #[test]
    fn duplicates_reordering_and_cuts() {
        let mut path = Path::new(Link::impaired(8), 1, 0);
        let twice = (0..1000).filter(|_| path.carry(Instant::ZERO, 9).second.is_some()).count();
        assert!((60..140).contains(&twice), "{twice}");
        let mut path = Path::new(Link::impaired(7), 1, 0);
        let late = |at: Option<Instant>| at.is_some_and(|at| at > Instant::from_millis(100));
        let held = (0..1000).filter(|_| late(path.carry(Instant::ZERO, 9).first)).count();
        assert!((20..90).contains(&held), "{held}");
        path.cut = true;
        assert_eq!(path.carry(Instant::ZERO, 9), Arrivals::default());
    }

    #[test]
    fn bandwidth_delays_and_then_drops() {
        let mut link = Link::perfect();
        link.bandwidth = Some(8_000);
        let mut path = Path::new(link, 1, 0);
        // 1000 bytes take a second at 8 kbit/s; the second waits longer than the queue allows.
        let first = path.carry(Instant::ZERO, 1000).first;
        assert_eq!(first, Some(Instant::from_micros(1_000_001)));
        assert_eq!(path.carry(Instant::ZERO, 1000).first, None);
    }
}

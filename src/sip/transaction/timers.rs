//! The timer values of RFC 3261 table 4 and RFC 6026, and what the machines share.

use core::time::Duration;

use crate::time::Instant;

/// The base values from which every transaction timer is derived (RFC 3261 §17.1.1.1, table 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    t1: Duration,
    t2: Duration,
    t4: Duration,
    trying: Duration,
    absorb: Duration,
}

impl Timers {
    /// The shortest interval that a timer may have, so that no configuration makes a busy loop.
    pub const SHORTEST: Duration = Duration::from_millis(1);

    /// Timers from T1 (estimate of the round trip), T2 (longest retransmission interval of
    /// requests other than INVITE and of responses to INVITE) and T4 (how long a message stays
    /// in the network). Values below [`Timers::SHORTEST`] become that; T2 is at least T1.
    pub fn new(t1: Duration, t2: Duration, t4: Duration) -> Self {
        let t1 = t1.max(Self::SHORTEST);
        Self { t1, t2: t2.max(t1), t4: t4.max(Self::SHORTEST), ..Self::default() }
    }

    /// Sets how long the TU may stay silent on an INVITE before the layer answers 100 by itself
    /// (RFC 3261 §17.2.1: 200 ms).
    #[must_use]
    pub fn with_trying(mut self, after: Duration) -> Self {
        self.trying = after.max(Self::SHORTEST);
        self
    }

    /// T1: the estimate of the round trip (500 ms unless configured).
    pub const fn t1(&self) -> Duration {
        self.t1
    }

    /// T2: the longest retransmission interval (4 s unless configured).
    pub const fn t2(&self) -> Duration {
        self.t2
    }

    /// T4: how long a message stays in the network (5 s unless configured). Timers I and K.
    pub const fn t4(&self) -> Duration {
        self.t4
    }

    /// 64*T1: timers B, F, H, J, L and M.
    pub const fn give_up(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D over unreliable transports: 64*T1, and never less than 32 s, because the peer's T1
    /// is unknown.
    pub fn timer_d(&self) -> Duration {
        self.give_up().max(self.absorb)
    }

    /// How long the TU may stay silent before 100 is sent for it.
    pub const fn trying(&self) -> Duration {
        self.trying
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying: Duration::from_millis(200),
            absorb: Duration::from_secs(32),
        }
    }
}

/// A message that is sent again at doubling intervals (timers A, E and G).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    due: Instant,
    interval: Duration,
}

impl Backoff {
    /// First repetition after `interval`.
    pub(crate) fn start(now: Instant, interval: Duration) -> Self {
        Self { due: now + interval, interval }
    }

    /// When the message is to be sent again.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Sent again now: the next interval is twice as long, but at most `limit`.
    pub(crate) fn advance(&mut self, now: Instant, limit: Duration) {
        self.interval = self.interval.saturating_mul(2).min(limit);
        self.due = now + self.interval;
    }
}

/// The earlier of two deadlines, either of which may be absent.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// True if the deadline is there and has come.
pub(crate) fn is_due(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|at| at <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_table_4_and_zero_is_never_an_interval() {
        let t = Timers::default();
        assert_eq!((t.t1(), t.t2(), t.t4()).0, Duration::from_millis(500));
        assert_eq!((t.t2(), t.t4()), (Duration::from_secs(4), Duration::from_secs(5)));
        assert_eq!(t.give_up(), Duration::from_secs(32));
        let fast = Timers::new(Duration::ZERO, Duration::ZERO, Duration::ZERO);
        assert_eq!(fast.t1(), Timers::SHORTEST);
        assert_eq!((fast.t2(), fast.t4()), (Timers::SHORTEST, Timers::SHORTEST));
        assert_eq!(fast.timer_d(), Duration::from_secs(32));
    }
}

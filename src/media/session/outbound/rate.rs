//! How much of the bitrate that is wanted the network carries, by what the peer's reports say of it.
//!
//! A queue that fills on the way shows in the round trip before packets are lost; what a radio link
//! loses is not helped by sending less (error correction and copies are for that). So the bitrate
//! falls while the round trip is much longer than it was, or while very much is lost, and comes back
//! step by step. RTCP reports every five seconds: this follows a network that is too slow for a call,
//! not each of its moods. What it cannot save the circuit breaker ends (RFC 8083).
#![deny(clippy::arithmetic_side_effects)]

use crate::time::Duration;

/// A round trip that is longer than the shortest by this much has a queue in it.
const QUEUE: Duration = Duration::from_millis(100);
/// By less than this, none.
const NO_QUEUE: Duration = Duration::from_millis(50);
/// As many reports in a row must say so: a single one may have met a spike.
const SURE: u32 = 2;
/// So much loss, in percent, is no bad luck.
const CONGESTED: u8 = 25;
/// From so much loss on nothing is added, in percent.
const LOSSY: u8 = 5;
/// The shortest round trip is looked for in the last one to two times so many reports: two to four
/// minutes, after which the way is believed to be longer.
const WINDOW: u32 = 24;
/// What is left at least, and what each step down leaves and each step up adds, in percent.
const LEAST: u32 = 40;
const DOWN: u32 = 75;
const UP: u32 = 10;

/// The share of the wanted bitrate that is used.
#[derive(Clone, Copy, Debug)]
pub(in crate::media::session) struct RateControl {
    percent: u32,
    /// The shortest round trip of this window and of the one before, and the reports of this one.
    shortest: Option<Duration>,
    shortest_before: Option<Duration>,
    reports: u32,
    /// Reports in a row that tell of a queue.
    queued: u32,
}

impl Default for RateControl {
    fn default() -> Self {
        Self { percent: 100, shortest: None, shortest_before: None, reports: 0, queued: 0 }
    }
}

impl RateControl {
    /// In percent, 40 to 100.
    pub(super) fn percent(self) -> u32 {
        self.percent
    }

    /// The path is another one: its round trip has nothing to do with the one before.
    pub(super) fn forget_path(&mut self) {
        *self = Self { percent: self.percent, ..Self::default() };
    }

    /// The peer reports this loss, in percent, over this round trip.
    pub(super) fn report(&mut self, loss: u8, round_trip: Option<Duration>) {
        let rise = round_trip.map_or(Duration::ZERO, |trip| self.rise(trip));
        self.queued = if rise >= QUEUE { self.queued.saturating_add(1) } else { 0 };
        if self.queued >= SURE || loss >= CONGESTED {
            self.percent = (self.percent.saturating_mul(DOWN) / 100).max(LEAST);
            // The next step waits for what this one has done.
            self.queued = 0;
        } else if rise < NO_QUEUE && loss < LOSSY {
            self.percent = self.percent.saturating_add(UP).min(100);
        }
    }

    /// By how much a round trip is longer than the shortest lately.
    fn rise(&mut self, trip: Duration) -> Duration {
        self.reports = self.reports.saturating_add(1);
        if self.reports > WINDOW {
            (self.shortest_before, self.shortest, self.reports) = (self.shortest, None, 1);
        }
        self.shortest = Some(self.shortest.map_or(trip, |shortest| shortest.min(trip)));
        let shortest = [self.shortest, self.shortest_before].into_iter().flatten().min();
        trip.saturating_sub(shortest.unwrap_or(trip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(reports: &[(u8, u64)]) -> u32 {
        let mut rate = RateControl::default();
        reports.iter().for_each(|(loss, ms)| rate.report(*loss, Some(Duration::from_millis(*ms))));
        rate.percent()
    }

    #[test]
    fn a_queue_that_stays_takes_a_quarter_each_time_and_a_spike_nothing() {
        assert_eq!(after(&[(0, 40), (0, 40), (0, 200)]), 100);
        assert_eq!(after(&[(0, 40), (0, 200), (0, 40), (0, 200)]), 100);
        assert_eq!(after(&[(0, 40), (0, 139), (0, 139), (0, 139)]), 100);
        assert_eq!(after(&[(0, 40), (0, 140), (0, 140)]), 75);
        assert_eq!(after(&[(0, 40), (0, 140), (0, 140), (0, 140), (0, 140)]), 56);
        assert_eq!(after(&[&[(0, 40)][..], &[(0, 900); 40]].concat()), LEAST);
    }

    #[test]
    fn loss_alone_takes_nothing_until_it_is_very_much() {
        assert_eq!(after(&[(24, 40); 20]), 100);
        assert_eq!(after(&[(25, 40)]), 75);
    }

    #[test]
    fn it_comes_back_step_by_step_once_the_queue_and_the_loss_are_gone() {
        let slow = [(0, 40), (0, 300), (0, 300)];
        let then = |more: &[(u8, u64)]| after(&[&slow[..], more].concat());
        assert_eq!(then(&[(0, 100)]), 75, "there may be a queue still");
        assert_eq!(then(&[(5, 40)]), 75, "packets are lost still");
        assert_eq!(then(&[(4, 80)]), 85);
        assert_eq!(then(&[(0, 40); 3]), 100);
    }

    #[test]
    fn a_way_that_stays_longer_is_a_longer_way() {
        let mut rate = RateControl::default();
        rate.report(0, Some(Duration::from_millis(40)));
        (0..200).for_each(|_| rate.report(0, Some(Duration::from_millis(240))));
        assert_eq!(rate.percent(), 100);
        let mut rate = RateControl::default();
        rate.report(0, Some(Duration::from_millis(40)));
        rate.forget_path();
        (0..4).for_each(|_| rate.report(0, Some(Duration::from_millis(240))));
        assert_eq!(rate.percent(), 100);
    }

    #[test]
    fn without_a_round_trip_the_loss_is_listened_to() {
        let mut rate = RateControl::default();
        rate.report(50, None);
        assert_eq!(rate.percent(), 75);
        (0..3).for_each(|_| rate.report(0, None));
        assert_eq!(rate.percent(), 100);
    }
}

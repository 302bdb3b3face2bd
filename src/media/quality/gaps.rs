//! Bursts and gaps of loss: the model of four states of RFC 3611 §4.7.2 and its Appendix A.2.

use crate::time::Duration;

/// So many packets received in a row end a burst (the RFC's recommended Gmin).
pub const GMIN: u8 = 16;

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It came in time.
    Received,
    /// It never came.
    Lost,
    /// It came too late to be played.
    Discarded,
}

/// Losses of a stream as bursts and gaps. Rates and densities are shares from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BurstMetrics {
    /// Lost on the way.
    pub loss_rate: f64,
    /// Came too late.
    pub discard_rate: f64,
    /// Lost or discarded within bursts.
    pub burst_density: f64,
    /// Lost or discarded between bursts.
    pub gap_density: f64,
    /// Mean length of a burst.
    pub burst_duration: Duration,
    /// Mean length of a gap.
    pub gap_duration: Duration,
    /// BurstR of G.107: the mean number of losses in a row over that of random loss; 1 or more.
    pub burst_ratio: f64,
}

/// Counts the transitions of the four states: 1 received in a gap, 2 received in a burst, 3 lost in
/// a burst, 4 lost in a gap. Before and after the stream, packets are taken to be received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapCounter {
    received: u64,
    lost: u64,
    discarded: u64,
    /// Received in a row since the last loss.
    run: u64,
    /// Losses of the burst or single loss that is going on.
    open: u64,
    c11: u64,
    c13: u64,
    c14: u64,
    c22: u64,
    c23: u64,
    c33: u64,
}

fn add(count: &mut u64, n: u64) {
    *count = count.saturating_add(n);
}

impl GapCounter {
    /// A counter of a stream that begins.
    pub const fn new() -> Self {
        Self {
            received: 0,
            lost: 0,
            discarded: 0,
            run: 0,
            open: 0,
            c11: 0,
            c13: 0,
            c14: 0,
            c22: 0,
            c23: 0,
            c33: 0,
        }
    }

    /// Counts the next `n` packets, in the order of their sequence numbers.
    pub fn count(&mut self, fate: Fate, n: u64) {
        match fate {
            _ if n == 0 => return,
            Fate::Received => {
                add(&mut self.received, n);
                return add(&mut self.run, n);
            }
            Fate::Lost => add(&mut self.lost, n),
            Fate::Discarded => add(&mut self.discarded, n),
        }
        if self.open == 0 || self.run >= u64::from(GMIN) {
            self.close();
            self.open = 1;
        } else {
            match self.run {
                0 => add(&mut self.c33, 1),
                run => {
                    add(&mut self.c23, 1);
                    add(&mut self.c22, run.saturating_sub(1));
                }
            }
            add(&mut self.open, 1);
        }
        self.run = 0;
        add(&mut self.c33, n.saturating_sub(1));
        add(&mut self.open, n.saturating_sub(1));
    }

    /// The burst or single loss that was going on is over.
    fn close(&mut self) {
        match self.open {
            0 => {}
            1 => add(&mut self.c14, 1),
            _ => add(&mut self.c13, 1),
        }
        add(&mut self.c11, self.run);
        (self.open, self.run) = (0, 0);
    }

    /// Packets counted.
    pub const fn packets(&self) -> u64 {
        self.received.saturating_add(self.lost).saturating_add(self.discarded)
    }

    /// The metrics so far, of packets that last `packet` each.
    pub fn metrics(&self, packet: Duration) -> BurstMetrics {
        let mut ended = *self;
        ended.close();
        let [lost, discarded] = [ended.lost, ended.discarded].map(|n| n as f64);
        let [c11, c13, c14] = [ended.c11, ended.c13, ended.c14].map(|n| n as f64);
        let [c22, c23, c33] = [ended.c22, ended.c23, ended.c33].map(|n| n as f64);
        let total = ended.packets() as f64;
        // Appendix A.2 with c31 = c13 and c32 = c23: its densities are these shares.
        let (burst_lost, burst_received) = (c13 + c23 + c33, c22 + c23);
        let events = lost + discarded;
        // Each loss that does not follow another one begins a row.
        let row = share(events, events - c33);
        let times = |packets: f64| {
            let seconds = packet.as_secs_f64() * share(packets, c13.max(1.0));
            Duration::from_secs_f64(seconds.min(86_400.0))
        };
        BurstMetrics {
            loss_rate: share(lost, total),
            discard_rate: share(discarded, total),
            burst_density: share(burst_lost, burst_lost + burst_received),
            gap_density: share(c14, c11 + c14),
            burst_duration: times(burst_lost + burst_received),
            gap_duration: times(c11 + c14),
            burst_ratio: (row * (1.0 - share(events, total))).max(1.0),
        }
    }
}

fn share(part: f64, of: f64) -> f64 {
    if of > 0.0 { part / of } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    /// `1` came, `0` was lost, `X` came too late; 10 ms each.
    fn measured(stream: &str) -> BurstMetrics {
        let mut counter = GapCounter::new();
        for c in stream.chars().filter(|c| !c.is_whitespace()) {
            let fate = match c {
                '1' => Fate::Received,
                '0' => Fate::Lost,
                _ => Fate::Discarded,
            };
            counter.count(fate, 1);
        }
        counter.metrics(Duration::from_millis(10))
    }

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
    }

    #[test]
    fn a_stream_is_cut_into_bursts_and_gaps_as_the_rfc_shows() {
        // The picture of RFC 3611 §4.7.2: a gap with a single loss, a burst, and another such gap.
        let m = measured("11110111111111111111111 X111X1011110 1111111111111111111X111111111");
        assert_eq!(m.burst_duration, Duration::from_millis(120));
        close(m.burst_density, 4.0 / 12.0);
        assert_eq!(m.gap_duration, Duration::from_millis(230 + 290));
        close(m.gap_density, 2.0 / 52.0);
        close(m.loss_rate, 3.0 / 64.0);
        close(m.discard_rate, 3.0 / 64.0);
    }

    #[test]
    fn single_losses_far_apart_are_no_bursts() {
        let m = measured(&"1111111111111111111011111111111111111111".repeat(25));
        close(m.gap_density, 0.025);
        assert_eq!((m.burst_density, m.burst_duration), (0.0, Duration::ZERO));
        assert_eq!(m.gap_duration, Duration::from_secs(10));
        close(m.burst_ratio, 1.0);
        let clean = measured(&"1".repeat(1_000));
        assert_eq!((clean.loss_rate, clean.gap_density, clean.burst_ratio), (0.0, 0.0, 1.0));
        assert_eq!(measured("").burst_ratio, 1.0);
    }

    #[test]
    fn losses_in_a_row_have_a_burst_ratio() {
        // Four in a row in every hundred: 4 % loss, rows of 4 in place of 1 / 0.96.
        let m = measured(&("1".repeat(48) + "0000" + &"1".repeat(48)).repeat(10));
        close(m.burst_ratio, 4.0 * 0.96);
        assert_eq!(m.burst_duration, Duration::from_millis(40));
        close(m.burst_density, 1.0);
        close(m.gap_density, 0.0);
    }

    #[test]
    fn many_at_once_are_counted_like_one_by_one() {
        let (mut once, mut each) = (GapCounter::new(), GapCounter::new());
        for (fate, n) in [
            (Fate::Received, 40),
            (Fate::Lost, 7),
            (Fate::Received, 3),
            (Fate::Discarded, 2),
            (Fate::Received, 100),
            (Fate::Lost, 1),
            (Fate::Received, 0),
            (Fate::Lost, 2),
        ] {
            once.count(fate, n);
            (0..n).for_each(|_| each.count(fate, 1));
        }
        assert_eq!(once, each);
        assert_eq!(once.packets(), 155);
    }
}

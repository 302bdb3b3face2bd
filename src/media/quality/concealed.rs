//! How much of what was heard was made up, for the E-model.

use crate::media::jitter::JitterStats;

/// Audio that was made up in place of packets that were lost, or did not come in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concealed {
    /// Of all audio, in percent.
    pub percent: f64,
    /// By how much longer it was in a row than with random losses of as many (BurstR of G.107): 1
    /// or more.
    pub burst_ratio: f64,
}

impl Concealed {
    /// Between two looks at a jitter buffer; `None` if nothing was played between.
    pub fn between(before: &JitterStats, now: &JitterStats) -> Option<Self> {
        let since =
            |count: fn(&JitterStats) -> u64| count(now).saturating_sub(count(before)) as f64;
        let (made_up, played) = (since(|s| s.concealed_ticks), since(|s| s.played_ticks));
        if played == 0.0 {
            return None;
        }
        let share = made_up / (made_up + played);
        let packet = played / since(|s| s.played).max(1.0);
        let row = made_up / since(|s| s.concealment_events).max(1.0) / packet;
        Some(Self { percent: share * 100.0, burst_ratio: (row * (1.0 - share)).max(1.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_although_no_packet_is_lost() {
        let before = JitterStats { played: 50, played_ticks: 8_000, ..JitterStats::default() };
        let stall = JitterStats {
            played: 100,
            played_ticks: 16_000,
            concealed_ticks: 1_600,
            concealment_events: 2,
            ..before
        };
        // 1600 of 9600 ticks, in two rows of five packets each.
        let seen = Concealed::between(&before, &stall).unwrap();
        assert!((seen.percent - 100.0 / 6.0).abs() < 1e-9, "{seen:?}");
        assert!((seen.burst_ratio - 5.0 * 5.0 / 6.0).abs() < 1e-9, "{seen:?}");
        assert_eq!(Concealed::between(&stall, &stall), None);
        let clean = Concealed::between(&JitterStats::default(), &before).unwrap();
        assert_eq!((clean.percent, clean.burst_ratio), (0.0, 1.0));
    }
}

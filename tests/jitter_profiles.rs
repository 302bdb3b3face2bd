//! The jitter buffer under the network profiles, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/jitter_player.rs"]
mod jitter_player;
#[path = "support/jitter_trace.rs"]
mod jitter_trace;
#[path = "support/spectrum.rs"]
mod spectrum;

use jitter_player::{payloads, play};
use jitter_trace::{Arrival, PROFILES, Profile, trace};
use spectrum::speech;

const PACKETS: u32 = 3_000;

struct Bound {
    mean_ms: f64,
    concealed_ms: f64,
}

/// As measured, and a little more.
fn bound(profile: Profile) -> Bound {
    let (mean_ms, concealed_ms) = match profile {
        Profile::Still | Profile::Clean | Profile::Duplicates => (12.0, 0.0),
        Profile::Loss(0..=10) => (12.0, 20.0),
        Profile::Loss(_) | Profile::Bursts => (12.0, 20.0),
        Profile::Jitter => (52.0, 40.0),
        Profile::Spikes(_) => (47.0, 1_750.0),
        Profile::Reorder => (101.0, 480.0),
    };
    Bound { mean_ms, concealed_ms }
}

/// A minute of each profile, five times over. What is lost must be concealed; hardly more is.
#[test]
fn the_delay_is_short_and_little_is_concealed_under_each_profile() {
    let payloads = payloads(&speech("0880", 8_000), PACKETS);
    for (name, profile) in PROFILES {
        let (mut mean, mut concealed, mut lost) = (0.0, 0.0, 0.0);
        for seed in 0..5 {
            let arrivals = trace(profile, PACKETS, seed);
            let out = play(&arrivals, &payloads);
            let mut came = vec![false; PACKETS as usize];
            arrivals.iter().for_each(|arrival| came[arrival.packet as usize] = true);
            mean += out.mean() / 5.0;
            concealed += out.concealed_ms / 5.0;
            lost += came.iter().filter(|c| !**c).count() as f64 * 20.0 / 5.0;
        }
        let bound = bound(profile);
        assert!(mean <= bound.mean_ms, "{name}: {mean:.1} ms");
        let more = concealed - lost;
        assert!(more <= bound.concealed_ms, "{name}: {more:.0} ms more than was lost");
    }
}

/// The link stands still for 150 ms once: what is missing is concealed, then the delay is as long
/// as the spike, and within two seconds as short as before.
#[test]
fn after_a_spike_the_delay_soon_is_what_it_was() {
    let payloads = payloads(&speech("0880", 8_000), PACKETS);
    for phase in 0..10 {
        let (spike, mut arrivals) =
            (20_000_000 + phase * 7_300, trace(Profile::Clean, 1_600, phase));
        for Arrival { at_us, packet } in &mut arrivals {
            if (spike..spike + 150_000).contains(at_us) {
                *at_us = spike + 150_000 + u64::from(*packet % 50);
            }
        }
        let out = play(&arrivals, &payloads);
        let begin = spike as f64 / 1_000.0;
        assert!(out.concealed_ms <= 160.0, "{}", out.concealed_ms);
        let (before, during) =
            (out.mean_delay(0.0, begin - 100.0), out.mean_delay(begin, begin + 150.0));
        let after = out.mean_delay(begin + 2_000.0, begin + 3_000.0);
        let late = out.mean_delay(begin + 9_000.0, begin + 10_000.0);
        assert!(during > 100.0 && after <= 80.0 && late <= before + 15.0);
    }
}

/// An hour with the sender's clock 300 ppm fast or slow: not one gap, and no delay that adds up.
#[test]
fn an_hour_of_clock_drift_makes_no_gap() {
    let speech = speech("0880", 8_000);
    const HOUR: u32 = 180_000;
    let payloads = payloads(&speech, HOUR);
    for ppm in [-300i64, 300] {
        let arrivals: Vec<_> = (0..HOUR)
            .map(|packet| {
                let sent = i64::from(packet) * 20_000;
                let at_us = (30_000 + sent + sent * ppm / 1_000_000).cast_unsigned();
                Arrival { at_us, packet }
            })
            .collect();
        let out = play(&arrivals, &payloads);
        let delay = out.stats.mean_delay();
        assert_eq!(out.stats.concealment_events, 0, "{:?}", out.stats);
        assert!(delay <= subrosa::time::Duration::from_millis(25), "{delay:?}");
    }
}

//! When the packets of a stream arrive under the network profiles: 20 ms each, sent on the tick.
#![allow(dead_code, unreachable_pub)]

use subrosa::util::{RngExt, SeededRng};

/// Milliseconds of audio in a packet.
pub const PTIME_MS: u64 = 20;
/// Every packet is on the way for this long at least.
pub const TRANSIT_US: u64 = 30_000;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing happens.
    Clean,
    /// Random loss, per mille.
    Loss(u32),
    /// 10 % loss in bursts of 3 on average (Gilbert-Elliott).
    Bursts,
    /// Each packet is up to 40 ms late, on its own: some overtake others.
    Jitter,
    /// The link stands still for 150 ms, on average every five seconds; then all comes at once.
    Spikes,
    /// 5 % of the packets come after the five that were sent next.
    Reorder,
    /// 10 % come twice.
    Duplicates,
}

/// P1 to P8.
pub const PROFILES: [(&str, Profile); 9] = [
    ("clean", Profile::Clean),
    ("P1", Profile::Loss(10)),
    ("P2", Profile::Loss(50)),
    ("P3", Profile::Bursts),
    ("P4", Profile::Loss(200)),
    ("P5", Profile::Jitter),
    ("P6", Profile::Spikes),
    ("P7", Profile::Reorder),
    ("P8", Profile::Duplicates),
];

/// One arrival: when, in microseconds, and the number of the packet.
pub type Arrival = (u64, u32);

/// When packet `n` is sent.
pub fn sent_us(n: u32) -> u64 {
    u64::from(n) * PTIME_MS * 1_000
}

/// The arrivals of `packets` packets in order of time. All profiles have 2 ms of small jitter.
pub fn trace(profile: Profile, packets: u32, seed: u64) -> Vec<Arrival> {
    let mut rng = SeededRng::new(seed);
    let mut arrivals = Vec::new();
    let (mut bad, mut stalled_until, mut newest) = (false, 0, 0);
    for n in 0..packets {
        let sent = sent_us(n);
        let mut at = sent + TRANSIT_US + u64::from(rng.below(2_000));
        let mut copies = 1;
        match profile {
            Profile::Clean => {}
            Profile::Loss(permille) => copies = u32::from(rng.below(1_000) >= permille),
            Profile::Bursts => {
                // Leaves the bad state with 1/3; enters it so that a tenth of the time is bad.
                bad = if bad { rng.below(3) > 0 } else { rng.below(27) == 0 };
                copies = u32::from(!bad);
            }
            Profile::Jitter => at += u64::from(rng.below(40_000)),
            Profile::Spikes => {
                if rng.below(250) == 0 {
                    stalled_until = sent + TRANSIT_US + 150_000;
                }
                at = at.max(stalled_until);
            }
            Profile::Reorder => {
                if rng.below(20) == 0 {
                    at += 5 * PTIME_MS * 1_000 + 3_000;
                }
            }
            Profile::Duplicates => copies = 1 + u32::from(rng.below(10) == 0),
        }
        // What is not reordered on purpose stays in order.
        if !matches!(profile, Profile::Jitter | Profile::Reorder) {
            at = at.max(newest);
            newest = at;
        }
        (0..copies).for_each(|copy| arrivals.push((at + u64::from(copy) * 500, n)));
    }
    arrivals.sort_by_key(|(at, _)| *at);
    arrivals
}

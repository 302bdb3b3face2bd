//! When the packets of a stream arrive under the network profiles: 20 ms each, sent on the tick. Drawn
//! once from a seed, so that every receiver that is compared gets the same packets at the same times.
#![allow(dead_code, unreachable_pub)]

use subrosa::util::{RngExt, SeededRng};

/// Milliseconds of audio in a packet.
pub const PTIME_MS: u64 = 20;
/// The same in microseconds.
pub const PTIME_US: u64 = PTIME_MS * 1_000;
/// Every packet is on the way for this long at least, in microseconds.
pub const TRANSIT_US: u64 = 30_000;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Nothing happens, to the microsecond.
    Still,
    /// Nothing happens, but for 2 ms of small jitter, which all that follow have too.
    Clean,
    /// Random loss, per mille.
    Loss(u32),
    /// 10 % loss in bursts of 3 on average (Gilbert-Elliott).
    Bursts,
    /// Each packet is up to 40 ms late, on its own: some overtake others.
    Jitter,
    /// The link stands still for 150 ms, on average every five seconds; then all comes at once.
    /// Before this packet it does for sure: a short recording may meet no other.
    Spikes(Option<u32>),
    /// 5 % of the packets come after the five that were sent next.
    Reorder,
    /// 10 % come twice.
    Duplicates,
}

impl Profile {
    /// The share of packets that it loses, in percent.
    pub fn loss_percent(self) -> u8 {
        match self {
            Self::Loss(permille) => (permille / 10) as u8,
            Self::Bursts => 10,
            _ => 0,
        }
    }
}

/// P1 to P8.
pub const PROFILES: [(&str, Profile); 9] = [
    ("clean", Profile::Clean),
    ("P1", Profile::Loss(10)),
    ("P2", Profile::Loss(50)),
    ("P3", Profile::Bursts),
    ("P4", Profile::Loss(200)),
    ("P5", Profile::Jitter),
    ("P6", Profile::Spikes(None)),
    ("P7", Profile::Reorder),
    ("P8", Profile::Duplicates),
];

/// A packet comes at this time, in microseconds after the first one was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub at_us: u64,
    pub packet: u32,
}

/// When a packet is sent.
pub fn sent_us(packet: u32) -> u64 {
    u64::from(packet) * PTIME_US
}

/// The arrivals of `packets` packets in order of time.
pub fn trace(profile: Profile, packets: u32, seed: u64) -> Vec<Arrival> {
    let mut rng = SeededRng::new(seed);
    let mut arrivals = Vec::new();
    let (mut bad, mut stalled_until, mut newest) = (false, 0, 0);
    for packet in 0..packets {
        let mut at = sent_us(packet) + TRANSIT_US;
        if profile != Profile::Still {
            at += u64::from(rng.below(2_000));
        }
        let mut copies = 1;
        match profile {
            Profile::Still | Profile::Clean => {}
            Profile::Loss(permille) => copies = u32::from(rng.below(1_000) >= permille),
            Profile::Bursts => {
                // Leaves the bad state with 1/3; enters it so that a tenth of the time is bad.
                bad = if bad { rng.below(3) > 0 } else { rng.below(27) == 0 };
                copies = u32::from(!bad);
            }
            Profile::Jitter => at += u64::from(rng.below(40_000)),
            Profile::Spikes(sure) => {
                if rng.below(250) == 0 || sure == Some(packet) {
                    stalled_until = sent_us(packet) + TRANSIT_US + 150_000;
                }
                at = at.max(stalled_until);
            }
            Profile::Reorder => at += if rng.below(20) == 0 { 5 * PTIME_US + 3_000 } else { 0 },
            Profile::Duplicates => copies = 1 + u32::from(rng.below(10) == 0),
        }
        // What is not reordered on purpose stays in order.
        if !matches!(profile, Profile::Jitter | Profile::Reorder) {
            at = at.max(newest);
            newest = at;
        }
        for copy in 0..copies {
            arrivals.push(Arrival { at_us: at + u64::from(copy) * 500, packet });
        }
    }
    arrivals.sort_by_key(|arrival| arrival.at_us);
    arrivals
}

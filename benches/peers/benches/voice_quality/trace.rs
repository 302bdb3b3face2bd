//! What a network does to a stream of packets, drawn once from a seed: every receiver that is
//! compared gets the same packets at the same times.

use subrosa::util::{RngExt, SeededRng};

/// Every packet is on the way for this long at least, in microseconds.
pub const TRANSIT_US: u64 = 30_000;
/// One packet after the other, in microseconds.
pub const PTIME_US: u64 = 20_000;

/// A network, by the profile's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Clean,
    /// Random loss, per mille.
    Loss(u32),
    /// Gilbert-Elliott: a tenth of the packets lost, three in a row on average.
    Bursts,
    /// Each packet up to 40 ms late, on its own.
    Jitter,
    /// The link stands still for 150 ms, every five seconds on average; then all comes at once.
    Spikes,
    /// A twentieth of the packets comes after the five that were sent next.
    Reorder,
    /// A tenth comes twice.
    Duplicates,
}

/// The profiles that are measured, and the share of packets that each loses, in percent.
pub const NETWORKS: [(&str, Network, u8); 9] = [
    ("clean", Network::Clean, 0),
    ("P1", Network::Loss(10), 1),
    ("P2", Network::Loss(50), 5),
    ("P3", Network::Bursts, 10),
    ("P4", Network::Loss(200), 20),
    ("P5", Network::Jitter, 0),
    ("P6", Network::Spikes, 0),
    ("P7", Network::Reorder, 0),
    ("P8", Network::Duplicates, 0),
];

/// A packet comes at this time, in microseconds after the first one was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub at_us: u64,
    pub packet: u32,
}

/// The arrivals of `packets` packets in order of time.
pub fn draw(network: Network, packets: u32, seed: u64) -> Vec<Arrival> {
    let mut rng = SeededRng::new(seed);
    let mut arrivals = Vec::new();
    let (mut bad, mut stalled_until, mut newest) = (false, 0, 0);
    for packet in 0..packets {
        let sent = u64::from(packet) * PTIME_US;
        let mut at = sent + TRANSIT_US;
        if network != Network::Clean {
            at += u64::from(rng.below(2_000));
        }
        let mut copies = 1;
        match network {
            Network::Clean => {}
            Network::Loss(permille) => copies = u32::from(rng.below(1_000) >= permille),
            Network::Bursts => {
                bad = if bad { rng.below(3) > 0 } else { rng.below(27) == 0 };
                copies = u32::from(!bad);
            }
            Network::Jitter => at += u64::from(rng.below(40_000)),
            Network::Spikes => {
                if rng.below(250) == 0 || packet == 150 {
                    stalled_until = at + 150_000;
                }
                at = at.max(stalled_until);
            }
            Network::Reorder => at += if rng.below(20) == 0 { 5 * PTIME_US + 3_000 } else { 0 },
            Network::Duplicates => copies = 1 + u32::from(rng.below(10) == 0),
        }
        if !matches!(network, Network::Jitter | Network::Reorder) {
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

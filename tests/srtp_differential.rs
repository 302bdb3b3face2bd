//! Our SRTP against libsrtp: random packets over every suite that both have, with wraps, reordering, loss, replays
//! and forgeries. Both must produce the same bytes and refuse the same packets for the same reason.
//!
//! `SRTP_DIFFERENTIAL_PACKETS` says how many packets the receivers get (`./ci.sh srtp`: a million).
#![cfg(feature = "libsrtp")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, clippy::print_stdout)]

use std::collections::{BTreeMap, VecDeque};
use subrosa::crypto::srtp::{
    LibsrtpReceiver, LibsrtpSender, MasterKey, ProtectPackets, SrtpReceiver, SrtpSender, Suite,
    UnprotectError, UnprotectPackets,
};
use subrosa::util::{Rng, RngExt, SeededRng};
use subrosa::wire::rtp::{Extension, RtpHeaderFields};

/// Packets under one key before the next one begins.
const PER_KEY: usize = 5_000;
const SSRCS: u32 = 4;
/// libsrtp's AES-192 is not RFC 6188's, and it has no f8-mode; the vectors of
/// tests/srtp_vectors.rs and tests/srtp_f8.rs have ours.
const SUITES: [Suite; 6] = [
    Suite::AeadAes256Gcm,
    Suite::AeadAes128Gcm,
    Suite::AesCm256HmacSha1_80,
    Suite::AesCm256HmacSha1_32,
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
];

#[derive(Clone)]
struct Packet {
    wire: Vec<u8>,
    is_rtcp: bool,
}

type Verdict = Result<Vec<u8>, UnprotectError>;

/// libsrtp has one reason for all that is no packet, and finds out by the tag that the E bit of an
/// SRTCP packet in AES-GCM was taken away, where ours does not look further.
fn reason(error: UnprotectError) -> UnprotectError {
    match error {
        UnprotectError::TooShort => UnprotectError::Malformed,
        UnprotectError::Unencrypted => UnprotectError::AuthFailed,
        other => other,
    }
}

fn unprotect(receiver: &mut dyn UnprotectPackets, packet: &Packet) -> Verdict {
    let mut bytes = packet.wire.clone();
    let plain = if packet.is_rtcp {
        receiver.unprotect_rtcp(&mut bytes)?
    } else {
        receiver.unprotect_rtp(&mut bytes)?
    };
    Ok(plain.to_vec())
}

fn protect(sender: &mut dyn ProtectPackets, is_rtcp: bool, clear: &[u8]) -> Vec<u8> {
    let mut buffer = clear.to_vec();
    buffer.resize(clear.len() + 40, 0);
    let egress = if is_rtcp {
        sender.protect_rtcp(&mut buffer, clear.len())
    } else {
        sender.protect_rtp(&mut buffer, clear.len())
    };
    egress.unwrap().bytes().to_vec()
}

/// Both ends of one key in both implementations, and the network between.
struct World {
    rng: SeededRng,
    senders: (SrtpSender, LibsrtpSender),
    receivers: (SrtpReceiver, LibsrtpReceiver),
    sequences: [u16; SSRCS as usize],
    wraps: u64,
    under_way: VecDeque<Packet>,
    delivered: VecDeque<Packet>,
}

impl World {
    fn new(suite: Suite, seed: u64) -> Self {
        let mut rng = SeededRng::new(seed);
        let key = MasterKey::generate(suite, &mut rng);
        let mut sender = SrtpSender::new(&key).unwrap();
        for ssrc in 0..SSRCS {
            sender.start_at(ssrc, 0, 1).unwrap(); // libsrtp's SRTCP indices begin with 1
        }
        Self {
            senders: (sender, LibsrtpSender::new(&key).unwrap()),
            receivers: (SrtpReceiver::new(&key).unwrap(), LibsrtpReceiver::new(&key).unwrap()),
            sequences: [(); SSRCS as usize].map(|()| rng.next_u16()),
            wraps: 0,
            under_way: VecDeque::new(),
            delivered: VecDeque::new(),
            rng,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.below(100) < percent
    }

    fn rtp(&mut self, ssrc: u32) -> Vec<u8> {
        let gap = match self.rng.below(100) {
            0 if self.rng.below(3) == 0 => 1 + self.rng.below(0x7ffe),
            1..5 => 1 + self.rng.below(300),
            _ => 1,
        };
        let slot = &mut self.sequences[ssrc as usize];
        let before = *slot;
        *slot = slot.wrapping_add(gap as u16);
        self.wraps += u64::from(*slot < before);
        let (csrc, extension) = ([7; 15], [9; 16]);
        let fields = RtpHeaderFields {
            ssrc,
            sequence_number: *slot,
            timestamp: self.rng.next_u32(),
            csrc: &csrc[..if self.rng.below(8) == 0 { 3 } else { 0 }],
            extension: (self.rng.below(8) == 0)
                .then_some(Extension { profile: 0xbede, data: &extension }),
            ..Default::default()
        };
        let mut payload = vec![0; self.rng.below(400) as usize];
        self.rng.fill(&mut payload);
        let mut buffer = vec![0; 600];
        let len = fields.write_packet(&payload, 0, &mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }

    fn rtcp(&mut self, ssrc: u32) -> Vec<u8> {
        let words = self.rng.below(40) as u16;
        let mut report = vec![0; 8 + 4 * usize::from(words)];
        self.rng.fill(&mut report[8..]);
        report[..2].copy_from_slice(&[0x80, 201]);
        report[2..4].copy_from_slice(&(words + 1).to_be_bytes());
        report[4..8].copy_from_slice(&ssrc.to_be_bytes());
        report
    }

    fn send(&mut self) {
        let ssrc = self.rng.below(SSRCS);
        let is_rtcp = self.chance(15);
        let clear = if is_rtcp { self.rtcp(ssrc) } else { self.rtp(ssrc) };
        let ours = protect(&mut self.senders.0, is_rtcp, &clear);
        let theirs = protect(&mut self.senders.1, is_rtcp, &clear);
        assert_eq!(ours, theirs, "protected bytes");
        if !self.chance(3) {
            self.under_way.push_back(Packet { wire: ours, is_rtcp });
        }
    }

    /// A packet that was changed on the way, and whether the change leaves the first byte alone:
    /// libsrtp does not check RTP's version and counts a header that does not fit differently.
    fn forge(&mut self, packet: &Packet) -> (Packet, bool) {
        let mut forged = packet.clone();
        if self.chance(10) {
            let len = self.rng.below(packet.wire.len() as u32) as usize;
            forged.wire.truncate(len);
            return (forged, false);
        }
        let at = self.rng.below(packet.wire.len() as u32) as usize;
        forged.wire[at] ^= 1 << self.rng.below(8);
        // Bytes 0 and 1: version and packet type, which libsrtp does not look at.
        (forged, at > 1 || (at == 1 && !packet.is_rtcp))
    }

    fn check(&mut self, packet: &Packet, same_reason: bool) -> &'static str {
        let ours = unprotect(&mut self.receivers.0, packet).map_err(reason);
        let theirs = unprotect(&mut self.receivers.1, packet).map_err(reason);
        if same_reason {
            assert_eq!(ours, theirs, "rtcp {} {:02x?}", packet.is_rtcp, packet.wire);
        } else {
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{ours:?} {theirs:?} {:02x?}", packet.wire);
        }
        match ours {
            Ok(_) => "accepted",
            Err(UnprotectError::AuthFailed) => "authentication failed",
            Err(UnprotectError::Replayed) => "replayed",
            Err(UnprotectError::TooOld) => "too old",
            Err(_) => "malformed",
        }
    }

    /// One packet to both receivers.
    fn deliver(&mut self) -> &'static str {
        let replay = self.chance(8) && !self.delivered.is_empty();
        if replay {
            let at = self.rng.below(self.delivered.len() as u32) as usize;
            let packet = self.delivered[at].clone();
            return self.check(&packet, true);
        }
        // Mostly in order; some overtake others, a few by far.
        let reach = match self.rng.below(100) {
            0 => 300,
            1..25 => 20,
            _ => 1,
        };
        while self.under_way.len() < reach {
            self.send();
        }
        let at = self.rng.below(reach as u32) as usize;
        if self.chance(10) {
            let packet = self.under_way[at].clone();
            let (forged, same_reason) = self.forge(&packet);
            return self.check(&forged, same_reason);
        }
        let packet = self.under_way.remove(at).unwrap();
        let verdict = self.check(&packet, true);
        self.delivered.push_back(packet);
        if self.delivered.len() > 400 {
            self.delivered.pop_front();
        }
        verdict
    }
}

#[test]
fn libsrtp_has_all_suites_but_aes_192_and_f8() {
    for suite in Suite::ALL {
        let key = MasterKey::generate(suite, &mut SeededRng::new(1));
        let has = SUITES.contains(&suite);
        assert_eq!(LibsrtpSender::new(&key).is_ok(), has, "{suite}");
        assert_eq!(LibsrtpReceiver::new(&key).is_ok(), has, "{suite}");
    }
}

#[test]
fn same_bytes_and_same_verdicts_as_libsrtp() {
    let packets = std::env::var("SRTP_DIFFERENTIAL_PACKETS");
    let packets = packets.map_or(100_000, |n| n.parse::<usize>().expect("a number of packets"));
    let mut verdicts = BTreeMap::new();
    let (mut done, mut seed, mut wraps) = (0, 0, 0);
    while done < packets {
        let suite = SUITES[seed % SUITES.len()];
        let mut world = World::new(suite, seed as u64);
        for _ in 0..PER_KEY.min(packets - done) {
            *verdicts.entry(world.deliver()).or_insert(0_u64) += 1;
            done += 1;
        }
        wraps += world.wraps;
        seed += 1;
    }
    println!("{done} packets, {seed} keys, {wraps} wraps: {verdicts:?}");
    // The mixture is what it claims to be.
    let at_least = |verdict: &str, share: usize| {
        let count = verdicts.get(verdict).copied().unwrap_or(0);
        assert!(count as usize >= done / share, "{verdict}: {count} of {done}");
    };
    at_least("accepted", 2);
    at_least("authentication failed", 25);
    at_least("replayed", 50);
    at_least("too old", 200);
    assert!(wraps as usize >= done / 10_000, "{wraps} wraps");
}

//! SRTP and SRTCP (RFC 3711, 6188, 7714): contexts that protect and unprotect packets in place.
//!
//! One direction of one session has one [`MasterKey`] and one context: [`SrtpSender`] or
//! [`SrtpReceiver`]. A context knows no socket and outlives them; it keeps the roll-over counters
//! of every source, so a moved socket or a paused stream loses nothing.
//!
//! ```
//! use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite, UnprotectError};
//! use subrosa::util::SeededRng;
//! use subrosa::wire::rtp::{RtpHeaderFields, RtpPacket};
//!
//! // In a call the generator is the platform's and the key travels in `a=crypto`.
//! let key = MasterKey::generate(Suite::AeadAes128Gcm, &mut SeededRng::new(1));
//! let mut sender = SrtpSender::new(&key)?;
//! let mut receiver = SrtpReceiver::new(&key)?;
//!
//! let header = RtpHeaderFields { ssrc: 0xcafe, sequence_number: 1, ..Default::default() };
//! let mut buffer = [0; 1500];
//! let len = header.write_packet(b"sub rosa", 0, &mut buffer)?;
//! let mut wire = sender.protect_rtp(&mut buffer, len)?.bytes().to_vec();
//! let mut replay = wire.clone();
//!
//! let plain = receiver.unprotect_rtp(&mut wire)?;
//! assert_eq!(RtpPacket::parse(plain)?.payload, b"sub rosa");
//! assert_eq!(receiver.unprotect_rtp(&mut replay), Err(UnprotectError::Replayed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Keys that change
//! A context lives as long as its session. The keys of each new offer or answer go to
//! [`SrtpSender::rekey`] and [`SrtpReceiver::rekey`]: the same keys change nothing, new ones begin
//! with roll-over counter 0 (RFC 4568 §6.4). A receiver takes packets of the old keys until
//! [`OVERLAP_PACKETS`] have come under the new ones, so that nothing on the way is lost. Several
//! keys at a time are a [`KeySet`], told apart by identifiers in the packets (MKI).
//! [`KeyUsage::rekey_due`] says when the lifetime of a key nears its end.
//!
//! Not here: key derivation rates other than 0 (RFC 3711 §4.3.1), because no other implementation
//! has them to test against: a line of `a=crypto` that asks for one is passed over and counted; the
//! NULL cipher (§4.1.3), which protects nothing.
//!
//! # Sources
//! At most [`MAX_SSRCS`] sources are live in a context and [`MAX_KNOWN_SSRCS`] are remembered.
//! State is made for authenticated packets only, and never given up: a source that ended is
//! [retired](SrtpReceiver::retire), which frees its place among the live ones but keeps its replay
//! window, so that old packets can neither be replayed nor push a live source out.
//!
//! # Zeroization
//! Master keys, AES round keys, HMAC states and salts are zeroized on drop. The expanded GCM keys
//! inside ring are not: ring has no means for it.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod egress;
mod epoch;
mod error;
mod f8;
pub mod hazmat;
mod kdf;
mod key;
mod key_set;
mod keyring;
#[cfg(feature = "libsrtp")]
mod libsrtp;
mod protection;
mod receiver;
mod replay;
mod sender;
mod suite;
mod transform;

pub use egress::{Egress, PlainPermit};
pub use error::{ProtectError, UnprotectError};
pub(crate) use kdf::wipe_stack;
pub use key::{KeyError, MasterKey};
pub use key_set::{KeyInfo, KeySet, MAX_KEYS, MasterKeyId};
pub use keyring::{KeyChange, KeyUsage, SourceCounters};
#[cfg(feature = "libsrtp")]
pub use libsrtp::{LibsrtpReceiver, LibsrtpSender};
pub use protection::{ProtectPackets, UnprotectPackets};
pub use receiver::{OVERLAP_PACKETS, SrtpReceiver};
pub use replay::{MAX_REPLAY_WINDOW, REPLAY_WINDOW};
pub use sender::SrtpSender;
pub use suite::{Suite, UnknownSuite};

/// Sources that may be live in one context at a time.
pub const MAX_SSRCS: usize = 4;

/// Sources whose counters one context remembers, live and retired.
pub const MAX_KNOWN_SSRCS: usize = 16;

/// The longest packet: what fits a UDP datagram.
pub const MAX_PACKET_LEN: usize = 65_507;

/// SRTP packets that one master key may protect (RFC 3711 §9.2).
const MAX_RTP_PACKETS: u64 = 1 << 48;

/// SRTCP packets that one master key may protect (RFC 3711 §9.2).
const MAX_RTCP_PACKETS: u32 = 1 << 31;

/// The sender of an RTCP packet, from its first eight bytes: version 2, a packet type of RTCP.
fn rtcp_ssrc(packet: &[u8]) -> Option<u32> {
    let [b0, b1, _, _, ssrc @ ..] = *packet.first_chunk::<8>()?;
    (b0 >> 6 == 2 && (192..=223).contains(&b1)).then(|| u32::from_be_bytes(ssrc))
}

/// Session keys for both protocols, expanded.
#[derive(Debug)]
struct Keys {
    suite: Suite,
    rtp: transform::Transform,
    rtcp: transform::Transform,
}

impl Keys {
    /// The session keys, and what tells the master key from others. Nothing of the master key
    /// stays on the stack.
    fn derive(master: &MasterKey) -> Result<(Self, keyring::Identity), KeyError> {
        let derived = Self::derive_with_traces(master);
        wipe_stack();
        derived
    }

    #[inline(never)] // below the frame that calls wipe_stack
    fn derive_with_traces(master: &MasterKey) -> Result<(Self, keyring::Identity), KeyError> {
        let rtp = kdf::SessionKeys::derive(master, 0)?;
        let rtcp = kdf::SessionKeys::derive(master, 3)?;
        let keys = Self::expand(master.suite(), &rtp, &rtcp)?;
        Ok((keys, keyring::Identity::new(kdf::identity(master)?)))
    }

    fn expand(
        suite: Suite,
        rtp: &kdf::SessionKeys,
        rtcp: &kdf::SessionKeys,
    ) -> Result<Self, KeyError> {
        Ok(Self {
            suite,
            rtp: transform::Transform::new(suite, rtp, suite.rtp_overhead())?,
            rtcp: transform::Transform::new(suite, rtcp, suite.rtcp_tag_len())?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests;

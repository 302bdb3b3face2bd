//! Keys in use: expanded, with what they have done and may still do.

use super::{
    KeyError, KeyInfo, KeySet, Keys, MAX_RTCP_PACKETS, MAX_RTP_PACKETS, MasterKeyId, Suite,
};
use alloc::vec::Vec;
use core::fmt;
use subtle::ConstantTimeEq;

/// Packets before the end of a lifetime at which new keys are due: 22 minutes of speech at 50
/// packets a second.
const REKEY_MARGIN: u64 = 1 << 16;

/// What tells two master keys apart. The key does not follow from it; even so it is not shown.
#[derive(Clone, Copy)]
pub(super) struct Identity([u8; 16]);

impl Identity {
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Identity {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How many packets a master key has protected (sender) or authenticated (receiver), and how many
/// are left of its lifetime (RFC 3711 §9.2, RFC 4568 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyUsage {
    /// SRTP packets so far.
    pub rtp_packets: u64,
    /// SRTCP packets so far.
    pub rtcp_packets: u64,
    /// SRTP packets left.
    pub rtp_left: u64,
    /// SRTCP packets left.
    pub rtcp_left: u64,
}

impl KeyUsage {
    /// True once it is time to agree on new keys: when a quarter of the lifetime is left, or
    /// 65,536 packets if that is less.
    pub fn rekey_due(&self) -> bool {
        self.is_within(1)
    }

    /// True once half of that time is over.
    pub fn rekey_overdue(&self) -> bool {
        self.is_within(2)
    }

    /// Within this part of the margin before the end.
    fn is_within(&self, part: u64) -> bool {
        let within = |used: u64, left: u64| {
            let limit = used.saturating_add(left);
            left.saturating_mul(part) <= limit.div_ceil(4).min(REKEY_MARGIN)
        };
        within(self.rtp_packets, self.rtp_left) || within(self.rtcp_packets, self.rtcp_left)
    }
}

/// The counters of one source in a context, for reports and to continue it elsewhere under the same
/// key (`start_at`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceCounters {
    /// The source.
    pub ssrc: u32,
    /// Its roll-over counter.
    pub roll_over: u32,
    /// Its highest sequence number in that roll-over period.
    pub sequence: Option<u16>,
    /// Its highest SRTCP index.
    pub rtcp_index: Option<u32>,
}

/// What a change of keys did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyChange {
    /// These are the keys in use: everything goes on as it was.
    Unchanged,
    /// A key in use (or, for a receiver, one that was) is among them: roll-over counters, SRTCP
    /// indices and packet counts go on.
    Continued,
    /// All keys are new: every source begins with roll-over counter 0 (RFC 4568 §6.4, §7.1.4).
    Fresh,
}

/// A master key, expanded.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) mki: Option<MasterKeyId>,
    pub(super) keys: Keys,
    pub(super) rtp_packets: u64,
    pub(super) rtcp_packets: u64,
    /// Taken out of the set; still good for packets under way.
    pub(super) retiring: bool,
    lifetime: u64,
    identity: Identity,
}

impl Key {
    pub(super) fn new(keys: Keys, identity: Identity) -> Self {
        Self {
            mki: None,
            keys,
            rtp_packets: 0,
            rtcp_packets: 0,
            retiring: false,
            lifetime: MAX_RTP_PACKETS,
            identity,
        }
    }

    pub(super) fn expand(info: &KeyInfo) -> Result<Self, KeyError> {
        let (keys, identity) = Keys::derive(info.master())?;
        let key = Self::new(keys, identity);
        Ok(Self { mki: info.mki().copied(), lifetime: info.lifetime(), ..key })
    }

    #[inline]
    pub(super) fn mki(&self) -> &[u8] {
        self.mki.as_ref().map_or(&[], MasterKeyId::as_bytes)
    }

    pub(super) fn suite(&self) -> Suite {
        self.keys.suite
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    #[inline]
    pub(super) fn may_protect_rtp(&self) -> bool {
        self.rtp_packets < self.lifetime
    }

    pub(super) fn may_protect_rtcp(&self) -> bool {
        self.rtcp_packets < self.lifetime.min(MAX_RTCP_PACKETS.into())
    }

    pub(super) fn usage(&self) -> KeyUsage {
        let rtcp_limit = self.lifetime.min(MAX_RTCP_PACKETS.into());
        KeyUsage {
            rtp_packets: self.rtp_packets,
            rtcp_packets: self.rtcp_packets,
            rtp_left: self.lifetime.saturating_sub(self.rtp_packets),
            rtcp_left: rtcp_limit.saturating_sub(self.rtcp_packets),
        }
    }
}

/// Expands all keys of a set.
pub(super) fn expand(set: &KeySet) -> Result<Vec<Key>, KeyError> {
    set.keys().iter().map(Key::expand).collect()
}

/// What the change from `old` to `new` keys is; new keys that were in use get their packet counts.
pub(super) fn compare<'k>(
    old: impl Iterator<Item = &'k Key> + Clone,
    new: &mut [Key],
) -> KeyChange {
    let active = old.clone().filter(|k| !k.retiring).count();
    let mut same = active == new.len();
    let mut change = KeyChange::Fresh;
    for key in new {
        let before = old.clone().find(|k| k.is_same_key(key));
        same &= before.is_some_and(|b| {
            !b.retiring
                && b.suite() == key.suite()
                && b.mki == key.mki
                && b.lifetime == key.lifetime
        });
        if let Some(before) = before {
            key.rtp_packets = before.rtp_packets;
            key.rtcp_packets = before.rtcp_packets;
            change = KeyChange::Continued;
        }
    }
    if same { KeyChange::Unchanged } else { change }
}

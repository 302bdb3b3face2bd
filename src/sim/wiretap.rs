//! What a protocol analyzer sees: a packet's kind, from its bytes alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::host::HostId;
use super::invariants::Fact;
use crate::crypto::srtp::Suite;

/// A datagram, looked at from outside.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a>(&'a [u8]);

/// What a packet or segment is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A SIP message in the clear.
    Sip,
    /// RTP in the clear.
    Rtp,
    /// RTCP in the clear.
    Rtcp,
    /// RTP that is encrypted.
    Srtp,
    /// RTCP that is encrypted.
    Srtcp,
    /// A TLS record.
    Tls,
    /// CRLF keep-alive.
    KeepAlive,
    /// Something else.
    Other,
}

impl Kind {
    /// True for what a listener on the path can read.
    pub const fn is_clear(self) -> bool {
        matches!(self, Self::Sip | Self::Rtp | Self::Rtcp)
    }

    /// The kind of a segment of a stream, by its first bytes.
    pub fn of_stream(bytes: &[u8]) -> Self {
        match bytes {
            [b'\r' | b'\n', ..] => Self::KeepAlive,
            [20..=23, 3, ..] => Self::Tls,
            _ if is_sip(bytes) => Self::Sip,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "SIP",
            Self::Rtp => "RTP",
            Self::Rtcp => "RTCP",
            Self::Srtp => "SRTP",
            Self::Srtcp => "SRTCP",
            Self::Tls => "TLS",
            Self::KeepAlive => "keep-alive",
            Self::Other => "bytes",
        })
    }
}

/// The value of a SIP message's Call-ID header field.
pub fn call_id(message: &[u8]) -> Option<&str> {
    let lines = message.split(|byte| *byte == b'\n').take_while(|line| line.len() > 1);
    let mut fields = lines.filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'));
    let named = |name: &str| ["call-id", "i"].iter().any(|n| name.trim().eq_ignore_ascii_case(n));
    fields.find(|(name, _)| named(name)).map(|(_, value)| value.trim())
}

/// Whether a SIP message says no: a final response of 300 or more.
pub fn is_refusal(message: &[u8]) -> bool {
    matches!(message.strip_prefix(b"SIP/2.0 "), Some([b'3'..=b'6', ..]))
}

/// Whether a SIP message is a 200 without a body to one of these methods.
pub fn is_bare_ok(message: &[u8], methods: &[&str]) -> bool {
    let text = String::from_utf8_lossy(message);
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let cseq = fields.find(|(name, _)| name.trim().eq_ignore_ascii_case("CSeq"));
    let cseq = cseq.map_or("", |(_, value)| value);
    let method = cseq.split_whitespace().next_back();
    let bare = text.starts_with("SIP/2.0 2") && text.ends_with("\r\n\r\n");
    bare && method.is_some_and(|method| methods.contains(&method))
}

/// The word with the E bit and the index of an SRTCP packet (RFC 3711 §3.4, RFC 7714 §9).
pub fn srtcp_index(packet: &[u8], suite: Suite, mki_len: usize) -> Option<u32> {
    let tag = if suite.is_aead() { 0 } else { 10 };
    let end = packet.len().checked_sub(mki_len.saturating_add(tag))?;
    packet.get(..end)?.last_chunk::<4>().map(|word| u32::from_be_bytes(*word))
}

/// What a listener knows who follows the streams, and is told by each engine how far the keys of
/// its packets have come.
#[derive(Debug, Default)]
pub struct Wiretap {
    /// Engines: they tell of each packet that they protect.
    tells: BTreeSet<HostId>,
    /// The sequence number of the packet that is protected next.
    told: BTreeMap<(HostId, u32), Option<u16>>,
}

impl Wiretap {
    /// Listens; the kind of what crosses the wire with this fact.
    ///
    /// A packet whose codec may have any length counts as encrypted only if its engine told of it
    /// before. That this is so the rule
    /// [`EncryptedLooksRandom`](super::invariants::EncryptedLooksRandom) sees on the wire.
    pub fn listen(&mut self, fact: &Fact<'_>) -> Option<Kind> {
        match *fact {
            Fact::CallNews { host, .. } => _ = self.tells.insert(host),
            Fact::SrtpProgress { host, ssrc, sequence, .. } => {
                self.tells.insert(host);
                self.told.insert((host, ssrc), sequence);
            }
            Fact::Segment { payload, .. } => return Some(Kind::of_stream(payload)),
            Fact::Datagram { host, payload, .. } => return Some(self.kind(host, payload)),
            _ => {}
        }
        None
    }

    /// Whether this host is an engine that told of packets of this source that it protected.
    pub fn was_told(&self, host: HostId, ssrc: u32) -> bool {
        self.told.contains_key(&(host, ssrc))
    }

    fn kind(&self, host: HostId, payload: &[u8]) -> Kind {
        let packet = Packet::new(payload);
        if !packet.is_of_any_length() || !self.tells.contains(&host) {
            return packet.kind();
        }
        let told = packet.ssrc().and_then(|ssrc| self.told.get(&(host, ssrc)).copied().flatten());
        if told.is_some() && told == packet.sequence() { Kind::Srtp } else { Kind::Rtp }
    }
}

fn is_sip(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.starts_with(b"SIP/2.0 ") || line.ends_with(b" SIP/2.0")
}

impl<'a> Packet<'a> {
    /// Looks at a datagram.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Its kind. RTP and SRTP share a header; what tells them apart in one packet is the length,
    /// because G.711 and G.722 make 8 bytes a millisecond and frames of whole 10 ms (telephone
    /// events: 4 bytes), and every SRTP suite adds a tag of 4, 10 or 16 bytes. Opus packets have
    /// all lengths: of those a [`Wiretap`] knows more.
    pub fn kind(&self) -> Kind {
        match self.0 {
            [0x80..=0xbf, 192..=223, ..] => {
                if self.is_whole_rtcp() {
                    Kind::Rtcp
                } else {
                    Kind::Srtcp
                }
            }
            [0x80..=0xbf, ..] if self.0.len() >= 12 => {
                let body = self.0.len().saturating_sub(self.header_len());
                if body.is_multiple_of(80) || body == 4 { Kind::Rtp } else { Kind::Srtp }
            }
            bytes if !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) => {
                Kind::KeepAlive
            }
            bytes if is_sip(bytes) => Kind::Sip,
            _ => Kind::Other,
        }
    }

    /// The synchronization source of an RTP packet.
    pub fn ssrc(&self) -> Option<u32> {
        Some(u32::from_be_bytes(self.0.get(8..12)?.try_into().ok()?))
    }

    /// Whether its payload type is that of comfort noise or a dynamic one (RFC 3551 §3 and §6), and
    /// its length that of no telephone event: nothing is known of the codec's lengths.
    fn is_of_any_length(&self) -> bool {
        let kind = matches!(self.kind(), Kind::Rtp | Kind::Srtp);
        let dynamic = |byte: &u8| matches!(byte & 0x7f, 13 | 35..=63 | 96..);
        kind && self.0.get(1).is_some_and(dynamic)
            && self.0.len().saturating_sub(self.header_len()) != 4
    }

    /// The first byte of the payload: in Opus what the packet is made of (RFC 6716 §3.1), under
    /// SRTP any number.
    pub fn first_byte(&self) -> Option<u8> {
        self.0.get(self.header_len()).copied()
    }

    /// The sequence number of an RTP packet.
    pub fn sequence(&self) -> Option<u16> {
        Some(u16::from_be_bytes(self.0.get(2..4)?.try_into().ok()?))
    }

    /// Whether it comes from this synchronization source, as RTP or as RTCP.
    pub fn is_of(&self, ssrc: u32) -> bool {
        let rtcp = matches!(self.0, [_, 192..=223, ..]);
        let at = if rtcp { 4 } else { 8 };
        let word = self.0.get(at..).and_then(|rest| rest.first_chunk::<4>());
        word.is_some_and(|word| u32::from_be_bytes(*word) == ssrc)
    }

    fn header_len(&self) -> usize {
        let first = self.0.first().copied().unwrap_or_default();
        let fixed = 12_usize.saturating_add(usize::from(first & 0x0f).saturating_mul(4));
        if first & 0x10 == 0 {
            return fixed;
        }
        let extension = self.0.get(fixed.saturating_add(2)..fixed.saturating_add(4));
        let words = extension.and_then(|b| b.try_into().ok()).map_or(0, u16::from_be_bytes);
        fixed.saturating_add(4).saturating_add(usize::from(words).saturating_mul(4))
    }

    /// RTCP in the clear is a chain of packets whose lengths add up; SRTCP's encrypted rest and
    /// its trailer break the chain.
    fn is_whole_rtcp(&self) -> bool {
        let mut rest = self.0;
        while let [0x80..=0xbf, 192..=223, high, low, ..] = *rest {
            let words = usize::from(u16::from_be_bytes([high, low]));
            let Some(next) = rest.get(words.saturating_add(1).saturating_mul(4)..) else {
                return false;
            };
            rest = next;
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(body: usize) -> Vec<u8> {
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
        packet.resize(12 + body, 0x55);
        packet
    }

    #[test]
    fn the_lengths_of_comfort_noise_and_of_dynamic_types_tell_nothing() {
        for (payload_type, any) in
            [(0, false), (8, false), (9, false), (13, true), (63, true), (96, true), (127, true)]
        {
            let mut packet = rtp(160);
            packet[1] = 0x80 | payload_type;
            assert_eq!(Packet::new(&packet).is_of_any_length(), any, "{payload_type}");
            assert!(!Packet::new(&packet[..16]).is_of_any_length());
        }
    }

    #[test]
    fn kinds_by_their_bytes() {
        let kind = |bytes: &[u8]| Packet::new(bytes).kind();
        assert_eq!(kind(&rtp(160)), Kind::Rtp);
        assert_eq!(kind(&rtp(4)), Kind::Rtp);
        for tag in [4, 10, 16] {
            assert_eq!(kind(&rtp(160 + tag)), Kind::Srtp);
            assert_eq!(kind(&rtp(4 + tag)), Kind::Srtp);
        }
        // A receiver report alone, whole; then with an SRTCP index and tag.
        let mut rr = vec![0x80, 201, 0, 1, 1, 2, 3, 4];
        assert_eq!(kind(&rr), Kind::Rtcp);
        rr.extend([0x80; 14]);
        assert_eq!(kind(&rr), Kind::Srtcp);
        assert_eq!(kind(b"INVITE sip:b@c SIP/2.0\r\n\r\n"), Kind::Sip);
        assert_eq!(kind(b"SIP/2.0 200 OK\r\n\r\n"), Kind::Sip);
        assert_eq!(kind(b"\r\n\r\n"), Kind::KeepAlive);
        assert_eq!(Kind::of_stream(&[22, 3, 1, 0, 5]), Kind::Tls);
        assert_eq!(Kind::of_stream(b"BYE sip:b@c SIP/2.0\r\n"), Kind::Sip);
    }
}

//! What the local side brings to a negotiation, and what an offer contains.

use super::{
    CodecDescription, CryptoAttribute, Direction, MediaDescription, MediaKind, NegotiationError,
    Profile, RtcpAddress, SessionDescription,
};
use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

/// The local media: where it is received, and what is spoken.
#[derive(Debug, Clone)]
pub struct LocalMedia {
    /// Where RTP is received.
    pub rtp: SocketAddr,
    /// Where RTCP is received without rtcp-mux; `None` for the port after RTP's.
    pub rtcp: Option<SocketAddr>,
    /// RTP and RTCP on one port: offered, and accepted if offered (RFC 5761).
    pub rtcp_mux: bool,
    /// The codecs in order of preference, with telephone-event at the end. Payload types are
    /// wishes: a number that the session already uses otherwise is replaced.
    pub codecs: Vec<CodecDescription>,
    /// Which way media may flow; [`Direction::SendOnly`] puts the peer on hold.
    pub direction: Direction,
    /// The packet time to ask for, in ms.
    pub ptime: Option<u16>,
    /// Which keying policy allows.
    pub security: MediaSecurity,
}

/// Which media security the policy allows in this negotiation. The key lines need a fresh key
/// for every new session and fork (RFC 4568 §7.3), and stay the same in a re-offer that shall
/// not rekey.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MediaSecurity {
    /// Plain RTP. Offered key lines are left unanswered; an offer of RTP/SAVP is refused.
    Plain,
    /// SRTP with SDES keys or no media: RTP/SAVP is offered, plain RTP refused.
    Sdes(Vec<CryptoAttribute>),
    /// SRTP with SDES keys if the peer can (RFC 8643): RTP/AVP with key lines is offered, and
    /// whatever the peer offers is accepted, encrypted in preference.
    SdesIfPossible(Vec<CryptoAttribute>),
}

impl MediaSecurity {
    /// The local key lines in order of preference.
    pub fn lines(&self) -> &[CryptoAttribute] {
        match self {
            Self::Plain => &[],
            Self::Sdes(lines) | Self::SdesIfPossible(lines) => lines,
        }
    }

    /// The profile that an offer uses.
    pub(super) const fn profile(&self) -> Profile {
        match self {
            Self::Sdes(_) => Profile::Savp,
            Self::Plain | Self::SdesIfPossible(_) => Profile::Avp,
        }
    }

    pub(super) fn check(&self) -> Result<(), NegotiationError> {
        match self {
            Self::Sdes(lines) if lines.is_empty() => Err(NegotiationError::NoLocalKeys),
            _ => Ok(()),
        }
    }
}

/// What a policy wants to know about an offer before it decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OfferSummary {
    /// There is an audio stream with a port.
    pub has_audio: bool,
    /// An audio stream can be had in the clear (RTP/AVP or RTP/AVPF).
    pub plain_possible: bool,
    /// The names of the usable crypto suites of the audio streams, in order.
    pub suites: Vec<String>,
    /// Crypto lines that were refused as malformed, unsupported or switching protection off.
    pub refused_crypto: u32,
    /// An audio stream is keyed by DTLS.
    pub dtls: bool,
}

impl OfferSummary {
    /// Looks through an offer.
    pub fn of(offer: &SessionDescription) -> Self {
        let mut summary = Self::default();
        for line in offer.media.iter().filter(|m| m.kind == MediaKind::Audio && m.port != 0) {
            summary.has_audio = true;
            summary.plain_possible |= matches!(line.profile, Profile::Avp | Profile::Avpf);
            summary.dtls |= line.profile.is_dtls();
            summary.refused_crypto = summary.refused_crypto.saturating_add(line.refused_crypto);
            summary.suites.extend(line.crypto.iter().map(|crypto| crypto.suite.clone()));
        }
        summary
    }

    /// True if there is a usable crypto line.
    pub fn has_crypto(&self) -> bool {
        !self.suites.is_empty()
    }
}

/// The audio line of an offer. `used` are the payload types that this session has given a
/// meaning; they keep it (RFC 3264 §8.3.2).
pub(super) fn offer_line(
    local: &LocalMedia,
    used: &[CodecDescription],
) -> Result<MediaDescription, NegotiationError> {
    local.security.check()?;
    let mut line =
        MediaDescription::new(MediaKind::Audio, local.rtp.port(), local.security.profile());
    line.codecs = assign_payload_types(&local.codecs, used);
    if line.codecs.iter().all(CodecDescription::is_auxiliary) {
        return Err(NegotiationError::NoLocalCodec);
    }
    line.direction = local.direction;
    line.ptime = local.ptime;
    line.rtcp = rtcp_attribute(local);
    line.rtcp_mux = local.rtcp_mux;
    line.crypto = local.security.lines().to_vec();
    Ok(line)
}

/// a=rtcp where RTCP is not at the port after RTP's.
pub(super) fn rtcp_attribute(local: &LocalMedia) -> Option<RtcpAddress> {
    let rtcp = local.rtcp?;
    if rtcp.ip() == local.rtp.ip() && Some(rtcp.port()) == local.rtp.port().checked_add(1) {
        return None;
    }
    let address = (rtcp.ip() != local.rtp.ip()).then(|| rtcp.ip());
    Some(RtcpAddress { port: rtcp.port(), address })
}

/// Gives each codec a payload type: the one it already has in this session, else the one it asks
/// for, else a free dynamic one. A codec for which none is left is not offered.
fn assign_payload_types(
    wanted: &[CodecDescription],
    used: &[CodecDescription],
) -> Vec<CodecDescription> {
    let mut taken: u128 = used.iter().fold(0, |bits, c| bits | bit(c.payload_type));
    let mut codecs: Vec<CodecDescription> = Vec::with_capacity(wanted.len());
    for codec in wanted {
        let kept = used.iter().find(|u| u.same_encoding(codec)).map(|u| u.payload_type);
        let kept = kept.filter(|pt| codecs.iter().all(|c| c.payload_type != *pt));
        let payload_type = kept.or_else(|| {
            core::iter::once(codec.payload_type)
                .chain(96..=127)
                .chain(35..=63)
                .find(|pt| *pt < 128 && taken & bit(*pt) == 0)
        });
        if let Some(payload_type) = payload_type {
            taken |= bit(payload_type);
            codecs.push(CodecDescription { payload_type, ..codec.clone() });
        }
    }
    codecs
}

fn bit(payload_type: u8) -> u128 {
    1u128.checked_shl(u32::from(payload_type)).unwrap_or(0)
}

//! What the local side brings to a negotiation, and what an offer contains.

use super::redundancy::settle_offer;
use super::security::OfferedKeying;
use super::{
    CodecDescription, Direction, Fingerprint, MediaDescription, MediaKind, MediaSecurity,
    NegotiatedMedia, NegotiationError, Profile, RtcpAddress, SessionDescription, Setup,
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
    /// wishes: a number that the session already uses otherwise is replaced. The parameters of
    /// redundant audio (`red`), which name payload types, are filled in.
    pub codecs: Vec<CodecDescription>,
    /// Which way media may flow; [`Direction::SendOnly`] puts the peer on hold.
    pub direction: Direction,
    /// The packet time to ask for, in ms.
    pub ptime: Option<u16>,
    /// Which keying is possible and which policy allows.
    pub security: MediaSecurity,
}

/// What a policy wants to know about an offer before it decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OfferSummary {
    /// There is an audio stream with a port.
    pub has_audio: bool,
    /// An audio stream can be had in the clear (RTP/AVP or RTP/AVPF).
    pub plain_possible: bool,
    /// The names of the usable crypto suites of the audio streams, in order.
    pub suites: Vec<String>,
    /// Crypto lines that were refused as malformed, unsupported or switching protection off.
    pub refused_crypto: u32,
    /// An audio stream, under whatever profile, has a fingerprint of SHA-256 or stronger: DTLS
    /// can key it.
    pub dtls: bool,
    /// An audio stream demands SRTP: RTP/SAVP, UDP/TLS/RTP/SAVP or a feedback variant.
    pub secure_profile: bool,
    /// Two or more audio streams of which one demands SRTP and another does not: a choice.
    pub dual: bool,
}

impl OfferSummary {
    /// Looks through an offer.
    pub fn of(offer: &SessionDescription) -> Self {
        let mut summary = Self::default();
        for line in offer.media.iter().filter(|m| m.kind == MediaKind::Audio && m.port != 0) {
            summary.has_audio = true;
            summary.plain_possible |= matches!(line.profile, Profile::Avp | Profile::Avpf);
            summary.secure_profile |= line.profile.is_secure();
            summary.refused_crypto = summary.refused_crypto.saturating_add(line.refused_crypto);
            if !line.profile.is_rtp() {
                continue;
            }
            summary.dtls |= line.fingerprints.iter().any(Fingerprint::is_strong);
            if !line.profile.is_dtls() {
                summary.suites.extend(line.crypto.iter().map(|crypto| crypto.suite.clone()));
            }
        }
        summary.dual = summary.plain_possible && summary.secure_profile;
        summary
    }

    /// True if there is a usable crypto line.
    pub fn has_crypto(&self) -> bool {
        !self.suites.is_empty()
    }
}

/// The audio lines of an offer: one, or two of which the peer shall take one. `used` are the
/// payload types that this session has given a meaning; they keep it (RFC 3264 §8.3.2). `agreed`
/// is what is in use.
pub(super) fn offer_lines(
    local: &LocalMedia,
    used: &[CodecDescription],
    agreed: Option<&NegotiatedMedia>,
) -> Result<Vec<MediaDescription>, NegotiationError> {
    let keyings = local.security.offered(agreed)?;
    let mut codecs = assign_payload_types(&local.codecs, used);
    settle_offer(&mut codecs);
    if codecs.iter().all(CodecDescription::is_auxiliary) {
        return Err(NegotiationError::NoLocalCodec);
    }
    let line = |keying: OfferedKeying| {
        let mut line = MediaDescription::new(MediaKind::Audio, local.rtp.port(), keying.profile);
        line.codecs.clone_from(&codecs);
        line.direction = local.direction;
        line.ptime = local.ptime;
        line.rtcp = rtcp_attribute(local);
        line.rtcp_mux = local.rtcp_mux;
        if keying.sdes {
            line.crypto.clone_from(&local.security.sdes);
        }
        if let Some(dtls) = local.security.dtls.as_ref().filter(|_| keying.dtls) {
            line.fingerprints.clone_from(&dtls.fingerprints);
            // The peer chooses; it keeps the roles of an association that goes on (RFC 5763 §5).
            line.setup = Some(Setup::ActPass);
            line.tls_id.clone_from(&dtls.tls_id);
        }
        line
    };
    Ok(keyings.into_iter().map(line).collect())
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

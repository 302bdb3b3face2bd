//! The rules of one offer/answer exchange (RFC 3264 §5–6, RFC 4568 §5), without state.

use super::offer::rtcp_attribute;
use super::{
    CodecDescription, ConnectionAddress, CryptoAttribute, Direction, LocalMedia, MediaDescription,
    MediaSecurity, NegotiationError, Profile, SessionDescription,
};
use alloc::{string::String, string::ToString, vec::Vec};
use core::net::{IpAddr, SocketAddr};

/// What both sides agreed on for the audio stream.
#[derive(Debug, Clone, PartialEq)]
pub struct NegotiatedMedia {
    /// Which m= line it is, counted from 0.
    pub index: usize,
    /// The transport profile.
    pub profile: Profile,
    /// Where RTP is sent to.
    pub remote_rtp: SocketAddr,
    /// Where RTCP is sent to; `None` if there is no such port.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTP and RTCP share one port.
    pub rtcp_mux: bool,
    /// The common codecs: the first one is sent, any may be received.
    pub codecs: Vec<NegotiatedCodec>,
    /// The named events (RFC 4733) at the clock rate of the first codec.
    pub dtmf: Option<NegotiatedCodec>,
    /// Which way media flows, seen from here.
    pub direction: Direction,
    /// What the peer declared, seen from the peer: without receiving, it holds the call.
    pub remote_direction: Direction,
    /// The packet time to send, in ms: a multiple of 10 between 10 and 120.
    pub ptime: u16,
    /// The SDES keys; `None` means that media is not encrypted by SDES.
    pub keys: Option<SdesKeys>,
}

/// A codec that both sides know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NegotiatedCodec {
    /// The encoding name, as the local side writes it.
    pub name: String,
    /// The RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The number of channels.
    pub channels: u8,
    /// The payload type to send.
    pub send_payload_type: u8,
    /// The payload type that is received.
    pub receive_payload_type: u8,
    /// The peer's parameters: what it likes to receive.
    pub send_fmtp: Option<String>,
}

/// The key lines of both directions. One suite serves both.
#[derive(Debug, Clone, PartialEq)]
pub struct SdesKeys {
    /// What this side sends with.
    pub local: CryptoAttribute,
    /// What the peer sends with.
    pub remote: CryptoAttribute,
}

/// The answering side's view of one offered stream: what the answer will say.
#[derive(Debug)]
pub(super) struct Acceptance {
    pub(super) line: MediaDescription,
    pub(super) media: NegotiatedMedia,
}

/// Answers one audio line of an offer.
pub(super) fn accept_line(
    offer: &SessionDescription,
    index: usize,
    offered: &MediaDescription,
    local: &LocalMedia,
) -> Result<Acceptance, NegotiationError> {
    if !offered.is_rtp_audio() || offered.profile.is_dtls() {
        return Err(NegotiationError::Profile(offered.profile.as_str().to_string()));
    }
    if offered.port == 0 {
        return Err(NegotiationError::NoAudio);
    }
    let keys = answer_keys(offered, &local.security)?;
    let mut line = offered.refused();
    line.port = local.rtp.port();
    line.codecs = common_codecs(&offered.codecs, &local.codecs);
    let media = agree(offer, index, offered, local, keys, &line.codecs)?;
    line.direction = media.direction;
    line.ptime = local.ptime;
    line.rtcp_mux = media.rtcp_mux;
    line.rtcp = if media.rtcp_mux { None } else { rtcp_attribute(local) };
    line.crypto = media.keys.iter().map(|keys| keys.local.clone()).collect();
    Ok(Acceptance { line, media })
}

/// Reads the answer to our own audio line `sent`.
pub(super) fn read_answer(
    answer: &SessionDescription,
    index: usize,
    answered: &MediaDescription,
    sent: &MediaDescription,
    local: &LocalMedia,
) -> Result<NegotiatedMedia, NegotiationError> {
    if answered.port == 0 {
        return Err(NegotiationError::Refused);
    }
    check_answered_profile(sent, answered)?;
    let keys = answered_keys(answered, sent, &local.security)?;
    agree(answer, index, answered, local, keys, &sent.codecs)
}

/// What is common to both roles: `remote` is the peer's line, `receivable` the codecs of our own
/// description with our payload types.
fn agree(
    session: &SessionDescription,
    index: usize,
    remote: &MediaDescription,
    local: &LocalMedia,
    keys: Option<SdesKeys>,
    receivable: &[CodecDescription],
) -> Result<NegotiatedMedia, NegotiationError> {
    let (codecs, dtmf) = negotiated_codecs(&remote.codecs, receivable)?;
    let rtcp_mux = remote.rtcp_mux && local.rtcp_mux && !clashes_with_rtcp(&codecs, dtmf.as_ref());
    let remote_rtp = SocketAddr::new(media_address(session, remote)?, remote.port);
    let remote_direction = effective_direction(remote, remote_rtp.ip());
    Ok(NegotiatedMedia {
        index,
        profile: remote.profile.clone(),
        remote_rtp,
        remote_rtcp: if rtcp_mux { Some(remote_rtp) } else { rtcp_address(remote, remote_rtp) },
        rtcp_mux,
        codecs,
        dtmf,
        direction: remote_direction.reversed().and(local.direction),
        remote_direction,
        ptime: send_ptime(remote),
        keys,
    })
}

/// Payload types 64 to 95 look like RTCP on a shared port (RFC 5761 §4).
fn clashes_with_rtcp(codecs: &[NegotiatedCodec], dtmf: Option<&NegotiatedCodec>) -> bool {
    codecs
        .iter()
        .chain(dtmf)
        .flat_map(|codec| [codec.send_payload_type, codec.receive_payload_type])
        .any(|payload_type| (64..=95).contains(&payload_type))
}

fn media_address(
    session: &SessionDescription,
    media: &MediaDescription,
) -> Result<IpAddr, NegotiationError> {
    let address = session.connection_of(media).and_then(ConnectionAddress::ip);
    let address = address.ok_or(NegotiationError::Address)?;
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() || broadcast {
        return Err(NegotiationError::Address);
    }
    Ok(address)
}

/// The old way to hold: c=0.0.0.0 means "send me nothing" (RFC 3264 §8.4).
fn effective_direction(remote: &MediaDescription, address: IpAddr) -> Direction {
    let receives = remote.direction.receives() && !address.is_unspecified();
    Direction::new(remote.direction.sends(), receives)
}

fn rtcp_address(remote: &MediaDescription, rtp: SocketAddr) -> Option<SocketAddr> {
    let (port, address) = match &remote.rtcp {
        Some(rtcp) => (rtcp.port, rtcp.address.filter(|ip| !ip.is_multicast())),
        None => (rtp.port().checked_add(1)?, None),
    };
    Some(SocketAddr::new(address.unwrap_or(rtp.ip()), port))
}

fn send_ptime(remote: &MediaDescription) -> u16 {
    let wanted = remote.ptime.unwrap_or(20).min(remote.maxptime.unwrap_or(u16::MAX));
    let wanted = wanted.clamp(10, 120);
    wanted.saturating_sub(wanted % 10)
}

/// The offered codecs that the local side knows, in the offer's order and with its payload
/// types (RFC 3264 §6.1), telephone-event only at a clock rate that a codec has.
fn common_codecs(
    offered: &[CodecDescription],
    local: &[CodecDescription],
) -> Vec<CodecDescription> {
    let known = |offer: &CodecDescription| local.iter().find(|c| c.same_encoding(offer)).cloned();
    let mut common: Vec<CodecDescription> = offered
        .iter()
        .filter_map(|offer| {
            known(offer).map(|c| CodecDescription { payload_type: offer.payload_type, ..c })
        })
        .collect();
    let rates: Vec<u32> =
        common.iter().filter(|c| !c.is_auxiliary()).map(|c| c.clock_rate).collect();
    common.retain(|c| !c.is_auxiliary() || rates.contains(&c.clock_rate));
    common
}

fn negotiated_codecs(
    remote: &[CodecDescription],
    local: &[CodecDescription],
) -> Result<(Vec<NegotiatedCodec>, Option<NegotiatedCodec>), NegotiationError> {
    let pair = |r: &CodecDescription| {
        let l = local.iter().find(|l| l.same_encoding(r))?;
        Some(NegotiatedCodec {
            name: l.name.clone(),
            clock_rate: l.clock_rate,
            channels: l.channels,
            send_payload_type: r.payload_type,
            receive_payload_type: l.payload_type,
            send_fmtp: r.fmtp.clone(),
        })
    };
    let codecs: Vec<_> = remote.iter().filter(|c| !c.is_auxiliary()).filter_map(pair).collect();
    let first = codecs.first().ok_or(NegotiationError::NoCommonCodec)?;
    let dtmf = remote
        .iter()
        .filter(|c| c.is_telephone_event() && c.clock_rate == first.clock_rate)
        .find_map(pair);
    Ok((codecs, dtmf))
}

/// Chooses the first offered key line that is usable (RFC 4568 §5.1.2): suite known, the key of
/// that suite's length, no feature that the SRTP context lacks.
fn answer_keys(
    offered: &MediaDescription,
    security: &MediaSecurity,
) -> Result<Option<SdesKeys>, NegotiationError> {
    security.check()?;
    let secure = offered.profile.is_secure();
    if *security == MediaSecurity::Plain {
        let refusal = Err(NegotiationError::EncryptionNotAllowed);
        return if secure { refusal } else { Ok(None) };
    }
    let keys = offered.crypto.iter().find_map(|remote| {
        let local = security.lines().iter().find(|local| same_shape(local, remote))?;
        let local = CryptoAttribute { tag: remote.tag, ..local.clone() };
        Some(SdesKeys { local, remote: remote.clone() })
    });
    if keys.is_some() {
        return Ok(keys);
    }
    let has_lines = !offered.crypto.is_empty() || offered.refused_crypto > 0;
    match security {
        MediaSecurity::SdesIfPossible(_) if !secure => Ok(None),
        _ if secure || has_lines => Err(NegotiationError::NoCommonSuite),
        _ => Err(NegotiationError::EncryptionRequired),
    }
}

/// Checks the answered key line against our offer (RFC 4568 §5.1.3).
fn answered_keys(
    answered: &MediaDescription,
    sent: &MediaDescription,
    security: &MediaSecurity,
) -> Result<Option<SdesKeys>, NegotiationError> {
    if *security == MediaSecurity::Plain {
        return Ok(None);
    }
    match (answered.crypto.as_slice(), answered.refused_crypto) {
        ([remote], 0) => {
            let local = sent.crypto.iter().find(|line| line.tag == remote.tag);
            let local = local.filter(|line| same_shape(line, remote));
            let local = local.ok_or(NegotiationError::CryptoAnswer)?.clone();
            Ok(Some(SdesKeys { local, remote: remote.clone() }))
        }
        ([], 0) if !answered.profile.is_secure() => match security {
            MediaSecurity::SdesIfPossible(_) => Ok(None),
            _ => Err(NegotiationError::EncryptionRequired),
        },
        _ => Err(NegotiationError::CryptoAnswer),
    }
}

/// Same suite, keys of the same length, and both simple.
fn same_shape(local: &CryptoAttribute, remote: &CryptoAttribute) -> bool {
    local.suite.eq_ignore_ascii_case(&remote.suite)
        && match (local.simple_key(), remote.simple_key()) {
            (Some(l), Some(r)) => {
                l.key_and_salt.expose().len() == r.key_and_salt.expose().len()
                    // A peer that sends our own key back would make both streams use one
                    // keystream.
                    && !l.key_and_salt.ct_eq(r.key_and_salt.expose())
            }
            _ => false,
        }
}

/// The answer keeps the offer's profile (RFC 3264 §6). Two departures are met in the field and
/// harmless: feedback variants, and SAVP in answer to AVP with keys. SAVP never becomes AVP.
fn check_answered_profile(
    sent: &MediaDescription,
    answered: &MediaDescription,
) -> Result<(), NegotiationError> {
    let acceptable = match sent.profile {
        Profile::Savp => matches!(answered.profile, Profile::Savp | Profile::Savpf),
        _ => {
            matches!(answered.profile, Profile::Avp | Profile::Avpf)
                || (matches!(answered.profile, Profile::Savp | Profile::Savpf)
                    && !sent.crypto.is_empty()
                    && !answered.crypto.is_empty())
        }
    };
    if acceptable {
        return Ok(());
    }
    if sent.profile.is_secure() && !answered.profile.is_secure() && answered.profile.is_rtp() {
        return Err(NegotiationError::EncryptionRequired);
    }
    Err(NegotiationError::Profile(answered.profile.as_str().to_string()))
}

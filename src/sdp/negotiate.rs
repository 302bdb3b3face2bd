//! The rules of one offer/answer exchange (RFC 3264 §5–6, RFC 4568 §5), without state.

use super::keying::{answer_keys, answered_keys, begin_or_continue};
use super::offer::rtcp_attribute;
use super::redundancy::settle_answer;
use super::{
    CodecDescription, ConnectionAddress, Direction, LocalMedia, MediaDescription, NegotiatedKeying,
    NegotiationError, Profile, SessionDescription,
};
use alloc::{string::String, string::ToString, vec::Vec};
use core::net::{IpAddr, SocketAddr};

/// What both sides agreed on for the audio stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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
    /// The named events (RFC 4733) at the clock rate of the first codec: what is sent.
    pub dtmf: Option<NegotiatedCodec>,
    /// The named events at every clock rate: any may be received.
    pub events: Vec<NegotiatedCodec>,
    /// Redundant audio (RFC 2198) at every clock rate. `send_fmtp` lists the payload types that its
    /// blocks may have, separated by `/`.
    pub red: Vec<NegotiatedCodec>,
    /// Comfort noise (RFC 3389) at every clock rate.
    pub comfort_noise: Vec<NegotiatedCodec>,
    /// Which way media flows, seen from here.
    pub direction: Direction,
    /// What the peer declared, seen from the peer: without receiving, it holds the call.
    pub remote_direction: Direction,
    /// The packet time to send, in ms: a multiple of 10 between 10 and 120.
    pub ptime: u16,
    /// How media is encrypted; `None` means that it is not.
    pub keys: Option<NegotiatedKeying>,
    /// A DTLS handshake is to be made: there was no association, or the fingerprints, the roles or
    /// the identity of it changed (RFC 8842 §3.1). Otherwise the one in use goes on.
    pub new_association: bool,
    /// We offered keys and the answer has none, which is allowed here: the peer cannot SRTP, or
    /// somebody on the way took the keys out.
    pub keys_dropped: bool,
    /// The answer accepted both lines of [`OfferShape::Dual`](super::OfferShape::Dual). The
    /// encrypted one is used; the next offer ends the other.
    pub both_accepted: bool,
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

/// The answering side's view of one offered stream: what the answer will say.
#[derive(Debug)]
pub(super) struct Acceptance {
    pub(super) line: MediaDescription,
    pub(super) media: NegotiatedMedia,
}

/// Answers one audio line of an offer. `agreed` is what is in use.
pub(super) fn accept_line(
    offer: &SessionDescription,
    index: usize,
    offered: &MediaDescription,
    local: &LocalMedia,
    agreed: Option<&NegotiatedMedia>,
) -> Result<Acceptance, NegotiationError> {
    if !offered.is_rtp_audio() {
        return Err(NegotiationError::Profile(offered.profile.as_str().to_string()));
    }
    if offered.port == 0 {
        return Err(NegotiationError::NoAudio);
    }
    let in_use = agreed.and_then(|media| media.keys.as_ref());
    let keys = answer_keys(offered, &local.security, in_use)?;
    let mut line = offered.refused();
    line.port = local.rtp.port();
    line.codecs = common_codecs(&offered.codecs, &local.codecs);
    let mut media = agree(offer, index, offered, local, keys, &line.codecs)?;
    line.direction = media.direction;
    line.ptime = local.ptime;
    line.rtcp_mux = media.rtcp_mux;
    line.rtcp = if media.rtcp_mux { None } else { rtcp_attribute(local) };
    match &media.keys {
        Some(NegotiatedKeying::Sdes(keys)) => line.crypto.push(keys.local.clone()),
        Some(NegotiatedKeying::Dtls(keys)) => {
            line.fingerprints.clone_from(&keys.local_fingerprints);
            line.setup = Some(keys.role.setup());
            line.tls_id.clone_from(&keys.local_tls_id);
        }
        None => {}
    }
    media.new_association = begin_or_continue(media.keys.as_mut(), in_use);
    Ok(Acceptance { line, media })
}

/// Reads the answer to our own audio line `sent`. `agreed` is what was in use before.
pub(super) fn read_answer(
    answer: &SessionDescription,
    index: usize,
    answered: &MediaDescription,
    sent: &MediaDescription,
    local: &LocalMedia,
    agreed: Option<&NegotiatedMedia>,
) -> Result<NegotiatedMedia, NegotiationError> {
    if answered.port == 0 {
        return Err(NegotiationError::Refused);
    }
    check_answered_profile(sent, answered)?;
    let keys = answered_keys(answered, sent, &local.security)?;
    let mut media = agree(answer, index, answered, local, keys, &sent.codecs)?;
    let in_use = agreed.and_then(|media| media.keys.as_ref());
    media.new_association = begin_or_continue(media.keys.as_mut(), in_use);
    Ok(media)
}

/// What is common to both roles: `remote` is the peer's line, `receivable` the codecs of our own
/// description with our payload types.
fn agree(
    session: &SessionDescription,
    index: usize,
    remote: &MediaDescription,
    local: &LocalMedia,
    keys: Option<NegotiatedKeying>,
    receivable: &[CodecDescription],
) -> Result<NegotiatedMedia, NegotiationError> {
    let Common { codecs, events, red, comfort_noise } =
        negotiated_codecs(&remote.codecs, receivable)?;
    let clock_rate = codecs.first().map(|codec| codec.clock_rate);
    let dtmf = events.iter().find(|event| Some(event.clock_rate) == clock_rate).cloned();
    let clash = [&codecs, &events, &red, &comfort_noise].into_iter().flatten().any(clash_with_rtcp);
    let rtcp_mux = remote.rtcp_mux && local.rtcp_mux && !clash;
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
        events,
        red,
        comfort_noise,
        direction: remote_direction.reversed().and(local.direction),
        remote_direction,
        ptime: send_ptime(remote, local.ptime),
        keys,
        new_association: false,
        keys_dropped: false,
        both_accepted: false,
    })
}

/// Payload types 64 to 95 look like RTCP on a shared port (RFC 5761 §4).
fn clash_with_rtcp(codec: &NegotiatedCodec) -> bool {
    let types = [codec.send_payload_type, codec.receive_payload_type];
    types.iter().any(|payload_type| (64..=95).contains(payload_type))
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

/// What the peer asks for; if it asks for nothing, what we ask for.
fn send_ptime(remote: &MediaDescription, own: Option<u16>) -> u16 {
    let wanted = remote.ptime.or(own).unwrap_or(20).min(remote.maxptime.unwrap_or(u16::MAX));
    let wanted = wanted.clamp(10, 120);
    wanted.saturating_sub(wanted % 10)
}

/// The offered codecs that the local side knows, in the offer's order and with its payload
/// types (RFC 3264 §6.1), what accompanies codecs only at a clock rate that one of them has.
fn common_codecs(
    offered: &[CodecDescription],
    local: &[CodecDescription],
) -> Vec<CodecDescription> {
    let known = |offer: &CodecDescription| local.iter().find(|c| c.same_encoding(offer)).cloned();
    let mut common: Vec<CodecDescription> = offered
        .iter()
        .filter_map(|offer| {
            let CodecDescription { payload_type, channels, .. } = *offer;
            known(offer).map(|c| CodecDescription { payload_type, channels, ..c })
        })
        .collect();
    let rates: Vec<u32> =
        common.iter().filter(|c| !c.is_auxiliary()).map(|c| c.clock_rate).collect();
    common.retain(|c| !c.is_auxiliary() || rates.contains(&c.clock_rate));
    settle_answer(&mut common, offered);
    common
}

/// What both sides know, in the order of the peer.
struct Common {
    codecs: Vec<NegotiatedCodec>,
    events: Vec<NegotiatedCodec>,
    red: Vec<NegotiatedCodec>,
    comfort_noise: Vec<NegotiatedCodec>,
}

fn negotiated_codecs(
    remote: &[CodecDescription],
    local: &[CodecDescription],
) -> Result<Common, NegotiationError> {
    let pair = |r: &CodecDescription| {
        // One encoding may stand under two payload types; in an answer to it, so does ours.
        let mut same = local.iter().filter(|l| l.same_encoding(r));
        let l = same.clone().find(|l| l.payload_type == r.payload_type).or_else(|| same.next())?;
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
    if codecs.is_empty() {
        return Err(NegotiationError::NoCommonCodec);
    }
    let beside = |kind: fn(&CodecDescription) -> bool| -> Vec<_> {
        let all = remote.iter().filter(|c| kind(c)).filter_map(pair);
        all.filter(|a| codecs.iter().any(|c| c.clock_rate == a.clock_rate)).collect()
    };
    let events = beside(CodecDescription::is_telephone_event);
    let red = beside(CodecDescription::is_red);
    let comfort_noise = beside(CodecDescription::is_comfort_noise);
    Ok(Common { codecs, events, red, comfort_noise })
}

/// The answer keeps the offer's profile (RFC 3264 §6). Two departures are met in the field and
/// harmless: feedback variants, and a profile that demands SRTP in answer to RTP/AVP with keys or
/// to another one that does. The other way round is never taken.
fn check_answered_profile(
    sent: &MediaDescription,
    answered: &MediaDescription,
) -> Result<(), NegotiationError> {
    let other = || NegotiationError::Profile(answered.profile.as_str().to_string());
    if !answered.profile.is_rtp() {
        return Err(other());
    }
    match (sent.profile.is_secure(), answered.profile.is_secure()) {
        (true, false) => Err(NegotiationError::ProfileDowngraded),
        (false, true) if !sent.has_keying() => Err(other()),
        (_, true) if answered.profile.is_dtls() && sent.fingerprints.is_empty() => Err(other()),
        _ => Ok(()),
    }
}

//! Bytes to values: `sdp-types` reads the lines, this reads what a telephone needs of them.
//!
//! What breaks the structure is an error; a single attribute that makes no sense is ignored and
//! counted, as RFC 4566 §5.13 and robustness ask.

use super::{
    CodecDescription, ConnectionAddress, CryptoAttribute, Direction, Fingerprint, MAX_ATTRIBUTES,
    MAX_BYTES, MAX_CRYPTO_LINES, MAX_FINGERPRINTS, MAX_MEDIA, MediaDescription, MediaKind, Origin,
    Profile, RtcpAddress, SdpError, SessionDescription, Setup, is_tls_id,
};
use alloc::{string::ToString, vec::Vec};
use core::net::IpAddr;
use zeroize::Zeroize;

/// The highest clock rate that is believed, in Hz.
const MAX_CLOCK_RATE: u32 = 1_000_000;
/// The longest packet time that is believed, in ms.
const MAX_PTIME: u16 = 1000;

impl SessionDescription {
    /// Reads a session description.
    ///
    /// # Errors
    /// If it is not SDP or exceeds a limit of this module.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLong(bytes.len()));
        }
        look_at(bytes);
        check_limits(bytes)?;
        let mut session = sdp_types::Session::parse(bytes)
            .map_err(|error| SdpError::Syntax(error.to_string()))?;
        let result = from_session(&session);
        wipe_keys(&mut session);
        result
    }
}

/// Tests count what is looked at, attribute by attribute.
#[inline]
fn look_at(_bytes: &[u8]) {
    #[cfg(test)]
    crate::util::work::look_at(_bytes.len() + 1);
}

fn look_at_attribute(attribute: &sdp_types::Attribute) {
    look_at(attribute.attribute.as_bytes());
    look_at(attribute.value.as_deref().unwrap_or_default().as_bytes());
}

/// Counts lines before anything is allocated for them.
fn check_limits(bytes: &[u8]) -> Result<(), SdpError> {
    let (mut media, mut attributes) = (0_usize, 0_usize);
    for line in bytes.split(|b| *b == b'\n') {
        match line.first() {
            Some(b'm') => {
                media = media.saturating_add(1);
                attributes = 0;
            }
            Some(b'a') => attributes = attributes.saturating_add(1),
            _ => {}
        }
        if media > MAX_MEDIA {
            return Err(SdpError::TooManyMedia);
        }
        if attributes > MAX_ATTRIBUTES {
            return Err(SdpError::TooManyAttributes);
        }
    }
    Ok(())
}

/// Zeroizes the text of the key lines in the intermediate form.
pub(super) fn wipe_keys(session: &mut sdp_types::Session) {
    for attribute in session.medias.iter_mut().flat_map(|m| &mut m.attributes) {
        if attribute.attribute.eq_ignore_ascii_case("crypto") {
            attribute.value.zeroize();
        }
    }
}

fn from_session(session: &sdp_types::Session) -> Result<SessionDescription, SdpError> {
    let mut ignored = 0;
    let defaults = SessionDefaults::read(&session.attributes, &mut ignored);
    let mut media = Vec::with_capacity(session.medias.len());
    for line in &session.medias {
        media.push(read_media(line, &defaults, &mut ignored)?);
    }
    let origin = &session.origin;
    Ok(SessionDescription {
        origin: Origin {
            username: origin.username.clone().unwrap_or_else(|| "-".into()),
            session_id: origin.sess_id.clone(),
            version: origin.sess_version,
            address: read_address(&origin.unicast_address),
        },
        connection: session.connection.as_ref().map(|c| read_address(&c.connection_address)),
        media,
        ignored,
    })
}

fn read_address(text: &str) -> ConnectionAddress {
    text.parse().map_or_else(|_| ConnectionAddress::Name(text.into()), ConnectionAddress::Ip)
}

/// Attributes of the session level that apply to every stream without its own.
#[derive(Default)]
struct SessionDefaults {
    direction: Direction,
    fingerprints: Vec<Fingerprint>,
    refused_fingerprints: u32,
    setup: Option<Setup>,
}

impl SessionDefaults {
    fn read(attributes: &[sdp_types::Attribute], ignored: &mut u32) -> Self {
        let mut defaults = Self::default();
        for attribute in attributes {
            look_at_attribute(attribute);
            let name = attribute.attribute.to_ascii_lowercase();
            let value = attribute.value.as_deref().unwrap_or_default();
            let usable = match name.as_str() {
                "fingerprint" => {
                    let Self { fingerprints, refused_fingerprints, .. } = &mut defaults;
                    read_fingerprint(fingerprints, refused_fingerprints, value)
                }
                "setup" => read_setup(&mut defaults.setup, value),
                _ => {
                    defaults.direction = direction_of(&name).unwrap_or(defaults.direction);
                    true
                }
            };
            *ignored = ignored.saturating_add(u32::from(!usable));
        }
        defaults
    }
}

/// Takes a fingerprint; one that is malformed or beyond the limit is counted.
fn read_fingerprint(known: &mut Vec<Fingerprint>, refused: &mut u32, value: &str) -> bool {
    match Fingerprint::parse(value) {
        Ok(fingerprint) if known.len() < MAX_FINGERPRINTS => {
            known.push(fingerprint);
            true
        }
        _ => {
            *refused = refused.saturating_add(1);
            false
        }
    }
}

fn read_setup(setup: &mut Option<Setup>, value: &str) -> bool {
    let read = Setup::parse(value);
    *setup = read.or(*setup);
    read.is_some()
}

fn direction_of(name: &str) -> Option<Direction> {
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|direction| direction.as_str() == name)
}

fn read_media(
    line: &sdp_types::Media,
    defaults: &SessionDefaults,
    ignored: &mut u32,
) -> Result<MediaDescription, SdpError> {
    let kind = if line.media.eq_ignore_ascii_case("audio") {
        MediaKind::Audio
    } else {
        MediaKind::Other(line.media.clone())
    };
    let mut media = MediaDescription::new(kind, line.port, Profile::from_name(&line.proto));
    media.connection = line.connections.first().map(|c| read_address(&c.connection_address));
    media.direction = defaults.direction;
    media.setup = defaults.setup;
    if media.is_rtp_audio() {
        media.codecs = read_codecs(line, ignored);
    }
    if media.codecs.is_empty() {
        media.formats = line.fmt.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    }
    for attribute in &line.attributes {
        look_at_attribute(attribute);
        let name = attribute.attribute.to_ascii_lowercase();
        let value = attribute.value.as_deref().unwrap_or_default();
        if !read_attribute(&mut media, &name, value)? {
            *ignored = ignored.saturating_add(1);
        }
    }
    // RFC 8122 §5: the session's fingerprints serve each stream without its own.
    if !media.has_fingerprint() {
        media.fingerprints.clone_from(&defaults.fingerprints);
        media.refused_fingerprints = defaults.refused_fingerprints;
    }
    Ok(media)
}

/// False if the attribute is known but makes no sense.
fn read_attribute(media: &mut MediaDescription, name: &str, value: &str) -> Result<bool, SdpError> {
    match name {
        "ptime" => return Ok(read_ptime(&mut media.ptime, value)),
        "maxptime" => return Ok(read_ptime(&mut media.maxptime, value)),
        "rtcp" => {
            media.rtcp = read_rtcp(value);
            return Ok(media.rtcp.is_some());
        }
        "rtcp-mux" => media.rtcp_mux = true,
        "fingerprint" => {
            let MediaDescription { fingerprints, refused_fingerprints, .. } = media;
            return Ok(read_fingerprint(fingerprints, refused_fingerprints, value));
        }
        "setup" => return Ok(read_setup(&mut media.setup, value)),
        "tls-id" => {
            media.tls_id = is_tls_id(value).then(|| value.into());
            return Ok(media.tls_id.is_some());
        }
        "crypto" => {
            if media.crypto.len() >= MAX_CRYPTO_LINES {
                return Err(SdpError::TooManyCryptoLines);
            }
            match CryptoAttribute::parse(value) {
                // RFC 4568 §4.1: a tag names one line.
                Ok(line) if media.crypto.iter().all(|other| other.tag != line.tag) => {
                    media.crypto.push(line);
                }
                _ => {
                    media.refused_crypto = media.refused_crypto.saturating_add(1);
                    return Ok(false);
                }
            }
        }
        _ => media.direction = direction_of(name).unwrap_or(media.direction),
    }
    Ok(true)
}

fn read_ptime(ptime: &mut Option<u16>, value: &str) -> bool {
    // "20.5" is not allowed by RFC 4566 but seen: whole milliseconds count.
    let whole = value.trim().split('.').next().unwrap_or_default();
    match whole.parse() {
        Ok(ms) if (1..=MAX_PTIME).contains(&ms) => {
            *ptime = Some(ms);
            true
        }
        _ => false,
    }
}

/// RFC 3605 §2.1: port, and perhaps nettype, addrtype and address.
fn read_rtcp(value: &str) -> Option<RtcpAddress> {
    let mut fields = value.split_ascii_whitespace();
    let port = fields.next()?.parse().ok().filter(|port| *port != 0)?;
    let address = match fields.nth(2) {
        Some(text) => Some(text.parse::<IpAddr>().ok()?),
        None => None,
    };
    Some(RtcpAddress { port, address })
}

/// The payload formats in the order of the m= line. A format with an impossible payload type,
/// without a known encoding or with an impossible clock rate is ignored and counted.
fn read_codecs(line: &sdp_types::Media, ignored: &mut u32) -> Vec<CodecDescription> {
    // Indexed by payload type, so that no list of formats costs quadratic time.
    let mut table: [Option<CodecDescription>; 128] = core::array::from_fn(|_| None);
    for value in attribute_values(line, "rtpmap") {
        match read_rtpmap(value) {
            Some(codec) => {
                if let Some(entry) = table.get_mut(usize::from(codec.payload_type)) {
                    *entry = Some(codec);
                }
            }
            None => *ignored = ignored.saturating_add(1),
        }
    }
    let mut order = Vec::new();
    let mut seen = 0u128;
    for format in line.fmt.split_ascii_whitespace() {
        look_at(format.as_bytes());
        let payload_type = format.parse::<u8>().ok().filter(|pt| *pt < 128);
        let bit = payload_type.map_or(0, |pt| 1u128 << pt);
        let known = payload_type.filter(|_| seen & bit == 0).and_then(|pt| {
            let entry = table.get_mut(usize::from(pt))?;
            if entry.is_none() {
                *entry = CodecDescription::assigned(pt);
            }
            entry.as_ref().map(|_| usize::from(pt))
        });
        seen |= bit;
        match known {
            Some(index) => order.push(index),
            None => *ignored = ignored.saturating_add(1),
        }
    }
    for value in attribute_values(line, "fmtp") {
        let (format, parameters) = value.split_once(' ').unwrap_or((value, ""));
        let entry = format.parse::<u8>().ok().and_then(|pt| table.get_mut(usize::from(pt)));
        if let Some(Some(codec)) = entry {
            let parameters = parameters.trim();
            codec.fmtp = (!parameters.is_empty()).then(|| parameters.into());
        }
    }
    order.into_iter().filter_map(|index| table.get_mut(index)?.take()).collect()
}

fn attribute_values<'a>(
    line: &'a sdp_types::Media,
    name: &'a str,
) -> impl Iterator<Item = &'a str> {
    line.attributes
        .iter()
        .inspect(|attribute| look_at_attribute(attribute))
        .filter(move |a| a.attribute.eq_ignore_ascii_case(name))
        .filter_map(|a| a.value.as_deref())
}

/// `<payload type> <encoding name>/<clock rate>[/<channels>]`
fn read_rtpmap(value: &str) -> Option<CodecDescription> {
    let mut fields = value.split_ascii_whitespace();
    let payload_type = fields.next()?.parse().ok().filter(|pt| *pt < 128)?;
    let mut encoding = fields.next()?.split('/');
    let name = encoding.next().filter(|name| !name.is_empty() && name.len() <= 64)?;
    let clock_rate = encoding.next()?.parse().ok()?;
    let channels = match encoding.next() {
        Some(text) => text.parse().ok().filter(|n| *n > 0)?,
        None => 1,
    };
    if !(1..=MAX_CLOCK_RATE).contains(&clock_rate) {
        return None;
    }
    Some(CodecDescription { payload_type, name: name.into(), clock_rate, channels, fmtp: None })
}

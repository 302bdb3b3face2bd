//! Values to bytes. `sdp-types` drops line breaks within values, so nothing can inject a line.

use super::{ConnectionAddress, MediaDescription, SessionDescription};
use alloc::{format, string::String, string::ToString, vec::Vec};
use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Session};

impl SessionDescription {
    /// The description as it travels. The text holds the keys of a=crypto lines: it must not be
    /// logged.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (addrtype, address) = address_fields(&self.origin.address);
        let mut origin = sdp_types::Origin::new(
            &self.origin.session_id,
            self.origin.version,
            NetType::In,
            addrtype,
            address,
        );
        origin.username = (self.origin.username != "-").then(|| self.origin.username.clone());
        let mut session = Session::new(origin, "-");
        session.connection = self.connection.as_ref().map(to_connection);
        session.medias = self.media.iter().map(to_media).collect();
        // A vector that grows leaves copies of the keys behind. Writing to memory cannot fail.
        let mut len = Length(0);
        let _ = session.write(&mut len);
        let mut out = Vec::with_capacity(len.0);
        let _ = session.write(&mut out);
        super::parse::wipe_keys(&mut session);
        out
    }
}

/// Counts what is written.
struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn address_fields(address: &ConnectionAddress) -> (AddrType, String) {
    match address {
        ConnectionAddress::Ip(ip) => (AddrType::from(*ip), ip.to_string()),
        ConnectionAddress::Name(name) if name.contains(':') => (AddrType::Ip6, name.clone()),
        ConnectionAddress::Name(name) => (AddrType::Ip4, name.clone()),
    }
}

fn to_connection(address: &ConnectionAddress) -> Connection {
    let (addrtype, address) = address_fields(address);
    Connection::new(NetType::In, addrtype, address)
}

fn to_media(line: &MediaDescription) -> Media {
    let formats: Vec<String> = line.codecs.iter().map(|c| c.payload_type.to_string()).collect();
    let mut media = Media {
        media: line.kind.as_str().into(),
        port: line.port,
        num_ports: None,
        proto: line.profile.as_str().into(),
        fmt: if formats.is_empty() { line.formats.clone() } else { formats.join(" ") },
        media_title: None,
        connections: line.connection.iter().map(to_connection).collect(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    };
    let attributes = &mut media.attributes;
    for codec in &line.codecs {
        let channels = if codec.channels > 1 { format!("/{}", codec.channels) } else { "".into() };
        attributes.push(Attribute::with_value(
            "rtpmap",
            format!("{} {}/{}{channels}", codec.payload_type, codec.name, codec.clock_rate),
        ));
        if let Some(fmtp) = &codec.fmtp {
            let value = format!("{} {fmtp}", codec.payload_type);
            attributes.push(Attribute::with_value("fmtp", value));
        }
    }
    for (name, ms) in [("ptime", line.ptime), ("maxptime", line.maxptime)] {
        attributes.extend(ms.map(|ms| Attribute::with_value(name, ms)));
    }
    if let Some(rtcp) = &line.rtcp {
        let address = rtcp.address.map(|ip| format!(" IN {} {ip}", AddrType::from(ip).as_str()));
        let value = format!("{}{}", rtcp.port, address.unwrap_or_default());
        attributes.push(Attribute::with_value("rtcp", value));
    }
    if line.rtcp_mux {
        attributes.push(Attribute::new("rtcp-mux"));
    }
    for crypto in &line.crypto {
        attributes.push(Attribute::with_value("crypto", crypto.to_value().as_str()));
    }
    for fingerprint in &line.fingerprints {
        attributes.push(Attribute::with_value("fingerprint", fingerprint));
    }
    attributes.extend(line.setup.map(|setup| Attribute::with_value("setup", setup.as_str())));
    attributes.extend(line.tls_id.as_ref().map(|id| Attribute::with_value("tls-id", id)));
    if line.port != 0 {
        attributes.push(Attribute::new(line.direction.as_str()));
    }
    media
}

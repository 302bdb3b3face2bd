//! What a certificate says of its owner: a bounded DER walk to the subject, the issuer and the
//! subjectAltName (RFC 5280 §4.1, §4.2.1.6).
//!
//! `webpki` has already parsed the certificate strictly when this runs; it does not hand out the
//! raw names, which the rules of RFC 5922 need.

use alloc::string::String;

use crate::crypto::der::split_element;
use crate::crypto::identity::{AltName, printable};

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
/// 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// Longest distinguished name shown.
const MAX_NAME_LEN: usize = 255;

/// Tag-length-value elements, one after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element of definite length: its tag and its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, content, rest) = split_element(self.0, 4)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The next element's content if it has this tag.
    fn expect(&mut self, tag: u8) -> Option<Self> {
        let (found, content) = self.next()?;
        (found == tag).then_some(Self(content))
    }
}

/// The names in one certificate, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
    alt_names: Der<'a>,
}

impl<'a> Names<'a> {
    /// Walks a certificate; `None` if it is not one.
    pub(super) fn parse(certificate: &'a [u8]) -> Option<Self> {
        let mut tbs = Der(certificate).expect(SEQUENCE)?.expect(SEQUENCE)?;
        let (mut tag, _) = tbs.next()?;
        if tag == 0xa0 {
            (tag, _) = tbs.next()?;
        }
        if tag != 0x02 {
            return None;
        }
        tbs.expect(SEQUENCE)?;
        let issuer = tbs.expect(SEQUENCE)?.0;
        tbs.expect(SEQUENCE)?;
        let subject = tbs.expect(SEQUENCE)?.0;
        let spki = tbs.expect(SEQUENCE)?.0;
        let mut alt_names = Der::default();
        while let Some((tag, content)) = tbs.next() {
            if tag == 0xa3 {
                alt_names = subject_alt_name(Der(content).expect(SEQUENCE)?)?;
            }
        }
        Some(Self { issuer, subject, spki, alt_names })
    }

    /// True if the certificate names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The subject, fit for a log.
    pub(super) fn subject(&self) -> String {
        distinguished_name(self.subject)
    }

    /// The content of its SubjectPublicKeyInfo, without the outer SEQUENCE's tag and length.
    pub(super) fn spki(&self) -> &'a [u8] {
        self.spki
    }

    /// The subjectAltName values that RFC 5922 knows, in order.
    pub(super) fn alt_names(&self) -> impl Iterator<Item = AltName<'a>> + Clone + use<'a> {
        let mut der = self.alt_names;
        // A walk has as many steps as the certificate has elements; rustls bounds its size.
        core::iter::from_fn(move || {
            loop {
                match der.next()? {
                    (0x82, raw) => return Some(AltName::Dns(raw)),
                    (0x86, raw) => return Some(AltName::Uri(raw)),
                    (0x87, raw) => return Some(AltName::Ip(raw)),
                    _ => {}
                }
            }
        })
    }
}

/// The GeneralNames in a list of extensions; nothing if it has no subjectAltName, `None` if the
/// list is malformed.
fn subject_alt_name(mut extensions: Der<'_>) -> Option<Der<'_>> {
    while !extensions.0.is_empty() {
        let mut extension = extensions.expect(SEQUENCE)?;
        if extension.expect(OID)?.0 != SUBJECT_ALT_NAME {
            continue;
        }
        let (mut tag, mut content) = extension.next()?;
        if tag == 0x01 {
            (tag, content) = extension.next()?;
        }
        return if tag == OCTET_STRING { Der(content).expect(SEQUENCE) } else { None };
    }
    Some(Der::default())
}

/// An X.501 name (the content of its SEQUENCE) as `CN=..., O=...`, printable and bounded.
pub(super) fn distinguished_name(content: &[u8]) -> String {
    let mut out = String::new();
    let mut rdns = Der(content);
    while let Some(mut rdn) = rdns.expect(SET) {
        while let Some(mut attribute) = rdn.expect(SEQUENCE) {
            let (Some(oid), Some((_, value))) = (attribute.expect(OID), attribute.next()) else {
                continue;
            };
            let key = match oid.0 {
                [0x55, 0x04, 0x03] => "CN=",
                [0x55, 0x04, 0x06] => "C=",
                [0x55, 0x04, 0x07] => "L=",
                [0x55, 0x04, 0x08] => "ST=",
                [0x55, 0x04, 0x0a] => "O=",
                [0x55, 0x04, 0x0b] => "OU=",
                _ => continue,
            };
            if out.len() < MAX_NAME_LEN {
                out.push_str(if out.is_empty() { "" } else { ", " });
                out.push_str(key);
                out.push_str(&printable(value));
            }
        }
    }
    out.truncate(MAX_NAME_LEN);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec!["a.example".into()]).expect("params");
        let uri = rcgen::string::Ia5String::try_from("sip:a.example").expect("ASCII");
        params.subject_alt_names.push(rcgen::SanType::URI(uri));
        params.subject_alt_names.push(rcgen::SanType::IpAddress([192, 0, 2, 1].into()));
        params.distinguished_name.push(rcgen::DnType::CommonName, "the owner");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_names_come_out_in_order() {
        let der = certificate();
        let names = Names::parse(&der).expect("a certificate");
        assert!(names.is_self_issued());
        assert!(names.subject().contains("CN=the owner"), "{}", names.subject());
        let found: Vec<_> = names.alt_names().collect();
        let expected = [
            AltName::Dns(b"a.example"),
            AltName::Uri(b"sip:a.example"),
            AltName::Ip(&[192, 0, 2, 1]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_cut_certificate_is_none() {
        let der = certificate();
        for cut in 0..der.len() {
            assert!(Names::parse(&der[..cut]).is_none());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damage_never_panics(at in 0_usize..300, with in any::<u8>(), raw in any::<Vec<u8>>()) {
            let mut der = certificate();
            if let Some(b) = der.get_mut(at) { *b = with; }
            for input in [&der, &raw] {
                if let Some(names) = Names::parse(input) {
                    names.alt_names().for_each(|n| drop(n.display()));
                    prop_assert!(names.subject().len() <= MAX_NAME_LEN);
                }
            }
        }
    }
}

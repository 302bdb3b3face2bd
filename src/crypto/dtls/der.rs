//! The little DER that certificates need: a bounded reader and a writer (X.690).
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

use crate::crypto::der::split_element;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// The `[0] EXPLICIT` of a certificate's version.
pub(super) const VERSION: u8 = 0xa0;

/// id-ecPublicKey.
pub(super) const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// prime256v1.
pub(super) const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// secp384r1.
pub(super) const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// ecdsa-with-SHA256.
pub(super) const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-at-commonName.
pub(super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Elements of definite length, one after the other.
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, content, rest) = split_element(self.0, 3)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// The curves that a DTLS certificate may have here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Curve {
    P256,
    P384,
}

/// The elliptic-curve public key of a certificate: its curve and its point (SEC 1, uncompressed
/// or not). `None` if this is no certificate, or one with another kind of key.
pub(super) fn public_key(certificate: &[u8]) -> Option<(Curve, &[u8])> {
    let mut outer = Reader(certificate);
    let mut tbs = Reader(Reader(outer.expect(SEQUENCE)?).expect(SEQUENCE)?);
    if !outer.0.is_empty() {
        return None;
    }
    let (tag, _) = tbs.next()?;
    if tag == VERSION {
        tbs.expect(INTEGER)?;
    } else if tag != INTEGER {
        return None;
    }
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        tbs.expect(SEQUENCE)?;
    }
    let mut spki = Reader(tbs.expect(SEQUENCE)?);
    let mut algorithm = Reader(spki.expect(SEQUENCE)?);
    if algorithm.expect(OID)? != EC_PUBLIC_KEY {
        return None;
    }
    let curve = match algorithm.expect(OID)? {
        P256 => Curve::P256,
        P384 => Curve::P384,
        _ => return None,
    };
    match spki.expect(BIT_STRING)?.split_first()? {
        (0, point) => Some((curve, point)),
        _ => None,
    }
}

/// One element: tag, length, and the parts of its content one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
    let mut out = Vec::with_capacity(len.saturating_add(5));
    out.push(tag);
    let bytes = len.to_be_bytes();
    match len {
        0..=0x7f => out.extend(bytes.last()),
        _ => {
            let start = bytes.iter().position(|b| *b != 0).unwrap_or(0);
            let significant = bytes.get(start..).unwrap_or_default();
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(0));
            out.extend_from_slice(significant);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_written_and_read() {
        for len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; len];
            let written = element(SEQUENCE, &[&content]);
            assert_eq!(Reader(&written).expect(SEQUENCE), Some(&content[..]));
            assert_eq!(Reader(&written[..written.len() - 1]).next(), None);
        }
        assert_eq!(element(OID, &[&[1; 200]])[..3], [OID, 0x81, 200]);
    }

    #[test]
    fn the_key_of_a_foreign_certificate_is_found() {
        for (algorithm, curve, len) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Curve::P256, 65),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Curve::P384, 97),
        ] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let params = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
            let der = params.self_signed(&key).unwrap().der().to_vec();
            let (found, point) = public_key(&der).unwrap();
            assert_eq!((found, point.len()), (curve, len));
            assert_eq!(point, key.public_key_raw());
            for cut in 0..der.len() {
                assert_eq!(public_key(&der[..cut]), None);
            }
        }
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = rcgen::CertificateParams::new(vec![]).unwrap();
        assert_eq!(public_key(params.self_signed(&key).unwrap().der()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn garbage_never_panics(raw in any::<Vec<u8>>()) {
            let _ = public_key(&raw);
            let _ = public_key(&element(SEQUENCE, &[&element(SEQUENCE, &[&raw])]));
        }
    }
}

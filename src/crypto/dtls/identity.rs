//! Our own certificate: what the fingerprint in our SDP stands for.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use core::fmt;
use std::sync::Arc;

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::DecodePrivateKey;

use super::der::{self, element};
use super::{Fingerprint, FingerprintHash};
use crate::time::UnixTime;
use crate::util::{Rng, Secret};

/// What exported bytes start with; the last byte is the version of the format.
const MAGIC: &[u8; 5] = b"SRDI\x01";
/// Bytes of the private scalar.
const KEY_LEN: usize = 32;
/// The largest certificate that is taken.
const MAX_CERTIFICATE_LEN: usize = 8 * 1024;
/// A certificate without a foreseen end (RFC 5280 §4.1.2.5).
const NO_EXPIRATION: &[u8] = b"99991231235959Z";

/// Why bytes are no identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsIdentityError {
    /// No certificate (DER) with a P-256 key, or a larger one than 8 KiB.
    #[error("the certificate must be DER with an ECDSA P-256 key")]
    Certificate,
    /// No private key on P-256 in PKCS #8 (DER).
    #[error("the private key must be an ECDSA P-256 key in PKCS #8 (DER)")]
    PrivateKey,
    /// The private key is not that of the certificate.
    #[error("the private key does not belong to the certificate")]
    KeyMismatch,
    /// Not what [`DtlsIdentity::export`] gave, or by a later version of this crate.
    #[error("the bytes are no exported identity that this version knows")]
    Format,
    /// The generator gave no usable key in many tries.
    #[error("the random generator gives no usable key: it is broken")]
    Generator,
}

/// A certificate with its private key (ECDSA P-256), to be kept for as long as the endpoint
/// lives: its fingerprint is what a peer that verified us end to end remembers.
///
/// The private key is never printed and is zeroized on drop. Clones share it.
#[derive(Clone)]
pub struct DtlsIdentity {
    certificate: Arc<[u8]>,
    key: Arc<SigningKey>,
}

impl DtlsIdentity {
    /// Makes a key and a self-signed certificate that names nobody. It is valid from the day
    /// before `now`, without end.
    ///
    /// # Errors
    /// [`DtlsIdentityError::Generator`] if `rng` is broken.
    pub fn generate(now: UnixTime, rng: &mut dyn Rng) -> Result<Self, DtlsIdentityError> {
        let mut bytes = Secret::new([0; KEY_LEN]);
        // A draw is out of range about once in 2^32: eight failures mean a broken generator.
        let key = (0..8).find_map(|_| {
            rng.fill(bytes.expose_mut());
            SigningKey::from_slice(bytes.expose()).ok()
        });
        let key = key.ok_or(DtlsIdentityError::Generator)?;
        let mut serial = [0; 16];
        rng.fill(&mut serial);
        let certificate = self_signed(&key, serial, now);
        Ok(Self { certificate: certificate.into(), key: Arc::new(key) })
    }

    /// Takes a certificate (DER) and its private key (PKCS #8, DER) from the host.
    ///
    /// # Errors
    /// [`DtlsIdentityError`] if they are not ECDSA P-256, or do not belong together.
    pub fn from_der(certificate: &[u8], pkcs8: &[u8]) -> Result<Self, DtlsIdentityError> {
        let key = SigningKey::from_pkcs8_der(pkcs8).map_err(|_| DtlsIdentityError::PrivateKey)?;
        Self::from_parts(certificate, key)
    }

    fn from_parts(certificate: &[u8], key: SigningKey) -> Result<Self, DtlsIdentityError> {
        let (curve, point) = der::public_key(certificate)
            .filter(|_| certificate.len() <= MAX_CERTIFICATE_LEN)
            .ok_or(DtlsIdentityError::Certificate)?;
        if curve != der::Curve::P256 {
            return Err(DtlsIdentityError::Certificate);
        }
        let own = key.verifying_key();
        if own.to_sec1_point(false).as_bytes() != point
            && own.to_sec1_point(true).as_bytes() != point
        {
            return Err(DtlsIdentityError::KeyMismatch);
        }
        Ok(Self { certificate: certificate.into(), key: Arc::new(key) })
    }

    /// Certificate and private key as bytes, for the host to keep in a safe place.
    pub fn export(&self) -> Secret<Vec<u8>> {
        let mut out = Secret::new(Vec::with_capacity(
            self.certificate.len().saturating_add(MAGIC.len()).saturating_add(KEY_LEN),
        ));
        let bytes = out.expose_mut();
        bytes.extend_from_slice(MAGIC);
        let scalar = Secret::new(self.key.to_bytes());
        bytes.extend_from_slice(scalar.expose());
        bytes.extend_from_slice(&self.certificate);
        out
    }

    /// Takes back what [`export`](Self::export) gave.
    ///
    /// # Errors
    /// [`DtlsIdentityError::Format`] for other bytes; the other variants if they were damaged.
    pub fn import(bytes: &[u8]) -> Result<Self, DtlsIdentityError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(DtlsIdentityError::Format)?;
        let (key, certificate) = rest.split_at_checked(KEY_LEN).ok_or(DtlsIdentityError::Format)?;
        let key = SigningKey::from_slice(key).map_err(|_| DtlsIdentityError::PrivateKey)?;
        Self::from_parts(certificate, key)
    }

    /// The certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The fingerprint for our `a=fingerprint` (RFC 8122 §5).
    pub fn fingerprint(&self, hash: FingerprintHash) -> Fingerprint {
        Fingerprint::of(hash, &self.certificate)
    }

    pub(super) fn key(&self) -> &Arc<SigningKey> {
        &self.key
    }
}

impl fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DtlsIdentity")
            .field("fingerprint", &self.fingerprint(FingerprintHash::Sha256))
            .field("key", &"[redacted]")
            .finish()
    }
}

/// A version 3 certificate for the key, signed by it (RFC 5280 §4.1, RFC 5480, RFC 5758).
fn self_signed(key: &SigningKey, mut serial: [u8; 16], now: UnixTime) -> Vec<u8> {
    // Positive, and without a leading zero byte.
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    let algorithm = element(der::SEQUENCE, &[&element(der::OID, &[der::ECDSA_SHA256])]);
    let attribute = element(
        der::SEQUENCE,
        &[&element(der::OID, &[der::COMMON_NAME]), &element(der::UTF8_STRING, &[b"subrosa"])],
    );
    let name = element(der::SEQUENCE, &[&element(der::SET, &[&attribute])]);
    let validity = element(
        der::SEQUENCE,
        &[&not_before(now), &element(der::GENERALIZED_TIME, &[NO_EXPIRATION])],
    );
    let key_algorithm = element(
        der::SEQUENCE,
        &[&element(der::OID, &[der::EC_PUBLIC_KEY]), &element(der::OID, &[der::P256])],
    );
    let point = key.verifying_key().to_sec1_point(false);
    let spki = element(
        der::SEQUENCE,
        &[&key_algorithm, &element(der::BIT_STRING, &[&[0], point.as_bytes()])],
    );
    let version = element(der::VERSION, &[&element(der::INTEGER, &[&[2]])]);
    let serial = element(der::INTEGER, &[&serial]);
    let tbs =
        element(der::SEQUENCE, &[&version, &serial, &algorithm, &name, &validity, &name, &spki]);
    let signature: p256::ecdsa::Signature = key.sign(&tbs);
    let signature = element(der::BIT_STRING, &[&[0], signature.to_der().as_bytes()]);
    element(der::SEQUENCE, &[&tbs, &algorithm, &signature])
}

/// Midnight of the day before, so that a clock that is a little slow accepts it too.
fn not_before(now: UnixTime) -> Vec<u8> {
    let day = now.as_secs().checked_div(86_400).unwrap_or(0).saturating_sub(1);
    let (year, month, day) = civil(day);
    let text = alloc::format!("{year:04}{month:02}{day:02}000000Z");
    // Two-digit years up to 2049 (RFC 5280 §4.1.2.5).
    match text.strip_prefix(if year < 2000 { "19" } else { "20" }) {
        Some(short) if year < 2050 => element(der::UTC_TIME, &[short.as_bytes()]),
        _ => element(der::GENERALIZED_TIME, &[text.as_bytes()]),
    }
}

/// The Gregorian date of a day since 1970-01-01 (the years 1970 to 9999).
fn civil(days: u64) -> (u64, u64, u64) {
    let (mut year, mut left) = (1970_u64, days.min(2_932_896));
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    loop {
        let len = if leap(year) { 366 } else { 365 };
        match left.checked_sub(len) {
            Some(rest) => (year, left) = (year.saturating_add(1), rest),
            None => break,
        }
    }
    let february = if leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1_u64;
    for len in lengths {
        match left.checked_sub(len) {
            Some(rest) => (month, left) = (month.saturating_add(1), rest),
            None => break,
        }
    }
    (year, month, left.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;
    use alloc::format;
    use proptest::prelude::*;

    fn identity() -> DtlsIdentity {
        DtlsIdentity::generate(UnixTime::from_secs(1_800_000_000), &mut SeededRng::new(1)).unwrap()
    }

    #[test]
    fn the_certificate_is_well_formed_and_signs_itself() {
        let identity = identity();
        // webpki is a strict parser of its own.
        let der = rustls::pki_types::CertificateDer::from(identity.certificate());
        let parsed = webpki::EndEntityCert::try_from(&der).unwrap();
        parsed.verify_signature(webpki::ring::ECDSA_P256_SHA256, b"x", b"y").unwrap_err();
        let anchor = webpki::anchor_from_trusted_cert(&der).unwrap();
        let now = rustls::pki_types::UnixTime::since_unix_epoch(core::time::Duration::from_secs(
            1_800_000_000,
        ));
        parsed
            .verify_for_usage(
                &[webpki::ring::ECDSA_P256_SHA256],
                &[anchor],
                &[],
                now,
                webpki::KeyUsage::client_auth(),
                None,
                None,
            )
            .unwrap();
    }

    #[test]
    fn an_export_comes_back() {
        let identity = identity();
        let bytes = identity.export();
        let again = DtlsIdentity::import(bytes.expose()).unwrap();
        assert_eq!(again.certificate(), identity.certificate());
        assert_eq!(again.key().to_bytes(), identity.key().to_bytes());
        let other = DtlsIdentity::generate(UnixTime::from_secs(0), &mut SeededRng::new(2)).unwrap();
        assert_ne!(
            other.fingerprint(FingerprintHash::Sha256),
            identity.fingerprint(FingerprintHash::Sha256)
        );
        let mut swapped = other.export().expose()[..37].to_vec();
        swapped.extend_from_slice(identity.certificate());
        let error = |bytes: &[u8]| DtlsIdentity::import(bytes).unwrap_err();
        assert_eq!(error(&swapped), DtlsIdentityError::KeyMismatch);
        let mut newer = bytes.expose().clone();
        newer[4] = 2;
        assert_eq!(error(&newer), DtlsIdentityError::Format);
        assert_eq!(error(&bytes.expose()[..40]), DtlsIdentityError::Certificate);
        assert_eq!(error(b""), DtlsIdentityError::Format);
    }

    #[test]
    fn a_certificate_of_the_host_is_taken() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let pkcs8 = key.serialize_der();
        let identity = DtlsIdentity::from_der(certificate.der(), &pkcs8).unwrap();
        assert_eq!(identity.certificate(), &certificate.der()[..]);
        let error = |c: &[u8], k: &[u8]| DtlsIdentity::from_der(c, k).unwrap_err();
        assert_eq!(error(certificate.der(), b"x"), DtlsIdentityError::PrivateKey);
        assert_eq!(error(b"x", &pkcs8), DtlsIdentityError::Certificate);
        let other = rcgen::KeyPair::generate().unwrap().serialize_der();
        assert_eq!(error(certificate.der(), &other), DtlsIdentityError::KeyMismatch);
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let params = rcgen::CertificateParams::new(vec![]).unwrap();
        let p384 = params.self_signed(&p384).unwrap();
        assert_eq!(error(p384.der(), &pkcs8), DtlsIdentityError::Certificate);
    }

    #[test]
    fn debug_shows_no_key() {
        let identity = identity();
        let shown = format!("{identity:?}");
        assert!(shown.contains("[redacted]") && shown.contains("sha-256"), "{shown}");
        assert!(!shown.contains(&hex::encode(identity.key().to_bytes())));
        assert_eq!(format!("{:?}", identity.export()), "[redacted]");
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (29_219, (2049, 12, 31)),
            (47_541, (2100, 3, 1)),
            (u64::MAX, (9999, 12, 31)),
        ] {
            assert_eq!(civil(days), date, "{days}");
        }
        let at = |secs| not_before(UnixTime::from_secs(secs));
        assert_eq!(at(0), element(der::UTC_TIME, &[b"700101000000Z"]));
        assert_eq!(at(29_220 * 86_400), element(der::UTC_TIME, &[b"491231000000Z"]));
        assert_eq!(at(29_221 * 86_400), element(der::GENERALIZED_TIME, &[b"20500101000000Z"]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn damaged_bytes_never_panic(at in 0_usize..400, with in any::<u8>()) {
            let mut bytes = identity().export().expose().clone();
            if let Some(b) = bytes.get_mut(at) { *b = with; }
            if let Ok(again) = DtlsIdentity::import(&bytes) {
                let exported = again.export();
                prop_assert_eq!(exported.expose(), &bytes);
            }
        }
    }
}

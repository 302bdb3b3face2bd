//! Certificate pins: the SHA-256 of a SubjectPublicKeyInfo (as RFC 7469 §2.4 computes it), beside
//! the verification of the chain, never instead of it.

use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use webpki::VerifiedPath;

use super::certificate::Names;
use super::error::TlsSettingsError;

/// The most pins in a [`PinSet`].
pub const MAX_PINS: usize = 16;

/// The SHA-256 of a public key as certificates carry it (the DER of SubjectPublicKeyInfo): it
/// stays the same when the certificate is renewed with the same key.
///
/// Shown and read as `sha256/` and base64, as curl and OpenSSL recipes have it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpkiPin([u8; 32]);

impl SpkiPin {
    /// From the digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// From base64, with or without `sha256/` or `sha256//` before it.
    ///
    /// # Errors
    /// [`TlsSettingsError::BadPin`] if it is not the base64 of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, TlsSettingsError> {
        let text = text.trim();
        let base64 = text.strip_prefix("sha256/").unwrap_or(text);
        // "sha256//" is curl's form; a digest may begin with '/' itself, so the length decides.
        let base64 = match base64.strip_prefix('/') {
            Some(rest) if base64.len() == 45 => rest,
            _ => base64,
        };
        let mut digest = [0; 32];
        match Base64::decode(base64, &mut digest) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(digest)),
            _ => Err(TlsSettingsError::BadPin),
        }
    }

    /// The pin of a certificate (DER): what a host computes to pin a peer that it knows.
    ///
    /// # Errors
    /// [`TlsSettingsError::BadCertificate`] if it does not parse.
    pub fn of_certificate(der: &[u8]) -> Result<Self, TlsSettingsError> {
        Names::parse(der)
            .map(|names| Self::of_spki_content(names.spki()))
            .ok_or_else(|| TlsSettingsError::BadCertificate("not an X.509 certificate".into()))
    }

    /// The pin of a SubjectPublicKeyInfo in DER.
    pub fn of_spki(der: &[u8]) -> Self {
        let mut digest = [0; 32];
        let sha = ring::digest::digest(&ring::digest::SHA256, der);
        digest.iter_mut().zip(sha.as_ref()).for_each(|(slot, b)| *slot = *b);
        Self(digest)
    }

    /// The same, the content of the outer SEQUENCE being given.
    pub(super) fn of_spki_content(content: &[u8]) -> Self {
        let mut der = Vec::with_capacity(content.len().saturating_add(6));
        der.push(0x30);
        let len = content.len().to_be_bytes();
        match content.len() {
            0..=0x7f => der.extend(len.last()),
            _ => {
                let significant = len.iter().skip_while(|b| **b == 0);
                let count = significant.clone().count();
                der.push(0x80 | u8::try_from(count).unwrap_or(0));
                der.extend(significant);
            }
        }
        der.extend_from_slice(content);
        Self::of_spki(&der)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut buf = [0; 44];
        write!(f, "sha256/{}", Base64::encode(&self.0, &mut buf).unwrap_or(""))
    }
}

impl core::fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{self}")
    }
}

/// Pins of which one must stand in the verified chain. Give at least two, the second of a key
/// that is kept offline: with one pin alone, a lost key locks every phone out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinSet(Vec<SpkiPin>);

impl PinSet {
    /// These pins, the primary one first, backups after it.
    ///
    /// # Errors
    /// [`TlsSettingsError::PinCount`] for none or more than [`MAX_PINS`].
    pub fn new(pins: impl IntoIterator<Item = SpkiPin>) -> Result<Self, TlsSettingsError> {
        let mut set: Vec<SpkiPin> = Vec::new();
        for pin in pins.into_iter().take(MAX_PINS.saturating_add(1)) {
            if !set.contains(&pin) {
                set.push(pin);
            }
        }
        match set.len() {
            1..=MAX_PINS => Ok(Self(set)),
            _ => Err(TlsSettingsError::PinCount),
        }
    }

    /// The pins, without repetitions.
    pub fn pins(&self) -> &[SpkiPin] {
        &self.0
    }

    /// True if there is a pin to fall back on.
    pub fn has_backup(&self) -> bool {
        self.0.len() > 1
    }

    fn matched(&self, pin: SpkiPin, at: PinnedKey) -> Option<PinMatch> {
        let index = self.0.iter().position(|p| *p == pin)?;
        Some(PinMatch { pin, index, at })
    }

    /// Finds a pin in a verified path. Certificates that a peer sent along and that are no part
    /// of the path do not count: anybody can send those.
    pub(super) fn find(&self, path: &VerifiedPath<'_>) -> Option<PinMatch> {
        let pin = |cert: &webpki::Cert<'_>| SpkiPin::of_spki(&cert.subject_public_key_info());
        self.matched(pin(path.end_entity()), PinnedKey::EndEntity)
            .or_else(|| {
                path.intermediate_certificates()
                    .find_map(|cert| self.matched(pin(cert), PinnedKey::Intermediate))
            })
            .or_else(|| {
                let spki = path.anchor().subject_public_key_info.as_ref();
                self.matched(SpkiPin::of_spki_content(spki), PinnedKey::Anchor)
            })
    }

    /// Finds the pin of this key, the end of a chain of which nothing else is known.
    pub(super) fn find_leaf(&self, pin: SpkiPin) -> Option<PinMatch> {
        self.matched(pin, PinnedKey::EndEntity)
    }
}

/// Whose key was pinned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum PinnedKey {
    /// The peer's own.
    EndEntity,
    /// An authority's between the peer and the anchor.
    Intermediate,
    /// The trust anchor's.
    Anchor,
}

/// The pin that held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PinMatch {
    /// The pin.
    pub pin: SpkiPin,
    /// Its place in the [`PinSet`]: 0 is the primary one, a higher one a backup.
    pub index: usize,
    /// Whose key it is.
    pub at: PinnedKey,
}

/// The base64 of a pin, for an error.
pub(super) fn shown(pin: Option<SpkiPin>) -> String {
    pin.map_or_else(|| "unknown".into(), |pin| alloc::format!("{pin}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_in_every_usual_form() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = rcgen::CertificateParams::new(vec!["a.example".into()])
            .and_then(|p| p.self_signed(&key))
            .expect("a certificate");
        let pin = SpkiPin::of_certificate(cert.der()).expect("a pin");
        assert_eq!(pin, SpkiPin::of_spki(&rcgen::PublicKeyData::subject_public_key_info(&key)));
        let shown = pin.to_string();
        let base64 = shown.strip_prefix("sha256/").expect("the prefix");
        for text in [shown.clone(), base64.into(), format!("sha256//{base64}")] {
            assert_eq!(SpkiPin::parse(&text), Ok(pin), "{text}");
        }
        // A digest whose base64 begins with a slash.
        let slash = SpkiPin::new([0xff; 32]);
        assert_eq!(SpkiPin::parse(&slash.to_string()), Ok(slash));
        assert_eq!(
            SpkiPin::parse(&slash.to_string().replace('/', "")),
            Err(TlsSettingsError::BadPin)
        );
        for bad in ["", "sha256/", "sha256/AAAA", "sha1/AAAA", &base64[1..]] {
            assert_eq!(SpkiPin::parse(bad), Err(TlsSettingsError::BadPin), "{bad}");
        }
        assert!(SpkiPin::of_certificate(b"no certificate").is_err());
    }

    #[test]
    fn a_long_key_is_wrapped_as_der_has_it() {
        // 0x30 0x81 0x90 and 0x30 0x82 0x01 0x26: the lengths of P-384's neighbours and RSA-2048.
        for (len, head) in
            [(32, &[0x30, 32][..]), (0x90, &[0x30, 0x81, 0x90]), (0x126, &[0x30, 0x82, 1, 0x26])]
        {
            let content = vec![7; len];
            let whole = [head, &content[..]].concat();
            assert_eq!(SpkiPin::of_spki_content(&content), SpkiPin::of_spki(&whole));
        }
    }

    #[test]
    fn a_set_is_bounded_and_has_no_repetitions() {
        let pin = |n| SpkiPin::new([n; 32]);
        assert_eq!(PinSet::new([]), Err(TlsSettingsError::PinCount));
        let set = PinSet::new([pin(1), pin(1)]).expect("one pin");
        assert!(!set.has_backup() && set.pins() == [pin(1)]);
        assert!(PinSet::new((0..16).map(pin)).expect("the most").has_backup());
        assert_eq!(PinSet::new((0..17).map(pin)), Err(TlsSettingsError::PinCount));
    }
}

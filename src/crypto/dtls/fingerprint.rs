//! Certificate fingerprints in SDP (RFC 8122 §5).
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;
use core::fmt;

use ring::digest;

/// The hash of a fingerprint, weakest first. SHA-1, MD5, MD2 and SHA-224 prove nothing any more
/// and are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum FingerprintHash {
    /// SHA-256: what RFC 8122 §5 recommends and every peer has.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FingerprintHash {
    /// Every hash, strongest first.
    pub const ALL: [Self; 3] = [Self::Sha512, Self::Sha384, Self::Sha256];

    /// The name in `a=fingerprint` (RFC 8122 §5).
    pub const fn sdp_name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Bytes of the digest.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Why a value of `a=fingerprint` is no proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// SHA-1, MD5, MD2 or SHA-224.
    #[error("the fingerprint's hash is too weak to prove anything: use sha-256 or stronger")]
    WeakHash,
    /// A hash that this crate does not know.
    #[error("the fingerprint's hash is unknown: sha-256, sha-384 and sha-512 are supported")]
    UnknownHash,
    /// Not `hash SP AB:CD:..` with as many bytes as the hash has.
    #[error("the fingerprint is malformed: it must be a hash name and colon-separated hex bytes")]
    Malformed,
    /// More than [`Fingerprints::MAX`] values.
    #[error("more than {} fingerprints for one media stream", Fingerprints::MAX)]
    TooMany,
}

/// The fingerprint of one certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: FingerprintHash,
    bytes: [u8; 64],
}

impl Fingerprint {
    /// The fingerprint of a certificate (DER).
    pub fn of(hash: FingerprintHash, certificate: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let digest = digest::digest(hash.algorithm(), certificate);
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(slot, b)| *slot = *b);
        Self { hash, bytes }
    }

    /// Reads the value of an `a=fingerprint` attribute: `sha-256 AB:CD:..`. Lower-case hex and
    /// names in any case are taken too.
    ///
    /// # Errors
    /// [`FingerprintError`] if the hash is weak or unknown, or the value malformed.
    pub fn parse(value: &str) -> Result<Self, FingerprintError> {
        let mut words = value.split_ascii_whitespace();
        let name = words.next().ok_or(FingerprintError::Malformed)?;
        let named = |n: &str| name.eq_ignore_ascii_case(n);
        let known = FingerprintHash::ALL.into_iter().find(|hash| named(hash.sdp_name()));
        let hash = match known {
            Some(hash) => hash,
            None if ["sha-1", "sha-224", "md5", "md2"].into_iter().any(named) => {
                return Err(FingerprintError::WeakHash);
            }
            None => return Err(FingerprintError::UnknownHash),
        };
        let hex = words.next().ok_or(FingerprintError::Malformed)?;
        let mut bytes = [0; 64];
        let mut slots = bytes.iter_mut().take(hash.digest_len());
        for pair in hex.split(':') {
            let slot = slots.next().ok_or(FingerprintError::Malformed)?;
            *slot = hex_byte(pair).ok_or(FingerprintError::Malformed)?;
        }
        if slots.next().is_some() || words.next().is_some() {
            return Err(FingerprintError::Malformed);
        }
        Ok(Self { hash, bytes })
    }

    /// Which hash it is.
    pub fn hash(&self) -> FingerprintHash {
        self.hash
    }

    /// The digest.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.hash.digest_len()).unwrap_or_default()
    }

    /// True if it is the fingerprint of this certificate (DER).
    pub fn matches(&self, certificate: &[u8]) -> bool {
        *self == Self::of(self.hash, certificate)
    }
}

fn hex_byte(pair: &str) -> Option<u8> {
    let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if digits { u8::from_str_radix(pair, 16).ok() } else { None }
}

/// The value of `a=fingerprint`: `sha-256 AB:CD:..`, in upper case as RFC 8122 §5 demands.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.sdp_name())?;
        let mut separator = ' ';
        for byte in self.as_bytes() {
            write!(f, "{separator}{byte:02X}")?;
            separator = ':';
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl core::str::FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(value: &str) -> Result<Self, FingerprintError> {
        Self::parse(value)
    }
}

/// The fingerprints that signalling gave for one peer: at least one that proves something.
///
/// Only those of the strongest hash count (RFC 8122 §5: the endpoint chooses its most preferred
/// hash); several of that hash stand for several certificates, any one of which is accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    /// How many fingerprints are taken at most.
    pub const MAX: usize = 8;

    /// From the values of all `a=fingerprint` attributes that apply to one media stream. Values
    /// that prove nothing (weak or unknown hashes) are passed over as long as one is left.
    ///
    /// # Errors
    /// [`FingerprintError::Malformed`] for a malformed value, [`FingerprintError::TooMany`]; the
    /// first value's error if none is left.
    pub fn parse_all<'a>(
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, FingerprintError> {
        let mut refused = None;
        let mut found = Vec::new();
        for (at, value) in values.into_iter().enumerate() {
            if at >= Self::MAX {
                return Err(FingerprintError::TooMany);
            }
            match Fingerprint::parse(value) {
                Ok(fingerprint) => found.push(fingerprint),
                Err(error @ (FingerprintError::WeakHash | FingerprintError::UnknownHash)) => {
                    refused = refused.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        Self::of_strongest(found).ok_or(refused.unwrap_or(FingerprintError::Malformed))
    }

    fn of_strongest(mut found: Vec<Fingerprint>) -> Option<Self> {
        let strongest = found.iter().map(Fingerprint::hash).max()?;
        found.retain(|fingerprint| fingerprint.hash == strongest);
        Some(Self(found))
    }

    /// The fingerprints that count: all of the strongest hash given.
    pub fn strongest(&self) -> &[Fingerprint] {
        &self.0
    }

    /// The one that this certificate (DER) has, if any.
    pub fn find(&self, certificate: &[u8]) -> Option<Fingerprint> {
        self.0.iter().copied().find(|fingerprint| fingerprint.matches(certificate))
    }
}

impl From<Fingerprint> for Fingerprints {
    fn from(fingerprint: Fingerprint) -> Self {
        Self(alloc::vec![fingerprint])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_and_written() {
        // SHA-256 of "abc" (FIPS 180-2, appendix B.1).
        let value = "sha-256 BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:\
                     B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD";
        let fingerprint = Fingerprint::parse(value).unwrap();
        assert!(fingerprint.matches(b"abc") && !fingerprint.matches(b"abd"));
        assert_eq!(fingerprint.to_string(), value);
        assert_eq!(value.to_lowercase().parse(), Ok(fingerprint));
        for hash in FingerprintHash::ALL {
            let of = Fingerprint::of(hash, b"a certificate");
            assert_eq!(of.as_bytes().len(), hash.digest_len());
            assert_eq!(Fingerprint::parse(&of.to_string()), Ok(of));
        }
    }

    #[test]
    fn weak_unknown_and_malformed_are_refused() {
        let cases = [
            ("sha-1 00:11", FingerprintError::WeakHash),
            ("MD5 00", FingerprintError::WeakHash),
            ("sha-224 00", FingerprintError::WeakHash),
            ("sha3-256 00", FingerprintError::UnknownHash),
            ("", FingerprintError::Malformed),
            ("sha-256", FingerprintError::Malformed),
            ("sha-256 00:11", FingerprintError::Malformed),
        ];
        for (value, error) in cases {
            assert_eq!(Fingerprint::parse(value), Err(error), "{value}");
        }
        let good = Fingerprint::of(FingerprintHash::Sha256, b"x").to_string();
        for bad in [format!("{good}:00"), format!("{good} 00"), good.replacen(':', "", 1)] {
            assert_eq!(Fingerprint::parse(&bad), Err(FingerprintError::Malformed), "{bad}");
        }
        assert_eq!(
            Fingerprint::parse(&good.replacen(&good[8..10], "+1", 1)),
            Err(FingerprintError::Malformed)
        );
    }

    #[test]
    fn only_the_strongest_hash_counts() {
        let of = |hash, certificate: &[u8]| Fingerprint::of(hash, certificate).to_string();
        let values = [
            of(FingerprintHash::Sha256, b"attacker"),
            "sha-1 00".into(),
            of(FingerprintHash::Sha512, b"old"),
            of(FingerprintHash::Sha512, b"new"),
        ];
        let set = Fingerprints::parse_all(values.iter().map(|v| v.as_str())).unwrap();
        assert_eq!(set.strongest().len(), 2);
        assert!(set.find(b"old").is_some() && set.find(b"new").is_some());
        assert!(set.find(b"attacker").is_none());
    }

    #[test]
    fn a_set_needs_one_that_proves_something() {
        let all = |values: &[&str]| Fingerprints::parse_all(values.iter().copied());
        assert_eq!(all(&["sha-1 00", "sha3-256 00"]), Err(FingerprintError::WeakHash));
        assert_eq!(all(&[]), Err(FingerprintError::Malformed));
        let good = Fingerprint::of(FingerprintHash::Sha256, b"x").to_string();
        assert_eq!(all(&[&good, "sha-256 00"]), Err(FingerprintError::Malformed));
        assert_eq!(all(&["sha-1 00"; 9]), Err(FingerprintError::TooMany));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_text_is_refused_or_survives_a_round_trip(text in ".{0,120}") {
            if let Ok(fingerprint) = Fingerprint::parse(&text) {
                prop_assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Ok(fingerprint));
            }
        }
    }
}

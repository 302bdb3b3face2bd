//! a=fingerprint, a=setup and a=tls-id: who the peer of a DTLS handshake is, and who starts it
//! (RFC 8122, 4145, 8842).

use super::FingerprintError;
use alloc::{string::String, vec::Vec};
use core::fmt::{self, Write as _};

/// The longest hash that is looked at, in bytes: SHA-512's.
const MAX_HASH: usize = 64;
/// The longest name of a hash function.
const MAX_NAME: usize = 32;
/// The hash functions of RFC 8122 §5 that are good enough to name a certificate, with the length
/// of their values.
const STRONG: [(&str, usize); 3] = [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)];
/// The others, read but never relied on.
const WEAK: [(&str, usize); 4] = [("sha-224", 28), ("sha-1", 20), ("md5", 16), ("md2", 16)];

/// One a=fingerprint (RFC 8122 §5): the hash of the certificate that the describing side shows in
/// the DTLS handshake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    hash: String,
    bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of this hash function (`sha-256`) and value.
    ///
    /// # Errors
    /// A name that is no token, or a value of another length than the function's.
    pub fn new(hash: &str, bytes: Vec<u8>) -> Result<Self, FingerprintError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if hash.is_empty() || hash.len() > MAX_NAME || !hash.bytes().all(token) {
            return Err(FingerprintError::Syntax);
        }
        let hash = hash.to_ascii_lowercase();
        let known = STRONG.iter().chain(&WEAK).find(|(name, _)| *name == hash);
        let fits = match known {
            Some((_, length)) => bytes.len() == *length,
            None => !bytes.is_empty() && bytes.len() <= MAX_HASH,
        };
        if fits { Ok(Self { hash, bytes }) } else { Err(FingerprintError::Length) }
    }

    /// Reads the value of an a=fingerprint attribute. Lower-case digits are taken too, as some
    /// peers write them.
    ///
    /// # Errors
    /// What is malformed.
    pub fn parse(value: &str) -> Result<Self, FingerprintError> {
        let mut fields = value.split([' ', '\t']).filter(|field| !field.is_empty());
        let (Some(hash), Some(text), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(FingerprintError::Syntax);
        };
        if text.len() > MAX_HASH.saturating_mul(3) {
            return Err(FingerprintError::Length);
        }
        let bytes: Option<Vec<u8>> = text.split(':').map(hex_byte).collect();
        Self::new(hash, bytes.ok_or(FingerprintError::Syntax)?)
    }

    /// The hash function's name in lower case, such as `sha-256`.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The hash of the certificate.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// True for SHA-256, SHA-384 and SHA-512: no other function's fingerprint is relied on.
    pub fn is_strong(&self) -> bool {
        STRONG.iter().any(|(name, _)| *name == self.hash)
    }
}

/// The value of the attribute, to stand after `fingerprint:`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hash)?;
        for (i, byte) in self.bytes.iter().enumerate() {
            f.write_char(if i == 0 { ' ' } else { ':' })?;
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

fn hex_byte(text: &str) -> Option<u8> {
    let hex = text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { u8::from_str_radix(text, 16).ok() } else { None }
}

/// True if both name the same certificates, in any order.
pub(super) fn same_fingerprints(one: &[Fingerprint], other: &[Fingerprint]) -> bool {
    let within = |a: &[Fingerprint], b: &[Fingerprint]| a.iter().all(|f| b.contains(f));
    within(one, other) && within(other, one)
}

/// The value of a=setup (RFC 4145 §4, RFC 5763 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Either role; only in offers.
    ActPass,
    /// The describing side is the DTLS client.
    Active,
    /// The describing side is the DTLS server.
    Passive,
    /// No association for now.
    HoldConn,
}

impl Setup {
    const ALL: [Self; 4] = [Self::ActPass, Self::Active, Self::Passive, Self::HoldConn];

    /// Reads the value of the attribute (case does not matter).
    pub fn parse(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setup| setup.as_str().eq_ignore_ascii_case(value.trim()))
    }

    /// The value of the attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::HoldConn => "holdconn",
        }
    }
}

/// Who starts the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DtlsRole {
    /// Sends the ClientHello.
    Client,
    /// Waits for it.
    Server,
}

impl DtlsRole {
    /// The role of the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// What the side in this role declares.
    pub const fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }
}

/// True for a value of a=tls-id: 20 to 255 letters, digits or `+/-_` (RFC 8842 §4).
pub fn is_tls_id(value: &str) -> bool {
    (20..=255).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
}

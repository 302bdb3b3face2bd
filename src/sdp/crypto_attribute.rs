//! a=crypto: SRTP keys in the session description (RFC 4568).

use super::CryptoError;
use crate::util::Secret;
use alloc::{format, string::String, vec::Vec};
use base64ct::{Base64, Base64Unpadded, Encoding};
use core::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The longest base64 text of a key that is looked at: far beyond any suite's key and salt.
const MAX_KEY_TEXT: usize = 512;
/// The most master keys that one line may have.
const MAX_KEYS: usize = 8;
/// SRTP's own limit on packets per master key (RFC 3711 §9.2).
const MAX_LIFETIME: u64 = 1 << 48;

/// One a=crypto line (RFC 4568 §9). `Debug` shows no key.
#[derive(Debug, Clone, PartialEq)]
pub struct CryptoAttribute {
    /// The tag by which an answer names the offer's line.
    pub tag: u32,
    /// The crypto suite's name, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: String,
    /// The master keys; all but simple lines have identifiers with them.
    pub keys: Vec<InlineKey>,
    /// WSH: the hint for the replay window, 64 or more. The receiver takes the larger of 128 and
    /// the hint, 512 at most (RFC 4568 §6.3.6 leaves the choice to it).
    pub window_size_hint: Option<u32>,
}

/// A master key with its salt, its lifetime and its identifier.
#[derive(Clone)]
pub struct InlineKey {
    /// The master key followed by the master salt.
    pub key_and_salt: Secret<Vec<u8>>,
    /// How many packets the key may protect.
    pub lifetime: Option<Lifetime>,
    /// The master key identifier.
    pub mki: Option<Mki>,
}

/// A key's lifetime in packets, in one of its two notations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// `2^n`, n at most 48.
    PowerOfTwo(u8),
    /// A decimal number of packets.
    Packets(u64),
}

impl Lifetime {
    /// The number of packets.
    pub const fn packets(self) -> u64 {
        match self {
            Self::PowerOfTwo(n) if n < 64 => 1 << n,
            Self::PowerOfTwo(_) => u64::MAX,
            Self::Packets(n) => n,
        }
    }
}

/// A master key identifier (RFC 3711 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    /// The identifier. RFC 4568 allows numbers of 128 bytes; lines with more than 19 digits are
    /// refused.
    pub value: u64,
    /// How many bytes it takes in a packet, 1 to 128.
    pub length: u8,
}

impl Mki {
    fn fits(self) -> bool {
        match self.length {
            1..=7 => self.value >> (u32::from(self.length).saturating_mul(8)) == 0,
            8..=128 => true,
            _ => false,
        }
    }
}

impl InlineKey {
    /// A key without lifetime and identifier.
    pub fn new(key_and_salt: Secret<Vec<u8>>) -> Self {
        Self { key_and_salt, lifetime: None, mki: None }
    }

    fn parse(text: &str) -> Result<Self, CryptoError> {
        let (method, info) = text.split_once(':').ok_or(CryptoError::Syntax)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(CryptoError::KeyMethod);
        }
        let mut parts = info.split('|');
        let key_and_salt = decode_key(parts.next().unwrap_or_default())?;
        let mut key = Self::new(key_and_salt);
        let mut next = parts.next();
        if let Some(text) = next
            && !text.contains(':')
        {
            key.lifetime = Some(parse_lifetime(text)?);
            next = parts.next();
        }
        if let Some(text) = next {
            key.mki = Some(parse_mki(text)?);
        }
        if parts.next().is_some() {
            return Err(CryptoError::Syntax);
        }
        Ok(key)
    }

    /// base64, the longest lifetime, the longest identifier, the punctuation.
    fn text_len_at_most(&self) -> usize {
        self.key_and_salt.expose().len().saturating_mul(4).div_ceil(3).saturating_add(80)
    }

    fn print(&self, out: &mut String) {
        let text = Zeroizing::new(Base64::encode_string(self.key_and_salt.expose()));
        out.push_str("inline:");
        out.push_str(&text);
        match self.lifetime {
            Some(Lifetime::PowerOfTwo(n)) => out.push_str(&format!("|2^{n}")),
            Some(Lifetime::Packets(n)) => out.push_str(&format!("|{n}")),
            None => {}
        }
        if let Some(mki) = self.mki {
            out.push_str(&format!("|{}:{}", mki.value, mki.length));
        }
    }
}

impl PartialEq for InlineKey {
    fn eq(&self, other: &Self) -> bool {
        self.key_and_salt.ct_eq(other.key_and_salt.expose())
            && self.lifetime == other.lifetime
            && self.mki == other.mki
    }
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineKey")
            .field("key_and_salt", &self.key_and_salt)
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish()
    }
}

impl CryptoAttribute {
    /// A line with one master key (key followed by salt) and no parameters.
    pub fn new(tag: u32, suite: &str, key_and_salt: Secret<Vec<u8>>) -> Self {
        Self {
            tag,
            suite: suite.into(),
            keys: alloc::vec![InlineKey::new(key_and_salt)],
            window_size_hint: None,
        }
    }

    /// Reads the value of an a=crypto attribute (the part after `crypto:`).
    ///
    /// # Errors
    /// What is malformed, out of range, switches protection off or is unsupported.
    pub fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split([' ', '\t']).filter(|field| !field.is_empty());
        let tag = parse_digits(fields.next().unwrap_or_default(), 9)?;
        let tag = u32::try_from(tag).map_err(|_| CryptoError::Syntax)?;
        let suite = fields.next().ok_or(CryptoError::Syntax)?;
        if suite.len() > 64 || !suite.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(CryptoError::Syntax);
        }
        let keys = parse_keys(fields.next().ok_or(CryptoError::Syntax)?)?;
        let mut line = Self { tag, suite: suite.into(), keys, window_size_hint: None };
        for parameter in fields {
            line.parse_parameter(parameter)?;
        }
        Ok(line)
    }

    fn parse_parameter(&mut self, text: &str) -> Result<(), CryptoError> {
        if text.starts_with('-') {
            return Ok(()); // RFC 4568 §6.3.7: optional, may be ignored.
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let upper = name.to_ascii_uppercase();
        match upper.as_str() {
            "UNENCRYPTED_SRTP" | "UNENCRYPTED_SRTCP" | "UNAUTHENTICATED_SRTP" => {
                Err(CryptoError::Unprotected)
            }
            // RFC 4568 §6.3.1 has 1 to 24; 0 is what leaving it out means.
            "KDR" => match parse_digits(value, 2)? {
                0 => Ok(()),
                1..=24 => Err(CryptoError::KeyDerivationRate),
                _ => Err(CryptoError::Parameter),
            },
            "WSH" if self.window_size_hint.is_none() => {
                let hint = u32::try_from(parse_digits(value, 9)?).ok().filter(|n| *n >= 64);
                self.window_size_hint = Some(hint.ok_or(CryptoError::Parameter)?);
                Ok(())
            }
            _ => Err(CryptoError::Parameter),
        }
    }

    /// The value of the attribute, to stand after `crypto:`. It holds the keys.
    pub fn to_value(&self) -> Zeroizing<String> {
        // Room for all of it: a string that grows leaves copies of the keys behind.
        let keys = self.keys.iter().map(InlineKey::text_len_at_most);
        let room = keys.fold(self.suite.len().saturating_add(64), usize::saturating_add);
        let mut out = Zeroizing::new(String::with_capacity(room));
        out.push_str(&format!("{} {} ", self.tag, self.suite));
        for (i, key) in self.keys.iter().enumerate() {
            if i > 0 {
                out.push(';');
            }
            key.print(&mut out);
        }
        if let Some(hint) = self.window_size_hint {
            out.push_str(&format!(" WSH={hint}"));
        }
        out
    }

    /// The line with which a sender of `mki_length` bytes of identifier (`None`: none) is answered:
    /// this one, with an identifier for its key if, and as long as, the other side has one.
    pub(super) fn mirrored(&self, tag: u32, mki_length: Option<u8>) -> Self {
        let mut line = Self { tag, ..self.clone() };
        if let [key] = line.keys.as_mut_slice() {
            let value = key.mki.map_or(1, |mki| mki.value);
            key.mki = mki_length.map(|length| match (Mki { value, length }) {
                mki if mki.fits() => mki,
                _ => Mki { value: 1, length },
            });
        }
        line
    }

    /// The length of the identifiers in this line's packets.
    pub fn mki_length(&self) -> Option<u8> {
        self.keys.first().and_then(|key| key.mki).map(|mki| mki.length)
    }
}

fn parse_keys(text: &str) -> Result<Vec<InlineKey>, CryptoError> {
    let mut keys = Vec::new();
    for part in text.split(';') {
        if keys.len() >= MAX_KEYS {
            return Err(CryptoError::Syntax);
        }
        keys.push(InlineKey::parse(part)?);
    }
    // RFC 4568 §6.1: several keys are told apart by identifiers of one length.
    let length = keys.first().and_then(|key| key.mki).map(|mki| mki.length);
    let identified = length.is_some() && keys.iter().all(|k| k.mki.map(|m| m.length) == length);
    let different =
        keys.iter().enumerate().all(|(i, k)| keys.iter().take(i).all(|o| o.mki != k.mki));
    if keys.len() > 1 && !(identified && different) {
        return Err(CryptoError::Mki);
    }
    Ok(keys)
}

/// Decodes a key; padding may be missing, as some phones leave it out.
fn decode_key(text: &str) -> Result<Secret<Vec<u8>>, CryptoError> {
    if text.is_empty() || text.len() > MAX_KEY_TEXT {
        return Err(CryptoError::Key);
    }
    let bare = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let mut key = Base64Unpadded::decode_vec(bare).map_err(|_| CryptoError::Key)?;
    if key.is_empty() {
        key.zeroize();
        return Err(CryptoError::Key);
    }
    Ok(Secret::new(key))
}

fn parse_lifetime(text: &str) -> Result<Lifetime, CryptoError> {
    let lifetime = match text.strip_prefix("2^") {
        Some(power) => {
            let n = u8::try_from(parse_digits(power, 2)?).map_err(|_| CryptoError::Lifetime)?;
            Lifetime::PowerOfTwo(n)
        }
        None => Lifetime::Packets(parse_digits(text, 19)?),
    };
    if (1..=MAX_LIFETIME).contains(&lifetime.packets()) {
        Ok(lifetime)
    } else {
        Err(CryptoError::Lifetime)
    }
}

fn parse_mki(text: &str) -> Result<Mki, CryptoError> {
    let (value, length) = text.split_once(':').ok_or(CryptoError::Syntax)?;
    let value = parse_digits(value, 19).map_err(|_| CryptoError::Mki)?;
    let length = parse_digits(length, 3).map_err(|_| CryptoError::Mki)?;
    let length = u8::try_from(length).map_err(|_| CryptoError::Mki)?;
    let mki = Mki { value, length };
    if mki.fits() { Ok(mki) } else { Err(CryptoError::Mki) }
}

/// One to `max` decimal digits and nothing else.
fn parse_digits(text: &str, max: usize) -> Result<u64, CryptoError> {
    if text.is_empty() || text.len() > max || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(CryptoError::Syntax);
    }
    text.parse().map_err(|_| CryptoError::Syntax)
}

//! HTTP Digest as SIP uses it (RFC 2617, 7616, 8760): the arithmetic. Who may be answered is
//! decided in [`crate::sip::auth`].
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::{format, string::String};
use zeroize::Zeroizing;

use crate::util::Secret;

/// The hash function of an algorithm, in ascending strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// MD5, for old servers.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256 of FIPS 180-4, which is not a truncated SHA-512: it starts from other values.
    Sha512_256,
}

impl HashFunction {
    /// The hash of these parts, joined by colons, in lower-case hexadecimal.
    fn hex(self, parts: &[&[u8]]) -> Zeroizing<String> {
        match self {
            Self::Md5 => hex_of::<md5::Md5>(parts),
            Self::Sha256 => hex_of::<sha2::Sha256>(parts),
            Self::Sha512_256 => hex_of::<sha2::Sha512_256>(parts),
        }
    }
}

fn hex_of<H: md5::Digest>(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut hash = H::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut out = String::with_capacity(digest.len().saturating_mul(2));
    for byte in digest.iter() {
        for nibble in [byte >> 4, byte & 15] {
            out.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    Zeroizing::new(out)
}

/// A Digest algorithm. The order is that of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Algorithm {
    /// The hash function.
    pub hash: HashFunction,
    /// The `-sess` form: the key is bound to the first nonces of a session.
    pub session: bool,
}

impl Algorithm {
    const TOKENS: [(&'static str, Self); 6] = [
        ("MD5", Self { hash: HashFunction::Md5, session: false }),
        ("MD5-sess", Self { hash: HashFunction::Md5, session: true }),
        ("SHA-256", Self { hash: HashFunction::Sha256, session: false }),
        ("SHA-256-sess", Self { hash: HashFunction::Sha256, session: true }),
        ("SHA-512-256", Self { hash: HashFunction::Sha512_256, session: false }),
        ("SHA-512-256-sess", Self { hash: HashFunction::Sha512_256, session: true }),
    ];

    /// The algorithm of this token, in any case; `None` if it is not supported.
    pub fn from_token(token: &str) -> Option<Self> {
        let known = Self::TOKENS.iter().find(|(text, _)| text.eq_ignore_ascii_case(token));
        known.map(|(_, algorithm)| *algorithm)
    }

    /// The token.
    pub fn as_str(self) -> &'static str {
        Self::TOKENS.iter().find(|(_, a)| *a == self).map_or("", |(text, _)| text)
    }
}

/// The quality of protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Qop {
    /// `auth`: method and URI are protected.
    Auth,
    /// `auth-int`: the body too.
    AuthInt,
}

impl Qop {
    /// The token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// H(username:realm:password): as good as the password for its realm, so a secret.
#[derive(Debug, Clone)]
pub struct Ha1 {
    hash: HashFunction,
    hex: Secret<String>,
}

impl Ha1 {
    /// Derives it from the password (RFC 7616 §3.4.2).
    pub fn new(hash: HashFunction, username: &str, realm: &str, password: &Secret<String>) -> Self {
        let parts = [username.as_bytes(), realm.as_bytes(), password.expose().as_bytes()];
        Self { hash, hex: Secret::new(core::mem::take(&mut *hash.hex(&parts))) }
    }
}

/// What a Digest response is computed from, besides the password.
#[derive(Debug, Clone, Copy)]
pub struct DigestInput<'a> {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The server's nonce.
    pub nonce: &'a str,
    /// The client's nonce; used with `qop` and with `-sess`.
    pub cnonce: &'a str,
    /// How many requests were made with this nonce, this one included.
    pub nonce_count: u32,
    /// `None` computes the form of RFC 2069, for servers that offer no qop.
    pub qop: Option<Qop>,
    /// The request's method.
    pub method: &'a str,
    /// The `uri` parameter: normally the Request-URI.
    pub uri: &'a str,
    /// The request's body (for auth-int).
    pub body: &'a [u8],
}

/// The `response` parameter (RFC 7616 §3.4.1). `ha1` must be of the algorithm's hash function.
pub fn response(ha1: &Ha1, input: &DigestInput<'_>) -> String {
    let hash = ha1.hash;
    let (nonce, cnonce) = (input.nonce.as_bytes(), input.cnonce.as_bytes());
    let a1 = ha1.hex.expose().as_bytes();
    let session_key = input.algorithm.session.then(|| hash.hex(&[a1, nonce, cnonce]));
    let key = session_key.as_ref().map_or(a1, |key| key.as_bytes());
    let (method, uri) = (input.method.as_bytes(), input.uri.as_bytes());
    let ha2 = match input.qop {
        Some(Qop::AuthInt) => hash.hex(&[method, uri, hash.hex(&[input.body]).as_bytes()]),
        _ => hash.hex(&[method, uri]),
    };
    let mut response = match input.qop {
        Some(qop) => {
            let count = format!("{:08x}", input.nonce_count);
            let qop = qop.as_str().as_bytes();
            hash.hex(&[key, nonce, count.as_bytes(), cnonce, qop, ha2.as_bytes()])
        }
        None => hash.hex(&[key, nonce, ha2.as_bytes()]),
    };
    core::mem::take(&mut *response)
}

/// The `username` parameter where the server asked for `userhash=true` (RFC 7616 §3.4.4).
pub fn user_hash(hash: HashFunction, username: &str, realm: &str) -> String {
    core::mem::take(&mut *hash.hex(&[username.as_bytes(), realm.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(vector: &'a serde_json::Value, name: &str) -> &'a str {
        vector.get(name).and_then(|value| value.as_str()).unwrap_or("")
    }

    #[test]
    fn the_published_vectors_hold() {
        let json = include_str!("../../tests/corpora/digest/vectors.json");
        let vectors: serde_json::Value = serde_json::from_str(json).unwrap();
        let vectors = vectors.as_array().unwrap();
        assert_eq!(vectors.len(), 16);
        for vector in vectors {
            let algorithm = Algorithm::from_token(text(vector, "alg")).unwrap();
            let password = Secret::new(String::from(text(vector, "p")));
            let ha1 = Ha1::new(algorithm.hash, text(vector, "u"), text(vector, "r"), &password);
            let input = DigestInput {
                algorithm,
                nonce: text(vector, "n"),
                cnonce: text(vector, "cn"),
                nonce_count: u32::from_str_radix(text(vector, "nc"), 16).unwrap_or(0),
                qop: (text(vector, "qop") == "auth").then_some(Qop::Auth),
                method: text(vector, "m"),
                uri: text(vector, "uri"),
                body: b"",
            };
            assert_eq!(response(&ha1, &input), text(vector, "response"), "{vector}");
            if let Some(userhash) = vector.get("userhash").and_then(|v| v.as_str()) {
                let hash = user_hash(algorithm.hash, text(vector, "u"), text(vector, "r"));
                assert_eq!(hash, userhash);
            }
        }
    }

    /// Values computed with Python's hashlib from RFC 7616 §3.4's formulas.
    #[test]
    fn session_keys_and_body_protection() {
        let expected = [
            ("MD5-sess", Qop::Auth, "92b562656bf0d8809d57d29810684fc3"),
            ("MD5", Qop::AuthInt, "6e7e2426ea7d17cbc50902c0f6040340"),
            (
                "SHA-256-sess",
                Qop::AuthInt,
                "3de0c4284cc602a214a2dd7aa375a2eeceddc4822e2d99a6220fc33a8bd78196",
            ),
            (
                "SHA-512-256-sess",
                Qop::Auth,
                "60fb2b8205e9b6b6e2a7f12cb050c703917caae949639cb5474eaad5dcd940c8",
            ),
            (
                "SHA-512-256",
                Qop::AuthInt,
                "4772587c0dfbffde4a9137234d56e067a310e42b2d841b2bdfae1da6011dbd35",
            ),
        ];
        for (token, qop, wanted) in expected {
            let algorithm = Algorithm::from_token(token).unwrap();
            let password = Secret::new(String::from("zanzibar"));
            let ha1 = Ha1::new(algorithm.hash, "alice", "atlanta.example.com", &password);
            let input = DigestInput {
                algorithm,
                nonce: "ea9c8e88df84f1cec4341ae6cbe5a359",
                cnonce: "0a4f113b8e2d",
                nonce_count: 10,
                qop: Some(qop),
                method: "INVITE",
                uri: "sip:bob@biloxi.example.com",
                body: b"v=0\r\n",
            };
            assert_eq!(response(&ha1, &input), wanted, "{token} {qop:?}");
        }
    }

    #[test]
    fn no_secret_in_debug() {
        let ha1 = Ha1::new(HashFunction::Md5, "a", "b", &Secret::new(String::from("c")));
        assert_eq!(format!("{ha1:?}"), "Ha1 { hash: Md5, hex: [redacted] }");
    }
}

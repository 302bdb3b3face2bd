//! Digest authentication, the client's side (RFC 3261 §22, RFC 7616, RFC 8760): which challenge
//! is answered, with which nonce count, and when it is time to stop.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::crypto::digest::{Algorithm, DigestInput, Ha1, HashFunction, Qop, response, user_hash};
use crate::util::{Rng, RngExt, Secret};
use crate::wire::sip::{HeaderName, Message, MessageBuilder};

/// Challenges of one response that are looked at.
const MAX_CHALLENGES: usize = 16;
/// The longest header value with challenges that is looked at.
const MAX_VALUE: usize = 4096;
/// Protection spaces (realms of proxies and servers) that are remembered.
const MAX_SPACES: usize = 8;
/// Fresh nonces for the same realm without a success in between.
const MAX_STALE: u8 = 3;

/// A user name and password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name for authentication.
    pub username: String,
    /// The password.
    pub password: Secret<String>,
    /// The only realm that may be answered; `None` leaves it to the caller's predicate.
    pub realm: Option<String>,
}

/// Why a challenge is not answered. None of these is worth another try by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The response holds no Digest challenge with a supported algorithm and quality.
    #[error("no challenge with a supported algorithm")]
    NoUsableChallenge,
    /// The realm does not belong to this account, or the peer must not see an answer.
    #[error("the challenge's realm does not belong to this account")]
    RealmNotAllowed,
    /// The server has just rejected these credentials (RFC 3261 §22.2).
    #[error("the user name or password was refused")]
    Refused,
}

/// A challenge (RFC 7616 §3.3). Quoted values are kept as they stand between the quotes, so that
/// they are hashed and repeated byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The realm.
    pub realm: String,
    /// The server's nonce.
    pub nonce: String,
    /// Repeated in the answer.
    pub opaque: Option<String>,
    /// The algorithm; MD5 if the challenge names none.
    pub algorithm: Algorithm,
    /// The challenge names its algorithm.
    pub names_algorithm: bool,
    /// The quality to use; `None` is the form of RFC 2069.
    pub qop: Option<Qop>,
    /// The nonce was stale, the credentials were right.
    pub stale: bool,
    /// The server likes the user name hashed.
    pub userhash: bool,
}

impl Challenge {
    /// The usable Digest challenges of one header value. Other schemes, unknown algorithms and
    /// unknown qualities are left out.
    pub fn parse_all(value: &str) -> Vec<Self> {
        let mut challenges = Vec::new();
        if value.len() > MAX_VALUE {
            return challenges;
        }
        let mut params: Vec<(&str, &str)> = Vec::new();
        let mut digest = false;
        for element in Elements(value) {
            let (name, text) = element.split_once('=').unwrap_or((element, ""));
            let mut name = name.trim();
            if let Some((scheme, first)) = name.split_once([' ', '\t']) {
                if digest {
                    challenges.extend(Self::from_params(&params));
                }
                params.clear();
                digest = scheme.eq_ignore_ascii_case("Digest");
                name = first.trim();
            }
            params.push((name, unquoted(text.trim())));
        }
        if digest {
            challenges.extend(Self::from_params(&params));
        }
        challenges.truncate(MAX_CHALLENGES);
        challenges
    }

    fn from_params(params: &[(&str, &str)]) -> Option<Self> {
        let get = |name: &str| {
            params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
        };
        // Repeated between quotes in the answer, so it must not end them.
        let quotable = |name| get(name).filter(|value| is_quotable(value));
        if get("opaque").is_some() && quotable("opaque").is_none() {
            return None;
        }
        let is_true = |name| get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let qop = match get("qop") {
            Some(offered) => {
                let has = |qop: Qop| {
                    offered.split(',').any(|q| q.trim().eq_ignore_ascii_case(qop.as_str()))
                };
                // auth-int only where asked for: servers in the path may change bodies.
                Some([Qop::Auth, Qop::AuthInt].into_iter().find(|qop| has(*qop))?)
            }
            None => None,
        };
        Some(Self {
            realm: quotable("realm")?.into(),
            nonce: quotable("nonce")?.into(),
            opaque: get("opaque").map(Into::into),
            algorithm: Algorithm::from_token(get("algorithm").unwrap_or("MD5"))?,
            names_algorithm: get("algorithm").is_some(),
            qop,
            stale: is_true("stale"),
            userhash: is_true("userhash"),
        })
    }
}

/// The comma-separated elements of a value; commas within quotes do not count.
struct Elements<'a>(&'a str);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        loop {
            if self.0.is_empty() {
                return None;
            }
            let (mut quoted, mut escaped) = (false, false);
            let end = self.0.find(|c| {
                if escaped {
                    escaped = false;
                } else if quoted {
                    escaped = c == '\\';
                    quoted = c != '"';
                } else {
                    quoted = c == '"';
                    return c == ',';
                }
                false
            });
            let (element, rest) = match end {
                Some(at) => (self.0.get(..at)?, self.0.get(at.checked_add(1)?..)?),
                None => (self.0, ""),
            };
            self.0 = rest;
            if !element.trim().is_empty() {
                return Some(element.trim());
            }
        }
    }
}

/// True if the text may stand between quotes as it is.
fn is_quotable(text: &str) -> bool {
    let mut escaped = false;
    let stops = text.chars().any(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    !stops && !escaped
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// The header fields that authenticate one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authorization {
    fields: Vec<(HeaderName, String)>,
}

impl Authorization {
    /// Those that a request was sent with.
    pub fn of_request(request: &Message) -> Self {
        let fields = [HeaderName::Authorization, HeaderName::ProxyAuthorization]
            .into_iter()
            .flat_map(|name| request.headers(name).map(move |value| (name, value.into())))
            .collect();
        Self { fields }
    }

    /// The header fields.
    pub fn fields(&self) -> &[(HeaderName, String)] {
        &self.fields
    }

    /// Puts them into a request, in place of those that it has.
    pub fn apply(&self, request: MessageBuilder) -> MessageBuilder {
        let bare = request.remove(HeaderName::Authorization).remove(HeaderName::ProxyAuthorization);
        self.fields.iter().fold(bare, |request, (name, value)| request.header(*name, value))
    }

    /// The nonce that was answered for this realm.
    fn nonce_for(&self, name: HeaderName, realm: &str) -> Option<&str> {
        self.fields.iter().filter(|(n, _)| *n == name).find_map(|(_, value)| {
            let mut nonce = None;
            let mut matches = false;
            for element in Elements(value.strip_prefix("Digest ").unwrap_or(value)) {
                let (name, text) = element.split_once('=').unwrap_or((element, ""));
                match name.trim() {
                    "realm" => matches = unquoted(text) == realm,
                    "nonce" => nonce = Some(unquoted(text)),
                    _ => {}
                }
            }
            nonce.filter(|_| matches)
        })
    }
}

/// One realm that asked for credentials.
#[derive(Debug, Clone)]
struct Space {
    /// The header field of the answer.
    field: HeaderName,
    challenge: Challenge,
    ha1: Ha1,
    cnonce: String,
    nonce_count: u32,
    /// A request was accepted since the last challenge.
    accepted: bool,
    /// Fresh nonces since the last success.
    renewals: u8,
}

/// The client's side of Digest for one account.
#[derive(Debug, Clone)]
pub struct DigestClient {
    credentials: Credentials,
    spaces: Vec<Space>,
}

impl DigestClient {
    /// A client that has met no challenge yet.
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, spaces: Vec::new() }
    }

    /// Other credentials: all that was learnt from challenges is forgotten.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        *self = Self::new(credentials);
    }

    /// Takes a 401 or 407 response. `sent` is what the refused request carried. `realm_allowed`
    /// says whether the account answers this realm on this flow: only a peer that was verified as
    /// the account's own provider may (a far end that challenges a BYE may not). After `Ok` the
    /// request is sent again with [`authorize`](Self::authorize).
    ///
    /// # Errors
    /// Why the request must not be tried again.
    pub fn handle_challenge(
        &mut self,
        response: &Message,
        sent: &Authorization,
        realm_allowed: impl Fn(&str) -> bool,
        rng: &mut dyn Rng,
    ) -> Result<(), AuthError> {
        let mut error = AuthError::NoUsableChallenge;
        let mut answered = false;
        for (header, field) in [
            (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        ] {
            for challenge in strongest_per_realm(response.headers(header)) {
                let configured = self.credentials.realm.as_ref();
                let belongs = configured.is_none_or(|realm| *realm == challenge.realm);
                if !belongs || !realm_allowed(&challenge.realm) {
                    error = AuthError::RealmNotAllowed;
                    continue;
                }
                self.take(challenge, field, sent, rng)?;
                answered = true;
            }
        }
        if answered { Ok(()) } else { Err(error) }
    }

    /// Takes a challenge that may be answered, unless the same credentials were just refused.
    fn take(
        &mut self,
        challenge: Challenge,
        field: HeaderName,
        sent: &Authorization,
        rng: &mut dyn Rng,
    ) -> Result<(), AuthError> {
        let same = |s: &Space| s.field == field && s.challenge.realm == challenge.realm;
        let known = self.spaces.iter().position(same);
        let mut renewals = 0;
        if let Some(nonce) = sent.nonce_for(field, &challenge.realm) {
            let space = known.and_then(|i| self.spaces.get(i));
            // A nonce that is replaced after the credentials worked has expired, even if the
            // server forgot to say stale=true.
            let worked = space.is_some_and(|s| s.accepted);
            renewals = space.map_or(0, |s| s.renewals).saturating_add(1);
            let fresh = challenge.nonce != nonce && (challenge.stale || worked);
            if !fresh || renewals > MAX_STALE {
                self.spaces.retain(|s| !same(s));
                return Err(AuthError::Refused);
            }
        }
        // The same nonce again: the server counts on (RFC 7616 §3.4).
        let same_nonce =
            known.and_then(|i| self.spaces.get(i)).filter(|s| s.challenge.nonce == challenge.nonce);
        let nonce_count = same_nonce.map_or(0, |s| s.nonce_count);
        let hash = challenge.algorithm.hash;
        let Credentials { username, password, .. } = &self.credentials;
        let space = Space {
            field,
            ha1: Ha1::new(hash, username, &challenge.realm, password),
            cnonce: new_cnonce(rng),
            challenge,
            nonce_count,
            accepted: false,
            renewals,
        };
        match known.and_then(|i| self.spaces.get_mut(i)) {
            Some(entry) => *entry = space,
            None => {
                if self.spaces.len() >= MAX_SPACES {
                    self.spaces.remove(0);
                }
                self.spaces.push(space);
            }
        }
        Ok(())
    }

    /// The header fields for a request, one for every realm met so far; empty before the first
    /// challenge. Each call counts one more use of the nonces, so call it once per request sent.
    pub fn authorize(&mut self, method: &str, uri: &str, body: &[u8]) -> Authorization {
        let username = &self.credentials.username;
        let fields = self
            .spaces
            .iter_mut()
            .map(|space| (space.field, space.answer(username, method, uri, body)))
            .collect();
        Authorization { fields }
    }

    /// Notes that a request with these fields got past authentication (any final response but
    /// 401 and 407).
    pub fn handle_accepted(&mut self, sent: &Authorization) {
        for space in &mut self.spaces {
            let nonce = sent.nonce_for(space.field, &space.challenge.realm);
            if nonce == Some(space.challenge.nonce.as_str()) {
                space.accepted = true;
                space.renewals = 0;
            }
        }
    }

    /// The hash function in use, for reports; `None` before the first challenge.
    pub fn weakest_hash(&self) -> Option<HashFunction> {
        self.spaces.iter().map(|space| space.challenge.algorithm.hash).min()
    }
}

impl Space {
    fn answer(&mut self, username: &str, method: &str, uri: &str, body: &[u8]) -> String {
        self.nonce_count = self.nonce_count.saturating_add(1);
        let challenge = &self.challenge;
        let input = DigestInput {
            algorithm: challenge.algorithm,
            nonce: &challenge.nonce,
            cnonce: &self.cnonce,
            nonce_count: self.nonce_count,
            qop: challenge.qop,
            method,
            uri,
            body,
        };
        let digest = response(&self.ha1, &input);
        let hashed = challenge
            .userhash
            .then(|| user_hash(challenge.algorithm.hash, username, &challenge.realm));
        let mut out = String::with_capacity(320);
        out.push_str("Digest username=\"");
        for c in hashed.as_deref().unwrap_or(username).chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        let (realm, nonce) = (&challenge.realm, &challenge.nonce);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{digest}\""
        );
        if challenge.names_algorithm {
            let _ = write!(out, ", algorithm={}", challenge.algorithm.as_str());
        }
        if challenge.qop.is_some() || challenge.algorithm.session {
            let _ = write!(out, ", cnonce=\"{}\"", self.cnonce);
        }
        if let Some(qop) = challenge.qop {
            let _ = write!(out, ", qop={}, nc={:08x}", qop.as_str(), self.nonce_count);
        }
        if let Some(opaque) = &challenge.opaque {
            let _ = write!(out, ", opaque=\"{opaque}\"");
        }
        if hashed.is_some() {
            out.push_str(", userhash=true");
        }
        out
    }
}

/// For each realm the challenge of the strongest algorithm (RFC 8760 §2.4 leaves the choice to
/// local policy); among equals the topmost.
fn strongest_per_realm<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Challenge> {
    let mut best: Vec<Challenge> = Vec::new();
    for challenge in values.take(MAX_CHALLENGES).flat_map(Challenge::parse_all) {
        let room = best.len() < MAX_SPACES;
        match best.iter_mut().find(|b| b.realm == challenge.realm) {
            Some(b) if challenge.algorithm.hash > b.algorithm.hash => *b = challenge,
            Some(_) => {}
            None if room => best.push(challenge),
            None => {}
        }
    }
    best
}

fn new_cnonce(rng: &mut dyn Rng) -> String {
    let mut out = String::with_capacity(32);
    let _ = write!(out, "{:016x}{:016x}", rng.next_u64(), rng.next_u64());
    out
}

#[cfg(test)]
mod tests;

//! The keys of a stream: which keying an answer takes, and what the answer to our offer means
//! (RFC 4568 §5, RFC 5763 §5, RFC 8643 §3).

use super::dtls_attribute::same_fingerprints;
use super::{
    CryptoAttribute, DtlsRole, Fingerprint, LocalDtls, MediaDescription, MediaSecurity,
    NegotiationError, Setup,
};
use alloc::{string::String, string::ToString, vec::Vec};

/// How the media of both directions is keyed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NegotiatedKeying {
    /// By keys in the signalling (RFC 4568).
    Sdes(SdesKeys),
    /// By a DTLS handshake on the media's path (RFC 5763).
    Dtls(DtlsKeying),
}

impl NegotiatedKeying {
    /// The SDES keys, if it is they.
    pub const fn sdes(&self) -> Option<&SdesKeys> {
        match self {
            Self::Sdes(keys) => Some(keys),
            Self::Dtls(_) => None,
        }
    }

    /// The parties of the DTLS handshake, if that is it.
    pub const fn dtls(&self) -> Option<&DtlsKeying> {
        match self {
            Self::Dtls(keys) => Some(keys),
            Self::Sdes(_) => None,
        }
    }
}

/// The key lines of both directions. One suite serves both.
#[derive(Debug, Clone, PartialEq)]
pub struct SdesKeys {
    /// What this side sends with.
    pub local: CryptoAttribute,
    /// What the peer sends with.
    pub remote: CryptoAttribute,
}

/// The parties of a DTLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsKeying {
    /// What the peer's certificate must match, one of them at least: SHA-256 or stronger only.
    pub fingerprints: Vec<Fingerprint>,
    /// Our role.
    pub role: DtlsRole,
    /// The peer's a=tls-id.
    pub tls_id: Option<String>,
    /// The fingerprints that we declared.
    pub local_fingerprints: Vec<Fingerprint>,
    /// The a=tls-id that we declared.
    pub local_tls_id: Option<String>,
}

impl DtlsKeying {
    /// True if both sides are who they were, whatever their roles. A side that does not say its
    /// identity has not changed it.
    fn same_parties(&self, other: &Self) -> bool {
        same_fingerprints(&self.fingerprints, &other.fingerprints)
            && same_fingerprints(&self.local_fingerprints, &other.local_fingerprints)
            && same_if_said(self.tls_id.as_ref(), other.tls_id.as_ref())
            && same_if_said(self.local_tls_id.as_ref(), other.local_tls_id.as_ref())
    }
}

fn same_if_said(one: Option<&String>, other: Option<&String>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// True if DTLS keys the media and no association is there that goes on (RFC 8842 §3.1). One that
/// goes on keeps the identities that it had.
pub(super) fn begin_or_continue(
    now: Option<&mut NegotiatedKeying>,
    before: Option<&NegotiatedKeying>,
) -> bool {
    let Some(NegotiatedKeying::Dtls(now)) = now else { return false };
    let before = before.and_then(NegotiatedKeying::dtls);
    let Some(before) = before.filter(|b| b.same_parties(now) && b.role == now.role) else {
        return true;
    };
    now.tls_id = now.tls_id.take().or_else(|| before.tls_id.clone());
    now.local_tls_id = now.local_tls_id.take().or_else(|| before.local_tls_id.clone());
    false
}

/// Chooses the keying of an answer: the one in use if it is offered, else the preferred one, else
/// any that is possible, else none where plain RTP is allowed on both sides.
pub(super) fn answer_keys(
    offered: &MediaDescription,
    security: &MediaSecurity,
    in_use: Option<&NegotiatedKeying>,
) -> Result<Option<NegotiatedKeying>, NegotiationError> {
    security.check()?;
    let sdes = answer_sdes(offered, security).map(NegotiatedKeying::Sdes);
    let before = in_use.and_then(NegotiatedKeying::dtls);
    let dtls = answer_dtls(offered, security, before);
    let (dtls, dtls_error) = match dtls {
        Ok(keys) => (keys.map(NegotiatedKeying::Dtls), None),
        Err(error) => (None, Some(error)),
    };
    let prefer_dtls = in_use.map_or(security.prefer_dtls, |keys| keys.dtls().is_some());
    let keys = if prefer_dtls { dtls.or(sdes) } else { sdes.or(dtls) };
    if keys.is_some() {
        return Ok(keys);
    }
    let demanded = offered.profile.is_secure();
    if !demanded && security.plain {
        return Ok(None);
    }
    let has_lines = !offered.crypto.is_empty() || offered.refused_crypto > 0;
    Err(match dtls_error {
        Some(error) => error,
        None if offered.profile.is_dtls() => {
            NegotiationError::Profile(offered.profile.as_str().to_string())
        }
        None if demanded && !security.has_keying() => NegotiationError::EncryptionNotAllowed,
        None if demanded || has_lines => NegotiationError::NoCommonSuite,
        None => NegotiationError::EncryptionRequired,
    })
}

/// Chooses the first offered key line that is usable (RFC 4568 §5.1.2): suite known, its keys of
/// that suite's length. Ours has an identifier if theirs has.
fn answer_sdes(offered: &MediaDescription, security: &MediaSecurity) -> Option<SdesKeys> {
    if offered.profile.is_dtls() {
        return None; // Its name promises another keying (RFC 5764 §8).
    }
    let fresh = |remote: &&CryptoAttribute| !shares_a_key(&security.sdes, remote);
    offered.crypto.iter().filter(fresh).find_map(|remote| {
        let local = security.sdes.iter().find(|local| same_shape(local, remote))?;
        let local = local.mirrored(remote.tag, remote.mki_length());
        Some(SdesKeys { local, remote: remote.clone() })
    })
}

/// Our side of the offered handshake; `None` if DTLS is not offered or not possible here.
fn answer_dtls(
    offered: &MediaDescription,
    security: &MediaSecurity,
    before: Option<&DtlsKeying>,
) -> Result<Option<DtlsKeying>, NegotiationError> {
    let Some(local) = &security.dtls else { return Ok(None) };
    if !offered.has_fingerprint() && !offered.profile.is_dtls() {
        return Ok(None);
    }
    let local_tls_id = offered.tls_id.as_ref().and(local.tls_id.as_ref());
    let mut keys = dtls_keying(offered, local, local_tls_id.cloned())?;
    // RFC 4145 §4: without the attribute an offer means "active".
    keys.role = match offered.setup.unwrap_or(Setup::Active) {
        Setup::ActPass => match before.filter(|before| before.same_parties(&keys)) {
            Some(before) => before.role,
            None => local.role,
        },
        Setup::Active => DtlsRole::Server,
        Setup::Passive => DtlsRole::Client,
        Setup::HoldConn => return Err(NegotiationError::Setup),
    };
    Ok(Some(keys))
}

/// Both parties; the role is the one that we wish for.
fn dtls_keying(
    remote: &MediaDescription,
    local: &LocalDtls,
    local_tls_id: Option<String>,
) -> Result<DtlsKeying, NegotiationError> {
    let strong = remote.fingerprints.iter().filter(|f| f.is_strong());
    let fingerprints: Vec<Fingerprint> = strong.cloned().collect();
    if fingerprints.is_empty() {
        return Err(NegotiationError::NoUsableFingerprint);
    }
    Ok(DtlsKeying {
        fingerprints,
        role: local.role,
        tls_id: remote.tls_id.clone(),
        local_fingerprints: local.fingerprints.clone(),
        local_tls_id,
    })
}

/// What the answer to our line `sent` keys media with. An answer names one keying; where it has
/// both (a fingerprint of the session level beside a=crypto), the profile decides, and without it
/// a=crypto, which names one of our tags.
pub(super) fn answered_keys(
    answered: &MediaDescription,
    sent: &MediaDescription,
    security: &MediaSecurity,
) -> Result<Option<NegotiatedKeying>, NegotiationError> {
    // Key lines answer our own: without any they mean nothing.
    let has_lines =
        !sent.crypto.is_empty() && (!answered.crypto.is_empty() || answered.refused_crypto > 0);
    let dtls_possible = !sent.fingerprints.is_empty() && answered.has_fingerprint();
    if !sent.has_keying() {
        // Nothing to answer to: a stray key line means nothing.
        return if security.plain { Ok(None) } else { Err(NegotiationError::EncryptionRequired) };
    }
    if answered.profile.is_dtls() || (dtls_possible && !has_lines) {
        return answered_dtls(answered, sent, security).map(|k| Some(NegotiatedKeying::Dtls(k)));
    }
    if has_lines {
        return answered_sdes(answered, sent).map(|k| Some(NegotiatedKeying::Sdes(k)));
    }
    match (answered.profile.is_secure(), security.plain) {
        (false, true) => Ok(None),
        _ => Err(NegotiationError::KeysDropped),
    }
}

/// Checks the answered key line against our offer (RFC 4568 §5.1.3).
fn answered_sdes(
    answered: &MediaDescription,
    sent: &MediaDescription,
) -> Result<SdesKeys, NegotiationError> {
    let ([remote], 0) = (answered.crypto.as_slice(), answered.refused_crypto) else {
        return Err(NegotiationError::CryptoAnswer);
    };
    if shares_a_key(&sent.crypto, remote) {
        return Err(NegotiationError::CryptoAnswer);
    }
    let local = sent.crypto.iter().find(|line| line.tag == remote.tag);
    let local = local.filter(|line| same_shape(line, remote));
    let local = local.ok_or(NegotiationError::CryptoAnswer)?.clone();
    Ok(SdesKeys { local, remote: remote.clone() })
}

/// Checks the answered role against our offer (RFC 4145 §4.1).
fn answered_dtls(
    answered: &MediaDescription,
    sent: &MediaDescription,
    security: &MediaSecurity,
) -> Result<DtlsKeying, NegotiationError> {
    let local = security.dtls.as_ref().filter(|_| !sent.fingerprints.is_empty());
    let local = local.ok_or(NegotiationError::NoUsableFingerprint)?;
    let mut keys = dtls_keying(answered, local, sent.tls_id.clone())?;
    // RFC 4145 §4: without the attribute an answer means "passive".
    keys.role = match answered.setup.unwrap_or(Setup::Passive) {
        Setup::Active => DtlsRole::Server,
        Setup::Passive => DtlsRole::Client,
        Setup::ActPass | Setup::HoldConn => return Err(NegotiationError::Setup),
    };
    Ok(keys)
}

/// Same suite, all keys of the same length. What identifiers and lifetimes a line has is declared
/// by each side for its own packets.
fn same_shape(local: &CryptoAttribute, remote: &CryptoAttribute) -> bool {
    local.suite.eq_ignore_ascii_case(&remote.suite)
        && !local.keys.is_empty()
        && !remote.keys.is_empty()
        && local.keys.iter().all(|l| {
            remote
                .keys
                .iter()
                .all(|r| l.key_and_salt.expose().len() == r.key_and_salt.expose().len())
        })
}

/// A peer that sends one of our own keys back, of whatever line, would make both streams use one
/// keystream.
fn shares_a_key(local: &[CryptoAttribute], remote: &CryptoAttribute) -> bool {
    let ours =
        |key: &[u8]| local.iter().flat_map(|line| &line.keys).any(|l| l.key_and_salt.ct_eq(key));
    remote.keys.iter().any(|r| ours(r.key_and_salt.expose()))
}

//! The one gate for a peer's certificate, in full and in resumed handshakes: the chain by webpki
//! (RFC 5280) or the host's verifier, revocation, pins, and the name by RFC 5922.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime as PkiTime};
use webpki::{EndEntityCert, RevocationOptions, VerifiedPath};

use super::certificate::{Names, distinguished_name};
use super::error::{CertificateProblem, bounded};
use super::facts::PeerCertificate;
use super::material::TrustAnchors;
use super::pins::{PinMatch, PinSet, SpkiPin, shown};
use super::provider::TlsProvider;
use super::revocation::{Revocation, RevocationLists};
use super::usage::{Accepted, KeyPurposes};
use crate::crypto::identity::{
    Dialled, MAX_LISTED_NAME_LEN, MAX_LISTED_NAMES, domain_identities, find_match, user_identities,
};
use crate::time::UnixTime;

/// Which side the certificate is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Server,
    Client,
}

/// Everything that a peer's certificate is judged by. It never changes once settings are made,
/// so a session that was resumed under them was judged by the same rules.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) role: Role,
    pub(super) trust: TrustAnchors,
    pub(super) pins: Option<PinSet>,
    pub(super) revocation: RevocationLists,
    pub(super) purposes: KeyPurposes,
    /// Whom a client's certificate must stand for; anybody if empty.
    pub(super) clients: Vec<Dialled>,
    pub(super) provider: TlsProvider,
}

/// What the gate found out about a certificate that passed.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    anchor: String,
    pin: Option<PinMatch>,
    revocation: Revocation,
}

impl Gate {
    /// Judges a peer's chain, its own certificate first, and its name.
    pub(super) fn check(
        &self,
        chain: &[CertificateDer<'_>],
        dialled: Option<&Dialled>,
        now: PkiTime,
    ) -> Result<Verdict, CertificateProblem> {
        let (leaf, rest) = chain.split_first().ok_or(CertificateProblem::Missing)?;
        let verdict = match (self.by_anchors(leaf, rest, now), &self.trust.verifier, dialled) {
            (
                Err(CertificateProblem::UnknownIssuer | CertificateProblem::SelfSigned),
                Some(_),
                Some(dialled),
            ) => self.by_verifier(chain, dialled, now),
            (result, ..) => result,
        }?;
        let names = Names::parse(leaf).ok_or(CertificateProblem::Other("names".into()))?;
        match dialled {
            Some(dialled) => check_name(dialled, &names)?,
            None => self.check_client(&names)?,
        }
        Ok(verdict)
    }

    fn by_anchors(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: PkiTime,
    ) -> Result<Verdict, CertificateProblem> {
        let cert = EndEntityCert::try_from(leaf).map_err(|e| problem(&e, leaf))?;
        let provider = self.provider.rustls();
        let algorithms = provider.signature_verification_algorithms.all;
        let usage = Accepted(self.purposes, self.role);
        let anchors = &self.trust.anchors;
        type Accepts<'a> = Option<&'a dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>>;
        let verify = |revocation: Option<RevocationOptions<'_>>, accepts: Accepts<'_>| {
            cert.verify_for_usage(algorithms, anchors, rest, now, usage, revocation, accepts)
        };
        let lists = self.revocation.lists();
        let judging = self.revocation.judging(&lists);
        if judging.is_none() && !self.revocation.is_empty() {
            // Every issuer must be covered, and there is no list at all.
            return Err(CertificateProblem::RevocationUnknown);
        }
        let mut path = verify(judging, None).map_err(|e| problem(&e, leaf))?;
        let revocation = match self.revocation.covering(&lists) {
            None => Revocation::NotChecked,
            Some(covering) if verify(Some(covering), None).is_ok() => Revocation::NotRevoked,
            Some(_) => Revocation::Unknown,
        };
        let mut pin = None;
        if let Some(pins) = &self.pins {
            // With cross-signed authorities there may be another path, which the pin stands in.
            if pins.find(&path).is_none() {
                let pinned = |path: &VerifiedPath<'_>| match pins.find(path) {
                    Some(_) => Ok(()),
                    None => Err(webpki::Error::UnknownIssuer),
                };
                path = verify(judging, Some(&pinned)).map_err(|_| mismatch(leaf))?;
            }
            pin = Some(pins.find(&path).ok_or_else(|| mismatch(leaf))?);
        }
        Ok(Verdict { anchor: anchor_name(&path), pin, revocation })
    }

    /// Asks the host's verifier, for a chain that leads to no anchor of ours. Which path it took
    /// is not known, so that only the peer's own key can be pinned.
    fn by_verifier(
        &self,
        chain: &[CertificateDer<'_>],
        dialled: &Dialled,
        now: PkiTime,
    ) -> Result<Verdict, CertificateProblem> {
        let verifier = self.trust.verifier.as_ref().ok_or(CertificateProblem::UnknownIssuer)?;
        let leaf = chain.first().ok_or(CertificateProblem::Missing)?;
        let raw: Vec<&[u8]> = chain.iter().map(AsRef::as_ref).collect();
        let anchor = verifier.verify(&raw, dialled, engine_time(now))?;
        let pin = match &self.pins {
            None => None,
            Some(pins) => {
                let key = SpkiPin::of_certificate(leaf).map_err(|_| mismatch(leaf))?;
                Some(pins.find_leaf(key).ok_or_else(|| mismatch(leaf))?)
            }
        };
        let anchor = anchor.chars().take(MAX_LISTED_NAME_LEN).collect();
        Ok(Verdict { anchor, pin, revocation: Revocation::NotChecked })
    }

    /// A client's certificate must stand for one of the expected domains, if there are any
    /// (RFC 5922 §7.4).
    fn check_client(&self, names: &Names<'_>) -> Result<(), CertificateProblem> {
        let expected = |domain: &Dialled| find_match(domain, names.alt_names()).is_some();
        if self.clients.is_empty() || self.clients.iter().any(expected) {
            Ok(())
        } else {
            Err(CertificateProblem::WrongClient { presented: listed(names) })
        }
    }
}

fn check_name(dialled: &Dialled, names: &Names<'_>) -> Result<(), CertificateProblem> {
    match find_match(dialled, names.alt_names()) {
        Some(_) => Ok(()),
        None => Err(CertificateProblem::WrongName {
            dialled: dialled.to_string(),
            presented: listed(names),
        }),
    }
}

fn listed(names: &Names<'_>) -> Vec<String> {
    names.alt_names().take(MAX_LISTED_NAMES).map(|n| n.display()).collect()
}

fn mismatch(leaf: &CertificateDer<'_>) -> CertificateProblem {
    let presented = shown(SpkiPin::of_certificate(leaf).ok());
    CertificateProblem::PinMismatch { presented }
}

fn anchor_name(path: &VerifiedPath<'_>) -> String {
    distinguished_name(path.anchor().subject.as_ref())
}

fn engine_time(now: PkiTime) -> UnixTime {
    let micros = Duration::from_secs(now.as_secs()).as_micros();
    UnixTime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

fn problem(error: &webpki::Error, leaf: &CertificateDer<'_>) -> CertificateProblem {
    use webpki::Error as E;
    let self_issued = || Names::parse(leaf).is_some_and(|n| n.is_self_issued());
    match error {
        E::CertExpired { .. } => CertificateProblem::Expired,
        E::CertNotValidYet { .. } => CertificateProblem::NotYetValid,
        E::CertRevoked => CertificateProblem::Revoked,
        E::CrlExpired { .. } => CertificateProblem::RevocationListExpired,
        E::UnknownRevocationStatus => CertificateProblem::RevocationUnknown,
        E::InvalidCrlSignatureForPublicKey
        | E::IssuerNotCrlSigner
        | E::UnsupportedCrlSignatureAlgorithmContext(_)
        | E::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            CertificateProblem::RevocationListForged
        }
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => CertificateProblem::WrongUsage,
        E::UnknownIssuer | E::CaUsedAsEndEntity if self_issued() => CertificateProblem::SelfSigned,
        E::UnknownIssuer => CertificateProblem::UnknownIssuer,
        E::InvalidSignatureForPublicKey => CertificateProblem::BadSignature,
        other => CertificateProblem::Other(bounded(other)),
    }
}

/// The facts of a certificate that passed the gate.
pub(super) fn peer_facts(
    leaf: &CertificateDer<'_>,
    dialled: Option<&Dialled>,
    verdict: &Verdict,
) -> Option<PeerCertificate> {
    let names = Names::parse(leaf)?;
    Some(PeerCertificate {
        subject: names.subject(),
        names: listed(&names),
        domains: domain_identities(names.alt_names()),
        users: user_identities(names.alt_names()),
        matched: dialled.and_then(|d| find_match(d, names.alt_names())),
        anchor: verdict.anchor.clone(),
        key: SpkiPin::of_spki_content(names.spki()),
        pin: verdict.pin,
        revocation: verdict.revocation,
    })
}

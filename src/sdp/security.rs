//! Which media security the local side can do, allows and offers.

use super::{
    CryptoAttribute, DtlsRole, Fingerprint, NegotiatedKeying, NegotiatedMedia, NegotiationError,
    Profile, is_tls_id,
};
use alloc::{string::String, vec::Vec};

/// How an offer asks for SRTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OfferShape {
    /// RTP/AVP without keys.
    Plain,
    /// RTP/AVP with all the keys there are, a=crypto and a=fingerprint (RFC 8643 §3): a peer that
    /// does not know them answers in the clear.
    Opportunistic,
    /// A profile that demands SRTP: RTP/SAVP with a=crypto if there are SDES keys, else
    /// UDP/TLS/RTP/SAVP with a=fingerprint ([`MediaSecurity::prefer_dtls`] turns it round).
    Secure,
    /// Two m= lines on the same ports: the first as [`Secure`](Self::Secure), the second as
    /// [`Plain`](Self::Plain). The peer shall accept one. A first line under RTP/SAVP has the
    /// fingerprint beside the SDES keys: who may not answer those, because it cannot tell who
    /// calls, need not take the plain line.
    Dual,
}

/// Which media security is possible in this negotiation: what an offer asks for, and what an
/// answer may take. Policy is made elsewhere; SDES lines are given only where the signalling may
/// carry keys (RFC 4568 §8.3).
///
/// The key lines need a fresh key for every new session and fork (RFC 4568 §7.3), and stay the
/// same in a re-offer that shall not rekey.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaSecurity {
    /// How our offers ask for SRTP. Once media is SRTP, re-offers keep the profile agreed on.
    pub shape: OfferShape,
    /// The local key lines in order of preference; empty if SDES is not possible.
    pub sdes: Vec<CryptoAttribute>,
    /// Our side of a DTLS handshake; `None` if DTLS-SRTP is not possible.
    pub dtls: Option<LocalDtls>,
    /// Plain RTP is allowed: offers without keys are answered, and answers without keys taken.
    pub plain: bool,
    /// Where both are possible, DTLS-SRTP is taken; otherwise SDES is.
    pub prefer_dtls: bool,
}

/// Our side of a DTLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDtls {
    /// The fingerprints of our certificates; at least one of SHA-256 or stronger.
    pub fingerprints: Vec<Fingerprint>,
    /// The role that we choose where the peer leaves it to us. An association that exists keeps
    /// its role.
    pub role: DtlsRole,
    /// The identity of the association for a=tls-id (RFC 8842): a new random value asks for a new
    /// association. An answer has it only if the offer has one.
    pub tls_id: Option<String>,
}

impl LocalDtls {
    /// Our fingerprints; we start the handshake where the peer lets us (RFC 5763 §5).
    pub const fn new(fingerprints: Vec<Fingerprint>) -> Self {
        Self { fingerprints, role: DtlsRole::Client, tls_id: None }
    }
}

impl MediaSecurity {
    /// Plain RTP. Offered keys are left unanswered; an offer of SRTP alone is refused.
    pub const fn plain() -> Self {
        Self {
            shape: OfferShape::Plain,
            sdes: Vec::new(),
            dtls: None,
            plain: true,
            prefer_dtls: false,
        }
    }

    /// SRTP or no media. Needs [`with_sdes`](Self::with_sdes), [`with_dtls`](Self::with_dtls) or
    /// both.
    pub fn required() -> Self {
        Self { shape: OfferShape::Secure, plain: false, ..Self::plain() }
    }

    /// SRTP if the peer can, in RTP/AVP (RFC 8643); whatever the peer offers is accepted,
    /// encrypted in preference. Without keys it is [`plain`](Self::plain).
    pub fn opportunistic() -> Self {
        Self { shape: OfferShape::Opportunistic, ..Self::plain() }
    }

    /// SRTP with these SDES keys or no media.
    pub fn sdes(lines: Vec<CryptoAttribute>) -> Self {
        Self::required().with_sdes(lines)
    }

    /// SRTP with these SDES keys if the peer can.
    pub fn sdes_if_possible(lines: Vec<CryptoAttribute>) -> Self {
        Self::opportunistic().with_sdes(lines)
    }

    /// The same with these SDES key lines.
    #[must_use]
    pub fn with_sdes(self, lines: Vec<CryptoAttribute>) -> Self {
        Self { sdes: lines, ..self }
    }

    /// The same with DTLS-SRTP.
    #[must_use]
    pub fn with_dtls(self, dtls: LocalDtls) -> Self {
        Self { dtls: Some(dtls), ..self }
    }

    /// The same with another shape of offers.
    #[must_use]
    pub fn with_shape(self, shape: OfferShape) -> Self {
        Self { shape, ..self }
    }

    /// The same, DTLS-SRTP before SDES.
    #[must_use]
    pub fn preferring_dtls(self) -> Self {
        Self { prefer_dtls: true, ..self }
    }

    /// True if some way to key SRTP is given.
    pub const fn has_keying(&self) -> bool {
        !self.sdes.is_empty() || self.dtls.is_some()
    }

    /// What every offer and answer needs.
    pub(super) fn check(&self) -> Result<(), NegotiationError> {
        if !self.plain && !self.has_keying() {
            return Err(NegotiationError::NoLocalKeys);
        }
        let usable = |dtls: &LocalDtls| {
            dtls.fingerprints.iter().any(Fingerprint::is_strong)
                && dtls.tls_id.as_deref().is_none_or(is_tls_id)
        };
        if self.dtls.as_ref().is_some_and(|dtls| !usable(dtls)) {
            return Err(NegotiationError::BadLocalDtls);
        }
        Ok(())
    }

    /// The lines of an offer: their profile and whether they have the SDES lines and the
    /// fingerprints. `agreed` is what is in use.
    pub(super) fn offered(
        &self,
        agreed: Option<&NegotiatedMedia>,
    ) -> Result<Vec<OfferedKeying>, NegotiationError> {
        self.check()?;
        let feedback = agreed.is_some_and(|media| media.profile.has_feedback());
        let plain = OfferedKeying { profile: Profile::plain(feedback), sdes: false, dtls: false };
        let keys = agreed.and_then(|media| Some((media, media.keys.as_ref()?)));
        if let Some((media, keys)) = keys.filter(|_| self.has_keying()) {
            return Ok(alloc::vec![self.kept(&media.profile, keys)]);
        }
        let shape = if self.has_keying() { self.shape } else { OfferShape::Plain };
        if !self.plain && matches!(shape, OfferShape::Plain | OfferShape::Dual) {
            return Err(NegotiationError::PlainNotAllowed);
        }
        Ok(match shape {
            OfferShape::Plain => alloc::vec![plain],
            OfferShape::Opportunistic => alloc::vec![OfferedKeying {
                sdes: !self.sdes.is_empty(),
                dtls: self.dtls.is_some(),
                ..plain
            }],
            OfferShape::Secure => alloc::vec![self.either(feedback)],
            OfferShape::Dual => alloc::vec![self.either(feedback), plain],
        })
    }

    /// A profile that demands SRTP. A fingerprint stands beside SDES keys as well: a peer that
    /// knows DTLS alone, or may not answer keys over this signalling, takes that.
    fn either(&self, feedback: bool) -> OfferedKeying {
        let secure = self.secure(self.prefer_dtls, feedback);
        OfferedKeying { dtls: self.dtls.is_some(), ..secure }
    }

    /// Media that is SRTP keeps its profile and its keying (RFC 8643 §3.2), unless the keying is
    /// no longer possible here.
    fn kept(&self, profile: &Profile, keys: &NegotiatedKeying) -> OfferedKeying {
        let dtls_in_use = matches!(keys, NegotiatedKeying::Dtls(_));
        let kept = self.secure(dtls_in_use, profile.has_feedback());
        if kept.dtls == dtls_in_use || !profile.is_secure() {
            return OfferedKeying { profile: profile.clone(), ..kept };
        }
        kept
    }

    /// One keying under a profile that demands it.
    fn secure(&self, prefer_dtls: bool, feedback: bool) -> OfferedKeying {
        let dtls = self.dtls.is_some() && (prefer_dtls || self.sdes.is_empty());
        OfferedKeying { profile: Profile::secure(dtls, feedback), sdes: !dtls, dtls }
    }
}

/// The keying of one offered line.
#[derive(Debug)]
pub(super) struct OfferedKeying {
    pub(super) profile: Profile,
    pub(super) sdes: bool,
    pub(super) dtls: bool,
}

//! The one gate: what a policy lets through, for signalling and media, inbound and outbound.
//!
//! Everything that decides about protection asks here: which transports may carry signalling,
//! which keys may be offered and taken, whether plain RTP is possible at all. The permit without
//! which no plain packet can be made is issued here and nowhere else.

use alloc::vec::Vec;

use super::policy::SecurityPolicy;
use crate::sdp::{OfferShape, OfferSummary};
use crate::sip::Transport;
use crate::wire::sip::Message;

/// How far the signalling of a call can be trusted with keys.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Trust {
    /// It travels in the clear.
    Clear,
    /// TLS, but the far end of the connection proved no identity.
    Unverified,
    /// TLS, and the far end proved who it is.
    Verified,
}

impl Trust {
    /// Under TLS, whoever is at the other end.
    pub(crate) fn is_encrypted(self) -> bool {
        self > Self::Clear
    }

    /// The last look at a message that is about to leave, request or response: keys go only to a
    /// peer that proved who it is (RFC 4568 §8.3), whoever wrote the message, and whatever could be
    /// trusted when it was written.
    pub(crate) fn may_carry(self, message: &Message) -> bool {
        self == Self::Verified || !has_keys(message)
    }
}

/// True if a message, whatever it is, has keys for SRTP in its body.
fn has_keys(message: &Message) -> bool {
    message.body_has(b"a=crypto:")
}

/// How our offers ask for SRTP where the policy prefers it and does not demand it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum MediaOffer {
    /// RTP/AVP with keys beside (RFC 8643): one offer that every peer understands.
    #[default]
    Opportunistic,
    /// A profile that demands SRTP first; plain RTP only after a 415, 488 or 606.
    SecureFirst,
    /// Two m= lines, a secure one and a plain one.
    Dual,
}

/// What is known when the gate is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gate {
    pub(crate) policy: SecurityPolicy,
    pub(crate) trust: Trust,
    pub(crate) offer: MediaOffer,
    /// Offers of this call that were refused for their media.
    pub(crate) attempt: u8,
}

/// What the gate lets through in one offer or answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MediaGrant {
    pub(crate) shape: OfferShape,
    /// Keys in the session description (RFC 4568 §8.3: only where nobody else reads them).
    pub(crate) sdes: bool,
    /// Keys by a DTLS handshake.
    pub(crate) dtls: bool,
    /// Plain RTP.
    pub(crate) plain: bool,
}

const PLAIN: MediaGrant =
    MediaGrant { shape: OfferShape::Plain, sdes: false, dtls: false, plain: true };

impl SecurityPolicy {
    /// The transports that signalling may use, best first.
    pub const fn transports(self) -> &'static [Transport] {
        match self {
            Self::Required => &[Transport::Tls],
            Self::Preferred => &[Transport::Tls, Transport::Tcp, Transport::Udp],
            Self::Off => &[Transport::Udp, Transport::Tcp, Transport::Tls],
        }
    }

    /// Those of them that an account bound to one transport, or a call that must not leave TLS,
    /// may use.
    pub(crate) fn transports_for(self, bound: Option<Transport>, secure: bool) -> Vec<Transport> {
        let fits = |t: &Transport| bound.is_none_or(|b| b == *t) && (!secure || t.is_secure());
        self.transports().iter().copied().filter(fits).collect()
    }
}

impl Gate {
    /// Is the signalling itself allowed? `Err` is the reason in words.
    pub(crate) fn check_signalling(self) -> Result<(), &'static str> {
        match (self.policy, self.trust) {
            (SecurityPolicy::Required, Trust::Clear) => {
                Err("TLS is required, and the connection has none")
            }
            _ => Ok(()),
        }
    }

    /// What we may offer. `protected` tells whether this call's media is SRTP: it never goes back
    /// (a sticky floor).
    pub(crate) fn for_offer(self, protected: bool) -> Result<MediaGrant, &'static str> {
        self.check_signalling()?;
        if protected {
            return Ok(self.secure());
        }
        self.offer_at(self.attempt).ok_or("SRTP is required, and the far end refuses it")
    }

    /// Keys by whatever way there is, and nothing in the clear.
    fn secure(self) -> MediaGrant {
        let sdes = self.trust == Trust::Verified;
        MediaGrant { shape: OfferShape::Secure, sdes, dtls: true, plain: false }
    }

    /// The offers that a call makes one after the other, while they are refused for their media.
    fn offer_at(self, attempt: u8) -> Option<MediaGrant> {
        let mixed = |shape| Some(MediaGrant { shape, plain: true, ..self.secure() });
        match (self.policy, self.offer, attempt) {
            (SecurityPolicy::Off, _, 0) => Some(PLAIN),
            (SecurityPolicy::Off, ..) => None,
            (SecurityPolicy::Required, ..) => self.secure_offer_at(attempt),
            (_, MediaOffer::SecureFirst, n) if n == self.secure_offers() => Some(PLAIN),
            (_, MediaOffer::SecureFirst, n) => self.secure_offer_at(n),
            // Who refuses these may be set to encrypt or not to talk, or to know one m= line.
            (_, MediaOffer::Opportunistic, 0) => mixed(OfferShape::Opportunistic),
            (_, MediaOffer::Opportunistic, n) => self.secure_offer_at(n.saturating_sub(1)),
            (_, MediaOffer::Dual, 0) => mixed(OfferShape::Dual),
            (_, MediaOffer::Dual, 1) => mixed(OfferShape::Opportunistic),
            (_, MediaOffer::Dual, n) => self.secure_offer_at(n.saturating_sub(2)),
        }
    }

    /// Offers that demand SRTP: first with keys in the description and a fingerprint beside, if
    /// that may be, then by DTLS alone.
    fn secure_offer_at(self, attempt: u8) -> Option<MediaGrant> {
        let sdes = self.secure().sdes && attempt == 0;
        (attempt < self.secure_offers()).then_some(MediaGrant { sdes, ..self.secure() })
    }

    fn secure_offers(self) -> u8 {
        if self.secure().sdes { 2 } else { 1 }
    }

    /// True if a refusal of our offer's media leaves another way to ask.
    pub(crate) fn has_another_attempt(self) -> bool {
        self.offer_at(self.attempt.saturating_add(1)).is_some()
    }

    /// What we may answer to an offer.
    pub(crate) fn for_answer(
        self,
        offered: &OfferSummary,
        protected: bool,
    ) -> Result<MediaGrant, &'static str> {
        self.check_signalling()?;
        let grant = MediaGrant {
            shape: OfferShape::Plain,
            sdes: self.trust == Trust::Verified,
            dtls: true,
            plain: !protected && self.policy != SecurityPolicy::Required,
        };
        let keys = (grant.sdes && knows_a_suite(offered)) || (grant.dtls && offered.dtls);
        match () {
            () if keys || grant.plain => Ok(grant),
            () if protected => Err("the call is encrypted and stays so"),
            () if knows_a_suite(offered) => {
                Err("keys in the session description need a caller who is verified")
            }
            () => Err("SRTP is required, and no keys were offered"),
        }
    }

    /// May an answer to our offer stand that has keys, or has none?
    pub(crate) fn check_answer(self, keys: bool, granted: MediaGrant) -> Result<(), &'static str> {
        self.check_signalling()?;
        if keys || granted.plain {
            return Ok(());
        }
        Err(self.without_keys(true))
    }

    /// Why an answer without keys is refused. `protected`: the call was encrypted before.
    pub(crate) fn without_keys(self, protected: bool) -> &'static str {
        match self.policy {
            SecurityPolicy::Required => {
                "encryption is required, and the answer has no keys (declined, or taken out on the way)"
            }
            _ if protected => "the call is encrypted and stays so",
            _ => "an encrypted call was asked for, and the answer has no keys",
        }
    }
}

fn knows_a_suite(offered: &OfferSummary) -> bool {
    offered.suites.iter().any(|name| crate::crypto::srtp::Suite::from_sdp_name(name).is_some())
}

/// The only place that permits plain packets.
#[allow(clippy::disallowed_methods)]
pub(crate) fn plain_permit(grant: MediaGrant) -> Option<crate::crypto::srtp::PlainPermit> {
    grant.plain.then(crate::crypto::srtp::PlainPermit::issue)
}

#[cfg(test)]
mod tests {
    use super::*;
    use SecurityPolicy::{Off, Preferred, Required};
    use alloc::string::ToString;
    use alloc::vec;

    fn gate(policy: SecurityPolicy, trust: Trust) -> Gate {
        Gate { policy, trust, offer: MediaOffer::Opportunistic, attempt: 0 }
    }

    const ALL: [SecurityPolicy; 3] = [Off, Preferred, Required];
    const TRUSTS: [Trust; 3] = [Trust::Clear, Trust::Unverified, Trust::Verified];

    fn offered(sdes: bool, dtls: bool) -> OfferSummary {
        let mut summary = OfferSummary::default();
        (summary.has_audio, summary.dtls) = (true, dtls);
        summary.suites = if sdes { vec!["AEAD_AES_256_GCM".to_string()] } else { vec![] };
        summary
    }

    #[test]
    fn keys_go_into_descriptions_only_where_the_peer_is_verified() {
        for policy in ALL {
            for trust in TRUSTS {
                for protected in [false, true] {
                    let verified = trust == Trust::Verified;
                    let gate = gate(policy, trust);
                    for grant in [
                        gate.for_offer(protected),
                        gate.for_answer(&offered(true, true), protected),
                    ] {
                        assert!(grant.is_err() || !grant.unwrap().sdes || verified);
                    }
                }
            }
        }
    }

    #[test]
    fn required_means_tls_and_srtp_both_ways() {
        assert!(gate(Required, Trust::Clear).for_offer(false).is_err());
        assert!(gate(Required, Trust::Clear).for_answer(&offered(true, true), false).is_err());
        for trust in [Trust::Unverified, Trust::Verified] {
            let gate = gate(Required, trust);
            let grant = gate.for_offer(false).unwrap();
            assert!(!grant.plain && grant.shape == OfferShape::Secure);
            assert!(plain_permit(grant).is_none());
            assert!(gate.check_answer(false, grant).is_err());
            assert!(gate.for_answer(&offered(false, false), false).is_err());
            assert!(!gate.for_answer(&offered(false, true), false).unwrap().plain);
            let sdes = gate.for_answer(&offered(true, false), false);
            assert_eq!(sdes.is_ok(), trust == Trust::Verified);
        }
        assert_eq!(Required.transports(), [Transport::Tls]);
    }

    #[test]
    fn a_floor_once_reached_holds_under_every_policy() {
        for policy in ALL {
            let gate = gate(policy, Trust::Verified);
            let grant = gate.for_offer(true).unwrap();
            assert!(!grant.plain && plain_permit(grant).is_none());
            assert!(gate.check_answer(false, grant).is_err());
            assert!(gate.for_answer(&offered(false, false), true).is_err());
        }
    }

    #[test]
    fn preferred_completes_every_call_and_off_offers_nothing() {
        for trust in TRUSTS {
            let gate = gate(Preferred, trust);
            let grant = gate.for_offer(false).unwrap();
            assert_eq!(grant.shape, OfferShape::Opportunistic);
            assert!(grant.plain && grant.dtls);
            assert!(gate.check_answer(false, grant).is_ok());
            assert!(gate.for_answer(&offered(false, false), false).unwrap().plain);
            assert_eq!(super::Gate { policy: Off, ..gate }.for_offer(false), Ok(PLAIN));
        }
        let first = Gate { offer: MediaOffer::SecureFirst, ..gate(Preferred, Trust::Verified) };
        assert!(!first.for_offer(false).unwrap().plain && first.has_another_attempt());
        let second = Gate { attempt: 1, ..first };
        let grant = second.for_offer(false).unwrap();
        assert!(!grant.sdes && grant.dtls && !grant.plain && second.has_another_attempt());
        let third = Gate { attempt: 2, ..first };
        assert_eq!(third.for_offer(false), Ok(PLAIN));
        assert!(!third.has_another_attempt());
        let clear = Gate { trust: Trust::Clear, ..second };
        assert_eq!(clear.for_offer(false), Ok(PLAIN));
        let required = gate(Required, Trust::Verified);
        assert!(required.has_another_attempt());
        let second = Gate { attempt: 1, ..required };
        assert!(!second.for_offer(false).unwrap().sdes && !second.has_another_attempt());
    }

    #[test]
    fn a_peer_that_refuses_a_mixed_offer_is_asked_for_srtp_alone_and_never_for_less() {
        for (offer, shapes) in [
            (MediaOffer::Opportunistic, vec![OfferShape::Opportunistic]),
            (MediaOffer::Dual, vec![OfferShape::Dual, OfferShape::Opportunistic]),
        ] {
            for trust in TRUSTS {
                let at = |attempt: usize| {
                    let attempt = u8::try_from(attempt).unwrap();
                    super::Gate { offer, attempt, ..gate(Preferred, trust) }
                };
                for (n, shape) in shapes.iter().enumerate() {
                    assert_eq!(at(n).for_offer(false).unwrap().shape, *shape);
                    assert!(at(n).has_another_attempt());
                }
                let ways: &[bool] =
                    if trust == Trust::Verified { &[true, false] } else { &[false] };
                for (n, sdes) in ways.iter().enumerate() {
                    let at = at(shapes.len() + n);
                    let secure =
                        MediaGrant { shape: OfferShape::Secure, sdes: *sdes, ..at.secure() };
                    assert_eq!(at.for_offer(false), Ok(secure));
                    assert!(!secure.plain && secure.dtls);
                    assert_eq!(at.has_another_attempt(), n + 1 < ways.len());
                }
                assert!(at(shapes.len() + ways.len()).for_offer(false).is_err());
            }
        }
        assert!(!gate(Off, Trust::Clear).has_another_attempt());
    }
}

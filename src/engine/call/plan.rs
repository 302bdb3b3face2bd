//! What was agreed about a call's media, ready to be carried out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::media::negotiation;
use super::refusal::Refusal;
use crate::crypto::dtls::{DtlsRole, Fingerprints};
use crate::crypto::srtp::{KeyError, KeyInfo, KeySet, MasterKey, MasterKeyId, Suite};
use crate::engine::gate::MediaGrant;
use crate::media::codec::CodecId;
use crate::sdp::{
    CryptoAttribute, DtlsKeying, NegotiatedKeying, NegotiatedMedia, NegotiationError, SdpFault,
};

/// What was agreed, ready to be carried out by a media session.
#[derive(Clone, Debug)]
pub(in crate::engine) struct MediaPlan {
    pub(in crate::engine) agreed: NegotiatedMedia,
    pub(in crate::engine) codec: CodecId,
    /// `None`: plain RTP.
    pub(in crate::engine) keys: Option<PlanKeys>,
    pub(in crate::engine) grant: MediaGrant,
    /// We answered: the peer cannot take packets of a new key of ours before it has our answer.
    pub(in crate::engine) answering: bool,
    /// The far end is another one than before: another fork of our INVITE answered.
    pub(in crate::engine) other_end: bool,
}

impl MediaPlan {
    /// What follows from an agreement, if it can be carried out.
    pub(super) fn of(
        agreed: NegotiatedMedia,
        grant: MediaGrant,
        answering: bool,
        other_end: bool,
    ) -> Result<Self, Refusal> {
        let codec = agreed
            .codecs
            .iter()
            .find_map(|c| CodecId::from_rtpmap(&c.name, c.clock_rate))
            .ok_or(NegotiationError::NoCommonCodec)?;
        let keys = match &agreed.keys {
            None => None,
            Some(NegotiatedKeying::Sdes(keys)) => {
                Some(PlanKeys::Sdes(key_set(&keys.local)?, key_set(&keys.remote)?))
            }
            Some(NegotiatedKeying::Dtls(keys)) => {
                Some(PlanKeys::Dtls(dtls_plan(keys, agreed.new_association)?))
            }
        };
        Ok(Self { agreed, codec, keys, grant, answering, other_end })
    }
}

/// Where a stream's keys come from.
#[derive(Clone, Debug)]
pub(in crate::engine) enum PlanKeys {
    /// From the session descriptions: what we send with, what we receive with.
    Sdes(KeySet, KeySet),
    /// From a DTLS handshake.
    Dtls(DtlsPlan),
    /// The call is over: there were keys, and they are forgotten.
    Gone,
}

/// A DTLS handshake to be made, or one that goes on.
#[derive(Clone, Debug)]
pub(in crate::engine) struct DtlsPlan {
    pub(in crate::engine) fingerprints: Fingerprints,
    pub(in crate::engine) role: DtlsRole,
    /// A new association; otherwise the one that is there goes on.
    pub(in crate::engine) fresh: bool,
}

fn dtls_plan(keys: &DtlsKeying, fresh: bool) -> Result<DtlsPlan, Refusal> {
    let values: Vec<String> = keys.fingerprints.iter().map(ToString::to_string).collect();
    let fingerprints = Fingerprints::parse_all(values.iter().map(String::as_str))
        .map_err(|error| Refusal::new(negotiation(error), SdpFault::NoUsableFingerprint))?;
    let role = match keys.role {
        crate::sdp::DtlsRole::Client => DtlsRole::Active,
        crate::sdp::DtlsRole::Server => DtlsRole::Passive,
    };
    Ok(DtlsPlan { fingerprints, role, fresh })
}

/// The keys of a line for the SRTP context, with identifiers and lifetimes.
fn key_set(attribute: &CryptoAttribute) -> Result<KeySet, Refusal> {
    let bad = || Refusal::new(negotiation("unusable SRTP key"), SdpFault::NoCommonSuite);
    let suite = Suite::from_sdp_name(&attribute.suite).ok_or_else(bad)?;
    let keys = attribute.keys.iter().map(|key| {
        let mut info = KeyInfo::new(MasterKey::new(suite, key.key_and_salt.expose())?);
        if let Some(lifetime) = key.lifetime {
            info = info.with_lifetime(lifetime.packets())?;
        }
        if let Some(mki) = key.mki {
            info = info.with_mki(MasterKeyId::from_number(mki.value, mki.length)?);
        }
        Ok(info)
    });
    let keys: Result<_, KeyError> = keys.collect();
    let set = keys.and_then(KeySet::new).map_err(|_| bad())?;
    Ok(match attribute.window_size_hint {
        Some(hint) => set.with_window(hint.into()),
        None => set,
    })
}

//! The negotiation of a call's media: our descriptions, and what those of the far end mean.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use super::plan::{MediaPlan, PlanKeys};
use super::refusal::Refusal;
use crate::crypto::srtp::{MasterKey, Suite};
use crate::engine::audio::{AudioOptions, Beside};
use crate::engine::config::Codec;
use crate::engine::event::FailureReason;
use crate::engine::gate::{Gate, MediaGrant};
use crate::sdp::{
    CryptoAttribute, Direction, InlineKey, Lifetime, LocalDtls, LocalMedia, MediaSecurity,
    NegotiatedKeying, NegotiatedMedia, NegotiationError, NegotiationState, Negotiator,
    OfferSummary, SdesKeys, SdpFault, SessionDescription,
};
use crate::util::{Rng, RngExt, Secret};

/// Key lines of one description that are counted at most when they are passed over.
const MAX_COUNTED_LINES: usize = 64;

/// How our key lines look.
#[derive(Clone, Debug)]
pub(in crate::engine) struct SrtpOptions {
    /// Suites offered, the preferred one first.
    pub(in crate::engine) offered: Vec<Suite>,
    /// Suites that an offer may ask for; the offerer's order counts (RFC 4568 §5.1.2).
    pub(in crate::engine) accepted: Vec<Suite>,
    /// Packets that one key of ours may protect; `None`: as many as SRTP allows.
    pub(in crate::engine) lifetime: Option<u64>,
}

impl SrtpOptions {
    fn fresh_line(&self, tag: u32, suite: Suite, rng: &mut dyn Rng) -> CryptoAttribute {
        let key = Secret::new(MasterKey::generate(suite, rng).expose().to_vec());
        let mut line = CryptoAttribute::new(tag, suite.sdp_name(), key);
        line.keys.iter_mut().for_each(|key| key.lifetime = self.lifetime.map(Lifetime::Packets));
        line
    }
}

/// The media of one call: negotiation and its outcome.
#[derive(Debug)]
pub(in crate::engine) struct CallMedia {
    negotiator: Option<Negotiator>,
    /// The negotiator with our offer open, for the answers of several forks.
    offered: Option<Negotiator>,
    answered_by: String,
    /// What the forks of our offer send with, by their tags.
    fork_keys: Vec<(String, Vec<InlineKey>)>,
    offered_grant: Option<MediaGrant>,
    /// Those of our DTLS identity.
    fingerprints: Vec<crate::sdp::Fingerprint>,
    codecs: Vec<Codec>,
    /// What `codecs` were before the offer that is open.
    codecs_before: Option<Vec<Codec>>,
    audio: AudioOptions,
    /// Of the host's PCM, in Hz.
    sample_rate: u32,
    srtp: SrtpOptions,
    locals: Option<(SocketAddr, SocketAddr)>,
    lines: Vec<CryptoAttribute>,
    hold: bool,
    /// What `hold` was before the offer that is open.
    held_before: bool,
    plan: Option<MediaPlan>,
    fresh: Option<MediaPlan>,
    running: bool,
    stopped: bool,
    /// Descriptions of the far end that were refused, to be counted.
    faults: Vec<SdpFault>,
}

impl CallMedia {
    pub(in crate::engine) fn new(
        codecs: Vec<Codec>,
        fingerprints: Vec<crate::sdp::Fingerprint>,
        srtp: SrtpOptions,
    ) -> Self {
        Self {
            negotiator: None,
            offered: None,
            answered_by: String::new(),
            fork_keys: Vec::new(),
            offered_grant: None,
            fingerprints,
            codecs,
            codecs_before: None,
            audio: AudioOptions::default(),
            sample_rate: 16_000,
            srtp,
            locals: None,
            lines: Vec::new(),
            hold: false,
            held_before: false,
            plan: None,
            fresh: None,
            running: false,
            stopped: false,
            faults: Vec::new(),
        }
    }

    /// The media sockets are bound.
    pub(in crate::engine) fn set_locals(&mut self, rtp: SocketAddr, rtcp: SocketAddr) {
        self.locals = Some((rtp, rtcp));
    }
    /// The fingerprints of our DTLS identity, for a call that began without.
    pub(in crate::engine) fn set_fingerprints(&mut self, own: Vec<crate::sdp::Fingerprint>) {
        self.fingerprints = own;
    }
    pub(in crate::engine) fn set_codecs(&mut self, codecs: Vec<Codec>) {
        self.codecs = codecs;
    }
    /// Other codecs for the next offer; if it is refused, those of before hold.
    pub(super) fn try_codecs(&mut self, codecs: Vec<Codec>) {
        self.codecs_before = Some(core::mem::replace(&mut self.codecs, codecs));
    }
    pub(in crate::engine) fn set_audio(&mut self, audio: AudioOptions) {
        self.audio = audio;
    }
    pub(in crate::engine) fn audio(&self) -> &AudioOptions {
        &self.audio
    }
    pub(in crate::engine) fn set_sample_rate(&mut self, rate: u32) {
        self.sample_rate = rate;
    }
    /// What a media session must now do; given once per change.
    pub(in crate::engine) fn take_plan(&mut self) -> Option<MediaPlan> {
        self.fresh.take()
    }
    pub(in crate::engine) fn plan(&self) -> Option<&MediaPlan> {
        self.plan.as_ref()
    }
    pub(in crate::engine) fn is_running(&self) -> bool {
        self.running
    }
    /// The answer in force came from the fork with this tag.
    pub(in crate::engine) fn is_answered_by(&self, tag: &str) -> bool {
        self.running && self.answered_by == tag
    }
    pub(in crate::engine) fn is_stopped(&self) -> bool {
        self.stopped
    }
    /// True once media was agreed to be SRTP: it stays so.
    pub(in crate::engine) fn is_protected(&self) -> bool {
        self.plan.as_ref().is_some_and(|p| p.keys.is_some())
    }
    /// The keys in use came in session descriptions.
    pub(in crate::engine) fn is_keyed_by_sdes(&self) -> bool {
        self.plan.as_ref().is_some_and(|p| matches!(p.keys, Some(PlanKeys::Sdes(..))))
    }
    /// Nothing is agreed yet, or an offer of ours is open that a DTLS handshake may answer.
    pub(in crate::engine) fn may_become_dtls(&self) -> bool {
        let open = self.negotiator.as_ref().map(Negotiator::state);
        let offered = open == Some(NegotiationState::LocalOffer);
        let dtls = self.offered_grant.is_none_or(|grant| grant.dtls);
        !self.stopped && !self.fingerprints.is_empty() && dtls && (self.plan.is_none() || offered)
    }
    pub(in crate::engine) fn remote_holds(&self) -> bool {
        self.plan.as_ref().is_some_and(|p| {
            matches!(p.agreed.remote_direction, Direction::SendOnly | Direction::Inactive)
        })
    }
    /// Why a description of the far end was refused; once for each.
    pub(in crate::engine) fn poll_fault(&mut self) -> Option<SdpFault> {
        self.faults.pop()
    }
    /// A message that must have a description has none.
    pub(super) fn missing(&mut self, what: &str) -> FailureReason {
        self.faults.push(SdpFault::Missing);
        negotiation(what)
    }
    fn noted<T>(&mut self, outcome: Result<T, Refusal>) -> Result<T, FailureReason> {
        outcome.map_err(|refusal| {
            self.faults.extend(refusal.fault);
            refusal.reason
        })
    }
    pub(super) fn stop(&mut self) {
        self.running = false;
        self.stopped = true;
        self.fresh = None;
    }
    /// The call is over: what is kept of it holds no key.
    pub(in crate::engine) fn forget_keys(&mut self) {
        (self.negotiator, self.offered) = (None, None);
        (self.lines, self.fork_keys, self.fresh) = (Vec::new(), Vec::new(), None);
        if let Some(plan) = &mut self.plan {
            plan.agreed.keys = None;
            plan.keys = plan.keys.take().map(|_| PlanKeys::Gone);
        }
    }
    /// Our offer was refused: what was agreed before holds.
    pub(super) fn rollback(&mut self) {
        if let Some(negotiator) = &mut self.negotiator {
            negotiator.rollback();
        }
        if self.offered.take().is_some() {
            self.hold = self.held_before;
        }
        if let Some(before) = self.codecs_before.take() {
            self.codecs = before;
        }
    }

    /// The call begins anew, with another offer: nothing of the refused one is kept.
    pub(super) fn start_over(&mut self) {
        (self.negotiator, self.offered, self.offered_grant) = (None, None, None);
        self.fork_keys.clear();
        (self.plan, self.fresh, self.running) = (None, None, false);
    }

    fn negotiator(&mut self, rng: &mut dyn Rng) -> &mut Negotiator {
        self.negotiator.get_or_insert_with(|| Negotiator::new(rng.next_u64() >> 2))
    }

    fn local(&self, grant: MediaGrant, direction: Direction, answer: bool) -> Option<LocalMedia> {
        let (rtp, rtcp) = self.locals?;
        let dtls = Some(LocalDtls::new(self.fingerprints.clone()));
        let security = MediaSecurity {
            shape: grant.shape,
            sdes: if grant.sdes { self.lines.clone() } else { Vec::new() },
            dtls: dtls.filter(|_| grant.dtls && !self.fingerprints.is_empty()),
            plain: grant.plain,
            prefer_dtls: false,
        };
        let agreed = self.plan.as_ref().map(|plan| &plan.agreed);
        let beside = Beside::of(&self.audio, agreed, answer);
        Some(LocalMedia {
            rtp,
            rtcp: Some(rtcp),
            rtcp_mux: true,
            codecs: self.audio.codec_lines(&self.codecs, self.sample_rate, beside),
            direction,
            ptime: Some(self.audio.ptime(&self.codecs)),
            security,
        })
    }

    fn agreed_sdes(&self) -> Option<&SdesKeys> {
        self.plan.as_ref()?.agreed.keys.as_ref()?.sdes()
    }

    /// The lines of an offer: fresh keys for a new session; an established one keeps its own, so
    /// that a hold makes no gap. With `renew` its suite stays and its key is new.
    fn make_lines(&mut self, renew: bool, rng: &mut dyn Rng) {
        let agreed = self.agreed_sdes().map(|keys| keys.local.clone());
        if let Some(line) = agreed.as_ref().filter(|_| !renew) {
            self.lines = alloc::vec![line.clone()];
            return;
        }
        let suite = agreed.and_then(|line| Suite::from_sdp_name(&line.suite));
        let suites = match suite {
            Some(suite) => alloc::vec![suite],
            None => self.srtp.offered.clone(),
        };
        self.lines =
            suites.iter().zip(1_u32..).map(|(s, tag)| self.srtp.fresh_line(tag, *s, rng)).collect();
    }

    /// The lines of an answer: the key in use for its suite, unless the peer's is a new one, which
    /// is answered in kind; fresh keys for all others.
    fn make_answer_lines(&mut self, offer: &SessionDescription, rng: &mut dyn Rng) {
        let agreed = self.agreed_sdes();
        let offers = |keys: &Vec<InlineKey>| {
            offer.media.iter().flat_map(|media| &media.crypto).any(|line| line.keys == *keys)
        };
        let kept = agreed.filter(|keys| offers(&keys.remote.keys)).map(|keys| keys.local.clone());
        let other = |s: &&Suite| kept.as_ref().is_none_or(|line| line.suite != s.sdp_name());
        let fresh = self.srtp.accepted.iter().filter(other);
        let fresh: Vec<_> = fresh.map(|suite| self.srtp.fresh_line(1, *suite, rng)).collect();
        self.lines = kept.into_iter().chain(fresh).collect();
    }

    /// Our offer, as the gate allows.
    pub(super) fn offer(
        &mut self,
        gate: Gate,
        hold: bool,
        fresh_keys: bool,
        rng: &mut dyn Rng,
    ) -> Result<Zeroizing<Vec<u8>>, FailureReason> {
        let grant = gate.for_offer(self.is_protected()).map_err(refused)?;
        self.make_lines(fresh_keys, rng);
        self.fork_keys.clear();
        let direction = if hold { Direction::SendOnly } else { Direction::SendRecv };
        let local = self.local(grant, direction, false).ok_or(FailureReason::NoMediaPort)?;
        let negotiator = self.negotiator(rng);
        if negotiator.state() != NegotiationState::Stable {
            negotiator.rollback();
        }
        let offer = negotiator.create_offer(&local).map_err(negotiation)?;
        self.offered = self.negotiator.clone();
        self.offered_grant = Some(grant);
        (self.held_before, self.hold) = (self.hold, hold);
        self.answered_by.clear();
        Ok(Zeroizing::new(offer.to_bytes()))
    }

    /// The answer to our offer, from the fork with this tag. The same fork's repetition changes
    /// nothing; another fork's answer replaces an earlier one.
    pub(super) fn answer(
        &mut self,
        sdp: &[u8],
        tag: &str,
        gate: Gate,
    ) -> Result<(), FailureReason> {
        let outcome = self.try_answer(sdp, tag, gate);
        self.noted(outcome)
    }

    fn try_answer(&mut self, sdp: &[u8], tag: &str, gate: Gate) -> Result<(), Refusal> {
        if self.answered_by == tag && !tag.is_empty() {
            return Ok(());
        }
        let no_offer = || FailureReason::Negotiation("no offer is open".to_string());
        let mut negotiator = self.offered.clone().ok_or_else(no_offer)?;
        let grant = self.offered_grant.ok_or_else(no_offer)?;
        let answer = SessionDescription::parse(sdp)?;
        self.count_lines(&answer);
        let protected = self.is_protected();
        let unusable = |error| Refusal::answer(error, gate, protected);
        let agreed = negotiator.handle_answer(answer).map_err(unusable)?;
        // The answer passes the gate too.
        gate.check_answer(agreed.keys.is_some(), grant).map_err(Refusal::gate)?;
        self.keep_forks_apart(&agreed, tag)?;
        self.negotiator = Some(negotiator);
        let other_end = !self.answered_by.is_empty();
        self.answered_by = tag.to_string();
        self.carry_out(agreed, grant, false, other_end)
    }

    /// Two forks that send under one key would share a key stream: the second one is refused.
    fn keep_forks_apart(&mut self, agreed: &NegotiatedMedia, tag: &str) -> Result<(), Refusal> {
        let Some(keys) = agreed.keys.as_ref().and_then(NegotiatedKeying::sdes) else {
            return Ok(());
        };
        let same = |a: &InlineKey, b: &InlineKey| a.key_and_salt.ct_eq(b.key_and_salt.expose());
        let others = self.fork_keys.iter().filter(|(other, _)| other != tag);
        let mut theirs = others.flat_map(|(_, keys)| keys);
        if theirs.any(|other| keys.remote.keys.iter().any(|key| same(key, other))) {
            return Err(NegotiationError::CryptoAnswer.into());
        }
        self.fork_keys.retain(|(other, _)| other != tag);
        if self.fork_keys.len() >= super::uac::MAX_FORKS {
            self.fork_keys.remove(0);
        }
        self.fork_keys.push((tag.to_string(), keys.remote.keys.clone()));
        Ok(())
    }

    /// Key lines that were passed over are counted.
    fn count_lines(&mut self, description: &SessionDescription) {
        let refused: u32 =
            description.media.iter().fold(0, |sum, m| m.refused_crypto.saturating_add(sum));
        let refused = usize::try_from(refused).unwrap_or(0).min(MAX_COUNTED_LINES);
        self.faults.extend(core::iter::repeat_n(SdpFault::CryptoLine, refused));
    }

    /// Would an answer to this offer be possible and allowed?
    pub(super) fn check_offer(&mut self, sdp: &[u8], gate: Gate) -> Result<(), FailureReason> {
        let outcome = try_check(sdp, gate);
        self.noted(outcome)
    }

    /// Is the signalling itself allowed?
    pub(super) fn check_signalling(&self, gate: Gate) -> Result<(), FailureReason> {
        gate.check_signalling().map_err(refused)
    }

    /// Our answer to their offer.
    pub(super) fn answer_to(
        &mut self,
        sdp: &[u8],
        gate: Gate,
        rng: &mut dyn Rng,
    ) -> Result<Zeroizing<Vec<u8>>, FailureReason> {
        let outcome = self.try_answer_to(sdp, gate, rng);
        self.noted(outcome)
    }

    fn try_answer_to(
        &mut self,
        sdp: &[u8],
        gate: Gate,
        rng: &mut dyn Rng,
    ) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let offer = SessionDescription::parse(sdp)?;
        let summary = OfferSummary::of(&offer);
        let grant = gate.for_answer(&summary, self.is_protected()).map_err(Refusal::gate)?;
        self.count_lines(&offer);
        self.make_answer_lines(&offer, rng);
        let direction = if self.hold { Direction::SendOnly } else { Direction::SendRecv };
        let local = self.local(grant, direction, true).ok_or(FailureReason::NoMediaPort)?;
        let negotiator = self.negotiator(rng);
        negotiator.handle_offer(offer)?;
        match negotiator.create_answer(&local) {
            Ok((answer, agreed)) => {
                self.carry_out(agreed, grant, true, false)?;
                Ok(Zeroizing::new(answer.to_bytes()))
            }
            Err(error) => {
                negotiator.rollback();
                Err(error.into())
            }
        }
    }

    fn carry_out(
        &mut self,
        agreed: NegotiatedMedia,
        grant: MediaGrant,
        answering: bool,
        other_end: bool,
    ) -> Result<(), Refusal> {
        let plan = MediaPlan::of(agreed, grant, answering, other_end)?;
        self.codecs_before = None;
        self.plan = Some(plan.clone());
        self.fresh = Some(plan);
        self.running = true;
        Ok(())
    }
}

fn try_check(sdp: &[u8], gate: Gate) -> Result<(), Refusal> {
    let offer = SessionDescription::parse(sdp)?;
    let summary = OfferSummary::of(&offer);
    if !summary.has_audio {
        return Err(NegotiationError::NoAudio.into());
    }
    gate.for_answer(&summary, false).map_err(Refusal::gate).map(|_| ())
}

fn refused(reason: &'static str) -> FailureReason {
    FailureReason::Policy(reason.to_string())
}

pub(super) fn negotiation(error: impl core::fmt::Display) -> FailureReason {
    FailureReason::Negotiation(error.to_string())
}

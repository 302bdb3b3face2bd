//! What the negotiations agreed on is carried out: media sessions are made and changed, DTLS
//! handshakes are made first where they bring the keys.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::audio::{AudioOptions, Companions};
use super::away::MediaLegs;
use super::call::{DtlsPlan, MediaPlan, PlanKeys};
use super::calls::CallEntry;
use super::event::FailureReason;
use super::gate::{Trust, plain_permit};
use super::handshake::DtlsLeg;
use super::report::{Keying, MediaLeg, RtcpLeg};
use super::{CallId, Engine};
use crate::crypto::dtls::{DtlsFailure, DtlsRole, DtlsSession, DtlsState};
use crate::crypto::srtp::{KeySet, SrtpReceiver, SrtpSender};
use crate::media::codec::CodecId;
use crate::media::session::{
    Direction, MAX_RECEIVE, MediaConfig, MediaSecurity, MediaSession, MediaUpdate, Payload,
    SourceLock,
};
use crate::time::{Duration, Instant};
use crate::util::RngExt;

/// How long a plain session follows the first source that it hears.
const LATCH: Duration = Duration::from_secs(5);

impl Engine {
    /// What the negotiations agreed on is carried out by the media sessions.
    /// True if there was any.
    pub(super) fn carry_out_plans(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.calls.ids() {
            if let Some(plan) = self.calls.get_mut(id).and_then(|e| e.machine.media.take_plan()) {
                moved = true;
                self.begin(now, id, &plan);
            }
            moved |= self.dtls_progress(now, id);
            if let Some(entry) = self.calls.get_mut(id)
                && entry.machine.media.is_stopped()
            {
                entry.media.stop_away();
            }
        }
        moved
    }

    /// A plan begins: at once, or with its handshake.
    fn begin(&mut self, now: Instant, id: CallId, plan: &MediaPlan) {
        if plan.other_end {
            self.leave_former_end(id);
        }
        let done = match &plan.keys {
            Some(PlanKeys::Gone) => false,
            None => {
                self.drop_handshake(now, id);
                self.carry_out(now, id, plan, None)
            }
            Some(PlanKeys::Sdes(local, remote)) => {
                let keys = Some((local.clone(), remote.clone()));
                self.drop_handshake(now, id);
                self.carry_out(now, id, plan, keys)
            }
            Some(PlanKeys::Dtls(dtls)) => self.begin_dtls(now, id, plan, dtls),
        };
        if !done && let Some(entry) = self.calls.get_mut(id) {
            entry.machine.fail(FailureReason::Negotiation("media refused".into()));
        }
    }

    /// Another fork answered: the media with the former one ends, and nothing of it is taken over.
    /// All forks know the key of our offer, so no two of them get packets of one source under it
    /// (RFC 3711 §9.1).
    fn leave_former_end(&mut self, id: CallId) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        if let Some((source, muted)) = entry.media.discard() {
            (entry.former_source, entry.muted) = (Some(source), muted);
        }
        (entry.report.media_out, entry.report.media_in, entry.report.rtcp) = (None, None, None);
    }

    fn begin_dtls(&mut self, now: Instant, id: CallId, plan: &MediaPlan, dtls: &DtlsPlan) -> bool {
        let Some(identity) = self.dtls_identity() else { return false };
        let Some(entry) = self.calls.get_mut(id) else { return false };
        let goes_on = !dtls.fresh && entry.dtls.is_some();
        if !goes_on {
            let session = DtlsSession::new(
                dtls.role,
                self.config.dtls_versions,
                &identity,
                Some(dtls.fingerprints.clone()),
                now,
                &mut self.rng,
            );
            let mut leg = DtlsLeg::new(session, plan.agreed.remote_rtp);
            if dtls.role == DtlsRole::Passive {
                entry.early_hellos.play(now, &mut leg);
            }
            entry.early_hellos.clear();
            (entry.dtls, entry.dtls_keys) = (Some(leg), None);
            return true;
        }
        let keys = entry.dtls_keys.clone();
        match keys {
            // The handshake goes on under the new plan.
            None => true,
            Some(keys) => self.carry_out(now, id, plan, Some(keys)),
        }
    }

    /// No handshake keys this call's media (any more).
    fn drop_handshake(&mut self, now: Instant, id: CallId) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        entry.early_hellos.clear();
        entry.dtls_keys = None;
        if let Some(mut leg) = entry.dtls.take() {
            leg.session.close(now);
        }
    }

    /// A handshake may have come to its end. True if it has.
    fn dtls_progress(&mut self, now: Instant, id: CallId) -> bool {
        let Some(entry) = self.calls.get_mut(id) else { return false };
        let Some(leg) = entry.dtls.as_mut().filter(|leg| !leg.settled) else { return false };
        match leg.session.state() {
            DtlsState::Established { keys, .. } => {
                leg.settled = true;
                let local = KeySet::from(keys.send().clone());
                let remote = KeySet::from(keys.receive().clone());
                entry.dtls_keys = Some((local.clone(), remote.clone()));
                let Some(plan) = entry.machine.media.plan().cloned() else { return true };
                if !self.carry_out(now, id, &plan, Some((local, remote)))
                    && let Some(entry) = self.calls.get_mut(id)
                {
                    entry.machine.fail(FailureReason::Negotiation("media refused".into()));
                }
                true
            }
            DtlsState::Failed(why) => {
                leg.settled = true;
                // Never in the clear instead: whoever broke the handshake would have won.
                let reason = match why {
                    DtlsFailure::Unsupported => FailureReason::KeyingUnsupported,
                    _ => FailureReason::Keying(why.to_string()),
                };
                entry.machine.fail(reason);
                true
            }
            _ => false,
        }
    }

    /// Makes the media session of a plan, or changes the one there is.
    fn carry_out(
        &mut self,
        now: Instant,
        id: CallId,
        plan: &MediaPlan,
        keys: Option<(KeySet, KeySet)>,
    ) -> bool {
        let unix = self.unix(now);
        let cname = self.token();
        let Some(entry) = self.calls.get_mut(id) else { return false };
        let agreed = &plan.agreed;
        let wanted = |c: &&crate::sdp::NegotiatedCodec| codec_id(c) == Some(plan.codec);
        let Some(codec) = agreed.codecs.iter().find(wanted) else { return false };
        let send = Payload { payload_type: codec.send_payload_type, codec: plan.codec };
        // The peer may change between all codecs that were agreed (RFC 3264 §5.1).
        let receive: Vec<_> = agreed.codecs.iter().filter_map(received).take(MAX_RECEIVE).collect();
        let dtmf_send = agreed.dtmf.as_ref().map(|d| d.send_payload_type);
        let dtmf_receive: Vec<_> =
            agreed.events.iter().map(|e| e.receive_payload_type).take(MAX_RECEIVE).collect();
        let audio = entry.machine.media.audio();
        let tuning = audio.tuning(plan.codec, codec.send_fmtp.as_deref());
        let Companions { red, comfort_noise } = audio.companions(agreed, codec);
        let rtcp = agreed.remote_rtcp.unwrap_or(agreed.remote_rtp);
        let direction = direction(agreed.direction);
        let ptime = plan.codec.packet_ms(u32::from(agreed.ptime));
        let done = if entry.media.is_there() {
            let update = MediaUpdate::new()
                .direction(direction)
                .remote(agreed.remote_rtp, rtcp, agreed.rtcp_mux)
                .send(send)
                .receive(receive)
                .ptime_ms(ptime)
                .tuning(tuning)
                .dtmf(dtmf_send, dtmf_receive)
                .red(red.0, red.1)
                .comfort_noise(comfort_noise.0, comfort_noise.1);
            // The contexts of a stream that is SRTP go on, whatever keys change in them: new ones
            // would use indices of the old ones again.
            let by_sdes = matches!(plan.keys, Some(PlanKeys::Sdes(..)));
            let update = match (&keys, entry.media.suites()) {
                // The end of a handshake is known to both; an answer is still on its way.
                (Some((local, remote)), Some(_)) if plan.answering && by_sdes => {
                    update.answered_keys(local.clone(), remote.clone())
                }
                (Some((local, remote)), Some(_)) => update.keys(local.clone(), remote.clone()),
                _ => {
                    let Some(security) = security(plan, keys.as_ref()) else { return false };
                    update.security(security)
                }
            };
            {
                let suites = keys.as_ref().map(|(ours, theirs)| (ours.suite(), theirs.suite()));
                entry.media.update(now, update, suites)
            }
        } else {
            let Some(security) = security(plan, keys.as_ref()) else { return false };
            let mut config = MediaConfig::new(send, agreed.remote_rtp, security);
            config.receive = receive;
            config.ptime_ms = ptime;
            config.tuning = tuning;
            config.cname = cname;
            config.dtmf_send = dtmf_send;
            config.dtmf_receive = dtmf_receive;
            (config.red_send, config.red_receive) = red;
            (config.comfort_noise_send, config.comfort_noise_receive) = comfort_noise;
            config.direction = direction;
            config.write_rate = entry.machine.options.sample_rate;
            config.read_rate = entry.machine.options.sample_rate;
            config.encoded = entry.machine.options.encoded;
            config.processing = entry.machine.options.processing.unwrap_or(self.config.processing);
            config.remote_rtcp = rtcp;
            config.rtcp_mux = agreed.rtcp_mux;
            config.wall_clock = unix;
            config.circuit_breaker = self.config.circuit_breaker;
            config.source_lock = SourceLock::LatchPlain(LATCH);
            if let Some(former) = entry.former_source.take() {
                let ssrc = self.rng.next_u32();
                config.ssrc = Some(if ssrc == former { !ssrc } else { ssrc });
            }
            let session = MediaSession::new(now, config, &mut self.rng).ok();
            if let Some(session) = session {
                entry.media.start(session);
            }
            if let Some(session) = entry.media.here_mut() {
                session.set_muted(entry.muted);
                session.set_send_gain(entry.gains.0);
                session.set_receive_gain(entry.gains.1);
                // Keys that were pressed meanwhile; what the far end does not take is lost.
                for (digit, duration) in entry.waiting_digits.drain(..) {
                    let _ = session.send_dtmf(digit, duration);
                }
            }
            entry.media.is_there()
        };
        if done {
            self.note_media(id, plan);
            self.judge_peer(now, id);
        }
        done
    }

    /// The media legs of the report, as the session has them.
    fn note_media(&mut self, id: CallId, plan: &MediaPlan) {
        let Some(entry) = self.calls.get_mut(id) else { return };
        let (Some(facts), suites) = (entry.media.facts(), entry.media.suites()) else { return };
        let keying = match &plan.keys {
            Some(PlanKeys::Sdes(..)) => Keying::Sdes,
            Some(PlanKeys::Dtls(_)) => {
                Keying::Dtls { authenticated: entry.machine.trust == Trust::Verified }
            }
            Some(PlanKeys::Gone) | None => Keying::None,
        };
        let by_dtls = entry.dtls.as_ref().filter(|_| matches!(keying, Keying::Dtls { .. }));
        let fingerprint = by_dtls.and_then(DtlsLeg::matched_fingerprint);
        let leg = |suite, generation, mki| {
            let plain = MediaLeg::plain(plan.agreed.profile.clone());
            MediaLeg { suite, keying, mki, key_generation: generation, fingerprint, ..plain }
        };
        let generations = facts.key_generations.unwrap_or((0, 0));
        let (out, into) = match suites {
            Some(suites) => (
                leg(Some(suites.0), generations.0, facts.key_ids.0),
                leg(Some(suites.1), generations.1, facts.key_ids.1),
            ),
            _ => {
                let plain = MediaLeg::plain(plan.agreed.profile.clone());
                (plain.clone(), plain)
            }
        };
        let (encrypted_out, encrypted_in) = facts.rtcp_encrypted;
        let mux = plan.agreed.rtcp_mux;
        let legs = MediaLegs { out, into, rtcp: RtcpLeg { encrypted_out, encrypted_in, mux } };
        if entry.media.is_away() {
            entry.media.set_agreed(legs.clone());
            legs.into_report_unconfirmed(&mut entry.report);
        } else {
            legs.into_report(&mut entry.report);
        }
    }
}

impl CallEntry {
    /// Other settings of the encoder: the session works with them from now on, the session
    /// descriptions say so from the next one on.
    pub(super) fn set_audio(&mut self, now: Instant, audio: AudioOptions) {
        self.machine.media.set_audio(audio);
        let Some(plan) = self.machine.media.plan() else { return };
        let sent = plan.agreed.codecs.iter().find(|c| codec_id(c) == Some(plan.codec));
        let Some(codec) = sent else { return };
        let audio = self.machine.media.audio();
        let tuning = audio.tuning(plan.codec, codec.send_fmtp.as_deref());
        let Companions { red, comfort_noise } = audio.companions(&plan.agreed, codec);
        let suites = self.media.suites();
        let update = MediaUpdate::new()
            .tuning(tuning)
            .red(red.0, red.1)
            .comfort_noise(comfort_noise.0, comfort_noise.1);
        self.media.update(now, update, suites);
    }
}

/// The protection of a plan: contexts for its keys, or the gate's permit to go without.
fn security(plan: &MediaPlan, keys: Option<&(KeySet, KeySet)>) -> Option<MediaSecurity> {
    match (&plan.keys, keys) {
        (Some(_), Some((local, remote))) => Some(MediaSecurity::Srtp {
            sender: SrtpSender::with_keys(local).ok()?,
            receiver: SrtpReceiver::with_keys(remote).ok()?,
        }),
        (Some(_), None) => None,
        (None, _) => plain_permit(plan.grant).map(MediaSecurity::Plain),
    }
}

fn codec_id(codec: &crate::sdp::NegotiatedCodec) -> Option<CodecId> {
    CodecId::from_rtpmap(&codec.name, codec.clock_rate)
}

fn received(codec: &crate::sdp::NegotiatedCodec) -> Option<Payload> {
    Some(Payload { payload_type: codec.receive_payload_type, codec: codec_id(codec)? })
}

fn direction(agreed: crate::sdp::Direction) -> Direction {
    match agreed {
        crate::sdp::Direction::SendRecv => Direction::SendRecv,
        crate::sdp::Direction::SendOnly => Direction::SendOnly,
        crate::sdp::Direction::RecvOnly => Direction::RecvOnly,
        crate::sdp::Direction::Inactive => Direction::Inactive,
    }
}

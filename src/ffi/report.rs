//! Evidence and statistics.

use super::account::{SUBROSA_TRANSPORT_ANY, policy_number, source_number, transport_number};
use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Texts};
use super::peers::level_number;
use super::pointer::{OutStruct, Versioned, subrosa_str};
use super::reason::{SUBROSA_MAX_REASONS, spread};
use super::status::{SUBROSA_ERR_NO_MEDIA, subrosa_status};
use super::tls::{SUBROSA_TLS_PROVIDER_RING, provider_number};
use crate::crypto::tls::{Revocation, TlsVersion};
use crate::engine::{EngineStats, Keying, MediaLeg, Padlock, SecurityReport};
use crate::media::session::MediaStats;

/// Something travels in the clear.
pub const SUBROSA_PADLOCK_NONE: i32 = 0;
/// Signalling is encrypted, the voice is not (yet).
pub const SUBROSA_PADLOCK_SIGNALLING_ONLY: i32 = 1;
/// Signalling and voice are encrypted as far as the provider.
pub const SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER: i32 = 2;
/// Signalling as far as the provider, the voice to the phone whose safety number was confirmed.
pub const SUBROSA_PADLOCK_VERIFIED_END_TO_END: i32 = 3;

/// No keys: plain RTP, or no media yet.
pub const SUBROSA_KEYING_NONE: i32 = 0;
/// In the session description: as secret as the signalling.
pub const SUBROSA_KEYING_SDES: i32 = 1;
/// In a way that this version of the C interface does not know.
pub const SUBROSA_KEYING_OTHER: i32 = 2;
/// By a DTLS handshake with the peer whose fingerprint came over verified signalling.
pub const SUBROSA_KEYING_DTLS: i32 = 3;
/// By a DTLS handshake with whoever answered: whoever could change the signalling could be in
/// the middle.
pub const SUBROSA_KEYING_DTLS_UNAUTHENTICATED: i32 = 4;

fn keying(leg: &Option<MediaLeg>) -> i32 {
    match leg.as_ref().map(|leg| leg.keying) {
        None | Some(Keying::None) => SUBROSA_KEYING_NONE,
        Some(Keying::Sdes) => SUBROSA_KEYING_SDES,
        Some(Keying::Dtls { authenticated: true }) => SUBROSA_KEYING_DTLS,
        Some(Keying::Dtls { authenticated: false }) => SUBROSA_KEYING_DTLS_UNAUTHENTICATED,
        #[allow(unreachable_patterns)]
        Some(_) => SUBROSA_KEYING_OTHER,
    }
}

/// No revocation lists were given.
pub const SUBROSA_REVOCATION_NOT_CHECKED: i32 = 0;
/// There are lists, but none of the certificate's issuer.
pub const SUBROSA_REVOCATION_UNKNOWN: i32 = 1;
/// A list of its issuer does not name it.
pub const SUBROSA_REVOCATION_NOT_REVOKED: i32 = 2;

/// How secure a call is, with the evidence. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_security_report {
    /// sizeof this struct.
    pub size: u32,
    /// What the screen may show: a SUBROSA_PADLOCK_.
    pub padlock: i32,
    /// The SUBROSA_POLICY_ that the call was made under.
    pub policy: i32,
    /// Where that policy comes from: a SUBROSA_POLICY_SOURCE_.
    pub policy_source: i32,
    /// The SUBROSA_TRANSPORT_ of signalling; SUBROSA_TRANSPORT_ANY before there is one.
    pub transport: i32,
    /// 0x0303 for TLS 1.2, 0x0304 for TLS 1.3, 0 without TLS.
    pub tls_version: i32,
    /// The far end of the connection proved an identity that was checked: 1 or 0.
    pub peer_verified: i32,
    /// Media was agreed: 1 or 0.
    pub media_agreed: i32,
    /// How the key of what we send was agreed: a SUBROSA_KEYING_.
    pub keying_out: i32,
    /// How the key of what we receive was agreed: a SUBROSA_KEYING_.
    pub keying_in: i32,
    /// The TLS session continues an earlier one; its certificate was checked again: 1 or 0.
    pub tls_resumed: i32,
    /// The handshake showed our certificate: 1 or 0.
    pub own_certificate_sent: i32,
    /// The cryptography of TLS was a FIPS-validated module, used by its rules: 1 or 0.
    pub tls_fips: i32,
    /// The secrets of the connection went into the key log: it is no secret any more: 1 or 0.
    pub tls_key_logged: i32,
    /// Whose cryptography TLS ran on: a SUBROSA_TLS_PROVIDER_.
    pub tls_provider: i32,
    /// What is known of the peer's certificate's revocation: a SUBROSA_REVOCATION_.
    pub peer_revocation: i32,
    /// How well the media is protected, by whatever way signalling goes: a SUBROSA_LEVEL_.
    pub level: i32,
    /// Packets protected by SRTP and SRTCP.
    pub packets_protected: u64,
    /// Packets whose authentication was good.
    pub packets_authenticated: u64,
    /// Packets whose authentication failed.
    pub auth_failures: u64,
    /// Packets that were seen before or too old.
    pub replays: u64,
    /// Plain packets that arrived where SRTP was agreed.
    pub plain_dropped: u64,
    /// The TLS suite's IANA name; empty without TLS.
    pub tls_suite: subrosa_str,
    /// The TLS key exchange group; empty without TLS, and in a resumed session of TLS 1.2.
    pub tls_key_exchange: subrosa_str,
    /// The subject of the peer's certificate; empty without one.
    pub peer_subject: subrosa_str,
    /// The subject of the trust anchor behind it; empty without one.
    pub peer_anchor: subrosa_str,
    /// The user that the peer's certificate names, the first if there are several, for example
    /// "alice@example.com"; empty if it names none.
    pub peer_user: subrosa_str,
    /// The peer's public key, as a pin of it would be given: "sha256/" and base64.
    pub peer_key: subrosa_str,
    /// The pin that held; empty without pins.
    pub peer_pin: subrosa_str,
    /// The SRTP suite of what we send; empty for plain RTP.
    pub srtp_suite_out: subrosa_str,
    /// The SRTP suite of what we receive; empty for plain RTP.
    pub srtp_suite_in: subrosa_str,
    /// The sentence for the screen.
    pub padlock_text: subrosa_str,
    /// All of it in words.
    pub text: subrosa_str,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_security_report {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_security_report {
    pub(super) fn of(report: &SecurityReport, texts: &mut Texts) -> Self {
        let signalling = report.signalling.as_ref();
        let tls = signalling.and_then(|leg| leg.tls.as_ref());
        let peer = tls.and_then(|tls| tls.peer.as_ref());
        let suite = |leg: &Option<MediaLeg>| {
            leg.as_ref().and_then(|leg| leg.suite).map_or("", |suite| suite.sdp_name())
        };
        Self {
            size: 0,
            padlock: match report.padlock() {
                Padlock::VerifiedEndToEnd => SUBROSA_PADLOCK_VERIFIED_END_TO_END,
                Padlock::EncryptedToProvider => SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER,
                Padlock::SignallingOnly => SUBROSA_PADLOCK_SIGNALLING_ONLY,
                Padlock::None => SUBROSA_PADLOCK_NONE,
            },
            policy: policy_number(report.policy.policy),
            policy_source: source_number(report.policy.source),
            transport: signalling
                .map_or(SUBROSA_TRANSPORT_ANY, |leg| transport_number(leg.transport)),
            tls_version: match tls.map(|tls| tls.version) {
                None => 0,
                Some(TlsVersion::V1_2) => 0x0303,
                Some(TlsVersion::V1_3) => 0x0304,
            },
            peer_verified: i32::from(signalling.is_some_and(|leg| leg.peer_verified)),
            media_agreed: i32::from(report.media_out.is_some()),
            keying_out: keying(&report.media_out),
            keying_in: keying(&report.media_in),
            tls_resumed: i32::from(tls.is_some_and(|tls| tls.resumed)),
            own_certificate_sent: i32::from(tls.is_some_and(|tls| tls.own_certificate_sent)),
            tls_fips: i32::from(tls.is_some_and(|tls| tls.fips)),
            tls_key_logged: i32::from(tls.is_some_and(|tls| tls.key_logged)),
            tls_provider: tls
                .map_or(SUBROSA_TLS_PROVIDER_RING, |tls| provider_number(tls.provider)),
            peer_revocation: match peer.map(|peer| peer.revocation) {
                Some(Revocation::NotRevoked) => SUBROSA_REVOCATION_NOT_REVOKED,
                Some(Revocation::Unknown) => SUBROSA_REVOCATION_UNKNOWN,
                _ => SUBROSA_REVOCATION_NOT_CHECKED,
            },
            level: level_number(Some(report.level())),
            packets_protected: report.packets_protected,
            packets_authenticated: report.packets_authenticated,
            auth_failures: report.auth_failures,
            replays: report.replays,
            plain_dropped: report.plain_dropped,
            tls_suite: texts.lend(tls.map_or("", |tls| tls.cipher_suite)),
            tls_key_exchange: texts.lend(tls.and_then(|tls| tls.key_exchange).unwrap_or_default()),
            peer_subject: texts.lend(peer.map_or("", |peer| peer.subject.as_str())),
            peer_anchor: texts.lend(peer.map_or("", |peer| peer.anchor.as_str())),
            peer_user: texts
                .lend(peer.and_then(|peer| peer.users.first()).map_or("", String::as_str)),
            peer_key: texts.lend(&peer.map(|peer| peer.key.to_string()).unwrap_or_default()),
            peer_pin: texts.lend(
                &peer.and_then(|peer| peer.pin).map(|pin| pin.pin.to_string()).unwrap_or_default(),
            ),
            srtp_suite_out: texts.lend(suite(&report.media_out)),
            srtp_suite_in: texts.lend(suite(&report.media_in)),
            padlock_text: texts.lend(report.padlock().as_str()),
            text: texts.lend(&report.to_string()),
        }
    }
}

/// How secure a call is, or was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_security(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_security_report,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, texts| {
            let out = OutStruct::new(out)?;
            let report = find(state, call)?.security();
            out.write(subrosa_security_report::of(&report, texts));
            Ok(())
        })
    }
}

/// Statistics of a call's media. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_media_stats {
    /// sizeof this struct.
    pub size: u32,
    /// Level of what is sent, dB of full scale.
    pub level_sent: f32,
    /// Level of what is heard, dB of full scale.
    pub level_received: f32,
    /// Share of the far end's packets lost lately, 0 to 1.
    pub fraction_lost: f32,
    /// Share of what we sent that the far end lost lately, 0 to 1.
    pub remote_fraction_lost: f32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP bytes sent.
    pub bytes_sent: u64,
    /// RTP bytes accepted.
    pub bytes_received: u64,
    /// Packets of the far end that were lost; negative with duplicates.
    pub lost: i64,
    /// Of what we sent, lost as the far end reports.
    pub remote_lost: i64,
    /// Interarrival jitter.
    pub jitter_us: u64,
    /// Round-trip time by RTCP; 0 while unknown.
    pub rtt_us: u64,
    /// Audio that waits to be heard.
    pub buffer_level_us: u64,
    /// Packets that came too late to be heard.
    pub late: u64,
    /// Frames that were concealed.
    pub concealed_frames: u64,
    /// Packets that SRTP refused, for all reasons.
    pub refused: u64,
    /// The delay that the jitter buffer aims at.
    pub buffer_target_us: u64,
    /// RTCP compound packets sent.
    pub rtcp_sent: u64,
    /// RTCP compound packets accepted.
    pub rtcp_received: u64,
    /// Of those refused, packets that look like plain RTP or RTCP.
    pub plain_dropped: u64,
    /// Datagrams that are no RTP.
    pub malformed_rtp: u64,
    /// Datagrams that are no RTCP.
    pub malformed_rtcp: u64,
    /// Datagrams of other protocols (STUN, DTLS).
    pub other_protocol: u64,
    /// Packets from an address that is not the far end's.
    pub wrong_source: u64,
    /// Packets with a payload type that was not negotiated.
    pub unknown_payload_type: u64,
    /// Payloads that are no frame of their codec.
    pub bad_payload: u64,
    /// Packets whose sequence number is not believed.
    pub out_of_sequence: u64,
    /// Packets that came while we do not receive.
    pub while_held: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that came out of order, yet in time.
    pub reordered: u64,
    /// Packets dropped because too many waited to be heard.
    pub jitter_overflow: u64,
    /// Packets dropped because nobody polled for them.
    pub send_overflow: u64,
    /// Packets that SRTP would not protect.
    pub protect_failures: u64,
    /// Changes of the far end's SSRC.
    pub ssrc_changes: u64,
    /// Events dropped because nobody polled for them.
    pub events_dropped: u64,
    /// What `refused` counts, by reason: subrosa_reason_text names each.
    pub refused_by: [u64; SUBROSA_MAX_REASONS],
    /// What `malformed_rtp` counts, by reason.
    pub malformed_rtp_by: [u64; SUBROSA_MAX_REASONS],
    /// What `malformed_rtcp` counts, by reason.
    pub malformed_rtcp_by: [u64; SUBROSA_MAX_REASONS],
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_media_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

fn micros(duration: crate::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl subrosa_media_stats {
    pub(super) fn of(stats: &MediaStats) -> Self {
        Self {
            size: 0,
            level_sent: stats.level_sent,
            level_received: stats.level_received,
            fraction_lost: stats.fraction_lost,
            remote_fraction_lost: stats.remote_fraction_lost,
            reserved: 0,
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            lost: stats.lost,
            remote_lost: stats.remote_lost,
            jitter_us: micros(stats.jitter),
            rtt_us: stats.rtt.map_or(0, micros),
            buffer_level_us: micros(stats.buffer_level),
            late: stats.late,
            concealed_frames: stats.concealed_frames,
            refused: stats.refused.iter().sum(),
            buffer_target_us: micros(stats.buffer_target),
            rtcp_sent: stats.rtcp_sent,
            rtcp_received: stats.rtcp_received,
            plain_dropped: stats.plain_dropped,
            malformed_rtp: stats.malformed_rtp,
            malformed_rtcp: stats.malformed_rtcp,
            other_protocol: stats.other_protocol,
            wrong_source: stats.wrong_source,
            unknown_payload_type: stats.unknown_payload_type,
            bad_payload: stats.bad_payload,
            out_of_sequence: stats.out_of_sequence,
            while_held: stats.while_held,
            duplicate: stats.duplicate,
            reordered: stats.reordered,
            jitter_overflow: stats.jitter_overflow,
            send_overflow: stats.send_overflow,
            protect_failures: stats.protect_failures,
            ssrc_changes: stats.ssrc_changes,
            events_dropped: stats.events_dropped,
            refused_by: spread(&stats.refused),
            malformed_rtp_by: spread(&stats.malformed_rtp_by),
            malformed_rtcp_by: spread(&stats.malformed_rtcp_by),
        }
    }
}

/// The call had no media yet.
pub(super) fn no_media() -> Failure {
    Failure::new(SUBROSA_ERR_NO_MEDIA, "the call had no media yet")
}

/// Statistics of a call's media, the last ones after its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_media_stats(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_media_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            let stats = find(state, call)?.media_stats().ok_or_else(no_media)?;
            out.write(subrosa_media_stats::of(&stats));
            Ok(())
        })
    }
}

/// Counters of what came from the network and was no good. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_engine_stats {
    /// sizeof this struct.
    pub size: u32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// SIP messages received.
    pub received: u64,
    /// SIP messages sent.
    pub sent: u64,
    /// Datagrams or frames that were not SIP.
    pub malformed: u64,
    /// Connections and sources that were turned away.
    pub turned_away: u64,
    /// TLS connections that failed.
    pub tls_failures: u64,
    /// Requests that came in again.
    pub retransmissions_in: u64,
    /// Messages sent again.
    pub retransmissions_out: u64,
    /// Requests that were refused for what they ask.
    pub refused_requests: u64,
    /// Requests and responses that belong to no call.
    pub strays: u64,
    /// Datagrams on a media socket that has no session.
    pub stray_media: u64,
    /// Outputs and messages dropped because nobody polled for them.
    pub overflowed: u64,
    /// Requests that came in.
    pub requests_in: u64,
    /// Requests that went out.
    pub requests_out: u64,
    /// Requests refused with 503 for want of room.
    pub overloaded: u64,
    /// Requests refused with 482 because they came by another way already.
    pub merged: u64,
    /// CANCELs that matched no INVITE.
    pub unmatched_cancels: u64,
    /// Responses to nothing that was asked.
    pub stray_responses: u64,
    /// Responses that only look like answers to what was asked.
    pub foreign_responses: u64,
    /// Messages without a usable Via.
    pub without_via: u64,
    /// Messages dropped because nobody polled for them.
    pub backlogged: u64,
    /// Transactions that failed by timeout.
    pub timeouts: u64,
    /// Transactions that failed by the transport.
    pub transport_errors: u64,
    /// Malformed messages that were answered.
    pub malformed_answered: u64,
    /// Messages that could not be built or sent.
    pub unsendable: u64,
    /// Records of the log that were dropped because nobody took them.
    pub log_dropped: u64,
    /// Events that were dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Requests within a secure call that came over a connection which is not its own.
    pub foreign_requests: u64,
    /// What `malformed` counts, by reason: subrosa_reason_text names each.
    pub malformed_by: [u64; SUBROSA_MAX_REASONS],
    /// Session descriptions of far ends that were refused, by reason.
    pub sdp_refused_by: [u64; SUBROSA_MAX_REASONS],
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_engine_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_engine_stats {
    pub(super) fn of(stats: &EngineStats) -> Self {
        Self {
            size: 0,
            reserved: 0,
            received: stats.flows.received,
            sent: stats.flows.sent,
            malformed: stats.flows.malformed,
            turned_away: stats.flows.turned_away,
            tls_failures: stats.flows.tls_failures,
            retransmissions_in: stats.transactions.retransmissions_in,
            retransmissions_out: stats.transactions.retransmissions_out,
            refused_requests: stats.refused_requests,
            strays: stats.strays,
            stray_media: stats.stray_media,
            overflowed: stats.flows.overflowed,
            requests_in: stats.transactions.requests_in,
            requests_out: stats.transactions.requests_out,
            overloaded: stats.transactions.overloaded,
            merged: stats.transactions.merged,
            unmatched_cancels: stats.transactions.unmatched_cancels,
            stray_responses: stats.transactions.stray_responses,
            foreign_responses: stats.transactions.foreign_responses,
            without_via: stats.transactions.malformed,
            backlogged: stats.transactions.backlogged,
            timeouts: stats.transactions.timeouts,
            transport_errors: stats.transactions.transport_errors,
            malformed_answered: stats.malformed_answered,
            unsendable: stats.unsendable,
            log_dropped: stats.log_dropped,
            events_dropped: stats.events_dropped,
            foreign_requests: stats.foreign_requests,
            malformed_by: spread(&stats.flows.malformed_by),
            sdp_refused_by: spread(&stats.sdp_refused_by),
        }
    }
}

/// Counters of what came from the network and was no good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_get_stats(
    engine: *const subrosa_engine,
    out: *mut subrosa_engine_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            out.write(subrosa_engine_stats::of(&state.engine.stats()));
            Ok(())
        })
    }
}

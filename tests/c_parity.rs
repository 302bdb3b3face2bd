//! One API, two languages: what the Rust side can do, the C side can, and the other way round.
//!
//! Both sides are read from their sources: every public method, field and variant of what
//! `engine` and `driver` export, and every function, struct field and constant of the header.
//! Each Rust item has a C name by convention, or stands in a list with its C names and the reason.
//! What is new on either side and has no counterpart fails here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/parity_sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use sources::{c_symbols, rust_items, snake, word};

/// Types of other modules that the API's values hold.
const HELD: &[(&str, &str)] = &[
    ("src/media/session", "MediaStats"),
    ("src/media/dsp", "ProcessingConfig"),
    ("src/media/dsp", "ProcessingStats"),
    ("src/sip/flow", "FlowStats"),
    ("src/sip/transaction", "TransactionStats"),
    ("src/sip", "Transport"),
    ("src/sip", "RecordKind"),
    ("src/sip", "DnsAnswer"),
    ("src/crypto/tls", "TlsFacts"),
    ("src/crypto/tls", "PeerCertificate"),
    ("src/sip", "LadderStep"),
    ("src/sip", "StepOutcome"),
    ("src/media/session", "NoMediaReason"),
    ("src/media/session", "SrtpProgress"),
    ("src/crypto/srtp", "SourceCounters"),
    ("src/media/session", "Channel"),
    ("src/media/session", "MediaEvent"),
    ("src/media/session", "EncodedFrame"),
    ("src/media/session", "FrameToSend"),
    ("src/media/session", "FrameKind"),
    ("src/media/session", "Encoding"),
    ("src/media", "BreakerReason"),
    ("src/media/quality", "Quality"),
    ("src/media/tones", "ToneKind"),
    ("src/wire", "PacketKind"),
];

/// Types of other modules that an application makes by itself: all that they can do.
const TOOLS: &[(&str, &str)] = &[
    ("src/crypto/dtls", "DtlsIdentity"),
    ("src/crypto", "SafetyNumber"),
    ("src/media/session", "MediaSession"),
    ("src/media/tones", "TonePlayer"),
    ("src/media/tones", "DtmfDetector"),
    ("src/media/mixer", "Mixer"),
];

/// Rust types whose methods are C functions of this prefix.
const METHODS: &[(&str, &str)] = &[
    ("Engine", "subrosa_engine_"),
    ("Call", "subrosa_call_"),
    ("Phone", "subrosa_phone_"),
    ("CallAudio", "subrosa_call_audio_"),
    ("AudioRing", "subrosa_audio_ring_"),
    ("AudioDevice", "subrosa_audio_device_"),
    ("DtlsIdentity", "subrosa_dtls_identity_"),
    ("SafetyNumber", "subrosa_safety_number_"),
    ("PeerMemory", "subrosa_peer_memory_"),
    ("MediaSession", "subrosa_media_"),
    ("TonePlayer", "subrosa_tone_player_"),
    ("DtmfDetector", "subrosa_dtmf_detector_"),
    ("Mixer", "subrosa_mixer_"),
];

/// Rust structs whose fields are C setters, or fields of a C struct (with a unit, if any).
const FIELDS: &[(&str, &str)] = &[
    ("Config", "subrosa_config_set_"),
    ("AccountConfig", "subrosa_account_config_set_"),
    ("CallOptions", "subrosa_call_options."),
    ("AudioOptions", "subrosa_audio_options."),
    ("AccountStatus", "subrosa_account_info."),
    ("CallInfo", "subrosa_call_info."),
    ("SecurityReport", "subrosa_security_report."),
    ("SignallingLeg", "subrosa_security_report."),
    ("Debugging", "subrosa_security_report."),
    ("TlsFacts", "subrosa_security_report."),
    ("EngineStats", "subrosa_engine_stats."),
    ("FlowStats", "subrosa_engine_stats."),
    ("TransactionStats", "subrosa_engine_stats."),
    ("MediaStats", "subrosa_media_stats."),
    ("Quality", "subrosa_media_stats."),
    ("DriverStats", "subrosa_driver_stats."),
    ("LadderStep", "subrosa_ladder_step."),
    ("SipTraceRecord", "subrosa_sip_trace."),
    ("DeviceInfo", "subrosa_device_info."),
    ("StreamStats", "subrosa_device_stats."),
    ("EchoMeasurement", "subrosa_echo_measurement."),
    ("CallLevels", "subrosa_call_levels."),
    ("EngineLoad", "subrosa_engine_load."),
    ("SrtpProgress", "subrosa_srtp_progress."),
    ("SourceCounters", "subrosa_srtp_progress."),
    ("Verdict", "subrosa_verdict."),
    ("ProcessingStats", "subrosa_processing_stats."),
    ("EncodedFrame", "subrosa_encoded_frame."),
    ("FrameToSend", "subrosa_frame_to_send."),
    ("Encoding", "subrosa_encoding."),
];

/// Rust enums whose variants are C constants, or functions.
const VARIANTS: &[(&str, &str)] = &[
    ("SecurityPolicy", "SUBROSA_POLICY_"),
    ("SipDirection", "SUBROSA_SIP_"),
    ("PolicySource", "SUBROSA_POLICY_SOURCE_"),
    ("Codec", "SUBROSA_CODEC_"),
    ("AccountState", "SUBROSA_ACCOUNT_"),
    ("CallState", "SUBROSA_CALL_"),
    ("Event", "SUBROSA_EVENT_"),
    ("EndReason", "SUBROSA_END_"),
    ("FailureReason", "SUBROSA_FAILURE_"),
    ("Padlock", "SUBROSA_PADLOCK_"),
    ("Keying", "SUBROSA_KEYING_"),
    ("MediaOffer", "SUBROSA_MEDIA_OFFER_"),
    ("StepOutcome", "SUBROSA_STEP_"),
    ("SecurityLevel", "SUBROSA_LEVEL_"),
    ("NoMediaReason", "SUBROSA_NO_MEDIA_"),
    ("Transport", "SUBROSA_TRANSPORT_"),
    ("LogLevel", "SUBROSA_LOG_"),
    ("RecordKind", "SUBROSA_DNS_"),
    ("DnsAnswer", "SUBROSA_DNS_"),
    ("Output", "SUBROSA_OUTPUT_"),
    ("Input", "subrosa_engine_handle_"),
    ("Channel", "SUBROSA_CHANNEL_"),
    ("MediaEvent", "SUBROSA_MEDIA_EVENT_"),
    ("BreakerReason", "SUBROSA_BREAKER_"),
    ("ToneKind", "SUBROSA_TONE_"),
    ("PacketKind", "SUBROSA_PACKET_"),
    ("FrameKind", "SUBROSA_FRAME_"),
    ("DeviceDirection", "SUBROSA_DEVICE_"),
    ("DeviceEvent", "SUBROSA_DEVICE_EVENT_"),
];

/// The C names that a Rust item has by convention; any of them will do.
fn by_convention(item: &str) -> Vec<String> {
    let prefix = |table: &[(&str, &str)], of: &str| {
        table.iter().find(|(name, _)| *name == of).map(|(_, prefix)| (*prefix).to_owned())
    };
    let units =
        |base: String| ["", "_us", "_ms", "_s"].map(|unit| format!("{base}{unit}")).to_vec();
    if let Some((of, field)) = item.split_once('.') {
        if of.starts_with("Event::") {
            return units(format!("subrosa_event.{field}"));
        }
        return prefix(FIELDS, of).map_or(vec![], |prefix| units(format!("{prefix}{field}")));
    }
    let Some((of, name)) = item.split_once("::") else { return vec![] };
    if name.starts_with(char::is_uppercase) {
        let Some(prefix) = prefix(VARIANTS, of) else { return vec![] };
        let name = snake(name);
        let upper = prefix.starts_with("SUBROSA");
        return vec![prefix + &if upper { name.to_ascii_uppercase() } else { name }];
    }
    let Some(prefix) = prefix(METHODS, of) else { return vec![] };
    vec![format!("{prefix}{name}"), format!("{prefix}get_{name}")]
}

const WORDS: &str = "C has the constant; its words are for Rust's Display";
const SHORTHAND: &str = "a shorthand of Rust for what both can do";

/// Rust items with C names of their own, or none, and why.
#[rustfmt::skip]
const EXCEPTIONS: &[(&str, &[&str], &str)] = &[
    // The engine.
    ("Engine::handle_input", &["subrosa_engine_handle_timeout"], "a function for each Input"),
    ("Engine::poll_log", &["subrosa_engine_set_logger"], "the one callback"),
    ("Engine::set_log_level", &["subrosa_engine_set_logger"], "with the callback"),
    ("Engine::place_call", &["subrosa_engine_place_call"], "by convention"),
    ("Engine::call", &["subrosa_call_get_info"], "a call is its id in C"),
    ("Engine::write_pcm", &["subrosa_call_write_pcm"], "it names a call"),
    ("Engine::read_pcm", &["subrosa_call_read_pcm"], "it names a call"),
    ("Engine::read_frame", &["subrosa_call_read_frame"], "it names a call"),
    ("Engine::write_frame", &["subrosa_call_write_frame"], "it names a call"),
    ("Engine::write_comfort_noise", &["subrosa_call_write_comfort_noise"], "it names a call"),
    ("Engine::encoding", &["subrosa_call_encoding"], "it names a call"),
    ("Encoding.tuning", &["subrosa_encoding.bitrate", "subrosa_encoding.variable_bitrate", "subrosa_encoding.fec", "subrosa_encoding.dtx", "subrosa_encoding.expected_loss_percent", "subrosa_encoding.complexity", "subrosa_encoding.max_bandwidth"], "its fields"),
    ("Call::id", &[], "C has nothing but the id"),
    ("Call::state", &["subrosa_call_info.state"], "a fact"),
    ("Call::direction", &["subrosa_call_info.outgoing"], "a fact"),
    ("Call::remote", &["subrosa_call_info.remote"], "a fact"),
    ("Call::end_reason", &["subrosa_call_info.end_reason"], "a fact"),
    ("Call::codec", &["subrosa_call_info.codec"], "a fact"),
    ("Call::sip_call_id", &["subrosa_call_info.sip_call_id"], "a fact"),
    ("SecurityLevel::as_str", &[], WORDS),
    ("PeerMemory::is_empty", &["subrosa_peer_memory_len"], SHORTHAND),
    ("SrtpProgress.counters", &["subrosa_srtp_progress.ssrc"], "its fields"),
    ("Call::holds", &["subrosa_call_info.local_hold", "subrosa_call_info.remote_hold"], "facts"),
    ("Config::new", &["subrosa_config_new"], "with a seed for a generator"),
    ("Config.rng", &["subrosa_config_new", "subrosa_engine_add_entropy"], "a seed: no callbacks"),
    ("Config.unix_time", &["subrosa_config_new"], "it has no default"),
    ("Config.identity", &["subrosa_config_set_identity_pem"], "from PEM"),
    ("Config.trust", &["subrosa_config_set_trust_pem"], "from PEM"),
    ("Config.log_level", &["subrosa_engine_set_logger"], "with the callback"),
    ("AccountConfig::new", &["subrosa_account_config_new"], "the same"),
    ("AccountConfig.aor", &["subrosa_account_config_new"], "it has no default"),
    ("AccountConfig.auth_user", &["subrosa_account_config_set_credentials"], "with the password"),
    ("AccountConfig.password", &["subrosa_account_config_set_credentials"], "with the user"),
    ("AccountConfig.expires", &["subrosa_account_config_set_times"], "both times"),
    ("AccountConfig.keep_alive", &["subrosa_account_config_set_times"], "both times"),
    ("Codec::as_str", &[], WORDS),
    ("SecurityPolicy::as_str", &[], WORDS),
    ("CallState::as_str", &[], WORDS),
    ("PolicySource::as_str", &[], WORDS),
    ("Call::policy", &["subrosa_security_report.policy", "subrosa_security_report.policy_source"], "facts"),
    ("Engine::account_policy", &["subrosa_account_info.policy", "subrosa_account_info.policy_source"], "facts"),
    ("EffectivePolicy.policy", &["subrosa_security_report.policy"], "a fact"),
    ("EffectivePolicy.source", &["subrosa_security_report.policy_source"], "a fact"),
    ("Padlock::as_str", &["subrosa_security_report.padlock_text"], "beside the number"),
    ("SecurityPolicy::stricter", &[], "max() of two numbers"),
    ("SecurityPolicy::transports", &[], "the engine follows it by itself"),
    ("SecurityReport::level", &["subrosa_security_report.level"], "a fact"),
    ("Event::SecurityDowngrade.before", &["subrosa_event.level_before"], "another name"),
    ("Event::SecurityDowngrade.now", &["subrosa_event.level_now"], "another name"),
    ("SecurityReport::padlock", &["subrosa_security_report.padlock"], "a fact"),
    ("Direction::Outgoing", &["subrosa_call_info.outgoing"], "1"),
    ("Direction::Incoming", &["subrosa_call_info.outgoing"], "0"),
    ("DnsAnswer::Records", &["SUBROSA_DNS_RECORDS"], "by convention"),
    ("LogRecord.at", &["subrosa_logger"], "an argument of the logger"),
    ("LogRecord.level", &["subrosa_logger"], "an argument of the logger"),
    ("LogRecord.target", &["subrosa_logger"], "an argument of the logger"),
    ("LogRecord.text", &["subrosa_logger"], "an argument of the logger"),
    // Events.
    ("Event::Registered.expires", &["subrosa_event.duration_us"], "one duration for all"),
    ("Event::RegistrationFailed.retry_in", &["subrosa_event.duration_us"], "one duration for all"),
    ("Event::RegistrationFailed.reason", &["subrosa_event.failure", "subrosa_event.text"], "the same"),
    ("Event::IncomingRefused.reason", &["subrosa_event.failure", "subrosa_event.text"], "the same"),
    ("Event::MediaSocketsChanged.rtp", &["subrosa_event.rtp_socket"], "another name"),
    ("Event::MediaSocketsChanged.rtcp", &["subrosa_event.rtcp_socket"], "another name"),
    ("Event::NoMedia.reason", &["subrosa_event.no_media"], "another name"),
    ("Event::CallProgress.status", &["subrosa_event.sip_status"], "another name"),
    ("Event::CallEnded.reason", &["subrosa_event.end_reason", "subrosa_event.failure"], "the same"),
    ("Event::CertificateRejected.domain", &["subrosa_event.from"], "one name for all"),
    ("Event::CertificateRejected.problem", &["subrosa_event.text"], "one sentence for all"),
    ("Event::Listening.local", &["subrosa_event.addr"], "one address for all"),
    // Evidence and statistics.
    ("SecurityReport.ladder", &["subrosa_call_ladder"], "an array of its own"),
    ("AccountStatus.ladder", &["subrosa_engine_account_ladder"], "an array of its own"),
    ("Keying::Dtls", &["SUBROSA_KEYING_DTLS", "SUBROSA_KEYING_DTLS_UNAUTHENTICATED"], "authenticated or not"),
    ("SecurityReport.signalling", &["subrosa_security_report.transport"], "its fields"),
    ("SecurityReport.media_out", &["subrosa_security_report.media_agreed"], "its fields"),
    ("SecurityReport.media_in", &["subrosa_security_report.srtp_suite_in"], "its fields"),
    ("SignallingLeg.tls", &["subrosa_security_report.tls_version"], "its fields"),
    ("SecurityReport.rtcp", &["subrosa_security_report.rtcp_mux"], "its fields"),
    ("SecurityReport.debugging", &["subrosa_security_report.sip_trace"], "its fields"),
    ("SecurityReport::is_media_encrypted", &["subrosa_security_report.media_encrypted"], "a fact"),
    ("SecurityReport::is_hybrid", &["subrosa_security_report.hybrid"], "a fact"),
    ("SecurityReport::evidence", &["subrosa_security_report.evidence"], "one text"),
    ("SignallingLeg::is_verified", &["subrosa_security_report.peer_verified"], SHORTHAND),
    ("MediaLeg::is_fingerprint_verified", &["subrosa_security_report.fingerprint_verified"], "a fact"),
    ("MediaLeg.profile", &["subrosa_security_report.profile_out", "subrosa_security_report.profile_in"], "by direction"),
    ("MediaLeg.mki", &["subrosa_security_report.mki_out", "subrosa_security_report.mki_in"], "by direction"),
    ("MediaLeg.key_generation", &["subrosa_security_report.key_generation_out", "subrosa_security_report.key_generation_in"], "by direction"),
    ("MediaLeg.fingerprint", &["subrosa_security_report.fingerprint"], "one for both directions"),
    ("RtcpLeg.encrypted_out", &["subrosa_security_report.rtcp_encrypted_out"], "prefixed"),
    ("RtcpLeg.encrypted_in", &["subrosa_security_report.rtcp_encrypted_in"], "prefixed"),
    ("RtcpLeg.mux", &["subrosa_security_report.rtcp_mux"], "prefixed"),
    ("RtcpLeg::is_encrypted", &["subrosa_security_report.rtcp_encrypted_out"], SHORTHAND),
    ("Debugging::is_on", &["subrosa_security_report.sip_trace"], SHORTHAND),
    ("MediaLeg.suite", &["subrosa_security_report.srtp_suite_out"], "by direction"),
    ("MediaLeg.keying", &["subrosa_security_report.keying_out", "subrosa_security_report.keying_in"], "by direction"),
    ("TlsFacts.version", &["subrosa_security_report.tls_version"], "prefixed"),
    ("TlsFacts.cipher_suite", &["subrosa_security_report.tls_suite"], "prefixed"),
    ("TlsFacts.key_exchange", &["subrosa_security_report.tls_key_exchange"], "prefixed"),
    ("TlsFacts.resumed", &["subrosa_security_report.tls_resumed"], "prefixed"),
    ("TlsFacts.peer", &["subrosa_security_report.peer_subject"], "its fields"),
    ("PeerCertificate.subject", &["subrosa_security_report.peer_subject"], "prefixed"),
    ("PeerCertificate.anchor", &["subrosa_security_report.peer_anchor"], "prefixed"),
    ("Config.tls", &["subrosa_config_set_tls_versions"], "its fields"),
    ("TlsConfig.provider", &["subrosa_config_set_tls_provider", "SUBROSA_TLS_PROVIDER_RING", "SUBROSA_TLS_PROVIDER_AWS_LC"], "by number"),
    ("TlsConfig.versions", &["subrosa_config_set_tls_versions"], "prefixed"),
    ("TlsConfig.revocation", &["subrosa_config_add_revocation_pem"], "lists are added"),
    ("TlsConfig.purposes", &["subrosa_config_set_sip_purpose_only"], "two values"),
    ("TlsConfig.require_client_certificate", &["subrosa_config_set_client_certificates"], "with the domains"),
    ("TlsConfig.client_domains", &["subrosa_config_set_client_certificates"], "one by one"),
    ("Config.dtls_versions", &["subrosa_config_set_dtls_versions", "SUBROSA_DTLS_ALL", "SUBROSA_DTLS_ONLY_12", "SUBROSA_DTLS_ONLY_13"], "prefixed"),
    ("TlsConfig.key_log", &["subrosa_config_set_key_log", "SUBROSA_KEY_LOG_LINE"], "the same"),
    ("TlsFacts.provider", &["subrosa_security_report.tls_provider"], "prefixed"),
    ("PeerCertificate.users", &["subrosa_security_report.peer_user"], "the first"),
    ("PeerCertificate.key", &["subrosa_security_report.peer_key"], "prefixed"),
    ("PeerCertificate.pin", &["subrosa_security_report.peer_pin"], "as text"),
    ("PeerCertificate.revocation", &["subrosa_security_report.peer_revocation", "SUBROSA_REVOCATION_NOT_CHECKED", "SUBROSA_REVOCATION_UNKNOWN", "SUBROSA_REVOCATION_NOT_REVOKED"], "prefixed"),
    ("PeerCertificate.names", &[], "a list; that one of them was dialled is peer_verified"),
    ("PeerCertificate.domains", &[], "a list; that one of them was dialled is peer_verified"),
    ("PeerCertificate.matched", &["subrosa_security_report.peer_verified"], "whether, not by which rule"),
    ("EngineStats::sdp_refused_for", &["subrosa_engine_stats.sdp_refused_by"], "by number"),
    ("EngineStats.flows", &["subrosa_engine_stats.received"], "its fields"),
    ("EngineStats.transactions", &["subrosa_engine_stats.requests_in"], "its fields"),
    ("TransactionStats.malformed", &["subrosa_engine_stats.without_via"], "malformed is the flows'"),
    ("CallInfo.security", &["subrosa_phone_call_security"], "a struct of its own"),
    ("CallInfo.media", &["subrosa_phone_call_media_stats"], "a struct of its own"),
    ("TlsFacts.fips", &["subrosa_security_report.tls_fips"], "prefixed"),
    ("TlsFacts.key_logged", &["subrosa_security_report.tls_key_logged"], "prefixed"),
    ("CallInfo.holds", &["subrosa_call_info.local_hold", "subrosa_call_info.remote_hold"], "facts"),
    // A session that was taken: what its engine tells of it, and what its updates change.
    ("ProcessingConfig.echo_cancellation", &["SUBROSA_PROCESSING_ECHO_CANCELLATION"], "a bit"),
    ("ProcessingConfig.noise_suppression", &["SUBROSA_PROCESSING_NOISE_SUPPRESSION"], "a bit"),
    ("ProcessingConfig.gain_control", &["SUBROSA_PROCESSING_GAIN_CONTROL"], "a bit"),
    ("ProcessingConfig.high_pass", &["SUBROSA_PROCESSING_HIGH_PASS"], "a bit"),
    ("ProcessingConfig.voice_activity", &["SUBROSA_PROCESSING_VOICE_ACTIVITY"], "a bit"),
    ("MediaSession::processing", &["subrosa_media_set_processing"], "what was set"),
    ("MediaSession::set_processor", &[], "no callbacks: hardware works on the PCM before it is written"),
    ("MediaSession::new", &["subrosa_engine_take_media"], "engines make them"),
    ("MediaSession::close", &["subrosa_call_hang_up"], "by an update"),
    ("MediaSession::set_direction", &["subrosa_call_hold"], "by an update"),
    ("MediaSession::direction", &["subrosa_call_info.local_hold"], "a fact of the call"),
    ("MediaSession::sending_codec", &["subrosa_call_info.codec"], "a fact of the call"),
    ("MediaSession::suites", &["subrosa_security_report.srtp_suite_out"], "a fact of the call"),
    ("MediaSession::rtcp_encrypted", &["subrosa_security_report.rtcp_encrypted_out"], "a fact of the call"),
    ("MediaSession::key_generations", &["subrosa_security_report.key_generation_out"], "a fact of the call"),
    ("MediaSession::srtp_progress", &["subrosa_call_srtp_progress"], "a fact of the call"),
    ("MediaSession::rekey_due", &["subrosa_engine_handle_media"], "the engine hears of it and renews"),
    ("MediaSession::is_muted", &["subrosa_media_set_muted"], "what was set"),
    ("TonePlayer::sample_rate", &["subrosa_tone_player_new"], "what was asked for"),
    ("Call::tone", &["subrosa_call_info.tone"], "a fact"),
    ("EndReason::tone", &["subrosa_call_info.tone"], "a fact of the call that ended"),
    ("CallAudio::tones", &["subrosa_call_audio_set_tones"], "by convention"),
    ("MediaSession::send_gain", &["subrosa_media_set_send_gain"], "what was set"),
    ("MediaSession::receive_gain", &["subrosa_media_set_receive_gain"], "what was set"),
    ("MediaSession::circuit_breaker", &["subrosa_media_stats.circuit_breaker"], "a fact"),
    ("MediaStats.quality", &["subrosa_media_stats.has_quality"], "its fields"),
    ("MediaStats.remote_quality", &["subrosa_media_stats.has_remote_quality", "subrosa_media_stats.remote_r_factor", "subrosa_media_stats.remote_mos_lq", "subrosa_media_stats.remote_mos_cq", "subrosa_media_stats.remote_loss_rate", "subrosa_media_stats.remote_discard_rate"], "what can be used of it"),
    ("Event::CircuitBreaker.reason", &["subrosa_event.breaker"], "another name"),
    ("MediaSession::has_output", &["subrosa_media_poll_transmit"], SHORTHAND),
    ("MediaSession::handle_rtp", &["subrosa_media_handle_datagram"], SHORTHAND),
    ("MediaSession::handle_rtcp", &["subrosa_media_handle_datagram"], SHORTHAND),
    ("MediaSession::ssrc", &["subrosa_srtp_progress.ssrc"], "a fact of the call"),
    ("MediaSession::local_ssrc", &["subrosa_srtp_progress.ssrc"], "a fact of the call"),
    ("MediaSession::remote_ssrc", &["subrosa_media_event.ssrc"], "an event tells it"),
    ("MediaSession::remote_rtp", &["subrosa_media_transmit.remote"], "where packets go"),
    // The phone.
    ("Phone::config", &["subrosa_phone_config_new"], "a handle"),
    ("Phone::config_trusting", &["subrosa_config_set_trust_pem"], SHORTHAND),
    ("Phone::builder", &["subrosa_phone_new"], "the configuration is the builder"),
    ("PhoneBuilder::dns", &["subrosa_config_set_dns_servers"], "the configuration is the builder"),
    ("PhoneBuilder::wire_tap", &[], "a callback for each packet: not in C"),
    ("PhoneBuilder::clock", &[], "a clock shared by several phones: a matter of tests in Rust"),
    ("PhoneBuilder::start", &["subrosa_phone_new"], "the configuration is the builder"),
    ("Phone::clock", &["subrosa_phone_now"], "what it shows"),
    ("Clock::start", &[], "see PhoneBuilder::clock"),
    ("Clock::now", &["subrosa_phone_now"], "the same"),
    ("Clock::at", &[], "converts Rust's own instants"),
    ("wall_clock", &["subrosa_phone_config_new"], "taken there"),
    ("platform_trust", &["subrosa_config_set_trust_platform"], "set at once"),
    ("OsRng::new", &["subrosa_phone_config_new"], "taken there"),
    ("Phone::with_engine", &[], "a closure; what it is for has functions, see the_phone_can_do_what_the_engine_can"),
    ("Phone::try_event", &["subrosa_phone_next_event"], "with a timeout of 0"),
    ("Phone::event", &[], "a Future: Rust's own way of waiting"),
    ("Phone::calls", &["subrosa_phone_call_ids"], "as the engine's"),
    ("Phone::play", &["subrosa_phone_play_wav", "subrosa_phone_play_ring"], "no callbacks: the two sources"),
    ("Phone::record", &["subrosa_phone_record_wav", "subrosa_phone_record_ring"], "no callbacks: the two sinks"),
    ("CallAudio::source", &["subrosa_call_audio_set_source_wav", "subrosa_call_audio_set_source_ring"], "no callbacks"),
    ("CallAudio::sink", &["subrosa_call_audio_set_sink_wav", "subrosa_call_audio_set_sink_ring"], "no callbacks"),
    ("AudioRing::correct_drift", &["subrosa_audio_ring_new"], "an argument"),
    ("AudioRing::is_empty", &["subrosa_audio_ring_len"], SHORTHAND),
    ("AudioDevice::source", &["subrosa_call_audio_set_device"], "both ends"),
    ("AudioDevice::sink", &["subrosa_call_audio_set_device"], "both ends"),
    ("AudioDevice::try_event", &["subrosa_audio_device_next_event"], "with a timeout of 0"),
    ("DeviceDirection::as_str", &[], WORDS),
    ("DeviceInfo.rates", &["subrosa_device_info.min_rate", "subrosa_device_info.max_rate"], "both ends"),
    ("CallLevels.sent", &["subrosa_call_levels.sent_peak_dbfs", "subrosa_call_levels.sent_rms_dbfs"], "its fields"),
    ("CallLevels.received", &["subrosa_call_levels.received_peak_dbfs", "subrosa_call_levels.received_rms_dbfs"], "its fields"),
    ("Player::new", &["subrosa_audio_ring_push"], "a ring takes samples"),
    ("Player::open", &["subrosa_call_audio_set_source_wav"], "the same"),
    ("Player::looping", &["subrosa_call_audio_set_source_wav"], "an argument"),
    ("Player::progress", &[], "samples played are media_stats' packets; a ring tells by its length"),
    ("Progress::played", &[], "see Player::progress"),
    ("Progress::total", &[], "see Player::progress"),
    ("Progress::is_finished", &[], "see Player::progress"),
    ("WavRecorder::create", &["subrosa_call_audio_set_sink_wav"], "the same"),
    ("read_wav", &["subrosa_call_audio_set_source_wav"], "a file is played, not read"),
    ("DnsConfig::new", &["subrosa_config_set_dns_servers"], "the same"),
    ("DnsConfig::system", &["subrosa_phone_new"], "the default"),
    ("DnsConfig.servers", &["subrosa_config_set_dns_servers"], "the same"),
    ("DnsConfig.hosts", &[], "the platform's hosts file, or none"),
    ("DnsConfig.timeout", &[], "its default"),
    ("DnsConfig.attempts", &[], "its default"),
    ("Hosts::parse", &[], "see DnsConfig.hosts"),
    ("Hosts::insert", &[], "see DnsConfig.hosts"),
];

/// What the C side lacks so far, to be given functions: nothing, and nothing may be added here.
const NOT_YET_IN_C: &[&str] = &[];

/// Types of the driver that C leaves out as a whole.
const NOT_IN_C: &[(&str, &str)] = &[
    ("WireBytes", "the wire tap is a callback for each packet"),
    ("WireRecorder", "the wire tap is a callback for each packet"),
    ("RecordedBytes", "the wire tap is a callback for each packet"),
    ("WireDirection", "the wire tap is a callback for each packet"),
    ("WireTransport", "the wire tap is a callback for each packet"),
];

fn exception(item: &str) -> Option<&'static [&'static str]> {
    EXCEPTIONS.iter().find(|(name, ..)| *name == item).map(|(_, c, _)| *c)
}

/// The C symbols that stand for each Rust item; none if C lacks it.
fn counterparts() -> BTreeMap<String, Option<Vec<String>>> {
    let symbols = c_symbols();
    let has = |symbol: &str| symbols.contains(symbol) || symbol == "subrosa_logger";
    let find = |item: &String| {
        if let Some(listed) = exception(item) {
            let all = listed.iter().all(|symbol| has(symbol));
            return all.then(|| listed.iter().map(|s| (*s).to_owned()).collect());
        }
        let found: Vec<_> = by_convention(item).into_iter().filter(|symbol| has(symbol)).collect();
        (!found.is_empty()).then_some(found)
    };
    let items = rust_items(HELD, TOOLS);
    let wanted = items.iter().filter(|item| {
        !NOT_IN_C.iter().any(|(of, _)| *of == word(item)) && !NOT_YET_IN_C.contains(&item.as_str())
    });
    wanted.map(|item| (item.clone(), find(item))).collect()
}

#[test]
fn what_rust_can_do_c_can_do() {
    let counterparts = counterparts();
    assert!(counterparts.len() > 250, "only {} items found", counterparts.len());
    let missing: Vec<_> =
        counterparts.iter().filter(|(_, c)| c.is_none()).map(|(rust, _)| rust).collect();
    assert!(
        missing.is_empty(),
        "new in Rust, without a counterpart in C: give them one in src/ffi (by convention: \
         Engine::x is subrosa_engine_x), or list them in EXCEPTIONS with the reason: {missing:#?}"
    );
}

#[test]
fn the_lists_name_nothing_that_is_gone() {
    let items = rust_items(HELD, TOOLS);
    let gone: Vec<_> = EXCEPTIONS.iter().map(|(item, ..)| item).chain(NOT_YET_IN_C).collect();
    let gone: Vec<_> = gone.into_iter().filter(|item| !items.contains(**item)).collect();
    assert!(gone.is_empty(), "listed, but not in Rust: {gone:?}");
    let gone: Vec<_> = NOT_IN_C
        .iter()
        .map(|(of, _)| *of)
        .filter(|of| !items.iter().any(|item| word(item) == **of))
        .collect();
    assert!(gone.is_empty(), "listed, but not in Rust: {gone:?}");
    assert!(EXCEPTIONS.iter().all(|(.., reason)| !reason.is_empty()));
}

/// What C has for its own sake: life and death of handles, text, addresses.
const C_ONLY: &[(&str, &str)] = &[
    ("_free", "Rust drops"),
    ("SUBROSA_PROCESSING_OFF", "no bit"),
    ("SUBROSA_PROCESSING_VOICE", "all bits"),
    ("SUBROSA_PROCESSING_DEFAULT", "None in Rust"),
    ("subrosa_reason_text", "a method of each enum of reasons"),
    ("SUBROSA_REASON_SIP", "the type says"),
    ("SUBROSA_REASON_SDP", "the type says"),
    ("SUBROSA_REASON_SRTP", "the type says"),
    ("SUBROSA_REASON_RTP", "the type says"),
    ("SUBROSA_REASON_RTCP", "the type says"),
    ("SUBROSA_REASON_RED", "the type says"),
    ("_last_error", "Rust's errors speak for themselves"),
    ("subrosa_abi_version", "the linker checks Rust"),
    ("subrosa_version", "the linker checks Rust"),
    ("subrosa_status_text", "Rust's errors speak for themselves"),
    ("subrosa_addr_parse", "std::net"),
    ("subrosa_addr_text", "std::net"),
    ("subrosa_call_options_init", "Default"),
    ("subrosa_audio_options_init", "Default"),
    ("subrosa_phone_clone", "Clone"),
    ("subrosa_phone_call_security", "CallInfo"),
    ("subrosa_phone_call_media_stats", "CallInfo"),
    ("subrosa_phone_policy_of", "with_engine"),
    ("subrosa_phone_domain_policy", "with_engine"),
    ("subrosa_phone_early_media", "with_engine"),
    ("subrosa_phone_renew_keys", "with_engine"),
    ("subrosa_phone_srtp_progress", "with_engine"),
    ("subrosa_phone_get_load", "with_engine"),
    ("subrosa_phone_export_peers", "with_engine"),
    ("subrosa_phone_import_peers", "with_engine"),
    ("subrosa_phone_forget_peer", "with_engine"),
    ("subrosa_phone_safety_number", "with_engine"),
    ("subrosa_phone_confirm_safety_number", "with_engine"),
    ("subrosa_phone_account_ladder", "AccountStatus"),
    ("subrosa_phone_call_ladder", "CallInfo"),
    ("subrosa_device_list_len", "Vec"),
    ("subrosa_device_list_get", "Vec"),
    ("SUBROSA_SAFETY_NUMBER_SCAN_LEN", "SafetyNumber::SCAN_LEN"),
    ("subrosa_phone_tls_options", "with_engine"),
    ("subrosa_phone_set_domain_tls", "with_engine"),
    ("subrosa_phone_clear_domain_tls", "with_engine"),
    ("subrosa_phone_poll_key_log", "with_engine"),
    ("subrosa_phone_poll_sip_trace", "with_engine"),
    ("subrosa_tls_options_set_trust_pem", "TlsClientOptions"),
    ("subrosa_tls_options_set_identity_pem", "TlsClientOptions"),
    ("subrosa_tls_options_add_pin", "TlsClientOptions"),
    ("subrosa_tls_options_add_revocation_pem", "TlsClientOptions"),
    ("subrosa_phone_forget_call", "with_engine"),
    ("subrosa_phone_set_logger", "with_engine"),
    ("subrosa_phone_provision", "with_engine"),
    ("subrosa_packet_kind", "wire::rtp::classify"),
    ("SUBROSA_FORMAT_TOML", "provisioning::Format"),
    ("SUBROSA_FORMAT_JSON", "provisioning::Format"),
];

#[test]
fn what_c_can_do_rust_can_do() {
    let counterparts = counterparts();
    let used: BTreeSet<&String> = counterparts.values().flatten().flatten().collect();
    let own = |symbol: &str| {
        let listed = C_ONLY.iter().any(|(name, _)| {
            if name.starts_with('_') { symbol.ends_with(name) } else { *name == symbol }
        });
        // Statuses are Rust's errors; "none" and "other" are Rust's Option and non_exhaustive;
        // a struct's size, padding and ip are C's own.
        let starts = ["SUBROSA_ERR_", "SUBROSA_ABI_", "SUBROSA_MAX_", "SUBROSA_OK", "SUBROSA_H"];
        let ends = ["_NONE", "_OTHER", "_ANY"];
        listed
            || starts.iter().any(|start| symbol.starts_with(start))
            || ends.iter().any(|end| symbol.ends_with(end))
            || symbol.contains('.')
    };
    let symbols = c_symbols();
    let lost: Vec<_> = symbols.iter().filter(|s| !used.contains(s) && !own(s)).collect();
    assert!(lost.is_empty(), "in C, but not in Rust: {lost:#?}");
    let gone: Vec<_> = C_ONLY
        .iter()
        .filter(|(name, _)| !name.starts_with('_') && !symbols.contains(*name))
        .collect();
    assert!(gone.is_empty(), "listed, but not in C: {gone:?}");
}

/// What a phone of the C interface does by itself: it has no inputs and outputs.
const DONE_BY_THE_PHONE: &[&str] = &[
    "Engine::new",
    "Engine::handle_input",
    "Engine::poll_output",
    "Engine::accept_stream",
    "Engine::write_pcm",
    "Engine::read_pcm",
    "Engine::write_frame",
    "Engine::read_frame",
    "Engine::write_comfort_noise",
    "Engine::encoding",
    "Call::early_media_encoded",
    "Engine::shut_down",
    "Engine::poll_log",
    "Engine::set_log_level",
    "Call::id",
    "Engine::take_media",
    "Engine::keep_media",
    "Call::media_sockets",
];

#[test]
fn the_phone_can_do_what_the_engine_can() {
    let symbols = c_symbols();
    let facts = [
        "state",
        "direction",
        "remote",
        "end_reason",
        "codec",
        "sip_call_id",
        "holds",
        "policy",
        "account_policy",
        "tone",
    ];
    for item in rust_items(HELD, TOOLS) {
        let Some(("Engine" | "Call", name)) = item.split_once("::") else { continue };
        let listed = [DONE_BY_THE_PHONE, NOT_YET_IN_C].concat().contains(&item.as_str());
        if listed || facts.contains(&name) {
            continue;
        }
        let names = ["", "call_", "get_"].map(|part| format!("subrosa_phone_{part}{name}"));
        assert!(names.iter().any(|name| symbols.contains(name)), "{item}: none of {names:?}");
    }
}

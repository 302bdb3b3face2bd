//! Evidence: how secure a call is.

use super::account::{SUBROSA_TRANSPORT_ANY, policy_number, source_number, transport_number};
use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Texts};
use super::peers::level_number;
use super::pointer::{OutStruct, Versioned, subrosa_str};
use super::status::subrosa_status;
use super::tls::{SUBROSA_TLS_PROVIDER_RING, provider_number};
use crate::crypto::tls::{Revocation, TlsVersion};
use crate::engine::{Keying, MediaLeg, Padlock, SecurityReport};

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

fn generation(leg: &Option<MediaLeg>) -> u32 {
    leg.as_ref().map_or(0, |leg| leg.key_generation)
}

fn profile(leg: &Option<MediaLeg>) -> &str {
    leg.as_ref().map_or("", |leg| leg.profile.as_str())
}

fn mki(leg: &Option<MediaLeg>) -> String {
    leg.as_ref().and_then(|leg| leg.mki).map(|mki| format!("{mki:?}")).unwrap_or_default()
}

fn fingerprint(leg: &Option<MediaLeg>) -> String {
    leg.as_ref().and_then(|leg| leg.fingerprint).map(|f| f.to_string()).unwrap_or_default()
}

pub(super) const fn padlock_number(padlock: Padlock) -> i32 {
    match padlock {
        Padlock::VerifiedEndToEnd => SUBROSA_PADLOCK_VERIFIED_END_TO_END,
        Padlock::EncryptedToProvider => SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER,
        Padlock::SignallingOnly => SUBROSA_PADLOCK_SIGNALLING_ONLY,
        Padlock::None => SUBROSA_PADLOCK_NONE,
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
    /// The connection of signalling is there: 1; 0 once it is lost, and before there is one.
    pub connected: i32,
    /// The key exchange of TLS was a hybrid of a classical and a post-quantum one: 1 or 0.
    pub hybrid: i32,
    /// How often the key of what we send was renewed: 0 for the first one.
    pub key_generation_out: u32,
    /// How often the key of what we receive was renewed: 0 for the first one.
    pub key_generation_in: u32,
    /// The peer's `fingerprint` came over signalling whose peer was verified: 1 or 0.
    pub fingerprint_verified: i32,
    /// The keys come from DTLS with the certificate that two people confirmed: 1 or 0.
    pub peer_identity_verified: i32,
    /// Voice and RTCP are encrypted in both directions, whoever has the keys: 1 or 0.
    pub media_encrypted: i32,
    /// RTCP that we send is encrypted and authenticated: 1 or 0.
    pub rtcp_encrypted_out: i32,
    /// Only RTCP that is encrypted and authenticated is taken: 1 or 0.
    pub rtcp_encrypted_in: i32,
    /// RTCP shares the port of RTP: 1 or 0.
    pub rtcp_mux: i32,
    /// Debugging is on: secrets of a connection that carried this call went into the key log.
    pub tls_key_log: i32,
    /// Debugging is on: the SIP messages of this call went into the trace.
    pub sip_trace: i32,
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
    /// The transport profile of what we send, for example "RTP/SAVP"; empty before media.
    pub profile_out: subrosa_str,
    /// The transport profile of what we receive; empty before media.
    pub profile_in: subrosa_str,
    /// The identifier of the key of what we send, "0x" and hexadecimal digits; empty without.
    pub mki_out: subrosa_str,
    /// The identifier of the key of what we receive, the first of several; empty without.
    pub mki_in: subrosa_str,
    /// The fingerprint that signalling announced and the peer's certificate has, for example
    /// "sha-256 AB:CD:.."; empty unless the keys come from DTLS.
    pub fingerprint: subrosa_str,
    /// The padlock in a few words.
    pub padlock_text: subrosa_str,
    /// The sentence for the screen.
    pub text: subrosa_str,
    /// The sentence and the evidence behind it, line by line.
    pub evidence: subrosa_str,
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
            padlock: padlock_number(report.padlock()),
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
            connected: i32::from(signalling.is_some_and(|leg| leg.connected)),
            hybrid: i32::from(report.is_hybrid()),
            key_generation_out: generation(&report.media_out),
            key_generation_in: generation(&report.media_in),
            fingerprint_verified: i32::from(
                report.media_in.as_ref().is_some_and(MediaLeg::is_fingerprint_verified),
            ),
            peer_identity_verified: i32::from(report.peer_identity_verified),
            media_encrypted: i32::from(report.is_media_encrypted()),
            rtcp_encrypted_out: i32::from(report.rtcp.is_some_and(|rtcp| rtcp.encrypted_out)),
            rtcp_encrypted_in: i32::from(report.rtcp.is_some_and(|rtcp| rtcp.encrypted_in)),
            rtcp_mux: i32::from(report.rtcp.is_some_and(|rtcp| rtcp.mux)),
            tls_key_log: i32::from(report.debugging.tls_key_log),
            sip_trace: i32::from(report.debugging.sip_trace),
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
            profile_out: texts.lend(profile(&report.media_out)),
            profile_in: texts.lend(profile(&report.media_in)),
            mki_out: texts.lend(&mki(&report.media_out)),
            mki_in: texts.lend(&mki(&report.media_in)),
            fingerprint: texts.lend(&fingerprint(&report.media_in)),
            padlock_text: texts.lend(report.padlock().as_str()),
            text: texts.lend(&report.to_string()),
            evidence: texts.lend(&format!("{report:#}")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::srtp::Suite;
    use crate::engine::{EffectivePolicy, RtcpLeg};
    use crate::sdp::Profile;

    /// What C is told of a report, and the texts in it.
    fn told(report: &SecurityReport) -> (subrosa_security_report, Vec<String>) {
        let mut texts = Texts::default();
        let c = subrosa_security_report::of(report, &mut texts);
        let words = [
            c.srtp_suite_out,
            c.srtp_suite_in,
            c.profile_out,
            c.profile_in,
            c.padlock_text,
            c.text,
            c.evidence,
        ];
        // SAFETY: `texts` keeps what it lent.
        let words = words.map(|text| unsafe { text.text().unwrap() }.to_owned());
        (c, words.to_vec())
    }

    fn leg(suite: Suite, profile: Profile, generation: u32) -> MediaLeg {
        let plain = MediaLeg::plain(profile);
        MediaLeg { suite: Some(suite), keying: Keying::Sdes, key_generation: generation, ..plain }
    }

    #[test]
    fn each_direction_of_the_media_is_told_as_its_own() {
        let mut report = SecurityReport::new(EffectivePolicy::of_domain(None));
        let (c, words) = told(&report);
        assert_eq!((c.media_agreed, c.keying_out, c.keying_in), (0, 0, 0));
        assert!(words[..4].iter().all(String::is_empty), "{words:?}");
        report.media_out = Some(leg(Suite::AeadAes256Gcm, Profile::Savp, 2));
        let (c, words) = told(&report);
        assert_eq!((c.media_agreed, c.keying_out, c.keying_in), (1, SUBROSA_KEYING_SDES, 0));
        assert_eq!((c.key_generation_out, c.key_generation_in), (2, 0));
        assert_eq!(words[..4], [Suite::AeadAes256Gcm.sdp_name(), "", "RTP/SAVP", ""]);
        report.media_in = Some(leg(Suite::AesCm128HmacSha1_80, Profile::Avp, 5));
        let (c, words) = told(&report);
        assert_eq!((c.key_generation_out, c.key_generation_in), (2, 5));
        assert_eq!((c.keying_in, c.fingerprint_verified), (SUBROSA_KEYING_SDES, 0));
        assert_eq!(words[..2], ["AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]);
        assert_eq!(words[2..4], ["RTP/SAVP", "RTP/AVP"]);
        let said = [report.padlock().to_string(), report.to_string(), format!("{report:#}")];
        assert_eq!(words[4..], said);
    }

    #[test]
    fn each_fact_of_rtcp_and_debugging_and_each_counter_has_a_field_of_its_own() {
        let mut report = SecurityReport::new(EffectivePolicy::of_domain(None));
        for bits in 0..8_i32 {
            let bit = |at: i32| bits >> at & 1;
            report.rtcp = Some(RtcpLeg {
                encrypted_out: bit(0) == 1,
                encrypted_in: bit(1) == 1,
                mux: bit(2) == 1,
            });
            (report.debugging.tls_key_log, report.debugging.sip_trace) = (bit(0) == 1, bit(1) == 1);
            let (c, _) = told(&report);
            let rtcp = (c.rtcp_encrypted_out, c.rtcp_encrypted_in, c.rtcp_mux);
            assert_eq!(rtcp, (bit(0), bit(1), bit(2)));
            assert_eq!((c.tls_key_log, c.sip_trace), (bit(0), bit(1)));
        }
        report.packets_protected = 1;
        report.packets_authenticated = 2;
        report.auth_failures = 3;
        report.replays = 4;
        report.plain_dropped = 5;
        let (c, _) = told(&report);
        assert_eq!((c.packets_protected, c.packets_authenticated), (1, 2));
        assert_eq!((c.auth_failures, c.replays, c.plain_dropped), (3, 4, 5));
        report.rtcp = None;
        let (c, _) = told(&report);
        assert_eq!((c.rtcp_encrypted_out, c.rtcp_encrypted_in, c.rtcp_mux), (0, 0, 0));
    }
}

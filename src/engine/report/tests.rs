use super::*;
use crate::crypto::dtls::{Fingerprint, FingerprintHash};
use crate::crypto::identity::{MatchRule, NameMatch};
use crate::crypto::srtp::{MasterKeyId, Suite};
use crate::crypto::tls::{PeerCertificate, Revocation, SpkiPin, TlsProvider, TlsVersion};
use crate::engine::SecurityPolicy;
use crate::sdp::Profile;
use crate::sip::Transport;
use crate::sip::route::StepOutcome;
use alloc::string::ToString;
use alloc::vec;

fn certificate() -> PeerCertificate {
    PeerCertificate {
        subject: "CN=bob.example".into(),
        names: vec!["bob.example".into()],
        domains: vec!["bob.example".into()],
        users: vec![],
        matched: Some(NameMatch { rule: MatchRule::DnsName, presented: "bob.example".into() }),
        anchor: "CN=Example CA".into(),
        key: SpkiPin::new([7; 32]),
        pin: None,
        revocation: Revocation::NotRevoked,
    }
}

pub(super) fn tls() -> TlsFacts {
    TlsFacts {
        version: TlsVersion::V1_3,
        cipher_suite: "TLS13_AES_256_GCM_SHA384",
        key_exchange: Some("X25519"),
        resumed: false,
        peer: Some(certificate()),
        own_certificate_sent: false,
        provider: TlsProvider::Ring,
        fips: false,
        key_logged: false,
    }
}

fn leg(keying: Keying) -> MediaLeg {
    let dtls = matches!(keying, Keying::Dtls { .. });
    let profile = if dtls { Profile::DtlsSavp } else { Profile::Savp };
    let fingerprint = dtls.then(|| Fingerprint::of(FingerprintHash::Sha256, b"bob"));
    let suite = Some(Suite::AeadAes256Gcm);
    MediaLeg { suite, keying, fingerprint, ..MediaLeg::plain(profile) }
}

/// Everything under TLS with a verified peer, keys in this way.
pub(super) fn secure(keying: Keying) -> SecurityReport {
    let policy = EffectivePolicy::of_domain(Some(SecurityPolicy::Preferred));
    let mut report = SecurityReport::new(policy);
    report.set_signalling(SignallingLeg::new(Transport::Tls, Some(tls())));
    (report.media_out, report.media_in) = (Some(leg(keying)), Some(leg(keying)));
    report.rtcp = Some(RtcpLeg { encrypted_out: true, encrypted_in: true, mux: true });
    report.packets_protected = 500;
    report.packets_authenticated = 498;
    report
}

pub(super) fn step(transport: Transport, outcome: StepOutcome) -> LadderStep {
    let port = if transport == Transport::Tls { 5061 } else { 5060 };
    LadderStep { transport, address: ([192, 0, 2, 1], port).into(), outcome }
}

/// Nothing encrypted, after TLS was refused.
pub(super) fn plain() -> SecurityReport {
    let mut report = SecurityReport::new(EffectivePolicy::of_domain(None));
    report.ladder =
        vec![step(Transport::Tls, StepOutcome::Refused), step(Transport::Udp, StepOutcome::Up)];
    report.set_signalling(SignallingLeg::new(Transport::Udp, None));
    let leg = MediaLeg::plain(Profile::Avp);
    (report.media_out, report.media_in) = (Some(leg.clone()), Some(leg));
    report.rtcp = Some(RtcpLeg { encrypted_out: false, encrypted_in: false, mux: false });
    report
}

fn confirmed() -> SecurityReport {
    let mut report = secure(Keying::Dtls { authenticated: true });
    report.peer_identity_verified = true;
    report
}

/// Takes one protection away.
type Damage = fn(&mut SecurityReport);

#[test]
fn the_padlock_opens_as_soon_as_one_leg_is_not_protected() {
    let open_signalling: [Damage; 4] = [
        |r| r.signalling = None,
        |r| r.signalling.as_mut().unwrap().transport = Transport::Tcp,
        |r| r.signalling.as_mut().unwrap().tls = None,
        |r| r.signalling.as_mut().unwrap().peer_verified = false,
    ];
    let open_media: [Damage; 7] = [
        |r| r.media_out = None,
        |r| r.media_in = None,
        |r| r.media_out.as_mut().unwrap().suite = None,
        |r| r.media_in.as_mut().unwrap().suite = None,
        |r| r.rtcp = None,
        |r| r.rtcp.as_mut().unwrap().encrypted_out = false,
        |r| r.rtcp.as_mut().unwrap().encrypted_in = false,
    ];
    let sdes = secure(Keying::Sdes);
    assert_eq!(sdes.padlock(), Padlock::EncryptedToProvider);
    assert_eq!(confirmed().padlock(), Padlock::VerifiedEndToEnd);
    for damage in open_signalling {
        let mut report = sdes.clone();
        damage(&mut report);
        assert_eq!(report.padlock(), Padlock::None);
        assert_eq!(report.level(), SecurityLevel::EncryptedUnauthenticated);
    }
    for damage in open_media {
        for whole in [sdes.clone(), confirmed()] {
            let mut report = whole;
            damage(&mut report);
            assert_eq!(report.padlock(), Padlock::SignallingOnly);
            assert_eq!(report.level(), SecurityLevel::Plain);
        }
    }
    assert_eq!(plain().padlock(), Padlock::None);
}

#[test]
fn only_keys_by_dtls_in_both_directions_with_a_confirmed_peer_are_verified_end_to_end() {
    let dtls = Keying::Dtls { authenticated: false };
    for (out, into, confirmed, level) in [
        (dtls, dtls, true, SecurityLevel::VerifiedEndToEnd),
        (dtls, dtls, false, SecurityLevel::EncryptedUnauthenticated),
        (Keying::Sdes, Keying::Sdes, true, SecurityLevel::EncryptedUnauthenticated),
        (dtls, Keying::Sdes, true, SecurityLevel::EncryptedUnauthenticated),
        (Keying::Sdes, dtls, true, SecurityLevel::EncryptedUnauthenticated),
    ] {
        let mut report = secure(Keying::Sdes);
        report.signalling = None;
        (report.media_out, report.media_in) = (Some(leg(out)), Some(leg(into)));
        report.peer_identity_verified = confirmed;
        assert_eq!(report.level(), level, "{out:?} {into:?}");
        assert_eq!(report.padlock(), Padlock::None, "nothing is known of signalling");
        report.media_out = Some(MediaLeg::plain(Profile::Avp));
        assert_eq!(report.level(), SecurityLevel::Plain);
    }
}

#[test]
fn a_fingerprint_is_verified_by_verified_signalling_alone() {
    assert!(leg(Keying::Dtls { authenticated: true }).is_fingerprint_verified());
    assert!(!leg(Keying::Dtls { authenticated: false }).is_fingerprint_verified());
    assert!(!leg(Keying::Sdes).is_fingerprint_verified());
    let mut none = leg(Keying::Dtls { authenticated: true });
    none.fingerprint = None;
    assert!(!none.is_fingerprint_verified());
}

#[test]
fn what_was_logged_once_stays_logged() {
    let mut report = secure(Keying::Sdes);
    assert!(!report.debugging.is_on());
    report.set_signalling(SignallingLeg::new(
        Transport::Tls,
        Some(TlsFacts { key_logged: true, ..tls() }),
    ));
    report.set_signalling(SignallingLeg::new(Transport::Tls, Some(tls())));
    assert!(report.debugging.tls_key_log && report.debugging.is_on());
}

#[test]
fn a_call_to_the_provider_in_words() {
    let mut report = secure(Keying::Sdes);
    report.ladder = vec![step(Transport::Tls, StepOutcome::Up)];
    let out = report.media_out.as_mut().unwrap();
    out.mki = Some(MasterKeyId::from_number(1066, 4).unwrap());
    out.key_generation = 2;
    report.media_in.as_mut().unwrap().key_generation = 1;
    assert_eq!(
        report.to_string(),
        "Encrypted to your provider: nobody on the way there can listen."
    );
    let expected = "\
Encrypted to your provider: nobody on the way there can listen.
signalling: TLS 1.3, TLS13_AES_256_GCM_SHA384, key exchange X25519
other end: bob.example, by a certificate from CN=Example CA for bob.example as dialled, not revoked
way: TLS to 192.0.2.1:5061: connected
voice sent: SRTP AEAD_AES_256_GCM (RTP/SAVP), keys by SDES, in the signalling, key identifier \
0x0000042a, renewed 2 times
voice heard: SRTP AEAD_AES_256_GCM (RTP/SAVP), keys by SDES, in the signalling, renewed once
control: SRTCP, encrypted both ways, on the voice's port
policy: encryption is preferred, as the domain wants it
packets: 500 protected, 498 authenticated, 0 not authentic, 0 replayed, 0 plain ones refused";
    assert_eq!(alloc::format!("{report:#}"), expected);
}

#[test]
fn a_call_in_the_clear_says_why() {
    let expected = "\
Not encrypted: others on the way can listen.
signalling: UDP, not encrypted
way: TLS could not be had. TLS to 192.0.2.1:5061: refused; UDP to 192.0.2.1:5060: connected
voice sent: plain RTP (RTP/AVP), not encrypted
voice heard: plain RTP (RTP/AVP), not encrypted
control: plain RTCP, not encrypted, on a port of its own
policy: encryption is preferred, as nothing else was set
packets: 0 protected, 0 authenticated, 0 not authentic, 0 replayed, 0 plain ones refused";
    assert_eq!(alloc::format!("{:#}", plain()), expected);
}

#[test]
fn a_confirmed_phone_a_hybrid_key_exchange_and_debugging_in_words() {
    let mut report = confirmed();
    let facts =
        TlsFacts { key_exchange: Some("X25519MLKEM768"), key_logged: true, resumed: true, ..tls() };
    report.set_signalling(SignallingLeg::new(Transport::Tls, Some(facts)));
    report.signalling.as_mut().unwrap().connected = false;
    report.debugging.sip_trace = true;
    assert!(report.is_hybrid());
    let fingerprint = Fingerprint::of(FingerprintHash::Sha256, b"bob");
    let expected = alloc::format!(
        "\
Encrypted and verified end to end: nobody between the two phones can listen. Debugging is on: \
whoever has the TLS key log or the SIP trace can read the signalling.
signalling: TLS 1.3, TLS13_AES_256_GCM_SHA384, hybrid post-quantum key exchange X25519MLKEM768, \
session resumed; this connection is lost
other end: bob.example, by a certificate from CN=Example CA for bob.example as dialled, not revoked
voice sent: SRTP AEAD_AES_256_GCM (UDP/TLS/RTP/SAVP), keys by DTLS, fingerprint {fingerprint} of \
the phone that you confirmed
voice heard: SRTP AEAD_AES_256_GCM (UDP/TLS/RTP/SAVP), keys by DTLS, fingerprint {fingerprint} of \
the phone that you confirmed
control: SRTCP, encrypted both ways, on the voice's port
policy: encryption is preferred, as the domain wants it
packets: 500 protected, 498 authenticated, 0 not authentic, 0 replayed, 0 plain ones refused
debugging: TLS key log, SIP trace"
    );
    assert_eq!(alloc::format!("{report:#}"), expected);
}

#[test]
fn each_state_has_its_sentence_and_none_claims_too_much() {
    let dtls = |authenticated| secure(Keying::Dtls { authenticated });
    let with = |mut report: SecurityReport, damage: Damage| {
        damage(&mut report);
        report.to_string()
    };
    let stranger: Damage = |r| r.signalling.as_mut().unwrap().peer_verified = false;
    let silent: Damage = |r| (r.media_out, r.media_in, r.rtcp) = (None, None, None);
    let clear: Damage = |r| r.set_signalling(SignallingLeg::new(Transport::Tcp, None));
    for (text, start) in [
        (with(dtls(false), stranger), "The voice is encrypted, but the other end did not prove"),
        (with(confirmed(), clear), "The voice is encrypted to the phone that you confirmed, but"),
        (with(secure(Keying::Sdes), |r| r.rtcp = None), "Only the call's set-up is encrypted:"),
        (with(secure(Keying::Sdes), silent), "The call's set-up is encrypted; there is no voice"),
        (with(plain(), silent), "Not encrypted: others on the way can see who calls whom."),
        (with(plain(), |_| ()), "Not encrypted: others on the way can listen."),
        (
            SecurityReport::new(EffectivePolicy::of_domain(None)).to_string(),
            "Nothing is known yet.",
        ),
    ] {
        assert!(text.starts_with(start), "{text}");
    }
    let mut unproven = secure(Keying::Sdes);
    silent(&mut unproven);
    stranger(&mut unproven);
    assert!(unproven.to_string().starts_with("Not secure yet"), "{unproven}");
}

#[test]
fn names_in_certificates_cannot_forge_lines() {
    let mut report = secure(Keying::Sdes);
    let peer = report.signalling.as_mut().unwrap().tls.as_mut().unwrap().peer.as_mut().unwrap();
    peer.anchor = "CN=x\nvoice sent: forged\u{1b}[2J".into();
    let text = alloc::format!("{report:#}");
    assert!(!text.contains('\u{1b}') && !text.contains("\nvoice sent: forged"), "{text}");
}

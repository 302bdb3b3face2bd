//! SDES in whole calls against a scripted peer under TLS: forks, key identifiers, short lifetimes,
//! new addresses and new keys, attempts to switch protection off.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/sdes.rs"]
mod sdes;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use pair::{Pair, USUAL};
use sdes::*;
use subrosa::crypto::srtp::{KeyInfo, KeySet, MasterKeyId, Suite, UnprotectError};
use subrosa::engine::{CallState, Event, Keying, Padlock, SecurityPolicy};
use subrosa::sdp::{SdpFault, SessionDescription};
use subrosa::sim::Fact;
use subrosa::time::Duration;
use subrosa::wire::sip::MessageBuilder;
use tls_peer::{Lab, Voice, description, response};

#[test]
fn forks_never_get_packets_of_one_source_under_one_key_and_the_winner_gets_a_fresh_one() {
    let mut invites = 0;
    let mut lab = Lab::new(
        |_| {},
        move |m| {
            if !is_invite(m) {
                return vec![];
            }
            invites += 1;
            let tag = tag_of(m.body(), GCM);
            let fork = |port, seed| description(port, "RTP/SAVP", &[line(tag, GCM, seed, "")]);
            match invites {
                1 => vec![response(m, 183, "one", &fork(4000, 1))],
                _ => vec![response(m, 200, "two", &fork(4002, 3))],
            }
        },
    );
    lab.run(100);
    lab.talk(20);
    let offered = keys_of(&lab.offer(0), GCM);
    let (early, _) = lab.peer().opened(4000, 0, &offered);
    assert!(early > 10, "the first fork hears early media: {early}");
    let invite = lab.peer().requests("INVITE")[0].clone();
    let tag = tag_of(invite.body(), GCM);
    let body = description(4002, "RTP/SAVP", &[line(tag, GCM, 2, "")]);
    let before = lab.peer().media.len();
    lab.say(response(&invite, 200, "two", &body));
    lab.run(1000);
    // Another fork heard the offer: a fresh key is agreed on without anybody asking.
    assert_eq!(lab.peer().requests("INVITE").len(), 2, "{}", lab.world.ladder());
    let fresh = keys_of(&lab.offer(1), GCM);
    assert_ne!(fresh, offered);
    let peer = lab.peer();
    let late = |packet: &&(_, u16, _, Vec<u8>)| packet.1 == 4000;
    let to_loser = peer.media.iter().skip(before).filter(late).count();
    assert!(to_loser <= 1, "{to_loser} packets to the fork that lost");
    let (first, second) = (peer.ssrcs(4000), peer.ssrcs(4002));
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second, "one key, two forks, one SSRC");
    assert!(peer.opened(4002, before, &fresh).0 > 30);
    // Both directions stand.
    Voice::new(&keys(GCM, 3), 7, 100, 4002).speak(&mut lab, 20);
    let (state, report, stats) = report(&mut lab);
    assert_eq!((state, report.padlock()), (CallState::Established, Padlock::EncryptedToProvider));
    assert_eq!((stats.packets_received, report.auth_failures), (20, 0));
    // And no second renewal follows.
    lab.run(40_000);
    assert_eq!(lab.peer().requests("INVITE").len(), 2);
    lab.world.check().unwrap();
}

/// One fork rings, with early media from port 4000; and how another one answers, at port 4002.
fn rung_by_a_fork() -> (Lab, MessageBuilder) {
    let mut lab = Lab::new(|_| {}, |_| vec![]);
    lab.run(300);
    let invite = lab.peer().requests("INVITE")[0].clone();
    let tag = tag_of(invite.body(), GCM);
    let fork = |port, seed| description(port, "RTP/SAVP", &[line(tag, GCM, seed, "")]);
    lab.say(response(&invite, 183, "one", &fork(4000, 1)));
    let answer = response(&invite, 200, "two", &fork(4002, 2));
    (lab, answer)
}

#[test]
fn what_the_fork_that_lost_still_says_is_not_heard() {
    let (mut lab, answer) = rung_by_a_fork();
    let mut loser = Voice::new(&keys(GCM, 1), 7, 100, 4000);
    lab.run(20);
    loser.speak(&mut lab, 10);
    assert_eq!(report(&mut lab).2.packets_received, 10);
    lab.say(answer);
    lab.run(20);
    loser.speak(&mut lab, 10);
    let (_, report, stats) = report(&mut lab);
    assert_eq!((stats.packets_received, report.auth_failures), (0, 10));
}

#[test]
fn who_is_muted_for_one_fork_is_muted_for_the_next() {
    let (mut lab, answer) = rung_by_a_fork();
    lab.run(20);
    let (id, alice) = (lab.call, lab.alice);
    lab.world.command(alice, |engine, now| engine.call(id).unwrap().mute(now, true).unwrap());
    lab.say(answer);
    lab.run(200);
    assert_eq!(lab.peer().ssrcs(4002).len(), 1, "another session");
    assert!(lab.world.command(alice, |engine, _| engine.call(id).unwrap().is_muted()));
}

#[test]
fn a_fork_that_repeats_a_key_of_another_or_of_ours_is_refused() {
    for own in [false, true] {
        let mut lab = Lab::new(|_| {}, |_| vec![]);
        lab.run(300);
        let invite = lab.peer().requests("INVITE")[0].clone();
        let tag = tag_of(invite.body(), GCM);
        let fork = |port, line: String| description(port, "RTP/SAVP", &[line]);
        lab.say(response(&invite, 183, "one", &fork(4000, line(tag, GCM, 1, ""))));
        lab.run(100);
        let repeated = match own {
            true => {
                let offer = lab.offer(0);
                let ours = offer.media[0].crypto.iter().find(|line| line.tag == tag).unwrap();
                ours.to_value().as_str().to_string()
            }
            false => line(tag, GCM, 1, ""),
        };
        lab.say(response(&invite, 200, "two", &fork(4002, repeated)));
        lab.run(500);
        assert!(lab.ended().is_some() || !lab.peer().requests("BYE").is_empty(), "{own}");
        assert_eq!(fault(&mut lab, SdpFault::CryptoAnswer), 1);
        assert!(lab.peer().ssrcs(4002).is_empty(), "nothing is sent to it");
        lab.world.check().unwrap();
    }
}

#[test]
fn no_update_and_no_re_invite_takes_the_keys_out_of_a_call() {
    for (method, profile) in [
        ("UPDATE", "RTP/AVP"),
        ("UPDATE", "RTP/SAVP"),
        ("INVITE", "RTP/AVP"),
        ("INVITE", "RTP/SAVP"),
    ] {
        // Under this policy a new call might be plain.
        let mut lab = answering_under(SecurityPolicy::Preferred, GCM, 1, "");
        lab.run(500);
        let offered = keys_of(&lab.offer(0), GCM);
        let before = lab.peer().media.len();
        match method {
            "INVITE" => lab.reinvite(10, &description(4000, profile, &[])),
            _ => lab.request(method, 10, &description(4000, profile, &[])),
        }
        lab.run(300);
        let refused = lab.peer().seen.iter().rev().find(|m| m.status() == Some(488));
        let refused = refused.unwrap_or_else(|| panic!("{method} {profile} was taken"));
        let warning = refused.header(subrosa::wire::sip::HeaderName::Warning).unwrap();
        assert!(warning.contains("399"), "{warning}");
        let counted = fault(&mut lab, SdpFault::EncryptionRequired)
            + fault(&mut lab, SdpFault::NoCommonSuite);
        assert_eq!(counted, 1, "{method} {profile}");
        lab.run(500);
        Voice::new(&keys(GCM, 1), 7, 100, 4000).speak(&mut lab, 10);
        let (state, report, stats) = report(&mut lab);
        assert_eq!(
            (state, report.padlock()),
            (CallState::Established, Padlock::EncryptedToProvider)
        );
        assert_eq!(stats.packets_received, 10);
        let after = lab.peer().media.len() - before;
        let (rtp, rtcp) = lab.peer().opened(4000, before, &offered);
        assert_eq!(rtp + rtcp, after, "everything is still protected");
    }
}

#[test]
fn both_ends_renew_their_keys_by_themselves_and_nothing_is_lost() {
    let mut pair = Pair::with(USUAL, |config| config.srtp_key_lifetime = Some(400));
    pair.call(USUAL);
    pair.world.run_for(Duration::from_secs(60));
    for side in [0, 1] {
        let id = pair.world.command(pair.phones[side], |engine, _| engine.call_ids()[0]);
        let (state, report, stats, progress) =
            pair.world.command(pair.phones[side], |engine, _| {
                let call = engine.call(id).unwrap();
                let stats = call.media_stats().unwrap();
                (call.state(), call.security(), stats, call.srtp_progress().unwrap())
            });
        assert_eq!(state, CallState::Established);
        // 63 s are 3150 packets of 400 at most under one key.
        assert!(progress.generation >= 7, "{}", progress.generation);
        assert!(progress.generation <= 20, "{}", progress.generation);
        assert!(stats.packets_received > 3000, "{}", stats.packets_received);
        assert_eq!((stats.lost, stats.protect_failures), (0, 0), "side {side}");
        assert_eq!((report.auth_failures, report.replays, report.plain_dropped), (0, 0, 0));
        assert_eq!(report.padlock(), Padlock::EncryptedToProvider);
    }
    assert!(pair.bob_hears());
    pair.world.check().unwrap();
}

#[test]
fn the_end_of_the_peers_lifetime_is_noticed_and_a_new_key_asked_for() {
    let mut lab = answering(CM, 1, "|64");
    lab.run(500);
    let invites = |lab: &Lab| lab.peer().requests("INVITE").len();
    let mut voice = Voice::new(&keys(CM, 1), 7, 100, 4000);
    voice.speak(&mut lab, 50);
    assert_eq!(invites(&lab), 1);
    voice.speak(&mut lab, 13);
    assert_eq!(invites(&lab), 2, "{}", lab.world.ladder());
    voice.sender.rekey(&keys(CM, 2)).unwrap();
    voice.speak(&mut lab, 10);
    let (_, report, stats) = report(&mut lab);
    assert_eq!((stats.packets_received, report.auth_failures), (73, 0));
    lab.run(20_000);
    assert_eq!(invites(&lab), 2);
}

#[test]
fn a_peer_that_never_gives_a_new_key_is_asked_less_and_less_often() {
    let mut lab = Lab::new(
        |_| {},
        |m| {
            if !is_invite(m) {
                return vec![];
            }
            let line = line(tag_of(m.body(), CM), CM, 1, "|64");
            vec![response(m, 200, "bob", &description(4000, "RTP/SAVP", &[line]))]
        },
    );
    lab.run(500);
    Voice::new(&keys(CM, 1), 7, 100, 4000).speak(&mut lab, 60);
    lab.run(120_000);
    let invites = lab.peer().requests("INVITE").len();
    assert!((4..12).contains(&invites), "{invites}");
}

#[test]
fn identifiers_of_any_length_in_either_direction_on_rtp_and_rtcp() {
    for (suite, length) in [(GCM, 1), (CM, 4), (CM, 128), (GCM, 128)] {
        let more: &'static str = Box::leak(format!("|5:{length}").into_boxed_str());
        let mut lab = answering(suite, 1, more);
        lab.run(500);
        // We offered none, and send none; theirs have one (RFC 3711 §3.1: each its own).
        let ours = keys_of(&lab.offer(0), suite);
        let (rtp, rtcp) = lab.peer().opened(4000, 0, &ours);
        assert!(rtp > 5, "{suite} {length}");
        let info =
            KeyInfo::new(key(suite, 1)).with_mki(MasterKeyId::from_number(5, length).unwrap());
        let mut voice = Voice::new(&info.into(), 7, 100, 4000);
        voice.speak(&mut lab, 10);
        let (to, wire) = (lab.phone_rtp(), voice.report());
        lab.world.act(lab.peer, |_, net| net.send(4000, to, &wire));
        lab.run(6000);
        let (_, report, stats) = report(&mut lab);
        assert_eq!((stats.packets_received, stats.rtcp_received), (10, 1), "{suite} {length}");
        assert_eq!(report.auth_failures, 0);
        assert!(lab.peer().opened(4000, 0, &ours).1 > rtcp, "our reports have none either");
        assert_eq!(stats.refused_for(UnprotectError::UnknownMki), 0);
    }
}

#[test]
fn several_keys_in_one_line_are_each_good_and_answered_with_an_identifier_of_their_length() {
    let mut lab = answering(CM, 1, "");
    lab.run(500);
    let pair = [(10, 21), (11, 22)].map(|(mki, seed)| {
        KeyInfo::new(key(CM, seed)).with_mki(MasterKeyId::from_number(mki, 2).unwrap())
    });
    let several = KeySet::new(pair.to_vec()).unwrap();
    let base64 = |seed| line(3, CM, seed, "").split(' ').nth(2).unwrap().to_string();
    let text = format!("3 {} {}|10:2;{}|11:2", CM.sdp_name(), base64(21), base64(22));
    lab.reinvite(10, &description(4000, "RTP/SAVP", &[text]));
    lab.run(100);
    let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
    let answer = SessionDescription::parse(answer.body()).unwrap();
    let mki = answer.media[0].crypto[0].keys[0].mki.unwrap();
    assert_eq!((answer.media[0].crypto[0].tag, mki.length), (3, 2));
    let from = lab.peer().media.len();
    let mut voice = Voice::new(&several, 7, 100, 4000);
    voice.speak(&mut lab, 10);
    // The report names the key in use, each way.
    let ids = |lab: &mut Lab| {
        let report = report(lab).1;
        [report.media_out, report.media_in].map(|leg| leg.unwrap().mki)
    };
    let (first, second) = (MasterKeyId::from_number(10, 2), MasterKeyId::from_number(11, 2));
    let own = MasterKeyId::from_number(mki.value, 2).unwrap();
    assert_eq!(ids(&mut lab), [Some(own), first.ok()]);
    let changes = |lab: &Lab| {
        let events = lab.world.host(lab.alice).events().iter();
        events.filter(|(_, e)| matches!(e, Event::SecurityChanged { .. })).count()
    };
    let told = changes(&lab);
    voice.sender.use_key(&second.unwrap()).unwrap();
    voice.speak(&mut lab, 10);
    assert_eq!((ids(&mut lab), changes(&lab)), ([Some(own), second.ok()], told + 1));
    lab.run(2000);
    let (_, report, stats) = report(&mut lab);
    assert_eq!((stats.packets_received, report.auth_failures), (20, 0));
    assert!(lab.peer().opened(4000, from, &keys_of(&answer, CM)).0 > 90);
}

#[test]
fn a_roll_over_counter_survives_another_address_and_ends_with_its_key() {
    for suite in [CM, GCM] {
        let mut lab = answering(suite, 1, "");
        lab.run(500);
        let mut voice = Voice::new(&keys(suite, 1), 7, 65_530, 4000);
        voice.speak(&mut lab, 10);
        assert_eq!(voice.sender.roll_over_counter(7), Some(1));
        // The peer has moved: the same key, the same source, another port.
        lab.reinvite(10, &description(4004, "RTP/SAVP", &[line(1, suite, 1, "")]));
        lab.run(100);
        let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
        let answer = SessionDescription::parse(answer.body()).unwrap();
        let ours = keys_of(&answer, suite);
        assert_eq!(ours, keys_of(&lab.offer(0), suite), "no new key where none was asked for");
        let before = lab.peer().media.len();
        voice.port = 4004;
        voice.speak(&mut lab, 10);
        let stats = report(&mut lab).2;
        assert_eq!((stats.packets_received, stats.auth_failures()), (20, 0));
        assert!(lab.peer().media.iter().skip(before).all(|(_, port, ..)| *port == 4004));
        // A new key begins at roll-over counter 0, on our side of the wrap too.
        lab.reinvite(11, &description(4004, "RTP/SAVP", &[line(1, suite, 2, "")]));
        lab.run(100);
        let mut renewed = Voice::new(&keys(suite, 2), 7, voice.sequence, 4004);
        renewed.speak(&mut lab, 10);
        assert_eq!(renewed.sender.roll_over_counter(7), Some(0));
        let stats = report(&mut lab).2;
        assert_eq!((stats.packets_received, stats.auth_failures()), (30, 0));
        let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
        let answer = SessionDescription::parse(answer.body()).unwrap();
        assert_ne!(keys_of(&answer, suite), ours, "a new key is answered in kind");
        lab.world.check().unwrap();
    }
}

#[test]
fn lines_with_parameters_that_we_do_not_have_are_passed_over_and_counted() {
    let mut lab = answering(CM, 1, "");
    lab.run(500);
    let lines = [
        line(1, GCM, 31, " KDR=4"),
        line(2, GCM, 32, " UNENCRYPTED_SRTP"),
        line(3, GCM, 33, " FEC_ORDER=SRTP_FEC"),
        line(4, CM, 34, " -FEC_LEVEL=9 WSH=400 KDR=0"),
    ];
    lab.reinvite(10, &description(4000, "RTP/SAVP", &lines));
    // The old key has had its time.
    lab.run(3000);
    let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
    let answer = SessionDescription::parse(answer.body()).unwrap();
    assert_eq!(answer.media[0].crypto[0].tag, 4);
    assert_eq!(fault(&mut lab, SdpFault::CryptoLine), 3);
    // The peer hints at a window of 400: one that is 390 late is still taken, 401 is not.
    let mut voice = Voice::new(&keys(CM, 34), 7, 1000, 4000);
    let packets: Vec<_> = (0..402).map(|_| voice.packet()).collect();
    let (to, host) = (lab.phone_rtp(), lab.peer.id());
    lab.world.report(Fact::Hostile { host });
    for index in [401, 11, 0, 11] {
        lab.world.act(lab.peer, |_, net| net.send(4000, to, &packets[index]));
        lab.run(20);
    }
    let stats = report(&mut lab).2;
    let refused = [UnprotectError::TooOld, UnprotectError::Replayed, UnprotectError::AuthFailed];
    assert_eq!(refused.map(|why| stats.refused_for(why)), [1, 1, 0], "{stats:?}");
}

#[test]
fn the_suites_of_the_configuration_are_offered_in_its_order_and_no_other_is_taken() {
    let wanted = vec![Suite::AesCm192HmacSha1_80, Suite::AeadAes128Gcm];
    let suites = wanted.clone();
    let mut lab = Lab::new(
        |config| config.srtp_suites = suites,
        |m| match is_invite(m) {
            true => {
                let suite = Suite::AeadAes128Gcm;
                let line = line(tag_of(m.body(), suite), suite, 1, "");
                vec![response(m, 200, "bob", &description(4000, "RTP/SAVP", &[line]))]
            }
            false => vec![],
        },
    );
    lab.run(500);
    let offer = lab.offer(0);
    let offered: Vec<_> = offer.media[0].crypto.iter().map(|line| line.suite.as_str()).collect();
    assert_eq!(offered, wanted.iter().map(|suite| suite.sdp_name()).collect::<Vec<_>>());
    let (state, facts, _) = report(&mut lab);
    assert_eq!(state, CallState::Established);
    let leg = facts.media_out.unwrap();
    assert_eq!((leg.suite, leg.keying), (Some(Suite::AeadAes128Gcm), Keying::Sdes));
    lab.reinvite(10, &description(4000, "RTP/SAVP", &[line(1, GCM, 5, "")]));
    lab.run(100);
    assert!(lab.peer().statuses().contains(&488));
    // Another of ours may take its place.
    let other = line(1, Suite::AesCm192HmacSha1_80, 6, "");
    lab.reinvite(11, &description(4000, "RTP/SAVP", &[other]));
    lab.run(100);
    Voice::new(&keys(Suite::AesCm192HmacSha1_80, 6), 7, 100, 4000).speak(&mut lab, 10);
    let (_, facts, stats) = report(&mut lab);
    assert_eq!(facts.media_in.unwrap().suite, Some(Suite::AesCm192HmacSha1_80));
    assert_eq!((stats.packets_received, stats.auth_failures()), (10, 0));
}

#[test]
fn a_new_key_in_our_answer_waits_until_the_peer_has_heard_of_it_or_a_second() {
    for heard in [true, false] {
        let mut lab = answering(CM, 1, "");
        lab.run(500);
        let old = keys_of(&lab.offer(0), CM);
        let mut voice = Voice::new(&keys(CM, 1), 7, 100, 4000);
        voice.speak(&mut lab, 5);
        lab.reinvite(10, &description(4000, "RTP/SAVP", &[line(1, CM, 2, "")]));
        let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
        let new = keys_of(&SessionDescription::parse(answer.body()).unwrap(), CM);
        assert_ne!(new, old);
        // The peer does not know the answer yet: it says so by speaking under its old key.
        let from = lab.peer().media.len();
        voice.speak(&mut lab, 20);
        assert!(lab.peer().opened(4000, from, &old).0 >= 19);
        assert_eq!(lab.peer().opened(4000, from, &new).0, 0);
        let from = lab.peer().media.len();
        match heard {
            true => {
                voice.sender.rekey(&keys(CM, 2)).unwrap();
                voice.speak(&mut lab, 1);
            }
            false => lab.run(600),
        }
        lab.run(400);
        let after = lab.peer().opened(4000, from, &new).0;
        assert!(after >= 18, "{heard}: {after}");
        let stats = report(&mut lab).2;
        assert_eq!((stats.auth_failures(), stats.protect_failures), (0, 0));
    }
}

#[test]
fn f8_carries_a_call_where_it_is_asked_for() {
    let f8 = Suite::F8_128HmacSha1_80;
    let mut lab = Lab::new(
        |config| config.srtp_suites = vec![Suite::AeadAes256Gcm, Suite::F8_128HmacSha1_80],
        move |m| match is_invite(m) {
            true => {
                let line = line(tag_of(m.body(), f8), f8, 1, "");
                vec![response(m, 200, "bob", &description(4000, "RTP/SAVP", &[line]))]
            }
            false => vec![],
        },
    );
    lab.run(500);
    let offer = lab.offer(0);
    let offered: Vec<_> = offer.media[0].crypto.iter().map(|line| line.suite.as_str()).collect();
    assert_eq!(offered, ["AEAD_AES_256_GCM", "F8_128_HMAC_SHA1_80"]);
    let mut voice = Voice::new(&keys(f8, 1), 7, 65_530, 4000);
    voice.speak(&mut lab, 300);
    let (to, feedback) = (lab.phone_rtp(), voice.report());
    lab.world.act(lab.peer, |_, net| net.send(4000, to, &feedback));
    lab.run(6000);
    // Both directions, RTP over a wrap and RTCP.
    let (state, facts, stats) = report(&mut lab);
    assert_eq!(state, CallState::Established);
    for leg in [facts.media_out.as_ref(), facts.media_in.as_ref()].map(Option::unwrap) {
        assert_eq!((leg.suite, leg.keying), (Some(f8), Keying::Sdes));
    }
    assert!(format!("{facts:#}").contains("F8_128_HMAC_SHA1_80"), "{facts:#}");
    assert_eq!((stats.packets_received, stats.auth_failures()), (300, 0));
    let sent = lab.peer().media.len();
    let (rtp, rtcp) = lab.peer().opened(4000, 0, &keys_of(&offer, f8));
    assert!(rtp > 500 && rtcp >= 1 && rtp + rtcp == sent, "{rtp} {rtcp} of {sent}");
}

#[test]
fn f8_is_not_offered_unless_asked_for_but_answered() {
    let f8 = Suite::F8_128HmacSha1_80;
    let mut lab = answering(CM, 1, "");
    lab.run(500);
    assert!(lab.offer(0).media[0].crypto.iter().all(|line| line.suite != f8.sdp_name()));
    let offer = description(4000, "RTP/SAVP", &[line(3, f8, 2, "")]);
    lab.reinvite(10, &offer);
    let answer = lab.peer().seen.iter().rev().find(|m| m.status() == Some(200)).unwrap();
    let answer = SessionDescription::parse(answer.body()).unwrap();
    let lines: Vec<_> =
        answer.media[0].crypto.iter().map(|line| (line.tag, line.suite.as_str())).collect();
    assert_eq!(lines, [(3, "F8_128_HMAC_SHA1_80")]);
    Voice::new(&keys(f8, 2), 8, 100, 4000).speak(&mut lab, 50);
    let from = lab.peer().media.len();
    lab.run(1000);
    let (_, facts, stats) = report(&mut lab);
    assert_eq!(facts.media_in.unwrap().suite, Some(f8));
    assert_eq!((stats.packets_received, stats.auth_failures()), (50, 0));
    assert!(lab.peer().opened(4000, from, &keys_of(&answer, f8)).0 > 40);
}

//! Messages that were made to break a phone or to make it do what it should not. Each test begins
//! with what the attacker does, what the engine does and what the person sees; docs/security.md is
//! made of these lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/lab.rs"]
mod lab;
#[path = "support/open_phone.rs"]
mod open_phone;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/tls_pair.rs"]
mod tls_pair;

use lab::{Lab, SDP, in_dialog, ok, sdp, their_invite};
use open_phone::*;
use subrosa::engine::{CallOptions, CallState, EndReason, Event, FailureReason, SecurityPolicy};
use subrosa::sdp::SdpFault;
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Message, Method, Uri};

use SecurityPolicy::{Off, Required};

/// attacker: lies about the length of a message: 2^32 and more, negative, two lengths; and
///   hides a second message behind it
/// engine: takes no message whose length cannot be trusted; a connection with one is closed,
///   and what hides behind it is never read as a message
/// person: notices nothing; a call that runs goes on
#[test]
fn a_content_length_that_lies() {
    for policy in POLICIES {
        let lengths = [
            "Content-Length: 4294967296",
            "Content-Length: 4294967306",
            "Content-Length: 18446744073709551626",
            "Content-Length: -1",
            "Content-Length: +0",
            "Content-Length: 0x0",
            "Content-Length: 0\r\nContent-Length: 400",
            "Content-Length: 0, 400",
            "Content-Length: 0\r\nl: 9",
            "Content-Length: 4294967295",
        ];
        for by_stream in [false, true] {
            for length in lengths {
                let (mut lab, id) = in_a_call(policy);
                let before = stats(&lab).flows;
                let hidden = smuggled(&lab);
                let text = format!(
                    "OPTIONS sip:alice@peer.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKl\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:bob@peer.test>;tag=l\r\nTo: <sip:alice@peer.test>\r\n\
                 Call-ID: l\r\nCSeq: 1 OPTIONS\r\n{length}\r\n\r\n{hidden}"
                );
                let closed = lab.world.host(lab.peer).closed;
                if by_stream {
                    stream(&mut lab, 5060, &[text.as_bytes()]);
                } else {
                    datagram(&mut lab, text.as_bytes());
                }
                assert_eq!(stats(&lab).flows.malformed, before.malformed + 1, "{length}");
                assert_eq!(lab.world.host(lab.peer).closed > closed, by_stream, "{length}");
                assert_eq!(stats(&lab).foreign_requests, 0, "{length}");
                assert_unharmed(&mut lab, id);
            }
        }
    }
}

/// Descriptions, and what accepting such a call leads to: `None` is a call with PCMU.
fn impossible_descriptions() -> Vec<(String, Option<SdpFault>)> {
    let keys = |n: usize| -> String {
        (1..=n).map(|t| format!("a=crypto:{t} AES_CM_128_HMAC_SHA1_80 {KEY}\r\n")).collect()
    };
    let savp = SDP.replace("RTP/AVP", "RTP/SAVP");
    use SdpFault::{Address, CryptoLine, NoAudio, NoCommonCodec, Syntax, TooManyCryptoLines};
    vec![
        (savp.clone() + &keys(17), Some(TooManyCryptoLines)),
        (savp.clone() + &keys(200), Some(TooManyCryptoLines)),
        (
            savp.clone() + "a=crypto:9999999999 AES_CM_128_HMAC_SHA1_80 inline:A\r\n",
            Some(CryptoLine),
        ),
        (
            savp + "a=crypto:999999999999999999999 AES_CM_128_HMAC_SHA1_80 inline:A\r\n",
            Some(CryptoLine),
        ),
        (SDP.replace("AVP 0", "AVP 65535"), Some(NoCommonCodec)),
        (SDP.replace("AVP 0", "AVP 0 65535 256 128 -1"), None),
        (SDP.replace("rtpmap:0", "rtpmap:65535"), None),
        (
            SDP.replace("AVP 0", "AVP 97").replace("rtpmap:0 PCMU/8000", "rtpmap:97 PCMU/0"),
            Some(NoCommonCodec),
        ),
        (SDP.replace("PCMU/8000", "PCMU/0"), None),
        (SDP.replace("PCMU/8000", "PCMU/4294967295"), None),
        (SDP.replace("PCMU/8000", "PCMU/99999999999999999999/99999"), None),
        (sdp(1, "a=ptime:0\r\n"), None),
        (sdp(1, "a=ptime:-20\r\n"), None),
        (sdp(1, "a=ptime:1\r\n"), None),
        (sdp(1, "a=ptime:65535\r\n"), None),
        (sdp(1, "a=maxptime:0\r\n"), None),
        (sdp(1, "a=ptime:65535\r\na=maxptime:0\r\n"), None),
        (sdp(1, "a=ptime:4294967295\r\na=maxptime:0\r\n"), None),
        (sdp(1, "a=ptime:1e308\r\na=maxptime:99999999999999999999\r\n"), None),
        (SDP.replace("m=audio 4000", "m=audio 0"), Some(NoAudio)),
        (SDP.replace("m=audio 4000", "m=audio 70000"), Some(Syntax)),
        (SDP.replace("m=audio 4000", "m=audio 4000/4294967295"), Some(Syntax)),
        (SDP.replace("10.9.9.9\r\nt", "255.255.255.255\r\nt"), Some(Address)),
        (sdp(1, "a=rtcp:99999\r\n"), None),
    ]
}

/// attacker: calls with a description that has a hundred keys, payload type 65535, zero or
///   gigantic packet times and clock rates
/// engine: refuses what cannot be, or ignores it; all numbers are checked before they are used
/// person: at most sees a call come in; a call that runs goes on
#[test]
fn descriptions_with_too_many_keys_and_impossible_numbers() {
    for policy in POLICIES {
        for (offer, fault) in impossible_descriptions() {
            let (mut lab, id) = in_a_call(policy);
            let offer = under(policy, &offer);
            // Without a good line there are no keys.
            let none = (policy, fault) == (Required, Some(SdpFault::CryptoLine));
            let fault = if none { Some(SdpFault::EncryptionRequired) } else { fault };
            lab.send(&invite_with(&offer));
            lab.run(100);
            let ids = lab.world.host(lab.alice).engine().call_ids();
            if let Some(new) = ids.into_iter().find(|new| *new != id) {
                lab.world.command(lab.alice, |engine, now| {
                    if let Some(mut call) = engine.call(new) {
                        let _ = call.accept(now, CallOptions::default());
                    }
                });
                lab.run(100);
                lab.world.command(lab.alice, |engine, now| {
                    // A second of it, at 16 kHz.
                    let mut pcm = [0; 16_000];
                    let _ = engine.write_pcm(now, new, &pcm);
                    let _ = engine.read_pcm(now, new, &mut pcm);
                });
                lab.run(500);
            }
            // The deed: it is a call now, or was refused for what is wrong with the description.
            let seen = lab.world.host(lab.peer).seen.iter().map(|(_, _, m)| m);
            let mut answers = seen.filter(|m| m.call_id() == "theirs" && m.status() >= Some(200));
            let answer = answers.next().expect("an answer");
            assert_eq!(answer.status(), Some(if fault.is_some() { 488 } else { 200 }), "{offer}");
            let refused =
                SdpFault::ALL.iter().map(|f| stats(&lab).sdp_refused_for(*f)).sum::<u64>();
            match fault {
                Some(fault) => assert_eq!(stats(&lab).sdp_refused_for(fault), 1, "{offer}"),
                None => {
                    let body = String::from_utf8_lossy(answer.body()).into_owned();
                    // Packets of 10 to 60 ms leave, whatever was asked for.
                    let new = lab.world.host(lab.alice).engine().call_ids().pop().unwrap();
                    let sent = lab.world.command(lab.alice, |engine, _| {
                        engine.call(new).unwrap().media_stats().unwrap()
                    });
                    assert!((16..=100).contains(&sent.packets_sent), "{offer} {sent:?}");
                    let profile = if policy == Off { "RTP/AVP" } else { "RTP/SAVP" };
                    let media = format!(" {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n");
                    assert!(body.contains(&media), "{body}");
                    assert!(body.contains("a=ptime:20\r\n"), "{body}");
                    assert_eq!(refused, 0, "{offer}");
                }
            }
            assert_unharmed(&mut lab, id);
        }
    }
}

/// attacker: sends requests whose From is "/" or "\", or ends in a lone backslash
/// engine: refuses them as malformed and counts them
/// person: notices nothing
#[test]
fn a_from_of_a_slash_or_a_backslash() {
    for policy in POLICIES {
        for from in
            ["/", "\\", "\"\\", "\"\\\" <sip:bob@peer.test>;tag=1", "<\\>;tag=1", "sip:\\;tag=1"]
        {
            let (mut lab, id) = in_a_call(policy);
            let text = invite_with(&under(policy, SDP));
            let text = text.replace("<sip:bob@peer.test>;tag=b", from);
            assert!(text.contains(&format!("From: {from}")));
            lab.send(&text);
            lab.run(100);
            assert_eq!(stats(&lab).flows.malformed, 1, "{from}");
            let rang = |e: &Event| matches!(e, Event::IncomingCall { .. });
            assert!(!lab.world.host(lab.alice).events().iter().any(|(_, e)| rang(e)), "{from}");
            assert_unharmed(&mut lab, id);
        }
    }
}

/// attacker: answers a call twice while it rings (183), and sends a re-INVITE for a call that
///   is over
/// engine: takes either 183 and keeps one call; answers the late re-INVITE with 481
/// person: has one call, which ends once
#[test]
fn two_183s_and_a_re_invite_after_the_bye() {
    for policy in POLICIES {
        for tags in [["a", "a"], ["a", "b"]] {
            let mut lab = lab(policy, move |turn, m| match m.method() {
                // Two forks with keys of their own: the phone renews its key.
                Method::Invite if m.is_request() && m.to().tag().is_some() => {
                    turn.send(ok(m, tags[1], &answer_to(m, 4, "late")));
                }
                Method::Invite if m.is_request() => {
                    for (n, tag) in (1..).zip(tags) {
                        let early = m.response(183, "Progress").to_tag(tag);
                        let early = early.header(HeaderName::Contact, "<sip:x@peer.test>");
                        turn.send(early.body("application/sdp", answer_to(m, n, tag).as_bytes()));
                    }
                    turn.send(ok(m, tags[1], &answer_to(m, 2, tags[1])));
                }
                Method::Bye if m.is_request() => turn.reply(m, 200),
                _ => {}
            });
            let id = lab.call();
            lab.run(1_000);
            let progress = |e: &&Event| matches!(e, Event::CallProgress { status: 183, .. });
            let count = |lab: &Lab, wanted: fn(&&Event) -> bool| {
                lab.world.host(lab.alice).events().iter().map(|(_, e)| e).filter(wanted).count()
            };
            assert_eq!(count(&lab, progress), 2);
            assert_eq!(lab.state(id), CallState::Established);
            let invite = lab.heard("INVITE")[0].clone();
            lab.hang_up(id);
            lab.run(500);
            let reinvite = under(policy, &sdp(3, ""));
            lab.send(&in_dialog("INVITE", 7, &invite, tags[1], &reinvite));
            lab.run(500);
            assert_eq!(lab.statuses().last(), Some(&481));
            lab.send(&in_dialog("BYE", 8, &invite, tags[1], ""));
            lab.run(40_000);
            assert_eq!(count(&lab, |e| matches!(e, Event::CallEnded { .. })), 1);
            assert_eq!(lab.ended(), Some(EndReason::LocalHangUp));
            lab.world.check().unwrap();
        }
    }
}

/// attacker: hides line ends in a reason phrase, a name or an address, so that they become
///   header lines of their own when the phone repeats them
/// engine: repeats nothing that would make a new line, and shows no control character to anybody
/// person: reads the words without the tricks
#[test]
fn crlf_in_reason_phrases_and_header_values() {
    for policy in POLICIES {
        // In what the phone shows.
        for phrase in ["Busy\rX-Evil: 1", "Busy\u{1b}[2J\u{7}", "Busy%0d%0aX-Evil: 1"] {
            let mut lab = lab(policy, |_, _| {});
            let id = lab.call();
            lab.run(100);
            let invite = lab.heard("INVITE")[0].clone();
            let no = invite.response(486, "PHRASE").to_tag("p").finish().unwrap();
            let no = String::from_utf8_lossy(no.as_bytes()).replace("PHRASE", phrase);
            lab.say(no.as_bytes());
            lab.run(1_000);
            match lab.ended() {
                Some(EndReason::Refused { status: 486, reason }) => {
                    assert!(!reason.chars().any(char::is_control), "{reason:?}");
                }
                // A message with a bare line end is none; a connection with one is closed.
                None | Some(EndReason::Failed(FailureReason::ConnectionLost)) => {
                    assert_eq!((stats(&lab).flows.malformed, phrase.contains('\r')), (1, true))
                }
                other => panic!("{other:?}"),
            }
            lab.world.command(lab.alice, |engine, now| {
                let _ = engine.call(id).map(|mut call| call.hang_up(now));
            });
            lab.world.check().unwrap();
        }
        // In what the phone repeats.
        for from in [
            "\"a\rX-Evil: 1\" <sip:bob@peer.test>;tag=b",
            "\"a\r\n X-Evil: 1\" <sip:bob@peer.test>;tag=b",
            "\"a\" <sip:bob%0d%0aX-Evil:1@peer.test>;tag=b",
            "\"a\" <sip:bob@peer.test>;tag=b%0d%0aX-Evil",
            "\"a\\\r\nX-Evil: 1\" <sip:bob@peer.test>;tag=b",
        ] {
            let (mut lab, id) = in_a_call(policy);
            let (heard, malformed) =
                (lab.world.host(lab.peer).seen.len(), stats(&lab).flows.malformed);
            let text = invite_with(&under(policy, SDP)).replace('\n', "\r\n");
            let text =
                text.replace("SIP/2.0/UDP", if lab.secure { "SIP/2.0/TLS" } else { "SIP/2.0/UDP" });
            lab.say(text.replace("<sip:bob@peer.test>;tag=b", from).as_bytes());
            lab.run(50);
            // What rings is refused, which repeats the words.
            for other in lab.world.host(lab.alice).engine().call_ids() {
                lab.world.command(lab.alice, |engine, now| {
                    let _ = engine.call(other).map(|mut call| call.reject(now, 486));
                });
            }
            lab.run(50);
            let seen = &lab.world.host(lab.peer).seen;
            assert!(seen.len() > heard || stats(&lab).flows.malformed > malformed, "{from:?}");
            for (_, _, message) in &seen[heard..] {
                let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
                assert!(!text.contains("\nX-Evil") && !text.contains("\rX-Evil"), "{text}");
            }
            for (_, event) in lab.world.host(lab.alice).events() {
                if let Event::IncomingCall { from, display_name, .. } = event {
                    let shown = format!("{from}{display_name}");
                    assert!(!shown.chars().any(char::is_control), "{shown:?}");
                }
            }
            assert_unharmed(&mut lab, id);
        }
        // In what the phone is asked to dial.
        assert!(Uri::parse("sip:bob@peer.test\r\nX-Evil: 1").is_err());
        assert!(Message::parse(b"SIP/2.0 200 OK\rX: 1\r\n\r\n").is_err());
    }
}

/// attacker: opens TLS connections and says goodbye (close_notify) before, amid or instead of
///   the handshake
/// engine: closes each connection once and waits; it does not spin and keeps nothing
/// person: notices nothing; a call that runs goes on
#[test]
fn an_early_close_notify() {
    for policy in POLICIES {
        let (mut lab, id) = in_a_call(policy);
        let before = lab.world.host(lab.alice).engine().load().flows;
        let closed = lab.world.host(lab.peer).closed;
        let notify = [21, 3, 3, 0, 2, 1, 0];
        for n in 0..50_usize {
            let twice = [notify, notify].concat();
            match n % 4 {
                0 => stream(&mut lab, 5061, &[&notify]),
                1 => stream(&mut lab, 5061, &[&twice]),
                2 => stream(&mut lab, 5061, &[&notify[..4], &notify[4..], &[0; 40]]),
                _ => stream(&mut lab, 5061, &[&[22, 3, 1, 0, 200, 1, 0, 0, 196], &notify]),
            }
        }
        // What is no TLS ends a connection at once. A goodbye that nobody has authenticated does not:
        // that one ends with the time for a handshake, 8 s.
        lab.run(100);
        assert_eq!(lab.world.host(lab.peer).closed, closed + 12, "rubbish");
        lab.run(8_000);
        assert_eq!(lab.world.host(lab.peer).closed, closed + 50, "each was closed");
        assert_eq!(lab.world.host(lab.alice).engine().load().flows, before);
        assert_unharmed(&mut lab, id);
    }
}

/// attacker: sends bodies within bodies within bodies, and quotes that never end, as much as
///   fits into a message
/// engine: goes eight levels deep at most and reads each byte a bounded number of times;
///   refuses or ignores the rest
/// person: notices nothing; a call that runs goes on
#[test]
fn nested_bodies_and_endless_quotes() {
    for policy in POLICIES {
        // The description is inside so many multiparts, or after so many other parts.
        let offer = under(policy, SDP);
        let nested = |levels: usize| {
            let mut body = String::from("Content-Type: application/sdp\r\n\r\n") + &offer;
            for n in (1..=levels).rev() {
                body = format!("--b{n}\r\n{body}\r\n--b{n}--\r\n");
                if n > 1 {
                    body = format!("Content-Type: multipart/mixed;boundary=b{n}\r\n\r\n{body}");
                }
            }
            body
        };
        let after = |parts: usize| {
            let part = "--b1\r\n\r\nx\r\n".repeat(parts);
            format!("{part}--b1\r\nContent-Type: application/sdp\r\n\r\n{offer}\r\n--b1--\r\n")
        };
        let bodies = [
            (nested(8), Some(true)),
            (nested(9), None),
            (nested(600), None),
            (after(63), Some(true)),
            (after(64), Some(false)),
            (after(5_000), Some(false)),
        ];
        for (body, found) in bodies {
            let (mut lab, id) = in_a_call(policy);
            let requests = stats(&lab).transactions.requests_in;
            let text = their_invite().split("\n\n").next().unwrap().to_string();
            let text = text
                .replace("application/sdp", "multipart/mixed;boundary=b1")
                .replace("Via: SIP/2.0/UDP", "Via: SIP/2.0/TCP")
                .replace(
                    &format!("Content-Length: {}", SDP.len()),
                    &format!("Content-Length: {}", body.len()),
                )
                .replace('\n', "\r\n");
            long(&mut lab, &(text + "\r\n\r\n" + &body));
            lab.run(500);
            assert_eq!(stats(&lab).transactions.requests_in, requests + 1);
            let ids = lab.world.host(lab.alice).engine().call_ids();
            let Some(new) = ids.into_iter().find(|new| *new != id) else {
                // A body of one part, and that is not a description.
                assert_eq!((stats(&lab).refused_requests, found), (1, None), "{}", body.len());
                continue;
            };
            lab.world.command(lab.alice, |engine, now| {
                engine.call(new).unwrap().accept(now, CallOptions::default()).unwrap();
            });
            lab.run(500);
            let media = lab.world.command(lab.alice, |engine, _| {
                engine.call(new).unwrap().security().media_out.is_some()
            });
            assert_eq!(Some(media), found, "{}", body.len());
            assert_unharmed(&mut lab, id);
        }
        let quotes =
            ["\"".repeat(60_000), "\\\"".repeat(30_000), "\"\\".repeat(30_000), "<".repeat(60_000)];
        for quote in quotes {
            for header in ["Contact: ", "Subject: ", "Route: "] {
                let (mut lab, id) = in_a_call(policy);
                let before = stats(&lab);
                let text = invite_with(&under(policy, SDP));
                let text = text.replace("/UDP", "/TCP").replace('\n', "\r\n").replacen(
                    "Max-F",
                    &format!("{header}{quote}\r\nMax-F"),
                    1,
                );
                long(&mut lab, &text);
                lab.run(500);
                let after = stats(&lab);
                // What no rule of grammar covers may have quotes as it likes.
                let malformed = u64::from(header != "Subject: ");
                assert_eq!(after.flows.malformed - before.flows.malformed, malformed, "{header}");
                let requests = after.transactions.requests_in - before.transactions.requests_in;
                assert_eq!(requests, 1 - malformed, "{header}");
                assert_unharmed(&mut lab, id);
            }
        }
    }
}

/// attacker: sends REFER, or a call that asks to replace the running one (Replaces), to take it
///   over
/// engine: does not know either and refuses both; the call stays with those who talk
/// person: notices nothing, or sees another call come in; the running call goes on
#[test]
fn refer_and_replaces_to_hijack_a_call() {
    for policy in POLICIES {
        let (mut lab, id) = in_a_call(policy);
        let invite = lab.heard("INVITE")[0].clone();
        let (refused, talk) = (stats(&lab).refused_requests, lab.heard("BYE").len());
        let refer = in_dialog("REFER", 20, &invite, "peer", "");
        lab.send(&refer.replace("Max-F", "Refer-To: <sip:evil@evil.test>\nMax-F"));
        lab.run(200);
        assert!(
            lab.statuses().last().is_some_and(|s| (400..600).contains(s)),
            "{:?}",
            lab.statuses()
        );
        let named = format!(
            "Replaces: {};to-tag={};from-tag=peer",
            invite.call_id(),
            invite.from().tag().unwrap()
        );
        let theirs = invite_with(&under(policy, SDP));
        let required = theirs.replace("Max-F", &format!("{named}\nRequire: replaces\nMax-F"));
        lab.send(&required);
        lab.run(200);
        assert_eq!(lab.statuses().last(), Some(&420));
        assert!(stats(&lab).refused_requests > refused);
        let wish = theirs.replace("theirs", "wish").replace("bKi1", "bKi2");
        lab.send(&wish.replace("Max-F", &format!("{named}\nMax-F")));
        lab.run(500);
        lab.world.run_for(Duration::from_millis(100));
        assert_eq!(lab.heard("BYE").len(), talk, "the call was not given away");
        assert!(
            lab.heard("INVITE").iter().all(|m| !m.as_bytes().windows(9).any(|w| w == b"evil.test"))
        );
        assert_unharmed(&mut lab, id);
    }
}

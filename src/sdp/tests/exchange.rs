//! Offers, answers, holds and re-offers of plain media.

use super::*;

#[test]
fn the_basic_exchange_of_rfc_3264_section_10_1() {
    let offer = parse(
        "v=0\r\no=alice 2890844526 2890844526 IN IP4 host.anywhere.com\r\ns=\r\n\
         c=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
         m=video 51372 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\n\
         m=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n",
    );
    let (answer, media) = answer(offer, &plain()).unwrap();
    let text = String::from_utf8(answer.to_bytes()).unwrap();
    assert_eq!(
        text,
        "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n\
         m=video 0 RTP/AVP 31\r\nm=video 0 RTP/AVP 32\r\n"
    );
    assert_eq!(media.remote_rtp, "192.0.2.9:49170".parse().unwrap());
    assert_eq!(media.remote_rtcp, Some("192.0.2.9:49171".parse().unwrap()));
    assert_eq!((media.index, media.keys, media.dtmf), (0, None, None));
    assert!(!media.new_association && !media.keys_dropped && !media.both_accepted);
}

#[test]
fn the_codec_selection_of_rfc_3264_section_10_2() {
    let head = "m=audio 62986 RTP/AVP";
    let mut local = plain();
    local.codecs = vec![codec(0, "PCMU", 8000), codec(4, "G723", 8000)];
    let mut bob = Negotiator::new(1);
    bob.handle_offer(peer(&format!(
        "{head} 0 4 18\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:4 G723/8000\r\n\
         a=rtpmap:18 G729/8000\r\na=inactive\r\n"
    )))
    .unwrap();
    let (first, media) = bob.create_answer(&local).unwrap();
    assert_eq!(names(&media), ["PCMU/0", "G723/4"]);
    assert_eq!(media.direction, Direction::Inactive);
    let only = format!("{head} 4\r\na=rtpmap:4 G723/8000\r\na=sendrecv\r\n");
    bob.handle_offer(peer(&only)).unwrap();
    let (second, media) = bob.create_answer(&local).unwrap();
    assert_eq!(names(&media), ["G723/4"]);
    assert_eq!(media.direction, Direction::SendRecv);
    assert_eq!(second.origin.version, first.origin.version + 1);
}

#[test]
fn payload_types_are_the_offerers_and_events_follow_the_clock() {
    let offer = peer(
        "m=audio 5000 RTP/AVP 107 96 8 97 98\r\na=rtpmap:107 opus/48000/2\r\n\
         a=rtpmap:96 G722/8000\r\na=rtpmap:97 telephone-event/48000\r\n\
         a=rtpmap:98 telephone-event/8000\r\na=fmtp:98 0-15\r\n",
    );
    let (answer, media) = answer(offer, &plain()).unwrap();
    assert_eq!(names(&media), ["G722/96", "PCMA/8"]);
    let dtmf = media.dtmf.unwrap();
    assert_eq!((dtmf.send_payload_type, dtmf.receive_payload_type), (98, 98));
    assert_eq!(dtmf.send_fmtp.as_deref(), Some("0-15"));
    let listed: Vec<_> = answer.media[0].codecs.iter().map(|c| c.payload_type).collect();
    assert_eq!(listed, [96, 8, 98]);
}

#[test]
fn the_answer_may_use_other_payload_types_than_the_offer() {
    let mut negotiator = Negotiator::new(1);
    let mut local = plain();
    local.codecs.insert(0, CodecDescription { channels: 2, ..codec(111, "opus", 48000) });
    negotiator.create_offer(&local).unwrap();
    let media = negotiator
        .handle_answer(peer(
            "m=audio 5000 RTP/AVP 96 8 100\r\na=rtpmap:96 OPUS/48000/2\r\n\
             a=rtpmap:100 telephone-event/8000\r\n",
        ))
        .unwrap();
    let opus = &media.codecs[0];
    assert_eq!((opus.send_payload_type, opus.receive_payload_type), (96, 111));
    // No event format at the clock of the codec in use.
    assert_eq!(media.dtmf, None);
}

#[test]
fn every_answered_codec_may_be_received() {
    let mut negotiator = Negotiator::new(1);
    negotiator.create_offer(&plain()).unwrap();
    let answer =
        "m=audio 5000 RTP/AVP 0 9 96\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:40\r\n";
    let media = negotiator.handle_answer(peer(answer)).unwrap();
    let received = |codecs: &[NegotiatedCodec]| -> Vec<(String, u8, u8)> {
        let one =
            |c: &NegotiatedCodec| (c.name.clone(), c.send_payload_type, c.receive_payload_type);
        codecs.iter().map(one).collect()
    };
    assert_eq!(received(&media.codecs), [("PCMU".into(), 0, 0), ("G722".into(), 9, 9)]);
    assert_eq!(received(&media.events), [("telephone-event".into(), 96, 101)]);
    assert_eq!(media.ptime, 40);
    // One encoding under two numbers, events at two clocks: all may come.
    let mut local = plain();
    local.codecs.push(CodecDescription { channels: 2, ..codec(111, "opus", 48000) });
    local.codecs.push(codec(110, "telephone-event", 48000));
    let offer = peer(
        "m=audio 5000 RTP/AVP 107 0 96 97 98 99\r\na=rtpmap:107 opus/48000/2\r\n\
         a=rtpmap:96 PCMU/8000\r\na=rtpmap:97 telephone-event/48000\r\n\
         a=rtpmap:98 telephone-event/8000\r\na=rtpmap:99 telephone-event/16000\r\n",
    );
    let (_, media) = self::answer(offer, &local).unwrap();
    let types = |codecs: &[NegotiatedCodec]| -> Vec<u8> {
        codecs.iter().map(|c| c.receive_payload_type).collect()
    };
    assert_eq!(types(&media.codecs), [107, 0, 96]);
    assert_eq!(types(&media.events), [97, 98]);
    assert_eq!(media.dtmf.map(|d| d.send_payload_type), Some(97));
}

#[test]
fn holds_are_answered_from_the_other_side() {
    for (offered, ours, expected) in [
        ("sendrecv", Direction::SendRecv, Direction::SendRecv),
        ("sendonly", Direction::SendRecv, Direction::RecvOnly),
        ("recvonly", Direction::SendRecv, Direction::SendOnly),
        ("inactive", Direction::SendRecv, Direction::Inactive),
        ("sendrecv", Direction::SendOnly, Direction::SendOnly),
        ("sendonly", Direction::SendOnly, Direction::Inactive),
        ("recvonly", Direction::RecvOnly, Direction::Inactive),
    ] {
        let mut local = plain();
        local.direction = ours;
        let (answer, media) =
            answer(peer(&format!("m=audio 5000 RTP/AVP 0\r\na={offered}\r\n")), &local).unwrap();
        assert_eq!(media.direction, expected, "{offered} {ours:?}");
        assert_eq!(answer.media[0].direction, expected);
        assert_eq!(media.is_held_by_peer(), matches!(offered, "sendonly" | "inactive"));
    }
}

#[test]
fn the_old_hold_and_the_session_level_direction_count() {
    let old = peer("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n");
    let (answered, media) = answer(old, &plain()).unwrap();
    assert_eq!(answered.media[0].direction, Direction::RecvOnly);
    assert!(media.is_held_by_peer() && !media.direction.sends());
    let session = parse(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\na=inactive\r\n\
         m=audio 5000 RTP/AVP 0\r\n",
    );
    assert_eq!(answer(session, &plain()).unwrap().1.direction, Direction::Inactive);
}

#[test]
fn a_reoffer_keeps_lines_and_meanings_and_counts_only_changes() {
    let mut negotiator = Negotiator::new(1);
    negotiator
        .handle_offer(peer(
            "m=video 6000 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 101 99\r\n\
             a=rtpmap:101 PCMU/8000\r\na=rtpmap:99 telephone-event/8000\r\n",
        ))
        .unwrap();
    let (first, media) = negotiator.create_answer(&plain()).unwrap();
    assert_eq!(media.index, 1);
    let mut local = plain();
    local.direction = Direction::SendOnly;
    let hold = negotiator.create_offer(&local).unwrap();
    assert_eq!(hold.origin.version, first.origin.version + 1);
    assert_eq!((hold.media.len(), hold.media[0].port), (2, 0));
    let types: Vec<_> =
        hold.media[1].codecs.iter().map(|c| (c.name.as_str(), c.payload_type)).collect();
    // 101 is PCMU in this session and 99 its events: both keep it.
    assert_eq!(types, [("G722", 9), ("PCMU", 101), ("PCMA", 8), ("telephone-event", 99)]);
    let held = "m=video 0 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 101 99\r\na=recvonly\r\n\
                a=rtpmap:101 PCMU/8000\r\na=rtpmap:99 telephone-event/8000\r\n";
    let media = negotiator.handle_answer(peer(held)).unwrap();
    assert_eq!(media.direction, Direction::SendOnly);
    // The same again says nothing new.
    let again = negotiator.create_offer(&local).unwrap();
    assert_eq!(again, hold);
}

#[test]
fn a_failed_reoffer_changes_nothing_but_the_version() {
    let mut negotiator = Negotiator::new(1);
    let first = negotiator.create_offer(&plain()).unwrap();
    assert_eq!(negotiator.state(), NegotiationState::LocalOffer);
    let agreed = negotiator.handle_answer(peer("m=audio 5000 RTP/AVP 0\r\n")).unwrap();
    let mut held = plain();
    held.direction = Direction::Inactive;
    let second = negotiator.create_offer(&held).unwrap();
    assert_eq!(second.origin.version, first.origin.version + 1);
    negotiator.rollback();
    assert_eq!(negotiator.state(), NegotiationState::Stable);
    assert_eq!(negotiator.agreed(), Some(&agreed));
    assert_eq!(negotiator.local(), Some(&first));
    // RFC 3264 §8: what differs from the last description sent has another version.
    let third = negotiator.create_offer(&plain()).unwrap();
    assert_eq!(third.origin.version, second.origin.version + 1);
    let refused = negotiator.handle_answer(peer("m=audio 0 RTP/AVP 0\r\n"));
    assert_eq!(refused, Err(NegotiationError::Refused));
    assert_eq!(negotiator.agreed(), Some(&agreed));
}

#[test]
fn one_offer_at_a_time() {
    let offer = peer("m=audio 5000 RTP/AVP 0\r\n");
    let wrong = |result: Result<(), NegotiationError>| {
        assert!(matches!(result, Err(NegotiationError::WrongState { .. })), "{result:?}");
    };
    let mut negotiator = Negotiator::new(1);
    wrong(negotiator.handle_answer(offer.clone()).map(drop));
    wrong(negotiator.create_answer(&plain()).map(drop));
    negotiator.create_offer(&plain()).unwrap();
    wrong(negotiator.create_offer(&plain()).map(drop));
    wrong(negotiator.handle_offer(offer.clone()));
    negotiator.rollback();
    negotiator.handle_offer(offer.clone()).unwrap();
    assert_eq!(negotiator.remote_offer(), Some(&offer));
    wrong(negotiator.handle_offer(offer.clone()));
    wrong(negotiator.create_offer(&plain()).map(drop));
}

#[test]
fn answers_that_do_not_fit_the_offer_are_refused() {
    let fails = |media: &str| {
        let mut negotiator = Negotiator::new(1);
        negotiator.create_offer(&plain()).unwrap();
        negotiator.handle_answer(peer(media)).unwrap_err()
    };
    assert_eq!(fails(""), NegotiationError::MediaMismatch);
    assert_eq!(fails("m=video 5000 RTP/AVP 0\r\n"), NegotiationError::MediaMismatch);
    let two = "m=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 0\r\n";
    assert_eq!(fails(two), NegotiationError::MediaMismatch);
    assert_eq!(fails("m=audio 5000 RTP/AVP 3\r\n"), NegotiationError::NoCommonCodec);
    assert_eq!(fails("m=audio 0 RTP/AVP 0\r\n"), NegotiationError::Refused);
    let udptl = "m=audio 5000 udptl 0\r\n";
    assert_eq!(fails(udptl), NegotiationError::Profile("udptl".into()));
}

#[test]
fn offers_that_cannot_be_taken_say_why() {
    let fails = |media: &str| answer(peer(media), &plain()).unwrap_err();
    assert_eq!(fails(""), NegotiationError::NoAudio);
    assert_eq!(fails("m=audio 0 RTP/AVP 0\r\n"), NegotiationError::NoAudio);
    assert_eq!(fails("m=video 5000 RTP/AVP 31\r\n"), NegotiationError::NoAudio);
    assert_eq!(fails("m=audio 5000 RTP/AVP 3\r\n"), NegotiationError::NoCommonCodec);
    let events = "m=audio 5000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    assert_eq!(fails(events), NegotiationError::NoCommonCodec);
    let multicast = "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n";
    assert_eq!(fails(multicast), NegotiationError::Address);
    let group = "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1\r\n";
    assert_eq!(fails(group), NegotiationError::Address);
    let broadcast = "m=audio 5000 RTP/AVP 0\r\nc=IN IP4 255.255.255.255\r\n";
    assert_eq!(fails(broadcast), NegotiationError::Address);
    let dtls = "m=audio 5000 UDP/TLS/RTP/SAVPF 0\r\n";
    assert_eq!(fails(dtls), NegotiationError::Profile("UDP/TLS/RTP/SAVPF".into()));
    assert_eq!(fails("m=audio 5000 RTP/AVP 3\r\n").warning().0, 305);
    let mut deaf = plain();
    deaf.codecs.clear();
    let mut negotiator = Negotiator::new(1);
    assert_eq!(negotiator.create_offer(&deaf), Err(NegotiationError::NoLocalCodec));
    assert_eq!(negotiator.state(), NegotiationState::Stable);
}

#[test]
fn rtcp_goes_where_it_was_asked_to() {
    let with = |attributes: &str, mux: bool| {
        let mut local = plain();
        local.rtcp_mux = mux;
        answer(peer(&format!("m=audio 5000 RTP/AVP 0\r\n{attributes}")), &local).unwrap()
    };
    let mut local = plain();
    let rtcp = |attributes: &str| with(attributes, false).1.remote_rtcp;
    assert_eq!(rtcp("a=rtcp:5555\r\n"), Some("192.0.2.9:5555".parse().unwrap()));
    let elsewhere = "a=rtcp:5555 IN IP4 192.0.2.10\r\n";
    assert_eq!(rtcp(elsewhere), Some("192.0.2.10:5555".parse().unwrap()));
    assert_eq!(rtcp("a=rtcp:0\r\n"), Some("192.0.2.9:5001".parse().unwrap()));
    assert!(!with("a=rtcp-mux\r\n", false).1.rtcp_mux);
    assert!(!with("", true).1.rtcp_mux);
    let (answer, media) = with("a=rtcp-mux\r\n", true);
    assert!(media.rtcp_mux && answer.media[0].rtcp_mux);
    assert_eq!(media.remote_rtcp, Some(media.remote_rtp));
    let clash = peer("m=audio 5000 RTP/AVP 72\r\na=rtpmap:72 PCMU/8000\r\na=rtcp-mux\r\n");
    local.rtcp_mux = true;
    let (clashing, media) = self::answer(clash, &local).unwrap();
    assert!(!media.rtcp_mux && !clashing.media[0].rtcp_mux);
    let (_, last) = self::answer(peer("m=audio 65535 RTP/AVP 0\r\n"), &plain()).unwrap();
    assert_eq!(last.remote_rtcp, None);
    local.rtcp_mux = false;
    local.rtcp = Some("192.0.2.1:4007".parse().unwrap());
    let offer = Negotiator::new(1).create_offer(&local).unwrap();
    assert_eq!(offer.media[0].rtcp, Some(RtcpAddress { port: 4007, address: None }));
}

#[test]
fn packet_time_is_what_the_peer_likes_within_reason() {
    for (attributes, expected) in [
        ("", 20),
        ("a=ptime:30\r\n", 30),
        ("a=ptime:25\r\n", 20),
        ("a=ptime:1\r\n", 10),
        ("a=ptime:1000\r\n", 120),
        ("a=ptime:60\r\na=maxptime:40\r\n", 40),
        ("a=ptime:0\r\n", 20),
        ("a=ptime:65536\r\n", 20),
    ] {
        let offer = peer(&format!("m=audio 5000 RTP/AVP 0\r\n{attributes}"));
        assert_eq!(answer(offer, &plain()).unwrap().1.ptime, expected, "{attributes}");
    }
}

#[test]
fn ipv6_and_media_level_addresses_are_used() {
    let offer = peer("m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::9\r\n");
    let mut local = plain();
    local.rtp = "[2001:db8::1]:4000".parse().unwrap();
    let (answer, media) = answer(offer, &local).unwrap();
    assert_eq!(media.remote_rtp, "[2001:db8::9]:5000".parse().unwrap());
    let text = String::from_utf8(answer.to_bytes()).unwrap();
    assert!(text.contains("c=IN IP6 2001:db8::1\r\n"), "{text}");
}

#[test]
fn a_clone_serves_each_fork() {
    let mut first = Negotiator::new(1);
    first.create_offer(&plain()).unwrap();
    let mut second = first.clone();
    let one = first.handle_answer(peer("m=audio 5000 RTP/AVP 0\r\n")).unwrap();
    let two = second.handle_answer(peer("m=audio 7000 RTP/AVP 8\r\n")).unwrap();
    assert_eq!((one.remote_rtp.port(), two.remote_rtp.port()), (5000, 7000));
}

#[test]
fn redundant_audio_is_answered_with_the_types_that_are_accepted() {
    let red = |pt, rate, channels| CodecDescription { channels, ..codec(pt, "red", rate) };
    let mut local = plain();
    local.codecs.insert(0, CodecDescription { channels: 2, ..codec(111, "opus", 48000) });
    local.codecs.extend([red(121, 8000, 1), red(63, 48000, 2)]);
    let offer = |red: &str| {
        peer(&format!(
            "m=audio 5000 RTP/AVP 96 0 18 98\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:98 red/{red}\r\n"
        ))
    };
    for (offered, list, rate) in [
        ("48000/2\r\na=fmtp:98 96/96", "96/96", 48_000),
        ("48000\r\na=fmtp:98 96/96", "96/96", 48_000),
        ("8000\r\na=fmtp:98 0/18/0", "0/0", 8_000),
        ("8000", "0/0", 8_000),
    ] {
        let (answer, media) = answer(offer(offered), &local).unwrap();
        let line = wire(&answer).media.remove(0);
        let red = line.codecs.iter().find(|c| c.is_red()).unwrap();
        assert_eq!((red.payload_type, red.fmtp.as_deref()), (98, Some(list)), "{offered}");
        assert_eq!(red.channels, if offered.contains("/2") { 2 } else { 1 });
        assert_eq!((media.red.len(), media.red[0].receive_payload_type), (1, 98));
        assert_eq!((media.red[0].clock_rate, media.codecs.len()), (rate, 2));
    }
    for offered in ["8000\r\na=fmtp:98 18/0", "16000\r\na=fmtp:98 0/0", "8000\r\na=fmtp:98 96"] {
        let (answer, media) = answer(offer(offered), &local).unwrap();
        assert!(media.red.is_empty() && !answer.media[0].codecs.iter().any(|c| c.is_red()));
    }
    // Who does not know it leaves it out; an offer of ours names its first codec of the clock.
    assert!(answer(offer("8000"), &plain()).unwrap().1.red.is_empty());
    let (mut ours, mut theirs) = (Negotiator::new(1), Negotiator::new(2));
    let (here, there) = exchange(&mut ours, &local, &mut theirs, &local);
    let lists = |media: &NegotiatedMedia| -> Vec<_> {
        media.red.iter().map(|red| red.send_fmtp.clone().unwrap()).collect()
    };
    assert_eq!(lists(&here), ["9/9", "111/111"]);
    assert_eq!(lists(&there), ["9/9", "111/111"]);
}

#[test]
fn comfort_noise_is_answered_where_a_codec_has_its_clock() {
    let mut local = plain();
    local.codecs.insert(0, CodecDescription { channels: 2, ..codec(111, "opus", 48000) });
    local.codecs.push(codec(13, "CN", 8000));
    let offered = |formats: &str| peer(&format!("m=audio 5000 RTP/AVP {formats}\r\n"));
    let opus = "111 13\r\na=rtpmap:111 opus/48000/2";
    // The static payload type needs no a=rtpmap.
    for (formats, expected) in [
        ("0 13", 1),
        ("8 97\r\na=rtpmap:97 cn/8000", 1),
        (opus, 0),
        ("0 97\r\na=rtpmap:97 CN/16000", 0),
    ] {
        let (answer, media) = answer(offered(formats), &local).unwrap();
        assert_eq!(media.comfort_noise.len(), expected, "{formats}");
        let line = wire(&answer).media.remove(0);
        assert_eq!(line.codecs.iter().filter(|c| c.is_comfort_noise()).count(), expected);
        assert_eq!(media.codecs.len(), 1);
    }
    // It is no codec to talk with.
    assert!(answer(offered("13"), &local).is_err());
}

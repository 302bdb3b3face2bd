//! Phones whose DSP has the codec: encoded frames in place of PCM, against a phone with PCM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/dsp.rs"]
mod dsp;
#[path = "support/encoded.rs"]
mod encoded;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/sound.rs"]
mod sound;

use std::sync::Arc;

use dsp::Dsp;
use encoded::*;
use pair::{Pair, Setup, USUAL};
use sound::speech;
use subrosa::engine::{
    AudioOptions, CallError, CallOptions, CallState, Codec, Engine, Event, Input, MediaError,
    Padlock, SecurityPolicy,
};
use subrosa::media::codec::CodecId;
use subrosa::media::dsp::ProcessingConfig;
use subrosa::media::session::{FrameError, FrameKind, FrameToSend, MediaEvent};
use subrosa::sim::{Link, Loss, Source};
use subrosa::time::Duration;
use subrosa::wire::comfort_noise::ComfortNoise;
use subrosa::wire::sip::Uri;

/// A call with one codec, both ways, and what came of it.
fn both_ways(codec: Codec, rate: u32, taken: bool) {
    let mut pair = world(rate, &[codec], USUAL);
    if taken {
        pair.world.act(pair.phones[0], |host, _| host.take_media(true));
    }
    let call = call(&mut pair, encoded(rate));
    let encoding = match taken {
        true => pair.world.act(pair.phones[0], |host, _| host.taken(call).unwrap().encoding()),
        false => on_engine(&mut pair, |engine| engine.encoding(call).unwrap()),
    };
    assert_eq!((encoding.codec, encoding.ptime_ms), (CodecId::from(codec), 20));
    let mut dsp = Dsp::new(call, encoding, rate, speech(rate));
    talk(&mut pair, &mut dsp, Duration::from_secs(6));
    // What Bob heard is what the frames decode to.
    let expected = decoded(encoding.codec, rate, &dsp.sent);
    let (theirs, of_bob) = bob(&mut pair);
    let heard = pair.world.host(pair.phones[1]).heard(theirs);
    let second = rate as usize;
    assert!(contains(heard, &expected[second * 3..second * 4]), "{codec:?}: what Bob heard");
    // What came is what an encoder of our own makes of what he said.
    let sent = dsp::encode(encoding, rate, &speech(rate).repeat(3));
    let got = payloads(&dsp.items);
    let at = place(&sent, &got);
    assert!(got.len() > 280 && sent[at..].starts_with(&got), "{codec:?}: what Bob said");
    // Each item lasts a frame; the codec was told first, and once.
    assert_eq!(dsp.items[0].kind, FrameKind::NewCodec);
    let told = dsp.items.iter().filter(|item| item.kind == FrameKind::NewCodec).count();
    assert_eq!((told, dsp.missing()), (1, 0));
    let description = encoding.codec.description();
    for pair in dsp.items[1..].windows(2) {
        assert_eq!(pair[0].samples, description.samples_in_ms(20), "{:?}", pair[0]);
        let next = pair[0].timestamp.wrapping_add(description.ticks(pair[0].samples));
        assert_eq!(pair[1].timestamp, next);
        assert_eq!(pair[0].payload_type, encoding.payload_type);
    }
    let ours = stats(&mut pair, call);
    for stats in [ours, of_bob] {
        assert_eq!((stats.lost, stats.bad_payload, stats.concealed_frames), (0, 0, 0), "{stats:?}");
        assert!(stats.packets_sent > 280 && stats.rtcp_received > 0, "{stats:?}");
    }
    assert_eq!(pair.report(0).unwrap().1.padlock(), Padlock::EncryptedToProvider);
    assert!(pair.report(0).unwrap().1.packets_protected > 280);
}

#[test]
fn frames_arrive_as_pcm_and_pcm_as_frames_to_the_bit() {
    for (codec, rate) in [(Codec::Pcmu, 8_000), (Codec::Pcma, 8_000), (Codec::G722, 16_000)] {
        both_ways(codec, rate, false);
    }
}

#[cfg(any(feature = "opus", feature = "libopus"))]
#[test]
fn opus_frames_arrive_to_the_bit_too() {
    both_ways(Codec::Opus, 16_000, false);
}

#[test]
fn a_session_that_was_taken_does_the_same() {
    both_ways(Codec::Pcma, 8_000, true);
    both_ways(Codec::G722, 16_000, true);
}

#[test]
fn a_lost_packet_is_a_missing_frame_and_what_follows_keeps_its_place() {
    let mut link = Link::lan();
    link.loss = Loss::Random(0.05);
    let (_, dsp, stats) = over(link);
    assert!(stats.lost > 5, "{stats:?}");
    assert!(dsp.missing().abs_diff(stats.lost as usize) <= 1, "{} {stats:?}", dsp.missing());
    assert!(dsp.missing().abs_diff(stats.concealed_frames as usize) <= 1, "{stats:?}");
    assert_in_order(&dsp);
    // Each item begins where the one before ends: nothing is left out, nothing too much.
    for items in dsp.items[1..].windows(2) {
        assert_eq!(
            (items[0].samples, items[1].timestamp.wrapping_sub(items[0].timestamp)),
            (160, 160)
        );
    }
}

/// The packet after a gap comes with it, for decoders that find the missing one in it.
#[cfg(any(feature = "opus", feature = "libopus"))]
#[test]
fn what_recalls_a_lost_packet_comes_with_its_gap() {
    let mut pair = world(16_000, &[Codec::Opus], USUAL);
    let call = call(&mut pair, encoded(16_000));
    let mut link = Link::lan();
    link.loss = Loss::Random(0.05);
    pair.world.set_one_way(pair.phones[1], pair.phones[0], link);
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    let mut dsp = Dsp::new(call, encoding, 16_000, speech(16_000));
    talk(&mut pair, &mut dsp, Duration::from_secs(30));
    // Bob hears of the loss from our reports, and sends copies from then on.
    let later = &dsp.items[dsp.items.len() / 2..];
    let gaps = || later.windows(2).filter(|w| w[0].kind == FrameKind::Missing);
    let told = gaps().filter(|w| !w[0].payload.is_empty() && w[0].payload == w[1].payload);
    assert!(gaps().count() > 20, "{}", gaps().count());
    assert!(told.clone().count() * 4 > gaps().count() * 3, "{} told", told.count());
}

#[test]
fn what_overtakes_on_the_way_is_put_in_order() {
    let mut link = Link::lan();
    (link.reorder, link.reorder_by) = (0.2, Duration::from_millis(25));
    let (_, dsp, stats) = over(link);
    assert!(stats.reordered > 20, "{stats:?}");
    assert_in_order(&dsp);
    // The first ones teach the buffer how late packets come.
    assert!(dsp.missing() < 10, "{} of {}", dsp.missing(), dsp.items.len());
    assert_eq!(stats.lost, 0);
}

#[test]
fn another_codec_is_told_before_its_first_frame_and_the_old_one_is_refused() {
    for taken in [false, true] {
        let all = [Codec::G722, Codec::Pcma, Codec::Pcmu];
        let mut pair = world(16_000, &all, USUAL);
        if taken {
            pair.world.act(pair.phones[0], |host, _| host.take_media(true));
        }
        let call = call(&mut pair, encoded(16_000));
        let encoding = |pair: &mut Pair| {
            pair.world.act(pair.phones[0], |host, _| match host.taken(call) {
                Some(session) => session.encoding(),
                None => host.engine_mut().encoding(call).unwrap(),
            })
        };
        let mut dsp = Dsp::new(call, encoding(&mut pair), 16_000, speech(16_000));
        talk(&mut pair, &mut dsp, Duration::from_secs(1));
        let mut codecs = vec![CodecId::G722];
        for codec in [Codec::Pcmu, Codec::G722, Codec::Pcma] {
            pair.world.command(pair.phones[0], |engine, now| {
                engine.call(call).unwrap().set_codecs(now, &[codec]).unwrap();
            });
            codecs.push(codec.into());
            // The old codec until the new one is agreed on, and no further.
            talk(&mut pair, &mut dsp, Duration::from_secs(1));
            assert_eq!(dsp.refused, Some(codec.into()), "taken: {taken}");
            dsp.follow(encoding(&mut pair));
            talk(&mut pair, &mut dsp, Duration::from_secs(1));
            assert_eq!(dsp.refused, None);
        }
        let mut now = None;
        for item in &dsp.items {
            match item.kind {
                FrameKind::NewCodec => now = Some((item.codec, item.payload_type)),
                _ => assert_eq!(now, Some((item.codec, item.payload_type))),
            }
        }
        let told = dsp.items.iter().filter(|item| item.kind == FrameKind::NewCodec);
        assert_eq!(told.map(|item| item.codec).collect::<Vec<_>>(), codecs);
        assert!(dsp.missing() <= 3, "{}", dsp.missing());
        let changes = if taken {
            let mut events = 0;
            pair.world.act(pair.phones[0], |host, _| {
                while let Some(event) = host.taken(call).unwrap().poll_event() {
                    events += usize::from(event == MediaEvent::EncodingChanged);
                }
            });
            events
        } else {
            events(&pair, 0, |e| matches!(e, Event::EncodingChanged { .. }))
        };
        assert_eq!(changes, 3, "taken: {taken}");
        let (_, stats) = bob(&mut pair);
        assert_eq!((stats.lost, stats.ssrc_changes, stats.unknown_payload_type), (0, 0, 0));
    }
}

#[test]
fn who_mistakes_one_kind_of_audio_for_the_other_is_told() {
    let mut pair = world(8_000, &[Codec::Pcma], USUAL);
    let call = call(&mut pair, encoded(8_000));
    let give = |engine: &mut Engine, now, codec, payload: &[u8], samples| {
        let frame = FrameToSend { codec, payload, samples, talkspurt: false };
        engine.write_frame(now, call, &frame)
    };
    pair.world.command(pair.phones[0], |engine, now| {
        let refused = Err(MediaError::Encoded(call));
        let mut pcm = [7; 160];
        assert_eq!(engine.write_pcm(now, call, &pcm), refused);
        assert_eq!(engine.read_pcm(now, call, &mut pcm), refused);
        assert_eq!(pcm, [7; 160]);
        let (given, wanted) = (CodecId::Pcmu, CodecId::Pcma);
        let wrong = Err(MediaError::Frame(FrameError::WrongCodec { given, wanted }));
        assert_eq!(give(engine, now, given, &[0; 160], 160), wrong);
        let big = Err(MediaError::Frame(FrameError::TooBig { len: 1_281, most: 1_280 }));
        assert_eq!(give(engine, now, wanted, &[0; 1_281], 1_281), big);
        for (payload, samples) in [(&[0; 160][..], 161), (&[], 0), (&[], 961), (&[0; 1_000], 1_000)]
        {
            let length = Err(MediaError::Frame(FrameError::Length { codec: wanted, samples }));
            assert_eq!(give(engine, now, wanted, payload, samples), length);
        }
        assert_eq!(give(engine, now, wanted, &[0; 160], 160), Ok(()));
        let mut call = engine.call(call).unwrap();
        assert_eq!(call.set_send_gain(now, 3.0), Err(CallError::Encoded));
        assert_eq!(call.set_receive_gain(now, 3.0), Err(CallError::Encoded));
        assert_eq!(call.set_processing(now, ProcessingConfig::VOICE), Err(CallError::Encoded));
    });
    let theirs = bob(&mut pair).0;
    let account = pair.accounts[1];
    pair.world.command(pair.phones[1], |engine, now| {
        let pcm = MediaError::Frame(FrameError::Pcm);
        assert_eq!(engine.read_frame(now, theirs).unwrap_err(), pcm);
        let frame = FrameToSend {
            codec: CodecId::Pcma,
            payload: &[0; 160],
            samples: 160,
            talkspurt: false,
        };
        assert_eq!(engine.write_frame(now, theirs, &frame), Err(pcm));
        // A host that keeps the media of its calls has no way for frames.
        engine.keep_media();
        let to = Uri::parse("sip:alice@alice.test").unwrap();
        let placed = engine.place_call(now, account, &to, encoded(8_000));
        assert_eq!(placed, Err(CallError::PcmOnly));
    });
}

#[test]
fn the_gates_of_security_hold() {
    // The rules of the world watch that nothing leaves in the clear.
    let strict = Setup { policies: [SecurityPolicy::Required; 2], ..USUAL };
    let mut pair = world(8_000, &[Codec::Pcma], strict);
    let call = call(&mut pair, encoded(8_000));
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    let mut dsp = Dsp::new(call, encoding, 8_000, speech(8_000));
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    let bob_at = pair.world.ip(pair.phones[1]);
    pair.world.command(pair.phones[0], |engine, now| {
        let (rtp, _) = engine.call(call).unwrap().media_sockets().unwrap();
        for n in 0..20_u8 {
            let mut packet = [0x80, 8, 0x7f, n, 0, 0, n, 0xa0, 1, 2, 3, 4].to_vec();
            packet.extend([0x77; 160]);
            let (remote, payload) = ((bob_at, 16_384).into(), &mut packet[..]);
            engine.handle_input(now, Input::Datagram { socket: rtp, remote, payload }).unwrap();
        }
    });
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    assert!(dsp.items.iter().all(|item| item.payload != [0x77; 160]));
    let stats = stats(&mut pair, call);
    assert_eq!((stats.auth_failures(), stats.plain_dropped), (20, 20), "{stats:?}");
    assert!(stats.packets_sent > 95 && stats.packets_received > 95, "{stats:?}");
}

#[test]
fn no_frame_is_handed_out_while_a_change_of_security_waits_to_be_told() {
    let dtls = Setup { mutual: false, ..USUAL };
    let mut pair = world(8_000, &[Codec::Pcma], dtls);
    let call = call(&mut pair, encoded(8_000));
    pair.world.run_for(Duration::from_millis(200));
    pair.world.act(pair.phones[0], |host, net| {
        let now = net.now();
        let there = |engine: &mut Engine| engine.read_frame(now, call).unwrap().is_some();
        assert!(there(host.engine_mut()));
        host.engine_mut().call(call).unwrap().confirm_safety_number(now).unwrap();
        assert!(!there(host.engine_mut()));
        host.drain(net);
        assert!(there(host.engine_mut()));
    });
}

#[test]
fn holds_digits_and_silence_are_those_of_any_call() {
    let mut pair = world(8_000, &[Codec::Pcma], USUAL);
    let call = call(&mut pair, encoded(8_000));
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    let mut dsp = Dsp::new(call, encoding, 8_000, speech(8_000));
    talk(&mut pair, &mut dsp, Duration::from_millis(200));
    // Digits both ways.
    let theirs = bob(&mut pair).0;
    let digit = Duration::from_millis(100);
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(call).unwrap().send_dtmf(now, '5', digit).unwrap();
    });
    pair.world.command(pair.phones[1], |engine, now| {
        engine.call(theirs).unwrap().send_dtmf(now, '#', digit).unwrap();
    });
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    let pressed = |pair: &Pair, side, key| {
        events(pair, side, |e| matches!(e, Event::DtmfReceived { digit, .. } if *digit == key))
    };
    assert_eq!((pressed(&pair, 1, '5'), pressed(&pair, 0, '#')), (1, 1));
    let (_, before_pause) = bob(&mut pair);
    // Muted: nothing is sent.
    let mute = |pair: &mut Pair, on| {
        pair.world.command(pair.phones[0], |engine, now| {
            engine.call(call).unwrap().mute(now, on).unwrap();
        });
    };
    mute(&mut pair, true);
    talk(&mut pair, &mut dsp, FRAME * 2);
    let before = stats(&mut pair, call).packets_sent;
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    assert_eq!(stats(&mut pair, call).packets_sent, before);
    mute(&mut pair, false);
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    assert!(stats(&mut pair, call).packets_sent >= before + 49);
    // That was a pause of ours, not a loss.
    let (_, of_bob) = bob(&mut pair);
    assert_eq!((of_bob.lost, of_bob.concealed_frames), (0, before_pause.concealed_frames));
    // On hold nothing comes and nothing goes.
    let hold = |pair: &mut Pair, on: bool| {
        pair.world.command(pair.phones[1], |engine, now| {
            let mut call = engine.call(theirs).unwrap();
            if on { call.hold(now).unwrap() } else { call.resume(now).unwrap() }
        });
        pair.world.run_for(FRAME * 3);
    };
    hold(&mut pair, true);
    talk(&mut pair, &mut dsp, FRAME * 5);
    let before = stats(&mut pair, call).packets_sent;
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    assert_eq!(stats(&mut pair, call).packets_sent, before);
    hold(&mut pair, false);
    let came = dsp.items.len();
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    assert!(payloads(&dsp.items[came..]).len() > 40);
    assert_eq!(pair.report(0).unwrap().0, CallState::Established);
}

#[cfg(any(feature = "opus", feature = "libopus"))]
#[test]
fn silence_that_is_not_sent_is_comfort_noise_and_no_loss() {
    let mut pair = world(16_000, &[Codec::Opus], USUAL);
    let words = speech(16_000)[..32_000].to_vec();
    let quiet = [words.clone(), vec![0; 48_000], words].concat();
    pair.world.act(pair.phones[1], |host, _| host.say(Source::Pcm(Arc::from(quiet))));
    let mut options = encoded(16_000);
    let mut audio = AudioOptions::default();
    audio.dtx = true;
    options.audio = Some(audio);
    let call = call(&mut pair, options);
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    let mut dsp = Dsp::new(call, encoding, 16_000, speech(16_000));
    talk(&mut pair, &mut dsp, Duration::from_secs(6));
    let noise = dsp.items.iter().filter(|item| item.kind == FrameKind::ComfortNoise);
    // Each pause may be a loss for its first 240 ms, and a packet comes every 400 ms.
    assert!(noise.clone().count() > 30, "{}", noise.count());
    assert!(noise.clone().all(|item| item.payload.is_empty()));
    let stats = stats(&mut pair, call);
    assert_eq!((stats.lost, stats.concealed_frames), (0, 0), "{stats:?}");
    // And ours: what the encoder leaves out is a pause, too.
    let (_, before) = bob(&mut pair);
    dsp.silent = true;
    talk(&mut pair, &mut dsp, Duration::from_secs(2));
    dsp.silent = false;
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    let (_, after) = bob(&mut pair);
    assert!(after.packets_received - before.packets_received < 60);
    assert_eq!((after.lost, after.concealed_frames), (0, 0), "{after:?}");
}

#[test]
fn the_background_of_a_pause_is_told_both_ways() {
    let mut pair = world(8_000, &[Codec::Pcma], USUAL);
    // A quiet room between the words: our detection of pauses tells of it.
    let words = speech(8_000)[..16_000].to_vec();
    let room = (0..24_000).map(|n: i32| (n * 7_919 % 61 - 30) as i16).collect();
    let said = [words.clone(), room, words].concat();
    let mut audio = AudioOptions::default();
    audio.dtx = true;
    let theirs = audio.clone();
    pair.world.act(pair.phones[1], |host, _| {
        host.say(Source::Pcm(Arc::from(said)));
        host.react(move |turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                let mut options = CallOptions::default();
                (options.sample_rate, options.audio) = (8_000, Some(theirs.clone()));
                turn.engine.call(call).unwrap().accept(turn.now, options).unwrap();
            }
        });
    });
    let mut options = encoded(8_000);
    options.audio = Some(audio);
    let call = call(&mut pair, options);
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    assert!(encoding.comfort_noise && encoding.tuning.dtx, "{encoding:?}");
    let mut dsp = Dsp::new(call, encoding, 8_000, speech(8_000));
    talk(&mut pair, &mut dsp, Duration::from_secs(5));
    let noise = dsp.items.iter().filter(|item| item.kind == FrameKind::ComfortNoise);
    let told = noise.clone().filter(|item| !item.payload.is_empty());
    assert!(told.clone().count() >= 2 && noise.count() > 60, "{}", told.count());
    assert!(told.clone().all(|item| ComfortNoise::parse(&item.payload).is_ok()));
    let received = stats(&mut pair, call);
    assert_eq!((received.lost, received.concealed_frames), (0, 0), "{received:?}");
    // And ours: told once, then nothing, then a talkspurt.
    let (_, before) = bob(&mut pair);
    let mut payload = [0; 20];
    let len = ComfortNoise::new(55, &[-0.4]).write(&mut payload).unwrap();
    pair.world.command(pair.phones[0], |engine, now| {
        let mut give =
            |payload: &[u8], samples| engine.write_comfort_noise(now, call, payload, samples);
        assert_eq!(give(&[], 160), Err(MediaError::Frame(FrameError::ComfortNoise)));
        assert_eq!(give(&[55, 255], 160), Err(MediaError::Frame(FrameError::ComfortNoise)));
        let length = FrameError::Length { codec: CodecId::Pcma, samples: 0 };
        assert_eq!(give(&payload[..len], 0), Err(MediaError::Frame(length)));
        assert_eq!(give(&payload[..len], 160), Ok(()));
    });
    dsp.silent = true;
    talk(&mut pair, &mut dsp, Duration::from_secs(2));
    dsp.silent = false;
    talk(&mut pair, &mut dsp, Duration::from_secs(1));
    let (_, after) = bob(&mut pair);
    assert_eq!(after.comfort_noise_received - before.comfort_noise_received, 1);
    assert!(after.packets_received - before.packets_received < 60);
    assert_eq!((after.lost, after.concealed_frames), (0, 0), "{after:?}");
    assert_eq!(stats(&mut pair, call).comfort_noise_sent, 1);
}

#[test]
fn early_media_may_be_encoded_too() {
    let mut pair = Pair::with(USUAL, |config| config.codecs = vec![Codec::Pcma]);
    pair.world.act(pair.phones[1], |host, _| {
        host.react(|turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                let mut call = turn.engine.call(call).unwrap();
                call.early_media_encoded(turn.now, 8_000).unwrap();
            }
        });
    });
    let account = pair.accounts[0];
    let ours = pair.world.command(pair.phones[0], |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, CallOptions::default()).unwrap()
    });
    pair.world.run_for(Duration::from_secs(1));
    let theirs = pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0]);
    let frame = dsp::encode_with(CodecId::Pcma, 8_000, &speech(8_000))[40].clone();
    for accepted in [false, true] {
        for _ in 0..10 {
            pair.world.command(pair.phones[1], |engine, now| {
                let (codec, payload) = (CodecId::Pcma, &frame[..]);
                let frame = FrameToSend { codec, payload, samples: 160, talkspurt: false };
                engine.write_frame(now, theirs, &frame).unwrap();
            });
            pair.world.run_for(FRAME);
        }
        let heard = pair.world.command(pair.phones[0], |engine, _| {
            engine.call(ours).unwrap().media_stats().unwrap().packets_received
        });
        assert!(heard >= 9, "accepted: {accepted}");
        if !accepted {
            // The answer goes on with the same media, whatever it says.
            pair.world.command(pair.phones[1], |engine, now| {
                let mut call = engine.call(theirs).unwrap();
                call.accept(now, CallOptions::default()).unwrap();
            });
        }
    }
}

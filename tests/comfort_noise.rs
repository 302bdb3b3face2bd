//! Comfort noise (RFC 3389) and pauses that are not sent: what is heard in a pause of the far end, what
//! is sent in one of ours, how it is negotiated, and that no onset is cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/line.rs"]
mod line;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/voice.rs"]
mod voice;

use line::{Line, Listener};
use pair::{Pair, Setup, USUAL};
use subrosa::engine::{AudioOptions, Codec, SecurityPolicy};
use subrosa::media::codec::{CodecId, Encoder, EncoderTuning, G711, Law, OpusBackend};
use subrosa::media::resample::Resampler;
use subrosa::media::session::{FrameKind, MediaConfig, MediaStats, MediaUpdate, Payload};
use subrosa::sim::Source;
use subrosa::sip::Transport;
use subrosa::time::{Duration, Instant};
use subrosa::wire::comfort_noise::ComfortNoise;
use voice::{Noise, at_level, clip, mix, to_pcm, white};

const CN: u8 = 13;

fn payload(codec: CodecId) -> Payload {
    let payload_type = codec.description().static_payload_type.unwrap_or(111);
    Payload { payload_type, codec }
}

fn pausing(_: usize, config: &mut MediaConfig) {
    config.tuning.dtx = true;
    (config.comfort_noise_send, config.comfort_noise_receive) = (Some(CN), vec![CN]);
}

fn at_rate(pcm: &[i16], rate: u32) -> Vec<i16> {
    let mut out = Vec::new();
    Resampler::new(16_000, rate).unwrap().process(pcm, |samples| out.extend_from_slice(samples));
    out
}

fn rms(pcm: &[i16]) -> f64 {
    let sum: f64 = pcm.iter().map(|s| f64::from(*s).powi(2)).sum();
    (sum / pcm.len().max(1) as f64).sqrt()
}

/// How alike neighbours are, -1 to 1: the colour of a noise.
fn colour(pcm: &[i16]) -> f64 {
    let product: f64 = pcm.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum();
    product / pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>()
}

/// A room: noise of which neighbours are alike.
fn room(seed: u64, len: usize, dbfs: f64) -> Vec<f32> {
    let (mut noise, mut last) = (Noise::new(seed), 0.0f32);
    let coloured: Vec<f32> = (0..len)
        .map(|_| {
            last = 0.7 * last + noise.gauss();
            last
        })
        .collect();
    at_level(&coloured, dbfs)
}

/// Sentences of clean speech with pauses as long as they are between them, at 16 kHz.
fn half_silent() -> Vec<f32> {
    let mut out = vec![0.0; 16_000];
    for number in [880, 930] {
        let words = at_level(&clip(number), -26.0);
        let silence = words.len();
        out.extend(words);
        out.extend(vec![0.0; silence]);
    }
    out
}

/// Of the energy of `clean` what no packet carried, and of the frames how many were not sent.
fn lost(line: &Line, clean: &[i16], rate: u32) -> (f64, f64) {
    let clock = line.ends[0].sending_codec().codec.description().clock_rate;
    let first = line.sent[0].timestamp;
    let ticks = clock / 50;
    let carried: std::collections::HashSet<u32> = line
        .sent
        .iter()
        .filter(|s| s.payload_type != CN)
        .map(|s| s.timestamp.wrapping_sub(first) / ticks)
        .collect();
    let frames: Vec<_> = clean.chunks_exact(rate as usize / 50).collect();
    let energy = |pcm: &[i16]| pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let whole: f64 = frames.iter().map(|f| energy(f)).sum();
    let missing = frames.iter().enumerate().filter(|(n, _)| !carried.contains(&(*n as u32)));
    let missing: f64 = missing.map(|(_, f)| energy(f)).sum();
    (missing / whole, 1.0 - line.sent.len() as f64 / frames.len() as f64)
}

#[test]
fn no_onset_is_cut_and_a_third_of_a_half_silent_clip_is_not_sent() {
    let clean = half_silent();
    let quiet = mix(&clean, &room(4, clean.len(), -60.0));
    let noisy = mix(&clean, &room(5, clean.len(), -45.0));
    let hissing = mix(&clean, &white(6, clean.len(), -52.0));
    for (codec, rates) in [
        (CodecId::Pcmu, &[8_000][..]),
        (CodecId::G722, &[16_000]),
        (CodecId::Opus, &[8_000, 16_000, 48_000]),
    ] {
        if !codec.is_available() {
            continue;
        }
        for rate in rates.iter().copied() {
            let scenes =
                [("clean", &clean), ("room", &quiet), ("loud room", &noisy), ("hiss", &hissing)];
            for (name, scene) in scenes {
                let mut line = Line::new(payload(codec), |side, config| {
                    pausing(side, config);
                    (config.write_rate, config.read_rate) = (rate, rate);
                });
                line.say(&at_rate(&to_pcm(scene), rate), |_| false);
                let (cut, saved) = lost(&line, &at_rate(&to_pcm(&clean), rate), rate);
                println!(
                    "{codec:?} at {rate} Hz, {name}: {:.2} % of the speech cut, {:.0} % of the packets saved",
                    cut * 100.0,
                    saved * 100.0
                );
                // Asked for: 1 %.
                assert!(cut < 0.002, "{codec:?} at {rate}, {name}: {cut:.4} of the speech is cut");
                assert!(saved > 0.3, "{codec:?} at {rate}, {name}: {saved:.2} saved");
                let stats = line.heard_stats();
                assert_eq!((stats.lost, stats.bad_payload), (0, 0));
            }
        }
    }
}

/// Says `pcm` frame by frame: how many packets of audio left with each.
fn bursts(line: &mut Line, pcm: &[i16]) -> Vec<usize> {
    let frame = line.rate as usize / 50;
    pcm.chunks_exact(frame)
        .map(|said| {
            let before = line.sent.len();
            line.say(said, |_| false);
            line.sent[before..].iter().filter(|s| s.payload_type != CN).count()
        })
        .collect()
}

#[test]
fn what_was_said_before_it_was_noticed_goes_out_first() {
    for codec in [CodecId::Pcmu, CodecId::Opus] {
        if !codec.is_available() {
            continue;
        }
        let mut line = Line::new(payload(codec), |side, config| {
            pausing(side, config);
            (config.write_rate, config.read_rate) = (8_000, 8_000);
        });
        let words = at_level(&clip(880), -26.0);
        let scene = [&vec![0.0; 48_000][..], &words].concat();
        let scene = mix(&scene, &room(11, scene.len(), -60.0));
        let left = bursts(&mut line, &at_rate(&to_pcm(&scene), 8_000));
        let first = left[100..].iter().position(|n| *n > 1).expect("an onset") + 100;
        assert!((2..=4).contains(&left[first]), "{left:?}");
        // The newest of them is the frame that was said then; the oldest has the marker.
        let sent: Vec<_> = line.sent.iter().filter(|s| s.payload_type != CN).collect();
        let begin: usize = left[..first].iter().sum();
        assert!(sent[begin].marker, "{left:?}");
        let ticks = codec.description().clock_rate / 50;
        let newest = sent[begin + left[first] - 1].timestamp.wrapping_sub(sent[0].timestamp);
        assert_eq!(newest, ticks * first as u32);
        let steps = sent[begin..begin + left[first]].windows(2);
        assert!(steps.into_iter().all(|w| w[1].timestamp.wrapping_sub(w[0].timestamp) == ticks));
    }
}

#[test]
fn whatever_is_much_louder_than_the_background_is_sent_though_it_is_no_voice() {
    let mut line = Line::new(payload(CodecId::Pcmu), pausing);
    let scene = room(12, 96_000, -60.0);
    let mut knock = vec![0.0; 96_000];
    knock[64_000..68_000].copy_from_slice(&white(13, 4_000, -30.0));
    let left = bursts(&mut line, &at_rate(&to_pcm(&mix(&scene, &knock)), 8_000));
    assert!(left[150..199].iter().all(|n| *n == 0), "{left:?}");
    assert!(left[202..212].iter().all(|n| *n > 0), "{left:?}");
    assert!(left[250..].iter().all(|n| *n == 0), "{left:?}");
}

#[test]
fn a_decoder_that_makes_noise_of_its_own_gets_a_frame_each_400_ms() {
    if !CodecId::Opus.is_available() {
        return;
    }
    let mut line = Line::new(payload(CodecId::Opus), |side, config| {
        pausing(side, config);
        (config.write_rate, config.read_rate) = (16_000, 16_000);
    });
    let left = bursts(&mut line, &to_pcm(&room(14, 160_000, -60.0)));
    let sent: Vec<_> = (100..500).filter(|n| left[*n] > 0).collect();
    assert!(sent.len() == 20, "{left:?}");
    assert!(sent.windows(2).all(|w| w[1] - w[0] == 20), "{sent:?}");
    assert!(line.sent[1..].iter().all(|s| !s.marker), "nobody began to speak");
    assert_eq!(line.heard_stats().concealed_frames, 0);
}

/// The encoder tells silence from speech at 16 kHz and more; at 8 kHz it takes all for speech.
#[test]
fn our_own_detection_of_pauses_is_as_good_as_that_of_the_encoder_of_opus_and_works_at_8_khz() {
    if !CodecId::Opus.is_available() {
        return;
    }
    let clean = half_silent();
    let noisy = mix(&clean, &room(5, clean.len(), -45.0));
    for (rate, better) in [(8_000, 0.3), (16_000, 0.0)] {
        let pcm = at_rate(&to_pcm(&noisy), rate);
        let speech = at_rate(&to_pcm(&clean), rate);
        let mut encoder = CodecId::Opus.encoder_at(rate, Some(OpusBackend::AVAILABLE[0])).unwrap();
        let mut tuning = EncoderTuning::default();
        tuning.dtx = true;
        encoder.tune(&tuning);
        let mut payload = [0; 1_280];
        let (mut silent, mut cut, mut whole, mut frames) = (0, 0.0, 0.0, 0);
        for (frame, speech) in
            pcm.chunks_exact(rate as usize / 50).zip(speech.chunks_exact(rate as usize / 50))
        {
            let energy = rms(speech).powi(2);
            (whole, frames) = (whole + energy, frames + 1);
            if encoder.encode(frame, &mut payload).unwrap() == 0 {
                (silent, cut) = (silent + 1, cut + energy);
            }
        }
        let (theirs, cut) = (f64::from(silent) / f64::from(frames), cut / whole);
        let mut line = Line::new(self::payload(CodecId::Opus), |side, config| {
            pausing(side, config);
            (config.write_rate, config.read_rate) = (rate, rate);
        });
        line.say(&pcm, |_| false);
        let (ours_cut, ours) = lost(&line, &speech, rate);
        println!(
            "{rate} Hz: {:.0} % saved and {:.3} % cut, by the encoder {:.0} % and {:.3} %",
            ours * 100.0,
            ours_cut * 100.0,
            theirs * 100.0,
            cut * 100.0
        );
        assert!(ours > theirs + better, "{rate}: {ours:.2} by ours, {theirs:.2} by the encoder");
        assert!(ours_cut < cut.max(0.002), "{rate}: {ours_cut:.4} cut, {cut:.4} by the encoder");
    }
}

#[test]
fn a_pause_sounds_like_the_room_and_is_no_loss() {
    let words = at_level(&clip(880), -26.0);
    let silence = vec![0.0; 80_000];
    let clean = [&words[..], &silence, &words].concat();
    let level = -48.0;
    for codec in [CodecId::Pcmu, CodecId::G722] {
        let rate = codec.description().sample_rate;
        let room = room(7, clean.len(), level);
        let said = at_rate(&to_pcm(&mix(&clean, &room)), rate);
        let mut line = Line::new(payload(codec), pausing);
        line.say(&said, |_| false);
        let stats = line.heard_stats();
        assert_eq!((stats.concealed_frames, stats.late, stats.lost), (0, 0, 0), "{stats:?}");
        assert!(stats.comfort_noise_received >= 4, "{stats:?}");
        let sender = line.ends[0].stats();
        assert_eq!(sender.comfort_noise_sent, stats.comfort_noise_received);
        assert!(sender.suppressed > 200, "{sender:?}");
        // Well within the pause, some of it in the room and some of it made here.
        let second = rate as usize;
        let begin = words.len() * second / 16_000 + second;
        let (heard, was) =
            (&line.heard[begin..begin + 3 * second], &said[begin..begin + 3 * second]);
        let louder = 20.0 * (rms(heard) / rms(was)).log10();
        assert!(louder.abs() < 2.0, "{codec:?}: {louder:.1} dB off");
        let (made, was) = (colour(heard), colour(was));
        assert!((made - was).abs() < 0.1, "{codec:?}: {made:.2}, the room {was:.2}");
        // Each tenth of a second, begin and end of the pause included, is as loud as the room: no
        // hole and no click.
        let pause = begin - second / 2..begin + 7 * second / 2;
        for (n, tenth) in line.heard[pause].chunks_exact(second / 10).enumerate() {
            let off = 20.0 * (rms(tenth) / rms(&said[begin..begin + second])).log10();
            assert!(off.abs() < 4.0, "{codec:?}: tenth {n} is {off:.1} dB off");
        }
    }
}

#[test]
fn packets_tell_what_rfc_3389_and_rfc_3551_say() {
    let words = at_level(&clip(880), -26.0);
    let scene = [&words[..], &vec![0.0; 64_000], &words].concat();
    let scene = mix(&scene, &room(8, scene.len(), -50.0));
    let mut line = Line::new(payload(CodecId::Pcmu), pausing);
    line.say(&at_rate(&to_pcm(&scene), 8_000), |_| false);
    let first = line.sent[0].clone();
    assert!(first.marker);
    let mut before: Option<&line::Sent> = None;
    let (mut pauses, mut levels) = (0, 0);
    for sent in &line.sent {
        let since = sent.timestamp.wrapping_sub(first.timestamp);
        assert_eq!(since % 160, 0, "on the grid of the frames");
        if sent.payload_type == CN {
            assert!(!sent.marker);
            let noise = ComfortNoise::parse(&sent.payload).unwrap();
            assert_eq!(noise.reflection().count(), 10);
            // Within the long pause; before it there is the reader's own room.
            if (words.len() / 2 + 4_000..words.len() / 2 + 32_000).contains(&(since as usize)) {
                assert!((49..=53).contains(&noise.level()), "{}", noise.level());
                levels += 1;
            }
        }
        if let Some(before) = before {
            assert_eq!(sent.sequence, before.sequence.wrapping_add(1));
            let step = sent.timestamp.wrapping_sub(before.timestamp);
            match (before.payload_type, sent.payload_type) {
                (CN, CN) => assert!((800..=8_160).contains(&step), "{step}"),
                // At its first frame, and never a pause that nobody is told of.
                (_, CN) => {
                    assert_eq!(step, 160);
                    pauses += 1;
                }
                (CN, _) => assert!(sent.marker && step >= 160),
                _ => assert!(step == 160 && !sent.marker),
            }
        }
        before = Some(sent);
    }
    assert!(pauses >= 1 && levels >= 3, "{pauses} {levels}");
}

#[test]
fn another_background_is_told_soon_and_the_same_one_seldom() {
    let first = room(9, 80_000, -60.0);
    let louder = white(10, 80_000, -47.0);
    let mut line = Line::new(payload(CodecId::Pcmu), pausing);
    line.say(&at_rate(&to_pcm(&[first, louder].concat()), 8_000), |_| false);
    let told: Vec<_> = line
        .sent
        .iter()
        .filter(|s| s.payload_type == CN)
        .map(|s| (s.timestamp.wrapping_sub(line.sent[0].timestamp) / 8, s))
        .map(|(ms, s)| (ms, ComfortNoise::parse(&s.payload).unwrap().level()))
        .collect();
    let (quiet, loud): (Vec<_>, Vec<_>) = told.iter().partition(|(ms, _)| *ms < 5_000);
    assert!((3..=6).contains(&quiet.len()), "{told:?}");
    assert!(quiet.iter().all(|(_, level)| (58..=63).contains(level)), "{told:?}");
    let heard = loud.iter().find(|(_, level)| (48..=52).contains(level)).expect("it is told");
    assert!(heard.0 < 7_500, "{told:?}");
}

#[test]
fn without_comfort_noise_or_without_the_option_every_frame_is_sent() {
    let quiet = to_pcm(&room(3, 64_000, -60.0));
    for (dtx, noise) in [(true, None), (false, Some(CN))] {
        let mut line = Line::new(payload(CodecId::G722), |_, config| {
            config.tuning.dtx = dtx;
            config.comfort_noise_send = noise;
        });
        line.say(&quiet, |_| false);
        assert_eq!(line.sent.len(), 200);
        // And by an update it begins.
        let mut tuning = EncoderTuning::default();
        tuning.dtx = true;
        let update = MediaUpdate::new().comfort_noise(Some(CN), vec![]).tuning(tuning);
        line.ends[0].handle_update(line.now, update).unwrap();
        line.say(&quiet, |_| false);
        assert!(line.sent.len() < 260, "{}", line.sent.len());
    }
}

#[test]
fn one_packet_is_enough_for_a_long_pause() {
    let mut l = Listener::new(payload(CodecId::Pcmu), pausing);
    let mut frame = vec![0; 160];
    let tone: Vec<i16> = (0..160).map(|i| ((i as f32 * 0.157_08).cos() * 3_000.0) as i16).collect();
    G711::new(Law::Mu).encode(&tone, &mut frame).unwrap();
    let mut heard = Vec::new();
    let (mut sequence, mut ms) = (0u16, 0);
    let speak = |l: &mut Listener, heard: &mut Vec<i16>, sequence: &mut u16, ms: &mut u64| {
        l.take(*ms, *sequence, *ms as u32 * 8, 0, &frame);
        heard.extend(l.hear(*ms, 160));
        (*sequence, *ms) = (*sequence + 1, *ms + 20);
    };
    (0..50).for_each(|_| speak(&mut l, &mut heard, &mut sequence, &mut ms));
    l.take(ms, sequence, ms as u32 * 8, CN, &[50]);
    sequence += 1;
    for _ in 0..300 {
        heard.extend(l.hear(ms, 160));
        ms += 20;
    }
    (0..50).for_each(|_| speak(&mut l, &mut heard, &mut sequence, &mut ms));
    let stats = l.session.stats();
    assert_eq!((stats.comfort_noise_received, stats.concealed_frames, stats.late), (1, 0, 0));
    // -50 dBov of 32768 is 104.
    let pause = &heard[55 * 160..345 * 160];
    for (n, tenth) in pause.chunks_exact(800).enumerate() {
        assert!((90.0..118.0).contains(&rms(tenth)), "tenth {n}: {:.0}", rms(tenth));
    }
    // The tone moves by 470 a sample at most; it ends and begins at its peak, and nothing jumps.
    let jump =
        heard[1_600..].windows(2).map(|w| (i32::from(w[0]) - i32::from(w[1])).abs()).max().unwrap();
    assert!(jump < 900, "a click of {jump}");
    assert!(rms(&heard[heard.len() - 1_600..]) > 1_800.0, "the voice is there again");
}

#[test]
fn garbage_is_counted_and_changes_nothing() {
    let mut l = Listener::new(payload(CodecId::Pcmu), pausing);
    l.take(0, 1, 160, CN, &[]);
    l.take(20, 2, 320, CN, &[50, 255]);
    let stats = l.session.stats();
    assert_eq!((stats.bad_payload, stats.comfort_noise_received), (2, 0));
    l.take(40, 3, 480, CN, &[40; 300]);
    assert_eq!(l.session.stats().comfort_noise_received, 1);
    let heard: Vec<i16> = (3..30).flat_map(|n| l.hear(n * 20, 160)).collect();
    // Twelve coefficients of it count.
    assert!(rms(&heard[1_600..]) > 100.0, "{}", rms(&heard[1_600..]));
    // Without negotiation it is a payload type like any other.
    let mut l = Listener::new(payload(CodecId::Pcmu), |_, _| {});
    l.take(0, 1, 160, CN, &[50]);
    assert_eq!(l.session.stats().unknown_payload_type, 1);
}

#[test]
fn the_same_room_gives_the_same_packets_and_the_same_noise() {
    let run = || {
        let scene = to_pcm(&mix(&half_silent()[..96_000], &room(2, 96_000, -55.0)));
        let mut line = Line::new(payload(CodecId::G722), pausing);
        line.say(&scene, |n| n % 13 == 0);
        let sent: Vec<_> = line.sent.iter().map(|s| (s.timestamp, s.payload.clone())).collect();
        (sent, line.heard)
    };
    assert!(run() == run());
}

#[test]
fn a_host_that_decodes_by_itself_gets_the_description_as_it_came() {
    let mut l = Listener::new(payload(CodecId::Pcmu), |side, config| {
        pausing(side, config);
        config.encoded = true;
    });
    let mut told = Vec::new();
    for n in 0..150u16 {
        let ms = u64::from(n) * 20;
        if n < 50 {
            l.take(ms, n, u32::from(n) * 160, 0, &[0xd5; 160]);
        } else if n == 50 || n == 100 {
            l.take(ms, n / 50 + 49, u32::from(n) * 160, CN, &[60, 127, n as u8]);
        }
        let frame = l.session.read_frame(Instant::from_millis(1_000 + ms)).unwrap();
        told.extend(frame.map(|f| (f.kind, f.payload.to_vec(), f.samples)));
    }
    let described: Vec<_> = told.iter().filter(|(_, bytes, _)| bytes.len() == 3).collect();
    assert_eq!(described.len(), 2);
    for ((kind, bytes, samples), n) in described.into_iter().zip([50, 100]) {
        assert_eq!(
            (*kind, &bytes[..], *samples),
            (FrameKind::ComfortNoise, &[60, 127, n][..], 160)
        );
    }
    assert!(told.iter().all(|(kind, ..)| *kind != FrameKind::Missing), "{told:?}");
}

/// A call in which the caller says nothing, with these options: what both media count.
fn call(dtx: bool, codec: Codec, setup: Setup) -> [MediaStats; 2] {
    let mut pair = Pair::with(setup, |config| config.codecs = vec![codec]);
    let call = pair.call(setup);
    let mut audio = AudioOptions::default();
    audio.dtx = dtx;
    pair.world.command(pair.phones[0], |engine, now| {
        let mut call = engine.call(call).unwrap();
        call.set_audio(now, audio).unwrap();
        // The next offer says so.
        call.set_codecs(now, &[codec]).unwrap();
    });
    pair.world.act(pair.phones[0], |host, _| host.say(Source::Silence));
    pair.world.run_for(Duration::from_secs(10));
    [0, 1].map(|side: usize| {
        pair.world.command(pair.phones[side], |engine, _| {
            let id = engine.call_ids()[0];
            engine.call(id).unwrap().media_stats().unwrap()
        })
    })
}

#[test]
fn a_caller_that_wants_pauses_is_answered_with_comfort_noise() {
    // In the clear too, where the rules of the simulation look at what leaves.
    let clear = Setup { policies: [SecurityPolicy::Off; 2], transport: Transport::Udp, ..USUAL };
    for (codec, setup) in [(Codec::Pcmu, USUAL), (Codec::G722, USUAL), (Codec::Pcma, clear)] {
        let [caller, callee] = call(true, codec, setup);
        assert!(caller.comfort_noise_sent >= 5 && caller.suppressed > 300, "{caller:?}");
        assert!(callee.comfort_noise_received >= 5, "{callee:?}");
        assert_eq!((callee.unknown_payload_type, callee.bad_payload, callee.lost), (0, 0, 0));
        let [caller, callee] = call(false, codec, setup);
        assert_eq!((caller.comfort_noise_sent, caller.suppressed), (0, 0));
        assert_eq!(callee.comfort_noise_received, 0);
    }
}

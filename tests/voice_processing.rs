//! Voice processing on recorded speech: what it must reach, that hostile input cannot hurt it, and
//! that it is soft, steady and the same each time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/processing.rs"]
mod processing;
#[path = "support/voice.rs"]
mod voice;

use processing::*;
use subrosa::media::dsp::{Processing, ProcessingConfig};
use subrosa::media::resample::UnsupportedRate;
use voice::*;

fn tone(hz: f32, level: f32, seconds: f32) -> Vec<f32> {
    let at = |i: usize| (i as f32 / RATE as f32 * hz * std::f32::consts::TAU).sin() * level;
    (0..(seconds * RATE as f32) as usize).map(at).collect()
}

#[test]
fn the_echo_of_a_room_is_taken_down_by_30_db_and_that_of_a_bad_loudspeaker_by_25() {
    let far = speech(&[880, 930], 6.0);
    for (clip, least) in [(false, 30.0), (true, 25.0)] {
        let scene = Scene::new(far.clone(), vec![], &room(7, 4.0, 60.0), clip, -29.0);
        let mut p = processing(ECHO);
        let out = run(&mut p, &scene);
        let got = erle(&scene.mic, &out, 3.0, 6.0);
        assert!(got >= least, "soft clipping {clip}: {got:.1} dB");
        assert!(p.stats().erle_db > 10.0, "{:?}", p.stats());
    }
}

#[test]
fn what_a_loudspeaker_distorts_is_learned_and_taken_down_too() {
    let far = at_level(&speech(&[880, 930], 6.0), -23.0);
    let peak = far.iter().fold(0.0f32, |m, s| m.max(s.abs()));
    let hard = |s: &f32| s.clamp(-0.4 * peak, 0.4 * peak);
    let lopsided = |s: &f32| s + 0.3 * s * s / peak - 0.2 * s * (s / peak).powi(2);
    let kinds = [
        ("soft", soft_clip(&far), 36.0),
        ("hard", far.iter().map(hard).collect(), 25.0),
        ("lopsided", far.iter().map(lopsided).collect(), 35.0),
    ];
    for (kind, played, least) in kinds {
        let mut scene = Scene::new(played, vec![], &room(7, 4.0, 60.0), false, -29.0);
        scene.render.clone_from(&far);
        let out = run(&mut processing(ECHO), &scene);
        let got = erle(&scene.mic, &out, 3.0, 6.0);
        assert!(got >= least, "{kind}: {got:.1} dB");
    }
}

#[test]
fn a_clean_loudspeaker_that_is_turned_up_is_not_taken_for_one_that_distorts() {
    let far = speech(&[880, 930], 8.0);
    let quiet: Vec<f32> = far[..4 * RATE].iter().map(|s| s * 0.15).collect();
    let far = [quiet, far[4 * RATE..].to_vec()].concat();
    let scene = Scene::new(far, vec![], &room(7, 4.0, 60.0), false, -29.0);
    let out = run(&mut processing(ECHO), &scene);
    let got = erle(&scene.mic, &out, 4.0, 5.0);
    assert!(got > 24.0, "{got:.1} dB");
}

#[test]
fn a_quiet_voice_comes_through_a_louder_echo_whatever_the_loudspeaker_does() {
    let far = speech(&[880], 8.0);
    let said = at_level(&speech(&[930], 3.0), -41.5);
    for clip in [false, true] {
        let mut near = vec![0.0; far.len()];
        near[3 * RATE..6 * RATE].copy_from_slice(&said);
        let scene = Scene::new(far.clone(), near, &room(7, 4.0, 60.0), clip, -31.5);
        let out = run(&mut processing(ECHO), &scene);
        let span = 3 * RATE..6 * RATE;
        let (sdr, gain) = si_sdr(&scene.near[span.clone()], &out[span]);
        // The first quarter second of the voice: its beginning is not swallowed.
        let loud = said.chunks(BLOCK).position(|b| power(b) > 0.5 * power(&said)).unwrap();
        let begin = 3 * RATE + loud * BLOCK;
        let begin = begin..begin + RATE / 4;
        let (_, first) = si_sdr(&scene.near[begin.clone()], &out[begin]);
        assert!(sdr >= 12.0, "clips {clip}: {sdr:.1} dB, gain {gain:.1}, at first {first:.1}");
        assert!(gain.abs() < 1.0, "clips {clip}: the near end got {gain:.1} dB");
        assert!(first > -2.0, "clips {clip}: its beginning got {first:.1} dB");
    }
}

#[test]
fn in_double_talk_the_near_end_comes_through_and_the_echo_does_not() {
    let far = speech(&[880], 8.0);
    let mut near = vec![0.0; far.len()];
    let said = at_level(&speech(&[930], 3.0), -23.0);
    near[3 * RATE..6 * RATE].copy_from_slice(&said);
    let scene = Scene::new(far, near, &room(7, 4.0, 60.0), false, -31.5);
    let out = run(&mut processing(ECHO), &scene);
    let span = 3 * RATE..6 * RATE;
    let raw = si_sdr(&scene.near[span.clone()], &scene.mic[span.clone()]).0;
    let (sdr, gain) = si_sdr(&scene.near[span.clone()], &out[span]);
    assert!(raw < 10.0, "the scene is too easy: {raw:.1}");
    assert!(sdr >= 20.0, "{sdr:.1} dB; the microphone has {raw:.1}");
    assert!(gain.abs() < 1.0, "near end {gain:.1} dB");
    let after = erle(&scene.mic, &out, 6.1, 8.0);
    assert!(after > 28.0, "after double talk: {after:.1}");
}

#[test]
fn a_late_echo_is_found_and_found_again_when_the_delay_jumps() {
    let far = speech(&[880, 930], 10.0);
    let early = Scene::new(far.clone(), vec![], &room(7, 60.0, 60.0), false, -29.0);
    let mut scene = Scene::new(far, vec![], &room(7, 410.0, 60.0), false, -29.0);
    scene.mic[5 * RATE..].copy_from_slice(&early.mic[5 * RATE..]);
    let mut p = processing(ECHO);
    let mut delays = Vec::new();
    let out = scene.run(|render, capture| {
        p.process_render(render);
        p.process_capture(capture);
        delays.push(p.stats().delay_ms);
    });
    assert!(delays[480].unwrap().abs_diff(410) <= 20, "{:?}", delays[480]);
    assert!(delays[990].unwrap().abs_diff(60) <= 20, "{:?}", delays[990]);
    let before = erle(&scene.mic, &out, 3.5, 5.0);
    let after = erle(&scene.mic, &out, 8.0, 10.0);
    assert!(before > 18.0 && after > 18.0, "{before:.1} {after:.1}");
}

#[test]
fn noise_goes_down_and_speech_stays() {
    let mut clean = vec![0.0; 2 * RATE];
    clean.extend(at_level(&speech(&[930, 880], 5.0), -26.0));
    let noise = at_level(&fan(3, clean.len()), -36.0);
    let mic = mix(&clean, &noise);
    let out = run_alone(&mut processing(NOISE), &mic);
    let quieter = db(power(&mic[RATE..2 * RATE]) / power(&out[RATE..2 * RATE]));
    assert!(quieter > 9.0, "the pause is {quieter:.1} dB quieter");
    let (raw, _) = si_sdr(&clean[2 * RATE..], &mic[2 * RATE..]);
    let (sdr, gain) = si_sdr(&clean[2 * RATE..], &out[2 * RATE..]);
    assert!(sdr > raw + 1.0, "{raw:.1} dB before, {sdr:.1} after");
    assert!(gain > -2.0, "speech lost {gain:.1} dB");
}

#[test]
fn a_crowd_goes_down_and_the_near_voice_stays() {
    let mut clean = vec![0.0; 3 * RATE];
    clean.extend(at_level(&speech(&[930], 5.0), -26.0));
    let crowd = at_level(&babble(&[880], 8, clean.len()), -36.0);
    let mic = mix(&clean, &crowd);
    let out = run_alone(&mut processing(NOISE), &mic);
    let quieter = db(power(&mic[RATE..3 * RATE]) / power(&out[RATE..3 * RATE]));
    assert!(quieter > 14.0, "the pause is {quieter:.1} dB quieter");
    let (raw, _) = si_sdr(&clean[3 * RATE..], &mic[3 * RATE..]);
    let (sdr, gain) = si_sdr(&clean[3 * RATE..], &out[3 * RATE..]);
    assert!(sdr > raw - 3.5 && gain > -4.5, "{raw:.1} dB before, {sdr:.1} after, {gain:.1} dB");
}

#[test]
fn a_small_crowd_that_comes_after_the_microphone_opened_is_learnt_behind_a_voice() {
    let mut clean = vec![0.0; RATE];
    clean.extend(at_level(&speech(&[930], 6.0), -26.0));
    clean.resize(10 * RATE, 0.0);
    let mut crowd = at_level(&babble(&[880], 4, clean.len()), -36.0);
    crowd[..RATE / 4].iter_mut().for_each(|s| *s *= 0.001);
    let mic = mix(&clean, &crowd);
    let out = run_alone(&mut processing(NOISE), &mic);
    let quieter = db(power(&mic[15 * RATE / 2..]) / power(&out[15 * RATE / 2..]));
    let (_, gain) = si_sdr(&clean[4 * RATE..7 * RATE], &out[4 * RATE..7 * RATE]);
    assert!(quieter > 10.0 && gain > -4.5, "the pause is {quieter:.1} dB quieter, {gain:.1} dB");
}

#[test]
fn a_voice_that_speaks_at_once_is_not_taken_for_noise() {
    for clip in [880, 930] {
        let clean = at_level(&speech(&[clip], 6.0), -26.0);
        let begin = clean.iter().position(|s| s.abs() > 2_000.0).unwrap();
        let mic = mix(&clean[begin..], &white(3, clean.len() - begin, -65.0));
        let out = run_alone(&mut processing(NOISE), &mic);
        let (_, gain) = si_sdr(&clean[begin..begin + RATE], &out[..RATE]);
        let (sdr, later) = si_sdr(&clean[begin + RATE..], &out[RATE..]);
        assert!(
            gain > -5.0 && later > -3.0 && sdr > 7.0,
            "{clip}: {gain:.1} {later:.1} dB, {sdr:.1}"
        );
    }
}

#[test]
fn a_microphone_that_is_muted_and_opened_again_is_as_quiet_as_before() {
    let mut mic = white(5, 12 * RATE, -40.0);
    mic[4 * RATE..8 * RATE].fill(0.0);
    let out = run_alone(&mut processing(NOISE), &mic);
    let quieter = |s: usize, e: usize| db(power(&mic[s..e]) / power(&out[s..e]));
    let (before, after) = (quieter(3 * RATE, 4 * RATE), quieter(8 * RATE + BLOCK, 9 * RATE));
    assert!(before > 10.0 && after > before - 1.0, "{before:.1} dB, then {after:.1}");
}

#[test]
fn quiet_and_loud_speech_reach_the_same_level_without_clipping_or_pumping() {
    for dbfs in [-42.0, -30.0, -12.0] {
        let mic = at_level(&speech(&[930, 880], 12.0), dbfs);
        let mic: Vec<f32> = mic.iter().map(|s| s.clamp(-32_000.0, 32_000.0)).collect();
        let mut p = processing(GAIN);
        let (mut gains, mut out) = (Vec::new(), Vec::new());
        for block in mic.chunks_exact(BLOCK) {
            out.extend(run_alone(&mut p, block));
            gains.push(p.stats().gain_db);
        }
        // Of active speech: blocks above -35 dB of the loudest.
        let last = &out[8 * RATE..];
        let powers: Vec<f64> = last.chunks(BLOCK).map(power).collect();
        let loudest = powers.iter().fold(0.0f64, |m, p| m.max(*p));
        let active: Vec<f64> = powers.iter().copied().filter(|p| *p > loudest / 3e3).collect();
        let level = db(active.iter().sum::<f64>() / active.len() as f64 / 32_768f64.powi(2));
        assert!((-23.5..=-16.5).contains(&level), "{dbfs} dBFS became {level:.1}");
        let peak = out.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(peak < 32_000.0, "{dbfs}: peak {peak}");
        let late = &gains[800..];
        let (low, high) = late.iter().fold((99f32, -99f32), |(l, h), g| (l.min(*g), h.max(*g)));
        assert!(high - low < 6.0, "{dbfs}: the gain moves from {low} to {high}");
    }
}

#[test]
fn gain_control_raises_no_noise_while_nobody_speaks() {
    let mic = at_level(&fan(1, 6 * RATE), -60.0);
    let mut p = processing(GAIN);
    run_alone(&mut p, &mic);
    assert!(p.stats().gain_db.abs() < 1.0, "{:?}", p.stats());
}

#[test]
fn the_high_pass_removes_dc_and_hum_and_keeps_speech() {
    let out = |x: &[f32]| run_alone(&mut processing(HIGH_PASS), x)[RATE / 2..].to_vec();
    let dc = out(&vec![4_000.0; RATE]);
    assert!(dc.iter().all(|s| s.abs() < 3.0));
    let loss = |hz: f32| db(power(&tone(hz, 8_000.0, 1.0)) / power(&out(&tone(hz, 8_000.0, 1.0))));
    assert!(loss(50.0) > 18.0, "{:.1}", loss(50.0));
    assert!(loss(200.0) < 0.3, "{:.1}", loss(200.0));
    assert!(loss(1_000.0) < 0.1, "{:.1}", loss(1_000.0));
}

#[test]
fn voices_are_told_from_noise() {
    let said = at_level(&speech(&[930, 880], 6.0), -26.0);
    let mut clean = vec![0.0; 3 * RATE];
    clean.extend(said);
    let (mut found, mut voiced, mut wrong, mut silent) = (0, 0, 0, 0);
    for noise in [fan(3, clean.len()), white(4, clean.len(), -36.0)] {
        let mic = mix(&clean, &at_level(&noise, -36.0));
        let mut p = processing(VOICE_ACTIVITY);
        for (i, block) in mic.chunks_exact(BLOCK).enumerate() {
            run_alone(&mut p, block);
            // The frames of the detector are 16 ms, and the signal is 10 ms late.
            let from = (i * BLOCK).saturating_sub(3 * BLOCK);
            let loud = power(&clean[from..i * BLOCK + BLOCK]) > 300f64.powi(2);
            let active = p.stats().speech_probability >= 0.5;
            if loud {
                voiced += 1;
                found += u32::from(active);
            } else if i < 300 {
                silent += 1;
                wrong += u32::from(active);
            }
        }
    }
    let (hits, alarms) =
        (f64::from(found) / f64::from(voiced), f64::from(wrong) / f64::from(silent));
    assert!(hits > 0.85, "{hits:.2} of speech found");
    assert!(alarms < 0.05, "{alarms:.2} of noise taken for speech");
}

#[test]
fn switching_parts_makes_no_click() {
    // DC for the high-pass filter, an echo as loud as the near end.
    let near: Vec<f32> = tone(300.0, 2_000.0, 6.0).iter().map(|s| s + 3_000.0).collect();
    let scene = Scene::new(tone(440.0, 3_000.0, 6.0), near, &[0.3], false, -23.0);
    let mut p = processing(ECHO);
    let mut block = 0;
    let parts = [HIGH_PASS, ECHO, ProcessingConfig::OFF, NOISE, ECHO, GAIN];
    let out = scene.run(|render, capture| {
        if block > 200 && block % 37 == 0 {
            p.configure(parts[(block / 37) % parts.len()]);
        }
        block += 1;
        p.process_render(render);
        p.process_capture(capture);
    });
    // A step shows in the second difference; that of the tones is about 130, one of a part that is
    // switched hard above 2000.
    let rest = &out[RATE..];
    let worst = rest.windows(3).map(|w| (w[0] - 2.0 * w[1] + w[2]).abs()).fold(0.0, f32::max);
    assert!(worst < 600.0, "{worst}");
}

#[test]
fn switched_off_it_is_a_pure_delay_at_every_rate() {
    for rate in [8_000, 16_000, 24_000, 32_000, 48_000] {
        let mut p = Processing::new(rate, 44_100, ProcessingConfig::OFF).unwrap();
        let pcm = to_pcm(&white(5, p.block() * 20, -20.0));
        let mut out = pcm.clone();
        out.chunks_mut(p.block() * 2).for_each(|two| p.process_capture(two));
        for (a, b) in pcm.iter().zip(&out[p.delay_samples()..]) {
            assert!(a.abs_diff(*b) <= 1, "{rate}: {a} {b}");
        }
    }
    let refused = Processing::new(44_100, 16_000, ProcessingConfig::OFF).err();
    assert_eq!(refused, Some(UnsupportedRate(44_100)));
}

#[test]
fn the_band_above_8_khz_follows_what_is_done_below() {
    // Echo of wide-band noise at 48 kHz, a third of a millisecond long.
    let mut p = Processing::new(48_000, 48_000, ECHO).unwrap();
    let far = to_pcm(&white(6, 48_000 * 5, -26.0));
    let mut mic: Vec<i16> = far.iter().map(|s| s / 2).collect();
    mic.rotate_right(480);
    let before = power(&to_float(&mic[48_000 * 3..]));
    for (r, c) in far.chunks_exact(480).zip(mic.chunks_exact_mut(480)) {
        p.process_render(r);
        p.process_capture(c);
    }
    let loss = db(before / power(&to_float(&mic[48_000 * 3..])));
    assert!(loss > 20.0, "{loss:.1}");
}

#[test]
fn the_same_input_gives_the_same_output() {
    let scene =
        Scene::new(speech(&[880], 2.0), speech(&[930], 2.0), &room(1, 20.0, 30.0), true, -30.0);
    let once = run(&mut processing(ProcessingConfig::VOICE), &scene);
    assert_eq!(once, run(&mut processing(ProcessingConfig::VOICE), &scene));
}

#[test]
fn square_waves_at_full_scale_and_long_silence_do_no_lasting_harm() {
    let mut p = processing(ProcessingConfig::VOICE);
    let square = |period: usize, n: usize| -> Vec<f32> {
        (0..n).map(|i| if (i / period).is_multiple_of(2) { 32_767.0 } else { -32_768.0 }).collect()
    };
    for (render, mic) in [(80, 80), (1, 7), (400, 1), (13, 200)] {
        let (render, mic) = (square(render, RATE / 2), square(mic, RATE / 2));
        let scene = Scene { render, near: vec![], echo: vec![], mic };
        run(&mut p, &scene);
    }
    // A microphone without loudspeaker and a loudspeaker without microphone.
    p.process_capture(&mut vec![-32_768; RATE / 2]);
    p.process_render(&vec![32_767; RATE / 2]);
    let mut silence = vec![0i16; RATE * 3];
    let zeros = silence.clone();
    for (r, c) in zeros.chunks_exact(BLOCK).zip(silence.chunks_exact_mut(BLOCK)) {
        p.process_render(r);
        p.process_capture(c);
    }
    assert!(silence[RATE..].iter().all(|s| *s == 0));
    p.configure(ECHO);
    let scene = Scene::new(speech(&[880, 930], 6.0), vec![], &room(7, 4.0, 60.0), false, -29.0);
    let out = run(&mut p, &scene);
    let got = erle(&scene.mic, &out, 4.0, 6.0);
    assert!(got > 25.0, "{got:.1}");
}

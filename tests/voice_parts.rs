//! Voice processing, part by part: bounds of each, what a switch does while it works, and what
//! happens when the loudspeaker's side is late, early, silent or drifts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/processing.rs"]
mod processing;
#[path = "support/voice.rs"]
mod voice;

use processing::*;
use subrosa::media::dsp::{Processing, ProcessingConfig, Processor};
use subrosa::media::resample::Resampler;
use voice::*;

fn clamped(x: &[f32]) -> Vec<f32> {
    x.iter().map(|s| s.clamp(-32_000.0, 32_000.0)).collect()
}

#[test]
fn each_part_that_is_switched_off_while_it_works_leaves_the_signal_as_it_was() {
    let said = at_level(&speech(&[930, 880], 10.0), -38.0);
    // DC and noise, so that every part has something to do.
    let near: Vec<f32> =
        mix(&said, &white(3, said.len(), -55.0)).iter().map(|s| s + 40.0).collect();
    let scene = Scene::new(speech(&[880], 10.0), near, &room(7, 4.0, 60.0), false, -35.0);
    let mut p = processing(ProcessingConfig::VOICE);
    let mut block = 0;
    let out = scene.run(|render, capture| {
        if block == 500 {
            p.configure(ProcessingConfig::OFF);
        }
        block += 1;
        p.process_render(render);
        p.process_capture(capture);
    });
    let late = p.delay_samples();
    let changed = power(&mix(&scene.mic[4 * RATE..5 * RATE - late], &out[4 * RATE + late..]));
    assert!(changed > 2.0 * power(&scene.mic[4 * RATE..5 * RATE]), "nothing worked before");
    // The gain goes home at 6 to 12 dB a second.
    for (a, b) in scene.mic[9 * RATE..].iter().zip(&out[9 * RATE + late..]) {
        assert!((a - b).abs() <= 1.0, "{a} became {b}");
    }
}

#[test]
fn a_voice_is_held_for_200_ms_and_without_detection_everything_counts_as_one() {
    let mut mic = at_level(&speech(&[930], 2.0), -26.0);
    mic.extend(vec![0.0; RATE]);
    let mut p = processing(VOICE_ACTIVITY);
    let (mut last, mut end) = (0, 0);
    for (i, block) in mic.chunks_exact(BLOCK).enumerate() {
        run_alone(&mut p, block);
        let stats = p.stats();
        if stats.speech_probability >= 0.5 {
            last = i;
            assert!(stats.voice_active);
        }
        if stats.voice_active {
            end = i;
        }
    }
    assert!(last > 100, "speech was found at {last} last");
    assert!((18..=20).contains(&(end - last)), "held for {} blocks", end - last);
    run_alone(&mut p, &mic[..RATE * 2]);
    assert!(p.stats().speech_probability > 0.0);
    p.configure(ProcessingConfig::OFF);
    run_alone(&mut p, &mic[RATE..RATE + BLOCK]);
    let stats = p.stats();
    assert!(stats.voice_active && stats.speech_probability == 0.0, "{stats:?}");
}

#[test]
fn noise_that_becomes_louder_is_learned_and_none_is_taken_down_by_more_than_18_db() {
    let mut mic = white(3, 2 * RATE, -50.0);
    mic.extend(white(4, 8 * RATE, -40.0));
    let out = run_alone(&mut processing(NOISE), &mic);
    for second in [1, 9] {
        let span = second * RATE..(second + 1) * RATE;
        let quieter = db(power(&mic[span.clone()]) / power(&out[span]));
        assert!((9.0..18.5).contains(&quieter), "second {second}: {quieter:.1} dB");
    }
}

#[test]
fn speech_in_a_quiet_room_hardly_changes() {
    let clean = at_level(&speech(&[930, 880], 6.0), -26.0);
    let out = run_alone(&mut processing(NOISE), &mix(&clean, &white(3, clean.len(), -60.0)));
    let (sdr, gain) = si_sdr(&clean[RATE..], &out[RATE..]);
    // The recording's own background goes too, and counts as a loss here: PESQ-WB rises by 0.4.
    assert!(sdr > 14.0 && gain.abs() < 1.2, "{sdr:.1} dB, {gain:.2} dB");
}

/// A Butterworth filter of the fourth order at 90 Hz, in double precision.
fn butterworth(x: &[f32], rate: u32) -> Vec<f32> {
    let mut samples: Vec<f64> = x.iter().map(|s| f64::from(*s)).collect();
    let (sin, cos) = (std::f64::consts::TAU * 90.0 / f64::from(rate)).sin_cos();
    for angle in [std::f64::consts::PI / 8.0, 3.0 * std::f64::consts::PI / 8.0] {
        let alpha = sin * angle.cos();
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        for s in &mut samples {
            let x = *s;
            let high = (1.0 + cos) / 2.0 * (x - 2.0 * x1 + x2);
            let y = (high + 2.0 * cos * y1 - (1.0 - alpha) * y2) / (1.0 + alpha);
            (x2, x1, y2, y1) = (x1, x, y1, y);
            *s = y;
        }
    }
    samples.iter().map(|s| *s as f32).collect()
}

/// The least and the mean correlation of tenths of a second with speech in them, in place.
fn tenths(expected: &[f32], out: &[f32], rate: u32) -> (f64, f64) {
    let piece = rate as usize / 10;
    let both = expected.chunks_exact(piece).zip(out.chunks_exact(piece));
    let spoken = both.filter(|(e, _)| power(e) > 300f64.powi(2));
    let all: Vec<f64> = spoken
        .map(|(e, o)| {
            let cross: f64 = e.iter().zip(o).map(|(e, o)| f64::from(*e) * f64::from(*o)).sum();
            cross / piece as f64 / (power(e) * power(o)).sqrt()
        })
        .collect();
    assert!(all.len() > 20, "{} tenths with speech", all.len());
    (all.iter().fold(1.0, |m, c| m.min(*c)), all.iter().sum::<f64>() / all.len() as f64)
}

#[test]
fn clean_speech_changes_by_the_high_pass_filter_and_a_slow_gain_alone() {
    // What a waveform loses by all of it at once is the phase of the filter and nothing else.
    let all = ProcessingConfig::VOICE;
    let none = |x: &[f32], _: u32| x.to_vec();
    type Filter = fn(&[f32], u32) -> Vec<f32>;
    let parts: [(_, Filter, _, _); 4] = [
        (NOISE, none, 0.8, 0.985),
        (GAIN, none, 0.995, 0.999),
        (HIGH_PASS, butterworth, 0.998, 0.9995),
        (all, butterworth, 0.8, 0.98),
    ];
    let said = at_level(&speech(&[930, 880], 6.0), -29.0);
    for rate in [16_000, 48_000] {
        let mut mic = Vec::new();
        Resampler::new(16_000, rate).unwrap().process(&to_pcm(&said), |s| mic.extend_from_slice(s));
        for (config, filter, least, mean) in parts {
            let mut p = Processing::new(rate, rate, config).unwrap();
            let mut out = mic.clone();
            p.process_capture(&mut out);
            let expected = filter(&to_float(&mic), rate);
            let got = tenths(&expected, &to_float(&out[p.delay_samples()..]), rate);
            assert!(got.0 > least && got.1 > mean, "{config:?} at {rate} Hz: {got:?}");
            let gain = p.stats().gain_db;
            assert_eq!(gain > 3.0, config.gain_control, "{gain}");
        }
    }
}

#[test]
fn the_gain_keeps_its_bounds_raises_no_noise_and_no_peak_reaches_full_scale() {
    let said = speech(&[930, 880], 9.0);
    let gain_of = |mic: &[f32]| {
        let mut p = processing(GAIN);
        run_alone(&mut p, &clamped(mic));
        p.stats().gain_db
    };
    let most = gain_of(&at_level(&said, -54.0));
    assert!((23.9..24.01).contains(&most), "{most}");
    let least = gain_of(&at_level(&said, 0.0));
    assert!((-12.01..-11.0).contains(&least), "{least}");
    let noisy = gain_of(&mix(&at_level(&said, -42.0), &white(5, said.len(), -58.0)));
    assert!((8.0..14.0).contains(&noisy), "{noisy}");
    // A fan begins to turn.
    let mut mic = mix(&at_level(&said, -42.0), &white(5, said.len(), -75.0));
    mic.extend(mix(&at_level(&said, -42.0), &white(6, said.len(), -55.0)));
    let fan = gain_of(&mic);
    assert!((6.0..13.0).contains(&fan), "{fan}");
    // A whisper, then a shout.
    let mut mic = at_level(&said, -42.0);
    mic.extend(at_level(&said[..RATE * 2], -12.0));
    let out = run_alone(&mut processing(GAIN), &clamped(&mic));
    let peak = out.iter().fold(0.0f32, |m, s| m.max(s.abs()));
    assert!((20_000.0..=29_001.0).contains(&peak), "{peak}");
}

#[test]
fn any_delay_up_to_half_a_second_is_found() {
    let far = speech(&[880, 930], 5.0);
    for ms in [0u32, 130, 280, 490] {
        let scene = Scene::new(far.clone(), vec![], &room(7, ms as f32, 40.0), false, -29.0);
        let mut p = processing(ECHO);
        let out = run(&mut p, &scene);
        let got = erle(&scene.mic, &out, 3.5, 5.0);
        let delay = p.stats().delay_ms;
        assert!(delay.is_some_and(|d| d.abs_diff(ms) <= 20), "{ms}: {delay:?}");
        assert!(got > 18.0, "{ms}: {got:.1} dB");
    }
}

#[test]
fn clocks_that_drift_apart_are_followed() {
    let far = speech(&[880, 930], 10.0);
    let mut scene = Scene::new(far, vec![], &room(7, 24.0, 40.0), false, -29.0);
    let still = scene.mic.clone();
    for (i, s) in scene.mic.iter_mut().enumerate().skip(1) {
        let at = i as f64 * (1.0 - 20.0e-6);
        let (n, f) = (at as usize, at.fract() as f32);
        *s = still[n] * (1.0 - f) + still[n + 1] * f;
    }
    let out = run(&mut processing(ECHO), &scene);
    let got = erle(&scene.mic, &out, 7.0, 10.0);
    assert!(got > 25.0, "{got:.1}");
}

#[test]
fn a_loudspeaker_turned_down_is_followed_by_the_filter_itself() {
    let far = speech(&[880, 930], 8.0);
    let mut scene = Scene::new(far, vec![], &room(7, 4.0, 60.0), false, -23.0);
    scene.mic[5 * RATE..].iter_mut().for_each(|s| *s *= 0.6);
    let mut p = processing(ECHO);
    run(&mut p, &scene);
    assert!(p.stats().erle_db > 12.0, "{:?}", p.stats());
}

#[test]
fn a_host_that_reads_in_a_burst_once_is_followed_without_a_gap() {
    let far = speech(&[880, 930], 7.0);
    let scene = Scene::new(far, vec![], &room(7, 4.0, 40.0), false, -29.0);
    let (render, mut mic) = (to_pcm(&scene.render), to_pcm(&scene.mic));
    let mut blocks = render.chunks_exact(BLOCK);
    let mut p = processing(ECHO);
    for (i, capture) in mic.chunks_exact_mut(BLOCK).enumerate() {
        // From the fourth second on the host is 40 ms ahead.
        for block in blocks.by_ref().take(if i == 400 { 5 } else { 1 }) {
            p.process_render(block);
        }
        p.process_capture(capture);
    }
    let out = to_float(&mic);
    for (from, to) in [(3.5, 4.0), (4.0, 4.4), (4.4, 4.8), (4.8, 5.2), (5.2, 6.8)] {
        let got = erle(&scene.mic, &out, from, to);
        assert!(got > 25.0, "{from} to {to} s: {got:.1}");
    }
}

#[test]
fn a_host_that_stops_reading_leaves_no_ghost_of_the_last_echo() {
    let far = speech(&[880, 930], 7.0);
    let scene = Scene::new(far, vec![], &room(7, 4.0, 40.0), false, -23.0);
    let (render, mut mic) = (to_pcm(&scene.render), to_pcm(&scene.mic));
    mic[4 * RATE..5 * RATE].fill(0);
    let mut p = processing(ECHO);
    let blocks = render.chunks_exact(BLOCK).zip(mic.chunks_exact_mut(BLOCK));
    for (i, (render, capture)) in blocks.enumerate() {
        if !(400..500).contains(&i) {
            p.process_render(render);
        }
        p.process_capture(capture);
    }
    let quiet = &mic[4 * RATE + RATE / 5..5 * RATE];
    assert!(quiet.iter().all(|s| *s == 0), "{:?}", quiet.iter().max());
    let got = erle(&scene.mic, &to_float(&mic), 5.2, 7.0);
    assert!(got > 25.0, "{got:.1}");
}

#[test]
fn the_room_is_still_heard_while_the_far_end_speaks() {
    let far = speech(&[880, 930], 7.0);
    let hum = white(11, far.len(), -50.0);
    let scene = Scene::new(far, hum.clone(), &room(7, 4.0, 60.0), true, -29.0);
    let out = run(&mut processing(ECHO), &scene);
    let level = db(power(&out[4 * RATE..]) / power(&hum[4 * RATE..]));
    assert!((-1.0..2.0).contains(&level), "{level:.1}");
}

#[test]
fn the_far_end_s_voice_sets_no_gain() {
    let both = ProcessingConfig { echo_cancellation: true, ..GAIN };
    let far = speech(&[880, 930], 8.0);
    let scene = Scene::new(far, vec![], &room(7, 4.0, 60.0), true, -35.0);
    let mut p = processing(both);
    run(&mut p, &scene);
    assert!(p.stats().gain_db.abs() < 2.0, "{:?}", p.stats());
}

#[test]
fn other_rates_are_a_new_beginning_with_the_same_parts() {
    let scene = Scene::new(speech(&[880], 3.0), vec![], &room(1, 20.0, 30.0), true, -30.0);
    let mut used = processing(ProcessingConfig::VOICE);
    run(&mut used, &scene);
    used.set_rates(16_000, 16_000).unwrap();
    assert_eq!(used.config(), ProcessingConfig::VOICE);
    assert_eq!(run(&mut used, &scene), run(&mut processing(ProcessingConfig::VOICE), &scene));
    assert!(used.set_rates(11_025, 16_000).is_err());
    assert_eq!(used.block(), 160);
}

//! Both bridges in virtual time: a device whose clock is not ours, callbacks that come in periods
//! of their own and late, ticks that come late, for as long as it takes.

use super::capture::capture;
use super::drift::MAX_SLEW;
use super::playout::playout;
use crate::time::Instant;
use std::f64::consts::TAU;

/// A device and a call, and how well they keep time.
#[derive(Clone, Copy)]
struct World {
    device_rate: u32,
    call_rate: u32,
    /// Frames of one callback.
    period: usize,
    /// How much faster the device's clock is.
    ppm: f64,
    /// Callbacks and ticks are late by up to this, in ms.
    jitter: f64,
    seconds: f64,
}

const USUAL: World = World {
    device_rate: 8_000,
    call_rate: 8_000,
    period: 160,
    ppm: 0.0,
    jitter: 4.0,
    seconds: 120.0,
};

struct Random(u32);

impl Random {
    /// From 0 to `most`.
    fn up_to(&mut self, most: f64) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 16) / 65_536.0 * most
    }
}

/// What a run gave.
#[derive(Debug, Default)]
struct Course {
    /// What the call heard, or the device played, from the first sound on.
    heard: Vec<i16>,
    underruns: u64,
    overruns: u64,
    /// The correction at each tick, in ppm; the store, in seconds.
    ppm: Vec<f32>,
    delay: Vec<f64>,
}

impl World {
    /// The instants of callbacks (true) and of ticks (false), in order, in microseconds.
    fn timeline(self) -> impl Iterator<Item = (u64, bool)> {
        let period = self.period as f64 / f64::from(self.device_rate) / (1.0 + self.ppm / 1e6);
        let (mut random, mut callbacks, mut ticks) = (Random(1), 0_u64, 0_u64);
        let mut late = (random.up_to(self.jitter), random.up_to(self.jitter));
        std::iter::from_fn(move || {
            let callback = 3.3 + callbacks as f64 * period * 1e3 + late.0;
            let tick = ticks as f64 * 20.0 + late.1;
            let is_callback = callback <= tick;
            if is_callback {
                callbacks += 1;
                late.0 = random.up_to(self.jitter);
            } else {
                ticks += 1;
                late.1 = random.up_to(self.jitter);
            }
            let at = 1_000_000.0 + callback.min(tick) * 1e3;
            (tick < self.seconds * 1e3).then_some((at as u64, is_callback))
        })
    }

    /// A second of a tone, which may be repeated.
    fn tone(rate: u32) -> Vec<i16> {
        let turns = |n: u32| f64::from(n) * 440.0 / f64::from(rate);
        (0..rate).map(|n| ((turns(n).fract() * TAU).sin() * 10_000.0).round() as i16).collect()
    }

    /// A microphone that hears a tone.
    fn capture(self) -> Course {
        let (mut feed, mut capture) = capture(self.device_rate, self.call_rate).unwrap();
        let mut tone = Self::tone(self.device_rate).into_iter().cycle();
        let mut course = Course::default();
        let mut pcm = vec![0; self.call_rate as usize / 50];
        for (at, is_callback) in self.timeline() {
            let at = Instant::from_micros(at);
            if is_callback {
                feed.feed(at, tone.by_ref().take(self.period));
                continue;
            }
            capture.read(at, &mut pcm);
            if !course.heard.is_empty() || pcm.iter().any(|s| *s != 0) {
                course.heard.extend(&pcm);
            }
            course.ppm.push(capture.correction_ppm());
            course.delay.push(capture.stats().delay.as_secs_f64());
        }
        (course.underruns, course.overruns) = (capture.stats().underruns, capture.stats().overruns);
        course
    }

    /// A loudspeaker, and a far end that says a tone.
    fn playout(self) -> Course {
        let (mut feed, mut playout) = playout(self.device_rate, self.call_rate).unwrap();
        let mut tone = Self::tone(self.call_rate).into_iter().cycle();
        let (mut course, mut pcm) = (Course::default(), vec![0; self.call_rate as usize / 50]);
        for (at, is_callback) in self.timeline() {
            let at = Instant::from_micros(at);
            if is_callback {
                let heard = &mut course.heard;
                feed.pull(at, self.period, |sample| {
                    if !heard.is_empty() || sample != 0 {
                        heard.push(sample);
                    }
                });
                continue;
            }
            pcm.iter_mut().zip(tone.by_ref()).for_each(|(out, sample)| *out = sample);
            playout.write(at, &pcm);
            course.ppm.push(playout.correction_ppm());
            course.delay.push(playout.stats().delay.as_secs_f64());
        }
        (course.underruns, course.overruns) = (playout.stats().underruns, playout.stats().overruns);
        course
    }
}

/// The frequency in each tenth of a second, from the zero crossings, by least squares of a phase.
fn pitches(pcm: &[i16], rate: u32) -> Vec<f64> {
    let block = rate as usize / 10;
    let phase = |part: &[i16]| {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, s) in part.iter().enumerate() {
            let angle = i as f64 / f64::from(rate) * 440.0 * TAU;
            re += f64::from(*s) * angle.cos();
            im -= f64::from(*s) * angle.sin();
        }
        im.atan2(re)
    };
    let phases: Vec<f64> = pcm.chunks_exact(block).map(phase).collect();
    // 44 turns in each block: the phase moves only as far as the pitch is off.
    let moved = |w: &[f64]| (w[1] - w[0] + TAU / 2.0).rem_euclid(TAU) - TAU / 2.0;
    phases.windows(2).map(|w| 440.0 + moved(w) / TAU * 10.0).collect()
}

/// A gap, a repetition or a jump shows as a step that no tone of 440 Hz makes.
fn largest_step(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

fn check(name: &str, world: World, course: &Course, rate: u32) {
    let name = format!("{name} of {} Hz, {} ppm", world.device_rate, world.ppm);
    assert_eq!((course.underruns, course.overruns), (0, 0), "{name}");
    let expected = world.seconds * (1.0 - world.ppm.abs() / 1e6) - 0.3;
    assert!(course.heard.len() as f64 > expected * f64::from(rate), "{name}: a gap at the start");
    // One sample of such a tone differs from the next by 10000 * 2 pi * 440 / rate at most.
    let step = 10_000.0 * TAU * 440.0 / f64::from(rate) * 1.02;
    let largest = f64::from(largest_step(&course.heard));
    assert!(largest <= step, "{name}: a jump of {largest}, more than {step}");
    // The correction settles at the drift and never hurries.
    for pair in course.ppm.windows(2).skip(20) {
        let slew = f64::from(pair[1] - pair[0]).abs() / 1e6;
        assert!(slew <= MAX_SLEW * 0.1001, "{name}: {pair:?} in a tick");
    }
    let late = course.ppm.len() * 3 / 4;
    for ppm in &course.ppm[late..] {
        assert!((f64::from(*ppm) - world.ppm).abs() < 150.0, "{name}: {ppm} ppm");
    }
    // What is heard has the pitch of what was said, to less than a hundredth of a semitone from
    // one tenth of a second to the next: no wobble.
    let lately = course.heard.len().saturating_sub(rate as usize * 100);
    let pitches = pitches(&course.heard[lately..], rate);
    let wobble = pitches.windows(2).map(|w| (w[1] - w[0]).abs() / 440.0).fold(0.0, f64::max);
    assert!(wobble < 0.0006, "{name}: the pitch moves by {wobble}");
    let off = pitches.iter().map(|hz| (hz / 440.0 - 1.0).abs()).fold(0.0, f64::max);
    assert!(off < 0.004, "{name}: the pitch is off by {off}");
}

#[test]
fn any_device_keeps_pace_with_the_call_both_ways() {
    for (device_rate, period, ppm) in [
        (48_000, 960, 300.0),
        (48_000, 960, -300.0),
        (44_100, 441, 100.0),
        (16_000, 1_024, -1_000.0),
        (48_000, 1_200, 1_000.0),
        (8_000, 160, 0.0),
    ] {
        let world = World { device_rate, period, ppm, ..USUAL };
        check("microphone", world, &world.capture(), world.call_rate);
        check("loudspeaker", world, &world.playout(), world.device_rate);
    }
}

#[test]
fn an_hour_of_drift_makes_no_gap_and_no_overrun() {
    let world = |ppm| World { ppm, seconds: 3_600.0, jitter: 8.0, ..USUAL };
    for (name, world, course) in [
        ("microphone", world(300.0), world(300.0).capture()),
        ("loudspeaker", world(-300.0), world(-300.0).playout()),
    ] {
        check(name, world, &course, 8_000);
        let settled = &course.delay[course.delay.len() / 2..];
        let least = settled.iter().copied().fold(f64::MAX, f64::min);
        let most = settled.iter().copied().fold(0.0, f64::max);
        assert!(least > 0.005 && most < 0.100, "{name}: {least} to {most} s in store");
    }
}

#[test]
fn after_a_gap_there_is_more_in_store_against_the_next() {
    let (mut feed, mut capture) = capture(8_000, 8_000).unwrap();
    let mut pcm = [0; 160];
    let mut delays = Vec::new();
    for tick in 0..1_500_u64 {
        let at = Instant::from_millis(1_000 + tick * 20);
        // Every five seconds the device says nothing for 80 ms and all of it afterwards.
        let missing = tick % 250;
        let periods = match missing {
            200..=203 => 0,
            204 => 5,
            _ => 1,
        };
        (0..periods).for_each(|_| feed.feed(at, std::iter::repeat_n(1_000, 160)));
        capture.read(at, &mut pcm);
        if missing == 199 {
            delays.push((capture.stats().delay.as_secs_f64(), capture.stats().underruns));
        }
    }
    let gaps: Vec<u64> = delays.iter().map(|(_, gaps)| *gaps).collect();
    assert_eq!(gaps[0], 0);
    assert!((1..=3).contains(gaps.last().unwrap()), "it learns: {gaps:?}");
    assert!(delays.last().unwrap().0 > delays[0].0 + 0.009, "{delays:?}");
}

#[test]
fn what_was_said_before_somebody_listens_is_never_heard() {
    let (mut feed, mut capture) = capture(48_000, 16_000).unwrap();
    let mut pcm = [0; 320];
    let mut at = 1_000;
    let mut tick = |feed: &mut super::capture::CaptureFeed, value: i16| {
        at += 20;
        feed.feed(Instant::from_millis(at), std::iter::repeat_n(value, 960));
        Instant::from_millis(at)
    };
    for _ in 0..500 {
        tick(&mut feed, 20_000);
    }
    for round in 0..2 {
        for _ in 0..50 {
            let at = tick(&mut feed, 1_000);
            capture.read(at, &mut pcm);
            let loudest = pcm.iter().map(|s| s.unsigned_abs()).max().unwrap();
            assert!(loudest <= 1_010, "{loudest} in round {round}");
        }
        assert_eq!(pcm[319], 1_000, "round {round}");
        // The call is on hold, or another one has the microphone.
        for _ in 0..500 {
            tick(&mut feed, 20_000);
        }
    }
    assert_eq!((capture.stats().underruns, capture.stats().overruns), (0, 0), "a pause is no gap");
}

#[test]
fn a_loudspeaker_is_silent_until_the_call_speaks_and_after_it_without_a_count() {
    let (mut feed, mut playout) = playout(48_000, 16_000).unwrap();
    let mut at = 1_000;
    let mut loudest = 0;
    for round in 0..3 {
        for tick in 0..100 {
            at += 20;
            let now = Instant::from_millis(at);
            if tick < 50 {
                playout.write(now, &[1_000; 320]);
            }
            let mut played = Vec::new();
            feed.pull(now, 960, |sample| played.push(sample));
            assert_eq!(played.len(), 960);
            loudest = played.iter().copied().max().unwrap();
            match tick {
                10..50 => assert!((995..=1_005).contains(&loudest), "{round} {tick}: {loudest}"),
                60.. => assert_eq!(loudest, 0, "{round} {tick}"),
                _ => {}
            }
        }
    }
    assert_eq!((playout.stats().underruns, playout.stats().overruns, loudest), (0, 0, 0));
}

//! Scenes for voice processing, made from recorded speech and a seed, and what is measured on them.
#![allow(dead_code, unreachable_pub)]

use std::path::Path;
use subrosa::media::wav::Wav;

/// Rate of all scenes, in Hz.
pub const RATE: usize = 16_000;
/// A block of 10 ms.
pub const BLOCK: usize = RATE / 100;

/// Deterministic noise.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in -1..1.
    pub fn uniform(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Nearly Gaussian, variance 1.
    pub fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() * 0.5
    }
}

/// A recording at 16 kHz, from the project's assets or from the folder that `SPEECH_DIR` names.
pub fn clip(number: u32) -> Vec<f32> {
    let name = format!("sense_and_sensibility_01_austen_64kb-{number:04}.wav");
    let assets = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dirs = [assets.join("assets/speech"), assets.join("../../assets/speech")];
    let more = std::env::var_os("SPEECH_DIR").map(Into::into);
    let path = dirs.into_iter().chain(more).map(|d| d.join(&name)).find(|p| p.exists());
    let wav = Wav::parse(&std::fs::read(path.expect("the clip")).unwrap()).unwrap();
    assert_eq!(wav.sample_rate as usize, RATE);
    wav.samples.iter().map(|s| f32::from(*s)).collect()
}

/// Clips one after another, repeated to `seconds`.
pub fn speech(clips: &[u32], seconds: f32) -> Vec<f32> {
    let all: Vec<f32> = clips.iter().flat_map(|c| clip(*c)).collect();
    all.iter().copied().cycle().take((seconds * RATE as f32) as usize).collect()
}

pub fn power(x: &[f32]) -> f64 {
    x.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / x.len().max(1) as f64
}

pub fn db(ratio: f64) -> f64 {
    10.0 * ratio.max(1e-12).log10()
}

/// `x` at a mean level in dBFS.
pub fn at_level(x: &[f32], dbfs: f64) -> Vec<f32> {
    let gain = (10f64.powf(dbfs / 10.0) * 32_768f64.powi(2) / power(x)).sqrt() as f32;
    x.iter().map(|s| s * gain).collect()
}

pub fn mix(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// A room: noise that decays by 60 dB within `tail_ms`, after `delay_ms`.
pub fn room(seed: u64, delay_ms: f32, tail_ms: f32) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let delay = (delay_ms * 16.0) as usize;
    let tail = (tail_ms * 16.0) as usize;
    let decay = |i: usize| (-6.9 * i as f32 / tail as f32).exp();
    let mut h = vec![0.0; delay];
    h.extend((0..tail).map(|i| noise.gauss() * decay(i)));
    let norm = h.iter().map(|x| x * x).sum::<f32>().sqrt();
    h.iter_mut().for_each(|x| *x /= norm);
    h
}

pub fn convolve(x: &[f32], h: &[f32]) -> Vec<f32> {
    let first = h.iter().position(|v| *v != 0.0).unwrap_or(0);
    let tail = &h[first..];
    let mut out = vec![0.0; x.len()];
    for (i, x) in x.iter().enumerate() {
        out.iter_mut().skip(i + first).zip(tail).for_each(|(o, h)| *o += x * h);
    }
    out
}

/// A small loudspeaker: soft clipping at 0.6 of the peak.
pub fn soft_clip(x: &[f32]) -> Vec<f32> {
    let limit = x.iter().fold(0.0f32, |m, s| m.max(s.abs())) * 0.6;
    x.iter().map(|s| (s / limit).tanh() * limit).collect()
}

pub fn white(seed: u64, len: usize, dbfs: f64) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    at_level(&(0..len).map(|_| noise.gauss()).collect::<Vec<_>>(), dbfs)
}

/// A fan: pink noise and hum at 100 Hz with two overtones.
pub fn fan(seed: u64, len: usize) -> Vec<f32> {
    let mut noise = Noise::new(seed);
    let mut state = [0.0f32; 3];
    (0..len)
        .map(|i| {
            let w = noise.gauss();
            // Three one-pole filters make -3 dB per octave within the band of speech.
            state[0] = 0.99765 * state[0] + w * 0.099_046;
            state[1] = 0.963 * state[1] + w * 0.296_516;
            state[2] = 0.57 * state[2] + w * 1.052_691;
            let t = i as f32 / RATE as f32 * std::f32::consts::TAU;
            let hum = (t * 100.0).sin() + 0.5 * (t * 200.0).sin() + 0.3 * (t * 300.0).sin();
            state.iter().sum::<f32>() + w * 0.1848 + hum
        })
        .collect()
}

/// Several voices at once: clips from different places, some played faster or slower.
pub fn babble(clips: &[u32], voices: usize, len: usize) -> Vec<f32> {
    let all: Vec<f32> = clips.iter().flat_map(|c| at_level(&clip(*c), -26.0)).collect();
    let mut out = vec![0.0; len];
    for v in 0..voices {
        let speed = 0.82 + 0.36 * v as f32 / voices as f32;
        let start = all.len() * v / voices;
        for (i, o) in out.iter_mut().enumerate() {
            let at = i as f32 * speed;
            let (n, f) = (at as usize, at.fract());
            let sample = |k: usize| all[(start + n + k) % all.len()];
            *o += sample(0) * (1.0 - f) + sample(1) * f;
        }
    }
    out
}

pub fn to_pcm(x: &[f32]) -> Vec<i16> {
    x.iter().map(|s| s.round() as i16).collect()
}

pub fn to_float(x: &[i16]) -> Vec<f32> {
    x.iter().map(|s| f32::from(*s)).collect()
}

/// An echo scene: what the loudspeaker plays, what the near end says, what the microphone hears.
pub struct Scene {
    pub render: Vec<f32>,
    pub near: Vec<f32>,
    pub echo: Vec<f32>,
    pub mic: Vec<f32>,
}

impl Scene {
    /// `near` may be empty: no double talk. The echo is at `echo_dbfs`.
    pub fn new(render: Vec<f32>, near: Vec<f32>, h: &[f32], clip: bool, echo_dbfs: f64) -> Self {
        let render = at_level(&render, -23.0);
        let played = if clip { soft_clip(&render) } else { render.clone() };
        let echo = at_level(&convolve(&played, h), echo_dbfs);
        let near = if near.is_empty() { vec![0.0; render.len()] } else { near };
        let hiss = white(99, render.len(), -75.0);
        let mic = mix(&mix(&near, &echo), &hiss);
        Self { render, near, echo, mic }
    }

    /// Runs a canceller on blocks of 10 ms: render, then capture.
    pub fn run(&self, mut process: impl FnMut(&[i16], &mut [i16])) -> Vec<f32> {
        let (render, mut mic) = (to_pcm(&self.render), to_pcm(&self.mic));
        for (r, c) in render.chunks_exact(BLOCK).zip(mic.chunks_exact_mut(BLOCK)) {
            process(r, c);
        }
        to_float(&mic)
    }
}

/// Echo return loss enhancement between `from` and `to` seconds, in dB.
pub fn erle(mic: &[f32], out: &[f32], from: f32, to: f32) -> f64 {
    let span = (from * RATE as f32) as usize..((to * RATE as f32) as usize).min(mic.len());
    db(power(&mic[span.clone()]) / power(&out[span]))
}

/// Scale-invariant signal-to-distortion ratio of `out` against `clean`, in dB, at the best delay
/// up to 40 ms, and the gain of the near end's part in dB.
pub fn si_sdr(clean: &[f32], out: &[f32]) -> (f64, f64) {
    let mut best = (-100.0, 0.0);
    for lag in 0..RATE / 25 {
        let n = clean.len() - lag;
        let (mut cross, mut cc, mut oo) = (0.0f64, 0.0f64, 0.0f64);
        for (c, o) in clean[..n].iter().zip(&out[lag..]) {
            let (c, o) = (f64::from(*c), f64::from(*o));
            cross += c * o;
            cc += c * c;
            oo += o * o;
        }
        let gain = cross / cc;
        let target = gain * gain * cc;
        let sdr = db(target / (oo - target).max(1e-9));
        if sdr > best.0 {
            best = (sdr, 2.0 * db(gain.abs()));
        }
    }
    best
}

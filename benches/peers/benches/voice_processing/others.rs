//! The other implementations, behind one trait.
#![allow(dead_code, unreachable_pub)]

use aec3::nodes::audio::AudioFormat;
use aec3::pipelines::linear::{self, LinearPipeline};
use sonora::{AudioProcessing, Config, StreamConfig};
use std::ffi::{c_int, c_void};
use subrosa::media::dsp::{Processing, ProcessingConfig};

/// What is compared: works on blocks of 10 ms at 16 kHz.
pub trait Peer {
    fn block(&mut self, render: &[i16], capture: &mut [i16]);
}

#[derive(Clone, Copy, PartialEq)]
pub enum Task {
    Echo,
    Noise,
}

/// Ours, at 16 kHz both ways.
pub struct Own(Processing);

impl Own {
    pub fn new(config: ProcessingConfig) -> Self {
        Self(Processing::new(16_000, 16_000, config).unwrap())
    }
}

impl Peer for Own {
    fn block(&mut self, render: &[i16], capture: &mut [i16]) {
        self.0.process_render(render);
        self.0.process_capture(capture);
    }
}

fn float(x: &[i16]) -> Vec<f32> {
    x.iter().map(|s| f32::from(*s) / 32_768.0).collect()
}

pub struct Sonora(AudioProcessing);

impl Sonora {
    pub fn new(task: Task) -> Self {
        let stream = StreamConfig::new(16_000, 1);
        let mut config = Config::default();
        match task {
            Task::Echo => config.echo_canceller = Some(Default::default()),
            Task::Noise => config.noise_suppression = Some(Default::default()),
        }
        let builder = AudioProcessing::builder().config(config);
        Self(builder.capture_config(stream).render_config(stream).build())
    }
}

impl Peer for Sonora {
    fn block(&mut self, render: &[i16], capture: &mut [i16]) {
        let mut out = vec![0; render.len()];
        self.0.process_render_i16(render, &mut out).unwrap();
        self.0.process_capture_i16(capture, &mut out).unwrap();
        capture.copy_from_slice(&out);
    }
}

pub struct Aec3(LinearPipeline);

impl Aec3 {
    /// Its chain always has the echo canceller: no figure for noise alone.
    pub fn new(task: Task) -> Option<Self> {
        let format = AudioFormat::ten_ms(16_000, 1);
        let builder = linear::builder(format, format)
            .enable_high_pass_filter(false)
            .enable_gain_controller2(false)
            .enable_post_filter(false)
            .enable_noise_suppression(task == Task::Noise);
        builder.build().ok().map(Self)
    }
}

impl Peer for Aec3 {
    fn block(&mut self, render: &[i16], capture: &mut [i16]) {
        let mut out = vec![0.0; capture.len()];
        self.0.handle_render_frame(&float(render)).unwrap();
        if self.0.process_capture_frame(&float(capture), &mut out).unwrap() {
            capture.iter_mut().zip(&out).for_each(|(c, o)| *c = (o * 32_768.0).round() as i16);
        }
    }
}

/// Works at 48 kHz: the scene is brought there and back outside of its time as well as possible.
pub struct Nnnoiseless {
    state: Box<nnnoiseless::DenoiseState<'static>>,
    up: subrosa::media::resample::Resampler,
    down: subrosa::media::resample::Resampler,
    waiting: Vec<f32>,
    ready: Vec<i16>,
}

impl Nnnoiseless {
    pub fn new() -> Self {
        let resampler = |a, b| subrosa::media::resample::Resampler::new(a, b).unwrap();
        Self {
            state: nnnoiseless::DenoiseState::new(),
            up: resampler(16_000, 48_000),
            down: resampler(48_000, 16_000),
            waiting: Vec::new(),
            ready: vec![0; 320],
        }
    }
}

impl Peer for Nnnoiseless {
    fn block(&mut self, _: &[i16], capture: &mut [i16]) {
        let Self { state, up, down, waiting, ready } = self;
        up.process(capture, |block| waiting.extend(block.iter().map(|s| f32::from(*s))));
        while waiting.len() >= 480 {
            let input: Vec<f32> = waiting.drain(..480).collect();
            let mut out = vec![0.0; 480];
            state.process_frame(&mut out, &input);
            let pcm: Vec<i16> = out.iter().map(|s| s.round() as i16).collect();
            down.process(&pcm, |b| ready.extend_from_slice(b));
        }
        let len = capture.len();
        capture.copy_from_slice(&ready[..len]);
        ready.drain(..len);
    }
}

type New = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Control = unsafe extern "C" fn(*mut c_void, c_int, *mut c_void) -> c_int;
type Cancel = unsafe extern "C" fn(*mut c_void, *const i16, *const i16, *mut i16);
type Run = unsafe extern "C" fn(*mut c_void, *mut i16) -> c_int;

/// Speex's canceller and preprocessor, from the shared library of the system.
pub struct Speex {
    library: libloading::Library,
    echo: *mut c_void,
    pre: *mut c_void,
    task: Task,
}

impl Speex {
    pub fn new(task: Task) -> Option<Self> {
        // SAFETY: the C functions have these types in speexdsp's headers; the states that they give
        // are used on one thread and live as long as the process.
        unsafe {
            let library = libloading::Library::new("libspeexdsp.so.1").ok()?;
            let new_echo = *library.get::<New>(b"speex_echo_state_init\0").ok()?;
            let control_echo = *library.get::<Control>(b"speex_echo_ctl\0").ok()?;
            let new_pre = *library.get::<New>(b"speex_preprocess_state_init\0").ok()?;
            let control = *library.get::<Control>(b"speex_preprocess_ctl\0").ok()?;
            let (echo, pre) = (new_echo(160, 16 * 120), new_pre(160, 16_000));
            let mut rate: c_int = 16_000;
            control_echo(echo, 24, (&raw mut rate).cast());
            let mut denoise = c_int::from(task == Task::Noise);
            control(pre, 0, (&raw mut denoise).cast());
            if task == Task::Echo {
                control(pre, 24, echo);
            }
            Some(Self { library, echo, pre, task })
        }
    }
}

impl Peer for Speex {
    fn block(&mut self, render: &[i16], capture: &mut [i16]) {
        // SAFETY: as above; both blocks have 160 samples.
        unsafe {
            if self.task == Task::Echo {
                let cancel = *self.library.get::<Cancel>(b"speex_echo_cancellation\0").unwrap();
                let mut out = [0; 160];
                cancel(self.echo, capture.as_ptr(), render.as_ptr(), out.as_mut_ptr());
                capture.copy_from_slice(&out);
            }
            let run = *self.library.get::<Run>(b"speex_preprocess_run\0").unwrap();
            run(self.pre, capture.as_mut_ptr());
        }
    }
}

//! Voice processing: switched per call, with its statistics.

use super::call::find;
use super::config::{set, subrosa_config};
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::media::{self, subrosa_media};
use super::pointer::{OutStruct, Versioned};
use super::status::{SUBROSA_ERR_NO_MEDIA, subrosa_status};
use crate::engine::Config;
use crate::media::dsp::{ProcessingConfig, ProcessingStats};
use crate::time::Instant;

/// Echo cancellation, with suppression of what it leaves.
pub const SUBROSA_PROCESSING_ECHO_CANCELLATION: u32 = 1;
/// Noise suppression.
pub const SUBROSA_PROCESSING_NOISE_SUPPRESSION: u32 = 2;
/// Automatic gain, with a limiter.
pub const SUBROSA_PROCESSING_GAIN_CONTROL: u32 = 4;
/// A high-pass filter against mains hum and rumble.
pub const SUBROSA_PROCESSING_HIGH_PASS: u32 = 8;
/// Voice activity detection.
pub const SUBROSA_PROCESSING_VOICE_ACTIVITY: u32 = 16;
/// All of them: for a microphone and a loudspeaker without processing of their own.
pub const SUBROSA_PROCESSING_VOICE: u32 = 31;
/// None of them.
pub const SUBROSA_PROCESSING_OFF: u32 = 0;
/// In subrosa_call_options alone: what the configuration says.
pub const SUBROSA_PROCESSING_DEFAULT: u32 = 0x8000_0000;

/// What C's bits say.
pub(super) fn processing(parts: u32) -> Result<ProcessingConfig, Failure> {
    if parts & !SUBROSA_PROCESSING_VOICE != 0 {
        return Err(Failure::invalid(format!(
            "{parts:#x} has bits that no SUBROSA_PROCESSING_ has"
        )));
    }
    Ok(ProcessingConfig {
        echo_cancellation: parts & SUBROSA_PROCESSING_ECHO_CANCELLATION != 0,
        noise_suppression: parts & SUBROSA_PROCESSING_NOISE_SUPPRESSION != 0,
        gain_control: parts & SUBROSA_PROCESSING_GAIN_CONTROL != 0,
        high_pass: parts & SUBROSA_PROCESSING_HIGH_PASS != 0,
        voice_activity: parts & SUBROSA_PROCESSING_VOICE_ACTIVITY != 0,
    })
}

/// C's bits.
pub(super) fn bits(config: ProcessingConfig) -> u32 {
    let bit = |on: bool, bit: u32| if on { bit } else { 0 };
    bit(config.echo_cancellation, SUBROSA_PROCESSING_ECHO_CANCELLATION)
        | bit(config.noise_suppression, SUBROSA_PROCESSING_NOISE_SUPPRESSION)
        | bit(config.gain_control, SUBROSA_PROCESSING_GAIN_CONTROL)
        | bit(config.high_pass, SUBROSA_PROCESSING_HIGH_PASS)
        | bit(config.voice_activity, SUBROSA_PROCESSING_VOICE_ACTIVITY)
}

/// What the processing of a call's audio knows. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_processing_stats {
    /// sizeof this struct.
    pub size: u32,
    /// Echo return loss enhancement of the linear filter, dB.
    pub erle_db: f32,
    /// Estimated delay from loudspeaker to microphone; -1 while unknown.
    pub delay_ms: i32,
    /// Probability that the last block holds speech, 0 to 1.
    pub speech_probability: f32,
    /// 1 if there is speech, or was a moment ago; without voice activity detection always 1.
    pub voice_active: i32,
    /// Gain of the gain control, dB.
    pub gain_db: f32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_processing_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_processing_stats {
    pub(super) fn of(stats: &ProcessingStats) -> Self {
        let delay = stats.delay_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
        Self {
            size: 0,
            erle_db: stats.erle_db,
            delay_ms: delay,
            speech_probability: stats.speech_probability,
            voice_active: i32::from(stats.voice_active),
            gain_db: stats.gain_db,
        }
    }
}

/// There are no statistics.
pub(super) fn nothing_processed() -> Failure {
    Failure::new(SUBROSA_ERR_NO_MEDIA, "no processing is at work here: switch a part on")
}

/// What is done to the audio of calls before it is sent, where their options do not say:
/// SUBROSA_PROCESSING_ bits (none, unless set).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_processing(
    config: *mut subrosa_config,
    parts: u32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.processing = processing(parts)?;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// Switches the processing of what a call sends: SUBROSA_PROCESSING_ bits. What subrosa_call_read_pcm
/// gives is the reference for echo cancellation. A session that was taken hears of it by an update.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_set_processing(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    parts: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let config = processing(parts)?;
            Ok(find(state, call)?.set_processing(Instant::from_micros(now_us), config)?)
        })
    }
}

/// What the processing of a call's audio knows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_processing_stats(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_processing_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            let stats = find(state, call)?.processing_stats().ok_or_else(nothing_processed)?;
            out.write(subrosa_processing_stats::of(&stats));
            Ok(())
        })
    }
}

/// Switches the processing of what a taken session sends: SUBROSA_PROCESSING_ bits. What
/// subrosa_media_read_pcm gives is the reference for echo cancellation.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_set_processing(
    media: *mut subrosa_media,
    parts: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Change, |session| {
            session.set_processing(processing(parts)?);
            Ok(())
        })
    }
}

/// What the processing of a taken session knows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_media_processing_stats(
    media: *const subrosa_media,
    out: *mut subrosa_processing_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        media::with(media, Access::Read, |session| {
            let out = OutStruct::new(out)?;
            let stats = session.processing_stats().ok_or_else(nothing_processed)?;
            out.write(subrosa_processing_stats::of(&stats));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{set as set_config, subrosa_config_free, subrosa_config_new};
    use super::super::named::{fields, numbered};
    use super::super::status::{SUBROSA_ERR_INVALID, SUBROSA_OK};
    use super::*;

    #[test]
    fn each_part_has_a_bit_of_its_own_and_no_other_bit_is_taken() {
        const OFF: ProcessingConfig = ProcessingConfig::OFF;
        let parts = [
            ProcessingConfig { echo_cancellation: true, ..OFF },
            ProcessingConfig { noise_suppression: true, ..OFF },
            ProcessingConfig { gain_control: true, ..OFF },
            ProcessingConfig { high_pass: true, ..OFF },
            ProcessingConfig { voice_activity: true, ..OFF },
        ];
        for (at, part) in parts.into_iter().enumerate() {
            assert_eq!(bits(part), 1 << at, "{part:?}");
            assert_eq!(processing(1 << at).unwrap(), part);
        }
        assert_eq!(bits(ProcessingConfig::VOICE), SUBROSA_PROCESSING_VOICE);
        assert_eq!(processing(SUBROSA_PROCESSING_OFF).unwrap(), OFF);
        assert!(processing(32).is_err());
    }

    #[test]
    fn the_statistics_are_the_same_in_c() {
        let stats = numbered!(ProcessingStats::default(), 0; erle_db, speech_probability, gain_db);
        let stats = ProcessingStats { delay_ms: Some(40), voice_active: true, ..stats };
        let told = fields(&subrosa_processing_stats::of(&stats));
        let numbers: Vec<_> = told.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(numbers, ["0", "1.0", "40", "2.0", "1", "3.0"]);
        let stats = ProcessingStats { delay_ms: None, voice_active: false, ..stats };
        let told = subrosa_processing_stats::of(&stats);
        assert_eq!((told.delay_ms, told.voice_active), (-1, 0));
    }

    #[test]
    fn a_configuration_takes_the_parts_that_there_are() {
        let mut config = std::ptr::null_mut();
        // SAFETY: a seed, and a place for the handle.
        let made = unsafe { subrosa_config_new([7; 32].as_ptr(), 32, 1, &mut config) };
        let set = |parts| {
            // SAFETY: the handle lives.
            let status = unsafe { subrosa_config_set_processing(config, parts) };
            let mut now = None;
            let look = |config: &mut Config| {
                now = Some(bits(config.processing));
                Ok(())
            };
            // SAFETY: the handle lives.
            assert_eq!(unsafe { set_config(config, look) }, SUBROSA_OK);
            (status, now.unwrap())
        };
        assert_eq!(made, SUBROSA_OK);
        assert_eq!(set(SUBROSA_PROCESSING_VOICE), (SUBROSA_OK, SUBROSA_PROCESSING_VOICE));
        let high_pass = SUBROSA_PROCESSING_HIGH_PASS;
        assert_eq!(set(high_pass), (SUBROSA_OK, high_pass));
        assert_eq!(set(SUBROSA_PROCESSING_DEFAULT), (SUBROSA_ERR_INVALID, high_pass));
        // SAFETY: freed once.
        unsafe { subrosa_config_free(config) };
    }
}

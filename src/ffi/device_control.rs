//! Microphone and loudspeaker while they run: other devices, what happens to them, how loud they
//! are, tones and the echo test (feature `audio-device`).

use super::device::{
    SUBROSA_DEVICE_INPUT, SUBROSA_DEVICE_OUTPUT, direction_number, subrosa_audio_device,
};
use super::guard::{Access, Failure, Texts, enter, guard, last_error, live};
use super::pointer::{Out, OutStruct, Versioned, subrosa_str};
use super::status::{SUBROSA_ERR_PANIC, subrosa_status};
use super::tones::tone_of;
use crate::driver::{AudioDevice, DeviceDirection, DeviceEvent};
use crate::time::Duration;

/// Nothing happened.
pub const SUBROSA_DEVICE_EVENT_NONE: i32 = 0;
/// The device in use is gone: it was unplugged, broke, or stalled. `replacement` is used instead;
/// if that is empty, there is silence.
pub const SUBROSA_DEVICE_EVENT_LOST: i32 = 1;
/// There was silence, and now the default device is used: `id`; or the default one was in use, and
/// the system made another the default one.
pub const SUBROSA_DEVICE_EVENT_REPLACED: i32 = 2;
/// The chosen device is back and in use.
pub const SUBROSA_DEVICE_EVENT_RESTORED: i32 = 3;
/// Devices were connected or disconnected: ask for the lists again to show them.
pub const SUBROSA_DEVICE_EVENT_LIST_CHANGED: i32 = 4;

/// What happened to the devices. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_device_event {
    /// sizeof this struct.
    pub size: u32,
    /// SUBROSA_DEVICE_EVENT_.
    pub kind: i32,
    /// SUBROSA_DEVICE_INPUT or _OUTPUT; 0 if it is about neither.
    pub direction: i32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// The device.
    pub id: subrosa_str,
    /// What is used instead of it; empty: silence.
    pub replacement: subrosa_str,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_device_event {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_device_event {
    fn new(event: Option<&DeviceEvent>, texts: &mut Texts) -> Self {
        let (kind, direction, id, replacement) = match event {
            None => (SUBROSA_DEVICE_EVENT_NONE, None, "", ""),
            Some(DeviceEvent::Lost { direction, id, replacement }) => {
                let replacement = replacement.as_deref().unwrap_or_default();
                (SUBROSA_DEVICE_EVENT_LOST, Some(*direction), id.as_str(), replacement)
            }
            Some(DeviceEvent::Replaced { direction, id }) => {
                (SUBROSA_DEVICE_EVENT_REPLACED, Some(*direction), id.as_str(), "")
            }
            Some(DeviceEvent::Restored { direction, id }) => {
                (SUBROSA_DEVICE_EVENT_RESTORED, Some(*direction), id.as_str(), "")
            }
            Some(DeviceEvent::ListChanged) => (SUBROSA_DEVICE_EVENT_LIST_CHANGED, None, "", ""),
        };
        Self {
            size: 0,
            kind,
            direction: direction.map_or(0, direction_number),
            reserved: 0,
            id: texts.lend(id),
            replacement: texts.lend(replacement),
        }
    }
}

unsafe fn with(
    device: *const subrosa_audio_device,
    access: Access,
    run: impl FnOnce(&AudioDevice, &mut Texts) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(device) }.map(|device| &device.0);
    enter(handle, access, |device, texts| run(device, texts))
}

fn given(direction: i32) -> Result<DeviceDirection, Failure> {
    match direction {
        SUBROSA_DEVICE_INPUT => Ok(DeviceDirection::Input),
        SUBROSA_DEVICE_OUTPUT => Ok(DeviceDirection::Output),
        _ => Err(Failure::invalid("neither SUBROSA_DEVICE_INPUT nor SUBROSA_DEVICE_OUTPUT")),
    }
}

/// What the last failing function on this handle had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_last_error(
    device: *const subrosa_audio_device,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(device).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// Uses the device with this id, or with a name that contains these words, from now on, also in the
/// calls that run; empty is the default one. The old device is used until the new one is ready. It
/// stays chosen while it is away. SUBROSA_ERR_SYSTEM if it cannot be used: then the one before is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_choose(
    device: *mut subrosa_audio_device,
    direction: i32,
    name: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, _| {
            let (direction, name) = (given(direction)?, name.text()?);
            Ok(device.choose(direction, (!name.is_empty()).then_some(name))?)
        })
    }
}

/// The id of the device in use; empty is silence, because there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_in_use(
    device: *const subrosa_audio_device,
    direction: i32,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Read, |device, texts| {
            let (out, id) = (Out::new(out)?, device.in_use(given(direction)?));
            out.write(texts.lend(id.as_deref().unwrap_or_default()));
            Ok(())
        })
    }
}

/// What happened to the devices, waiting for it up to `timeout_ms` (0: does not wait);
/// SUBROSA_DEVICE_EVENT_NONE if nothing did. The handle is busy while this waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_next_event(
    device: *mut subrosa_audio_device,
    timeout_ms: u32,
    out: *mut subrosa_device_event,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, texts| {
            let out = OutStruct::new(out)?;
            let event = device.next_event(Duration::from_millis(timeout_ms.into()));
            out.write(subrosa_device_event::new(event.as_ref(), texts));
            Ok(())
        })
    }
}

/// How loud a device is, in dBFS: what a call hears from the microphone, before any processing, or
/// plays on the loudspeaker; -96 if no call uses it. See subrosa_call_levels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_level(
    device: *const subrosa_audio_device,
    direction: i32,
    out_peak_dbfs: *mut f32,
    out_rms_dbfs: *mut f32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Read, |device, _| {
            let (peak, rms) = (Out::new(out_peak_dbfs)?, Out::new(out_rms_dbfs)?);
            let level = device.level(given(direction)?);
            peak.write(level.peak_dbfs);
            rms.write(level.rms_dbfs);
            Ok(())
        })
    }
}

/// How well a device and the call keep pace. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_device_stats {
    /// sizeof this struct.
    pub size: u32,
    /// By how much the device's clock is faster than ours, in parts per million, as far as the
    /// correction knows it.
    pub drift_ppm: f32,
    /// Times that the store between device and call ran dry: a gap each.
    pub underruns: u64,
    /// Times that too much was in store, and some of it was cut.
    pub overruns: u64,
    /// What is in store: the delay that this adds.
    pub delay_us: u64,
    /// Gaps that the system tells of: its own buffer ran dry, or over.
    pub xruns: u64,
    /// Times that the stream broke, and the same device was opened again.
    pub restarts: u64,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_device_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// How well a device and the call keep pace, since the handle was opened.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_stats(
    device: *const subrosa_audio_device,
    direction: i32,
    out: *mut subrosa_device_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Read, |device, _| {
            let (out, stats) = (OutStruct::new(out)?, device.stats(given(direction)?));
            out.write(subrosa_device_stats {
                size: 0,
                drift_ppm: stats.drift_ppm,
                underruns: stats.underruns,
                overruns: stats.overruns,
                delay_us: micros(stats.delay),
                xruns: stats.xruns,
                restarts: stats.restarts,
            });
            Ok(())
        })
    }
}

/// Plays a SUBROSA_TONE_ of a country without a call, for so long, in place of what was played
/// before: busy or congestion after a call, for example. A call that begins meanwhile silences it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_play_tone(
    device: *mut subrosa_audio_device,
    country: subrosa_str,
    tone: i32,
    length_ms: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, _| {
            let tone = tone_of(country, tone)?;
            Ok(device.play_tone(tone, Duration::from_millis(length_ms.into()))?)
        })
    }
}

/// An echo test without a call: the loudspeaker plays what the microphone heard so long ago (at
/// most 10 s), until subrosa_audio_device_stop_playing. Use a headset, or it howls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_play_microphone(
    device: *mut subrosa_audio_device,
    delay_ms: u32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, _| {
            Ok(device.play_microphone(Duration::from_millis(delay_ms.into()))?)
        })
    }
}

/// Ends what is played without a call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_stop_playing(
    device: *mut subrosa_audio_device,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, _| {
            device.stop_playing();
            Ok(())
        })
    }
}

/// Whether something is played without a call: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_is_playing(
    device: *const subrosa_audio_device,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Read, |device, _| {
            Out::new(out)?.write(i32::from(device.is_playing()));
            Ok(())
        })
    }
}

/// What an echo test has found. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_echo_measurement {
    /// sizeof this struct.
    pub size: u32,
    /// Something came back: 1 or 0.
    pub came_back: i32,
    /// The way through both devices and the air; 0 if nothing came back.
    pub delay_us: u64,
    /// How much louder it came back than it was sent, in dB.
    pub level_db: f32,
    /// How alike what came back is to what was sent, from 0 to 1.
    pub likeness: f32,
    /// The loudest sample that the microphone heard, in dBFS: at -96 it heard nothing at all.
    pub peak_dbfs: f32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_echo_measurement {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// An echo test without a call: sends short sweeps of sound out of the loudspeaker and looks for
/// them in what the microphone hears. It takes some seconds and returns then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_measure_echo(
    device: *mut subrosa_audio_device,
    out: *mut subrosa_echo_measurement,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(device, Access::Change, |device, _| {
            let (out, found) = (OutStruct::new(out)?, device.measure_echo()?);
            out.write(subrosa_echo_measurement {
                size: 0,
                came_back: i32::from(found.delay.is_some()),
                delay_us: found.delay.map_or(0, micros),
                level_db: found.level_db,
                likeness: found.likeness,
                peak_dbfs: found.peak_dbfs,
                reserved: 0,
            });
            Ok(())
        })
    }
}

//! Microphone and loudspeaker for a phone's calls (feature `audio-device`).

use super::call_audio::{set, subrosa_call_audio};
use super::guard::{Access, Failure, Handle, enter, free, guard, live};
use super::pointer::{Out, OutStruct, Versioned, subrosa_str};
use super::status::{
    SUBROSA_ERR_INVALID, SUBROSA_ERR_PANIC, SUBROSA_ERR_STOPPED, SUBROSA_ERR_SYSTEM, status_of,
    subrosa_status,
};
use crate::driver::{AudioDevice, DeviceDirection, DeviceError, DeviceInfo};

/// A microphone.
pub const SUBROSA_DEVICE_INPUT: i32 = 1;
/// A loudspeaker.
pub const SUBROSA_DEVICE_OUTPUT: i32 = 2;

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        let status = match &error {
            DeviceError::Tone(_) | DeviceError::Rate(_) => SUBROSA_ERR_INVALID,
            DeviceError::Stopped => SUBROSA_ERR_STOPPED,
            _ => SUBROSA_ERR_SYSTEM,
        };
        Self::new(status, error)
    }
}

pub(super) const fn direction_number(direction: DeviceDirection) -> i32 {
    match direction {
        DeviceDirection::Input => SUBROSA_DEVICE_INPUT,
        DeviceDirection::Output => SUBROSA_DEVICE_OUTPUT,
    }
}

/// A microphone and a loudspeaker, running at a sample rate until they are freed.
#[derive(Debug)]
pub struct subrosa_audio_device(pub(super) Handle<AudioDevice>);

/// Opens the default microphone and loudspeaker and starts them, for calls of this sample rate (Hz);
/// whatever the devices' own rates are, they are converted. SUBROSA_ERR_SYSTEM if one is missing or
/// refused. Only in a library built with the feature `audio-device`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_open(
    sample_rate: u32,
    out: *mut *mut subrosa_audio_device,
) -> subrosa_status {
    let open = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        let device = AudioDevice::open(sample_rate)?;
        out.write(Box::into_raw(Box::new(subrosa_audio_device(Handle::new(device)))));
        Ok(())
    };
    guard(|| status_of(open()), SUBROSA_ERR_PANIC)
}

/// Opens the devices with these ids, or with names that contain these words, and starts them; empty
/// is the default one. SUBROSA_ERR_SYSTEM if one is missing, unknown or refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_open_named(
    sample_rate: u32,
    microphone: subrosa_str,
    loudspeaker: subrosa_str,
    out: *mut *mut subrosa_audio_device,
) -> subrosa_status {
    let open = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        // SAFETY: the caller's promise.
        let (microphone, loudspeaker) = unsafe { (microphone.text()?, loudspeaker.text()?) };
        let chosen = |name| (!str::is_empty(name)).then_some(name);
        let device = AudioDevice::open_named(sample_rate, chosen(microphone), chosen(loudspeaker))?;
        out.write(Box::into_raw(Box::new(subrosa_audio_device(Handle::new(device)))));
        Ok(())
    };
    guard(|| status_of(open()), SUBROSA_ERR_PANIC)
}

/// The microphones or loudspeakers of the system, as they were when it was asked.
#[derive(Debug)]
pub struct subrosa_device_list(Handle<Vec<DeviceInfo>>);

/// A microphone or loudspeaker. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_device_info {
    /// sizeof this struct.
    pub size: u32,
    /// It is taken if none is named: 1 or 0.
    pub is_default: i32,
    /// What the system calls it, for subrosa_audio_device_open_named and _choose. It stays the same
    /// while the device is unplugged.
    pub id: subrosa_str,
    /// What people call it.
    pub name: subrosa_str,
    /// SUBROSA_DEVICE_INPUT or _OUTPUT; a headset is in both lists.
    pub direction: i32,
    /// The rate that it is used at, in Hz; 0 if that is unknown because somebody else uses it.
    pub sample_rate: u32,
    /// The lowest and the highest rate that it can do, in Hz; 0 if unknown.
    pub min_rate: u32,
    /// See `min_rate`.
    pub max_rate: u32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_device_info {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

unsafe fn list(
    devices: impl FnOnce() -> Result<Vec<DeviceInfo>, DeviceError>,
    out: *mut *mut subrosa_device_list,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        out.write(Box::into_raw(Box::new(subrosa_device_list(Handle::new(devices()?)))));
        Ok(())
    };
    status_of(make())
}

/// The microphones of the system. SUBROSA_ERR_SYSTEM if it gives no list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_microphones(
    out: *mut *mut subrosa_device_list,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    guard(|| unsafe { list(AudioDevice::microphones, out) }, SUBROSA_ERR_PANIC)
}

/// The loudspeakers of the system. SUBROSA_ERR_SYSTEM if it gives no list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_loudspeakers(
    out: *mut *mut subrosa_device_list,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    guard(|| unsafe { list(AudioDevice::loudspeakers, out) }, SUBROSA_ERR_PANIC)
}

/// Frees a list; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_device_list_free(list: *mut subrosa_device_list) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(list) }, ());
}

/// How many devices a list has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_device_list_len(
    list: *const subrosa_device_list,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(list) }.map(|list| &list.0);
    enter(handle, Access::Read, |devices, _| {
        // SAFETY: the caller's promise.
        unsafe { Out::new(out)? }.write(devices.len());
        Ok(())
    })
}

/// A device of a list, counted from 0. Its strings live as long as the list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_device_list_get(
    list: *const subrosa_device_list,
    index: usize,
    out: *mut subrosa_device_info,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(list) }.map(|list| &list.0);
    enter(handle, Access::Read, |devices, texts| {
        // SAFETY: the caller's promise.
        let out = unsafe { OutStruct::new(out)? };
        let device = devices.get(index).ok_or_else(|| Failure::invalid("the list is shorter"))?;
        out.write(subrosa_device_info {
            size: 0,
            is_default: i32::from(device.is_default),
            id: texts.lend(&device.id),
            name: texts.lend(&device.name),
            direction: direction_number(device.direction),
            sample_rate: device.sample_rate,
            min_rate: device.rates.0,
            max_rate: device.rates.1,
        });
        Ok(())
    })
}

/// Stops and frees both; NULL is fine. Calls that have them hear and say silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_free(device: *mut subrosa_audio_device) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(device) }, ());
}

/// The call says what the microphone hears, and its far end is heard on the loudspeaker. The
/// device must be open at the audio's sample rate. One call has it at a time: the one whose audio
/// was set last; the one before hears and says silence from then on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_device(
    audio: *mut subrosa_call_audio,
    device: *const subrosa_audio_device,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(device) }.map(|device| &device.0);
    let mut rings = None;
    let status = enter(handle, Access::Read, |device, _| {
        rings = Some((device.source(), device.sink()));
        Ok(())
    });
    let Some((source, sink)) = rings else { return status };
    // SAFETY: the caller's promise.
    unsafe { set(audio, |audio, _| Ok(audio.source(source).sink(sink))) }
}

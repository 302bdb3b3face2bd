//! Microphone and loudspeaker for a phone's calls (feature `audio-device`).

use super::call_audio::{set, subrosa_call_audio};
use super::guard::{Failure, Handle, enter, free, guard, live};
use super::pointer::Out;
use super::status::{SUBROSA_ERR_PANIC, SUBROSA_ERR_SYSTEM, status_of, subrosa_status};
use crate::driver::{AudioDevice, DeviceError};

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::new(SUBROSA_ERR_SYSTEM, error)
    }
}

/// The default microphone and loudspeaker, running at a sample rate until they are freed.
#[derive(Debug)]
pub struct subrosa_audio_device(Handle<AudioDevice>);

/// Opens both and starts them. SUBROSA_ERR_SYSTEM if one is missing or refused.
/// Only in a library built with the feature `audio-device`.
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

/// Stops and frees both; NULL is fine. Calls that have them hear and say silence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_device_free(device: *mut subrosa_audio_device) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(device) }, ());
}

/// The call says what the microphone hears, and its far end is heard on the loudspeaker. The
/// device must be open at the audio's sample rate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_audio_set_device(
    audio: *mut subrosa_call_audio,
    device: *const subrosa_audio_device,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(device) }.map(|device| &device.0);
    let mut rings = None;
    let status = enter(handle, super::guard::Access::Read, |device, _| {
        rings = Some((device.source(), device.sink()));
        Ok(())
    });
    let Some((source, sink)) = rings else { return status };
    // SAFETY: the caller's promise.
    unsafe { set(audio, |audio, _| Ok(audio.source(source).sink(sink))) }
}

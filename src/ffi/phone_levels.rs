//! How loud a phone's calls are (feature `driver`).

use super::guard::Access;
use super::phone::{subrosa_phone, with};
use super::pointer::{OutStruct, Versioned};
use super::status::subrosa_status;
use crate::engine::{CallError, CallId};

/// How loud a call is at this end, in dB of full scale: -96 is silence, 0 the loudest that there
/// is. A peak falls by 11.8 dB a second; RMS is over about 0.3 s, and a full-scale sine has -3. Set
/// `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_call_levels {
    /// sizeof this struct.
    pub size: u32,
    /// What the call's source gives, before it is processed, muted or made louder: its peak.
    pub sent_peak_dbfs: f32,
    /// Its RMS.
    pub sent_rms_dbfs: f32,
    /// What the call's sink gets: its peak.
    pub received_peak_dbfs: f32,
    /// Its RMS.
    pub received_rms_dbfs: f32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_call_levels {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// How loud a call is at this end. SUBROSA_ERR_UNKNOWN_ID if no audio is attached to it: it is over,
/// or not answered yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_levels(
    phone: *const subrosa_phone,
    call: u64,
    out: *mut subrosa_call_levels,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            let call = CallId::from_raw(call);
            let levels = phone.levels(call)?.ok_or(CallError::UnknownCall(call))?;
            out.write(subrosa_call_levels {
                size: 0,
                sent_peak_dbfs: levels.sent.peak_dbfs,
                sent_rms_dbfs: levels.sent.rms_dbfs,
                received_peak_dbfs: levels.received.peak_dbfs,
                received_rms_dbfs: levels.received.rms_dbfs,
            });
            Ok(())
        })
    }
}

//! What a phone counts (feature `driver`).

use super::guard::Access;
use super::load::subrosa_engine_load;
use super::phone::{on_engine, subrosa_phone, with};
use super::pointer::{OutStruct, Versioned};
use super::stats::subrosa_engine_stats;
use super::status::subrosa_status;

/// Counters of what came from the network and was no good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_get_stats(
    phone: *const subrosa_phone,
    out: *mut subrosa_engine_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            out.write(subrosa_engine_stats::of(&phone.stats()?));
            Ok(())
        })
    }
}

/// As subrosa_engine_get_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_get_load(
    phone: *const subrosa_phone,
    out: *mut subrosa_engine_load,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let out = OutStruct::new(out)?;
            let load = on_engine(phone, |engine, _| Ok(engine.load()))?;
            out.write(subrosa_engine_load::of(&load));
            Ok(())
        })
    }
}

/// What the phone's thread itself had to drop. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_driver_stats {
    /// sizeof this struct.
    pub size: u32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// Datagrams that the operating system did not take.
    pub datagrams_refused: u64,
    /// Connections that were not accepted because there were too many.
    pub connections_refused: u64,
    /// Audio ticks skipped because the thread woke up too late.
    pub ticks_skipped: u64,
    /// Events that nobody took.
    pub events_dropped: u64,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_driver_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

/// What the phone's thread itself had to drop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_phone_driver_stats(
    phone: *const subrosa_phone,
    out: *mut subrosa_driver_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(phone, Access::Read, |phone, _| {
            let (out, stats) = (OutStruct::new(out)?, phone.driver_stats()?);
            out.write(subrosa_driver_stats {
                size: 0,
                reserved: 0,
                datagrams_refused: stats.datagrams_refused,
                connections_refused: stats.connections_refused,
                ticks_skipped: stats.ticks_skipped,
                events_dropped: stats.events_dropped,
            });
            Ok(())
        })
    }
}

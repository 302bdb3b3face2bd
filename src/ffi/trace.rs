//! The trace of SIP messages, for debugging.

use super::account::transport_number;
use super::addr::subrosa_addr;
use super::config::{set, subrosa_config};
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Texts};
use super::pointer::{OutStruct, Versioned, subrosa_str};
use super::status::subrosa_status;
use crate::engine::{Config, SipDirection, SipTraceRecord};

/// The message came to us.
pub const SUBROSA_SIP_RECEIVED: i32 = 0;
/// We sent the message.
pub const SUBROSA_SIP_SENT: i32 = 1;

/// One SIP message of the trace. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_sip_trace {
    /// sizeof this struct.
    pub size: u32,
    /// SUBROSA_SIP_SENT or SUBROSA_SIP_RECEIVED.
    pub direction: i32,
    /// The SUBROSA_TRANSPORT_ by which it travelled.
    pub transport: i32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: i32,
    /// When, on the engine's clock.
    pub at_us: u64,
    /// Our address.
    pub local: subrosa_addr,
    /// The address of the next hop, or of the one before.
    pub remote: subrosa_addr,
    /// The whole message without credentials and keys; empty if no message waits.
    pub text: subrosa_str,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_sip_trace {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_sip_trace {
    pub(super) fn of(record: Option<&SipTraceRecord>, texts: &mut Texts) -> Self {
        let none = Self {
            size: 0,
            direction: SUBROSA_SIP_RECEIVED,
            transport: 0,
            reserved: 0,
            at_us: 0,
            local: subrosa_addr::default(),
            remote: subrosa_addr::default(),
            text: texts.lend(""),
        };
        let Some(record) = record else { return none };
        Self {
            direction: match record.direction {
                SipDirection::Sent => SUBROSA_SIP_SENT,
                SipDirection::Received => SUBROSA_SIP_RECEIVED,
            },
            transport: transport_number(record.transport),
            at_us: record.at.as_micros(),
            local: record.local.into(),
            remote: record.remote.into(),
            text: texts.lend(&record.text),
            ..none
        }
    }
}

/// With 1, every SIP message is given away in the clear by subrosa_engine_poll_sip_trace, without
/// credentials and keys: for debugging alone, it shows who calls whom. 0 at first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_config_set_sip_trace(
    config: *mut subrosa_config,
    on: i32,
) -> subrosa_status {
    let change = |config: &mut Config| {
        config.sip_trace = on != 0;
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { set(config, change) }
}

/// The oldest message of the trace that was not taken yet; its text is empty if none waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_poll_sip_trace(
    engine: *mut subrosa_engine,
    out: *mut subrosa_sip_trace,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, texts| {
            let out = OutStruct::new(out)?;
            let record = state.engine.poll_sip_trace();
            out.write(subrosa_sip_trace::of(record.as_ref(), texts));
            Ok(())
        })
    }
}

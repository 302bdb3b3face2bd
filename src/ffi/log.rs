//! The log: the one callback of the C functions.

use std::ffi::c_void;

use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::pointer::subrosa_str;
use super::status::subrosa_status;
use crate::engine::{LogLevel, LogRecord};

/// Nothing is logged.
pub const SUBROSA_LOG_OFF: i32 = 0;
/// What somebody has to look after.
pub const SUBROSA_LOG_ERROR: i32 = 1;
/// What did not work out.
pub const SUBROSA_LOG_WARN: i32 = 2;
/// What an operator wants to know.
pub const SUBROSA_LOG_INFO: i32 = 3;
/// What an engineer wants to know.
pub const SUBROSA_LOG_DEBUG: i32 = 4;

/// Takes one record of the log: when (the engine's clock, microseconds), how important (a
/// SUBROSA_LOG_), which part of the engine, what happened. Both strings live during the call.
/// No record holds a message, a key, a password or who is called. Functions of the handle that
/// logs give SUBROSA_ERR_BUSY in here.
pub type subrosa_logger = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        at_us: u64,
        level: i32,
        target: subrosa_str,
        text: subrosa_str,
    ),
>;

/// A logger and what it is called with.
#[derive(Clone, Copy)]
pub(super) struct Logger {
    call: unsafe extern "C-unwind" fn(*mut c_void, u64, i32, subrosa_str, subrosa_str),
    user: *mut c_void,
}

impl Logger {
    /// The logger that C gave: none if there is no function, or if nothing is to be logged.
    pub(super) fn new(logger: subrosa_logger, user: *mut c_void, level: LogLevel) -> Option<Self> {
        logger.filter(|_| level > LogLevel::Off).map(|call| Self { call, user })
    }

    pub(super) fn log(&self, record: &LogRecord) {
        let (target, text) =
            (subrosa_str::borrowed(record.target), subrosa_str::borrowed(&record.text));
        // SAFETY: by the promise of who set it, `call` may be called with `user` at any time.
        unsafe {
            (self.call)(self.user, record.at.as_micros(), level_number(record.level), target, text);
        }
    }
}

pub(super) fn level(number: i32) -> Result<LogLevel, Failure> {
    match number {
        SUBROSA_LOG_OFF => Ok(LogLevel::Off),
        SUBROSA_LOG_ERROR => Ok(LogLevel::Error),
        SUBROSA_LOG_WARN => Ok(LogLevel::Warn),
        SUBROSA_LOG_INFO => Ok(LogLevel::Info),
        SUBROSA_LOG_DEBUG => Ok(LogLevel::Debug),
        other => Err(Failure::invalid(format!("{other} is not a SUBROSA_LOG_"))),
    }
}

fn level_number(level: LogLevel) -> i32 {
    match level {
        LogLevel::Off => SUBROSA_LOG_OFF,
        LogLevel::Error => SUBROSA_LOG_ERROR,
        LogLevel::Warn => SUBROSA_LOG_WARN,
        LogLevel::Info => SUBROSA_LOG_INFO,
        LogLevel::Debug => SUBROSA_LOG_DEBUG,
    }
}

/// Gives an engine a logger, in place of the one before; NULL for none. It is called with `user`
/// on the thread that calls a function of this engine, at the end of that function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_set_logger(
    engine: *mut subrosa_engine,
    number: i32,
    logger: subrosa_logger,
    user: *mut c_void,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let level = level(number)?;
            state.logger = Logger::new(logger, user, level);
            let wanted = if state.logger.is_some() { level } else { LogLevel::Off };
            state.engine.set_log_level(wanted);
            Ok(())
        })
    }
}

//! How the audio of calls is encoded.

use super::account::{codec, set, subrosa_account_config};
use super::call::{command, find};
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::pointer::{OutStruct, Versioned, read_struct, slice};
use super::status::subrosa_status;
use crate::engine::AudioOptions;
use crate::time::Instant;

/// How the audio of calls is encoded. The codecs that have a choice (Opus) follow it, within what
/// the far end asks for. subrosa_audio_options_init fills in the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_audio_options {
    /// sizeof this struct.
    pub size: u32,
    /// Length of the packets that the far end is asked for, and that one gets that asks for none:
    /// 10 to 60 ms, with Opus up to 120. Other lengths become the next shorter one.
    pub ptime_ms: u32,
    /// Mean bitrate of what we send, in bit/s: 6000 to 510000. Less is sent, down to 12000, while the
    /// far end's reports show a queue on the way (a round trip that grows) or very much loss.
    pub bitrate: u32,
    /// The mean bitrate that the far end is asked not to exceed, in bit/s; 0: it may choose.
    pub max_receive_bitrate: u32,
    /// 1: all packets have one length, both ways, which tells an observer nothing of the words
    /// (RFC 6562).
    pub constant_bitrate: i32,
    /// 1: the far end is asked to send nothing in silence, with G.711 and G.722 by an offer of
    /// comfort noise (RFC 3389). We do so with Opus if it asks for it, with G.711 and G.722 if this
    /// is 1 and it takes comfort noise.
    pub dtx: i32,
    /// 1: each packet remembers the one before it, once packets are lost.
    pub fec: i32,
    /// Packets that are expected to be lost, in percent, before the far end reports any.
    pub expected_loss_percent: u32,
    /// Effort of the encoder, 0 to 10.
    pub complexity: u32,
    /// 1: redundant audio (RFC 2198) is offered, and sent while the far end reports losses of 3 %
    /// and more. A far end that offers it may always send it to us.
    pub redundancy: i32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_audio_options {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl Default for subrosa_audio_options {
    fn default() -> Self {
        let audio = AudioOptions::default();
        Self {
            size: size_of::<Self>() as u32,
            ptime_ms: audio.ptime_ms.into(),
            bitrate: audio.bitrate,
            max_receive_bitrate: audio.max_receive_bitrate.unwrap_or(0),
            constant_bitrate: audio.constant_bitrate.into(),
            dtx: audio.dtx.into(),
            fec: audio.fec.into(),
            expected_loss_percent: audio.expected_loss_percent.into(),
            complexity: audio.complexity.into(),
            redundancy: audio.redundancy.into(),
        }
    }
}

/// The options that C gave where it may give none; `None` for NULL.
pub(super) unsafe fn audio_options(
    pointer: *const subrosa_audio_options,
) -> Result<Option<AudioOptions>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { given_options(pointer) }.map(Some)
}

/// The options that C must give: NULL is an error.
pub(super) unsafe fn given_options(
    pointer: *const subrosa_audio_options,
) -> Result<AudioOptions, Failure> {
    // SAFETY: the caller's promise.
    let given = unsafe { read_struct(pointer, subrosa_audio_options::default())? };
    let small = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    Ok(AudioOptions {
        ptime_ms: u16::try_from(given.ptime_ms).unwrap_or(u16::MAX),
        bitrate: given.bitrate,
        max_receive_bitrate: Some(given.max_receive_bitrate).filter(|rate| *rate > 0),
        constant_bitrate: given.constant_bitrate != 0,
        dtx: given.dtx != 0,
        fec: given.fec != 0,
        expected_loss_percent: small(given.expected_loss_percent),
        complexity: small(given.complexity),
        redundancy: given.redundancy != 0,
    })
}

/// Fills in the default options. Set `size` to sizeof before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_audio_options_init(
    out: *mut subrosa_audio_options,
) -> subrosa_status {
    let init = || {
        // SAFETY: the caller's promise.
        unsafe { OutStruct::new(out)? }.write(subrosa_audio_options::default());
        Ok(())
    };
    super::guard::guard(|| super::status::status_of(init()), super::SUBROSA_ERR_PANIC)
}

/// How the account's calls are encoded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_account_config_set_audio(
    account: *mut subrosa_account_config,
    audio: *const subrosa_audio_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        set(account, |account| {
            account.audio = given_options(audio)?;
            Ok(())
        })
    }
}

/// Other codecs for the rest of a call, the preferred one first, each a SUBROSA_CODEC_, by
/// re-INVITE. If the far end takes none of them, all stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_set_codecs(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    codecs: *const i32,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        command(engine, call, |call| {
            let numbers = slice(codecs, count)?;
            let codecs: Vec<_> =
                numbers.iter().map(|number| codec(*number)).collect::<Result<_, _>>()?;
            Ok(call.set_codecs(Instant::from_micros(now_us), &codecs)?)
        })
    }
}

/// Offers again what the settings of a call say now, by re-INVITE: after subrosa_call_set_audio the
/// far end hears of another packet length, bitrate or silence that it is asked for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_renegotiate(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe { command(engine, call, |call| Ok(call.renegotiate(Instant::from_micros(now_us))?)) }
}

/// Other settings of a call's encoder, at once: a bitrate that follows the network. What the far
/// end asked for still comes first; what it is asked for itself (packet length, bitrate, silence)
/// stands in the next offer or answer: subrosa_call_renegotiate makes one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_set_audio(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
    audio: *const subrosa_audio_options,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let audio = given_options(audio)?;
            Ok(find(state, call)?.set_audio(Instant::from_micros(now_us), audio)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_c_is_that_of_rust() {
        let of = |c: &subrosa_audio_options| {
            // SAFETY: it lives.
            unsafe { given_options(c) }.ok().unwrap()
        };
        let mut c = subrosa_audio_options::default();
        assert_eq!(of(&c), AudioOptions::default());
        let mut rust = AudioOptions::default();
        (rust.ptime_ms, rust.bitrate, rust.max_receive_bitrate) = (40, 12_345, Some(23_456));
        (rust.constant_bitrate, rust.dtx, rust.fec, rust.redundancy) = (true, true, false, true);
        (rust.expected_loss_percent, rust.complexity) = (7, 3);
        (c.ptime_ms, c.bitrate, c.max_receive_bitrate) = (40, 12_345, 23_456);
        (c.constant_bitrate, c.dtx, c.fec, c.redundancy) = (1, 1, 0, 1);
        (c.expected_loss_percent, c.complexity) = (7, 3);
        assert_eq!(of(&c), rust);
        (c.dtx, c.redundancy) = (0, 0);
        assert_eq!(of(&c), AudioOptions { dtx: false, redundancy: false, ..rust });
    }
}

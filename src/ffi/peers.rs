//! Memory across calls: what is remembered of each peer.

use super::account::uri;
use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Handle, enter, free, guard, last_error, live};
use super::identity::{fingerprint, subrosa_safety_number, write_bytes};
use super::pointer::{Out, OutStruct, Versioned, slice, slice_mut, subrosa_str};
use super::status::{
    SUBROSA_ERR_INVALID, SUBROSA_ERR_NOT_SUPPORTED, SUBROSA_ERR_PANIC, SUBROSA_ERR_UNKNOWN_ID,
    status_of, subrosa_status,
};
use crate::engine::{PeerMemory, PeerMemoryError, SecurityLevel, Verdict};
use crate::time::{Instant, UnixTime};

/// Not known.
pub const SUBROSA_LEVEL_NONE: i32 = -1;
/// RTP in the clear.
pub const SUBROSA_LEVEL_PLAIN: i32 = 0;
/// SRTP with keys from DTLS with whoever answered.
pub const SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED: i32 = 1;
/// SRTP, and signalling under TLS whose peer was verified.
pub const SUBROSA_LEVEL_ENCRYPTED_TO_PROVIDER: i32 = 2;
/// SRTP with keys from DTLS with a peer that two people confirmed.
pub const SUBROSA_LEVEL_VERIFIED_END_TO_END: i32 = 3;

fn level(number: i32) -> Result<SecurityLevel, Failure> {
    match number {
        SUBROSA_LEVEL_PLAIN => Ok(SecurityLevel::Plain),
        SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED => Ok(SecurityLevel::EncryptedUnauthenticated),
        SUBROSA_LEVEL_ENCRYPTED_TO_PROVIDER => Ok(SecurityLevel::EncryptedToProvider),
        SUBROSA_LEVEL_VERIFIED_END_TO_END => Ok(SecurityLevel::VerifiedEndToEnd),
        other => Err(Failure::invalid(format!("{other} is not a SUBROSA_LEVEL_"))),
    }
}

pub(super) fn level_number(level: Option<SecurityLevel>) -> i32 {
    match level {
        None => SUBROSA_LEVEL_NONE,
        Some(SecurityLevel::Plain) => SUBROSA_LEVEL_PLAIN,
        Some(SecurityLevel::EncryptedUnauthenticated) => SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED,
        Some(SecurityLevel::EncryptedToProvider) => SUBROSA_LEVEL_ENCRYPTED_TO_PROVIDER,
        Some(SecurityLevel::VerifiedEndToEnd) => SUBROSA_LEVEL_VERIFIED_END_TO_END,
    }
}

impl From<PeerMemoryError> for Failure {
    fn from(error: PeerMemoryError) -> Self {
        let status = match error {
            PeerMemoryError::UnknownVersion(_) => SUBROSA_ERR_NOT_SUPPORTED,
            _ => SUBROSA_ERR_INVALID,
        };
        Self::new(status, error)
    }
}

/// There is no such peer.
pub(super) fn not_remembered() -> Failure {
    Failure::new(SUBROSA_ERR_UNKNOWN_ID, "this peer is not remembered")
}

/// What a call's protection means in the light of what is remembered of its peer. Set `size` to
/// sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_verdict {
    /// sizeof this struct.
    pub size: u32,
    /// The best SUBROSA_LEVEL_ of earlier calls, if this one is worse; else SUBROSA_LEVEL_NONE.
    pub downgrade: i32,
    /// The peer shows another certificate than the confirmed one, or, if none was confirmed,
    /// than the last one: 1 or 0.
    pub identity_changed: i32,
    /// The peer shows the confirmed certificate: 1 or 0.
    pub verified: i32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_verdict {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_verdict {
    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            size: 0,
            downgrade: level_number(verdict.downgrade),
            identity_changed: i32::from(verdict.identity_changed),
            verified: i32::from(verdict.verified),
        }
    }
}

/// What is remembered of peers, 1024 of them at most; freed by who made it.
#[derive(Debug)]
pub struct subrosa_peer_memory(Handle<PeerMemory>);

impl subrosa_peer_memory {
    fn boxed(memory: PeerMemory) -> *mut Self {
        Box::into_raw(Box::new(Self(Handle::new(memory))))
    }
}

/// Enters a memory.
unsafe fn with_memory(
    memory: *const subrosa_peer_memory,
    run: impl FnOnce(&mut PeerMemory) -> Result<(), Failure>,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let handle = unsafe { live(memory) }.map(|memory| &memory.0);
    enter(handle, Access::Change, |memory, _| run(memory))
}

/// Makes a memory in which nothing is remembered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_new(
    out: *mut *mut subrosa_peer_memory,
) -> subrosa_status {
    let make = || {
        // SAFETY: the caller's promise.
        unsafe { Out::new(out)? }.write(subrosa_peer_memory::boxed(PeerMemory::new()));
        Ok(())
    };
    guard(|| status_of(make()), SUBROSA_ERR_PANIC)
}

/// Takes back what subrosa_peer_memory_export gave. SUBROSA_ERR_INVALID for other bytes,
/// SUBROSA_ERR_NOT_SUPPORTED for those of another version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_import(
    bytes: *const u8,
    len: usize,
    out: *mut *mut subrosa_peer_memory,
) -> subrosa_status {
    let import = || {
        // SAFETY: the caller's promise.
        let (bytes, out) = unsafe { (slice(bytes, len)?, Out::new(out)?) };
        out.write(subrosa_peer_memory::boxed(PeerMemory::import(bytes)?));
        Ok(())
    };
    guard(|| status_of(import()), SUBROSA_ERR_PANIC)
}

/// Frees a memory; NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_free(memory: *mut subrosa_peer_memory) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { free(memory) }, ());
}

/// What the last failing function on this memory had to say, as a sentence.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_last_error(
    memory: *const subrosa_peer_memory,
    out: *mut subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    let give = || unsafe { last_error(live(memory).map(|handle| &handle.0), out) };
    guard(give, SUBROSA_ERR_PANIC)
}

/// Everything as bytes, for a safe place: whoever can change them can make a stranger a confirmed
/// peer. Room and length as in subrosa_dtls_identity_export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_export(
    memory: *const subrosa_peer_memory,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            len.write(write_bytes(buf, &memory.export())?);
            Ok(())
        })
    }
}

/// How many peers are remembered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_len(
    memory: *const subrosa_peer_memory,
    out: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            Out::new(out)?.write(memory.len());
            Ok(())
        })
    }
}

/// The media of a call with `peer`, a URI, is protected at this SUBROSA_LEVEL_; the fingerprint
/// is that of the certificate that its keys were agreed with by DTLS ("sha-256 AB:..."), or
/// empty. Gives what that means by what was remembered before, and remembers it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_note(
    memory: *mut subrosa_peer_memory,
    peer: subrosa_str,
    number: i32,
    shown: subrosa_str,
    unix_time_us: u64,
    out: *mut subrosa_verdict,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            let (peer, out) = (peer.text()?, OutStruct::new(out)?);
            let shown = match shown.text()? {
                "" => None,
                text => Some(fingerprint(text)?),
            };
            let now = UnixTime::from_micros(unix_time_us);
            let verdict = memory.note(peer, level(number)?, shown.as_ref(), now);
            out.write(subrosa_verdict::of(verdict));
            Ok(())
        })
    }
}

/// Two people compared the safety number that is made of this fingerprint of the peer's. It
/// replaces an earlier one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_confirm(
    memory: *mut subrosa_peer_memory,
    peer: subrosa_str,
    shown: subrosa_str,
    unix_time_us: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            let (peer, shown) = (peer.text()?, fingerprint(shown.text()?)?);
            match memory.confirm(peer, &shown, UnixTime::from_micros(unix_time_us)) {
                true => Ok(()),
                false => Err(Failure::invalid("only a SHA-256 fingerprint can be confirmed")),
            }
        })
    }
}

/// Whether this is the confirmed fingerprint of the peer: 1 or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_is_confirmed(
    memory: *const subrosa_peer_memory,
    peer: subrosa_str,
    shown: subrosa_str,
    out: *mut i32,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            let (peer, shown, out) = (peer.text()?, shown.text()?, Out::new(out)?);
            out.write(i32::from(memory.is_confirmed(peer, &fingerprint(shown)?)));
            Ok(())
        })
    }
}

/// When two people confirmed the peer's fingerprint, microseconds since 1970; 0 for never.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_verified_at(
    memory: *const subrosa_peer_memory,
    peer: subrosa_str,
    out: *mut u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| {
            let out = Out::new(out)?;
            out.write(memory.verified_at(peer.text()?).map_or(0, UnixTime::as_micros));
            Ok(())
        })
    }
}

/// Forgets a peer: its next call is like a first one. SUBROSA_ERR_UNKNOWN_ID if it was not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_peer_memory_forget(
    memory: *mut subrosa_peer_memory,
    peer: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_memory(memory, |memory| match memory.forget(peer.text()?) {
            true => Ok(()),
            false => Err(not_remembered()),
        })
    }
}

/// What an engine remembers of peers across calls, for subrosa_engine_import_peers after a
/// restart; else as subrosa_peer_memory_export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_export_peers(
    engine: *const subrosa_engine,
    buf: *mut u8,
    room: usize,
    len: *mut usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let (buf, len) = (slice_mut(buf, room)?, Out::new(len)?);
            len.write(write_bytes(buf, &state.engine.export_peers())?);
            Ok(())
        })
    }
}

/// Remembers what was exported, in place of what is remembered now. Do it before the first call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_import_peers(
    engine: *mut subrosa_engine,
    bytes: *const u8,
    len: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            Ok(state.engine.import_peers(slice(bytes, len)?)?)
        })
    }
}

/// Forgets a peer, a URI, also that it was confirmed: for a person who has a new phone.
/// SUBROSA_ERR_UNKNOWN_ID if it was not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_forget_peer(
    engine: *mut subrosa_engine,
    peer: subrosa_str,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            match state.engine.forget_peer(&uri(peer.text()?)?) {
                true => Ok(()),
                false => Err(not_remembered()),
            }
        })
    }
}

/// The safety number of a call, for its two people to compare; free it.
/// SUBROSA_ERR_WRONG_STATE unless its keys come from DTLS and it has an account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_safety_number(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut *mut subrosa_safety_number,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = Out::new(out)?;
            out.write(subrosa_safety_number::boxed(find(state, call)?.safety_number())?);
            Ok(())
        })
    }
}

/// The two people compared the safety number, and it is the same: from now on the peer is known
/// by its certificate, in this call and in later ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_confirm_safety_number(
    engine: *mut subrosa_engine,
    now_us: u64,
    call: u64,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            Ok(find(state, call)?.confirm_safety_number(Instant::from_micros(now_us))?)
        })
    }
}

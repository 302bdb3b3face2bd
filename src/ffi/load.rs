//! What an engine holds, and how far the keys of its calls have come.

use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure, Texts};
use super::pointer::{OutStruct, Versioned, subrosa_str};
use super::status::{SUBROSA_ERR_NO_MEDIA, subrosa_status};
use crate::engine::EngineLoad;
use crate::media::session::SrtpProgress;

/// What an engine holds at the moment. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_engine_load {
    /// sizeof this struct.
    pub size: u32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// Accounts.
    pub accounts: u64,
    /// Calls that are not over.
    pub calls: u64,
    /// Ended calls that are kept for their statistics.
    pub ended: u64,
    /// Transactions, of requests sent and of requests received.
    pub transactions: u64,
    /// Connections, and UDP peers.
    pub flows: u64,
    /// UDP sockets for media.
    pub media_sockets: u64,
    /// Questions to the DNS without an answer.
    pub queries: u64,
    /// Requests sent that wait for a final response, and those that wait for a connection.
    pub requests: u64,
    /// Incoming INVITEs that belong to a call.
    pub invites: u64,
    /// Events that nobody has polled for.
    pub events: u64,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_engine_load {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_engine_load {
    pub(super) fn of(load: &EngineLoad) -> Self {
        Self {
            size: 0,
            reserved: 0,
            accounts: load.accounts as u64,
            calls: load.calls as u64,
            ended: load.ended as u64,
            transactions: load.transactions as u64,
            flows: load.flows as u64,
            media_sockets: load.media_sockets as u64,
            queries: load.queries as u64,
            requests: load.requests as u64,
            invites: load.invites as u64,
            events: load.events as u64,
        }
    }
}

/// What an engine holds at the moment: all of it is bounded, and goes after the last call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_get_load(
    engine: *const subrosa_engine,
    out: *mut subrosa_engine_load,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            OutStruct::new(out)?.write(subrosa_engine_load::of(&state.engine.load()));
            Ok(())
        })
    }
}

/// How far the key has come that a call sends with. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_srtp_progress {
    /// sizeof this struct.
    pub size: u32,
    /// Bytes of the key's identifier in each packet.
    pub mki_len: u32,
    /// How often the keys were changed before.
    pub generation: u32,
    /// Our source.
    pub ssrc: u32,
    /// Its roll-over counter.
    pub roll_over: u32,
    /// Its highest sequence number in that roll-over period; -1 before the first packet.
    pub sequence: i32,
    /// Its highest SRTCP index; -1 before the first packet.
    pub rtcp_index: i64,
    /// The suite's name.
    pub suite: subrosa_str,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_srtp_progress {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_srtp_progress {
    pub(super) fn of(progress: &SrtpProgress, texts: &mut Texts) -> Self {
        Self {
            size: 0,
            mki_len: u32::try_from(progress.mki_len).unwrap_or(u32::MAX),
            generation: progress.generation,
            ssrc: progress.counters.ssrc,
            roll_over: progress.counters.roll_over,
            sequence: progress.counters.sequence.map_or(-1, i32::from),
            rtcp_index: progress.counters.rtcp_index.map_or(-1, i64::from),
            suite: texts.lend(progress.suite.sdp_name()),
        }
    }
}

/// The call has no SRTP.
pub(super) fn no_srtp() -> Failure {
    Failure::new(SUBROSA_ERR_NO_MEDIA, "the call has no SRTP now")
}

/// How far the key has come that a call sends with; SUBROSA_ERR_NO_MEDIA without SRTP.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_srtp_progress(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_srtp_progress,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, texts| {
            let out = OutStruct::new(out)?;
            let progress = find(state, call)?.srtp_progress().ok_or_else(no_srtp)?;
            out.write(subrosa_srtp_progress::of(&progress, texts));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::named::{fields, numbered};
    use super::*;
    use crate::crypto::srtp::{SourceCounters, Suite};

    #[test]
    fn the_load_is_the_same_in_c() {
        let load = numbered!(EngineLoad::default(), 0;
            accounts, calls, ended, transactions, flows, media_sockets, queries, requests, invites,
            events);
        let told = fields(&subrosa_engine_load::of(&load));
        assert!(fields(&load).iter().all(|field| told.contains(field)), "{told:?}");
        assert_eq!(told.iter().filter(|(_, value)| value == "0").count(), 2, "size and reserved");
    }

    #[test]
    fn the_progress_of_srtp_is_the_same_in_c() {
        let mut counters =
            SourceCounters { ssrc: 1, roll_over: 2, sequence: Some(3), rtcp_index: Some(4) };
        let of =
            |counters| SrtpProgress { suite: Suite::ALL[0], mki_len: 5, generation: 6, counters };
        let mut texts = Texts::default();
        let told = subrosa_srtp_progress::of(&of(counters), &mut texts);
        assert_eq!((told.ssrc, told.roll_over, told.sequence, told.rtcp_index), (1, 2, 3, 4));
        assert_eq!((told.mki_len, told.generation), (5, 6));
        // SAFETY: lent by `texts`, which lives.
        assert_eq!(unsafe { told.suite.text() }.unwrap(), Suite::ALL[0].sdp_name());
        (counters.sequence, counters.rtcp_index) = (None, None);
        let told = subrosa_srtp_progress::of(&of(counters), &mut texts);
        assert_eq!((told.sequence, told.rtcp_index), (-1, -1));
    }
}

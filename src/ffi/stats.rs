//! Statistics of the engine.

use super::engine::{subrosa_engine, with};
use super::guard::Access;
use super::pointer::{OutStruct, Versioned};
use super::reason::{SUBROSA_MAX_REASONS, spread};
use super::status::subrosa_status;
use crate::engine::EngineStats;

/// Counters of what came from the network and was no good. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_engine_stats {
    /// sizeof this struct.
    pub size: u32,
    /// 0; keeps the layout the same everywhere.
    pub reserved: u32,
    /// SIP messages received.
    pub received: u64,
    /// SIP messages sent.
    pub sent: u64,
    /// Datagrams or frames that were not SIP.
    pub malformed: u64,
    /// Connections and sources that were turned away.
    pub turned_away: u64,
    /// TLS connections that failed.
    pub tls_failures: u64,
    /// Requests that came in again.
    pub retransmissions_in: u64,
    /// Messages sent again.
    pub retransmissions_out: u64,
    /// Requests that were refused for what they ask.
    pub refused_requests: u64,
    /// Requests and responses that belong to no call.
    pub strays: u64,
    /// Datagrams on a media socket that has no session.
    pub stray_media: u64,
    /// Datagrams given to the engine that are for a session that was taken.
    pub taken_media: u64,
    /// Outputs and messages dropped because nobody polled for them.
    pub overflowed: u64,
    /// Requests that came in.
    pub requests_in: u64,
    /// Requests that went out.
    pub requests_out: u64,
    /// Requests refused with 503 for want of room.
    pub overloaded: u64,
    /// Requests refused with 482 because they came by another way already.
    pub merged: u64,
    /// CANCELs that matched no INVITE.
    pub unmatched_cancels: u64,
    /// Responses to nothing that was asked.
    pub stray_responses: u64,
    /// Responses that only look like answers to what was asked.
    pub foreign_responses: u64,
    /// Messages without a usable Via.
    pub without_via: u64,
    /// Messages dropped because nobody polled for them.
    pub backlogged: u64,
    /// Transactions that failed by timeout.
    pub timeouts: u64,
    /// Transactions that failed by the transport.
    pub transport_errors: u64,
    /// Malformed messages that were answered.
    pub malformed_answered: u64,
    /// Messages that could not be built or sent.
    pub unsendable: u64,
    /// Records of the log that were dropped because nobody took them.
    pub log_dropped: u64,
    /// Messages of the SIP trace that were dropped because nobody took them.
    pub trace_dropped: u64,
    /// Events that were dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Requests within a secure call that came over a connection which is not its own.
    pub foreign_requests: u64,
    /// Calls that were refused before the phone could ring (SUBROSA_EVENT_INCOMING_REFUSED).
    pub refused_calls: u64,
    /// What `malformed` counts, by reason: subrosa_reason_text names each.
    pub malformed_by: [u64; SUBROSA_MAX_REASONS],
    /// Session descriptions of far ends that were refused, by reason.
    pub sdp_refused_by: [u64; SUBROSA_MAX_REASONS],
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_engine_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_engine_stats {
    pub(super) fn of(stats: &EngineStats) -> Self {
        Self {
            size: 0,
            reserved: 0,
            received: stats.flows.received,
            sent: stats.flows.sent,
            malformed: stats.flows.malformed,
            turned_away: stats.flows.turned_away,
            tls_failures: stats.flows.tls_failures,
            retransmissions_in: stats.transactions.retransmissions_in,
            retransmissions_out: stats.transactions.retransmissions_out,
            refused_requests: stats.refused_requests,
            strays: stats.strays,
            stray_media: stats.stray_media,
            taken_media: stats.taken_media,
            overflowed: stats.flows.overflowed,
            requests_in: stats.transactions.requests_in,
            requests_out: stats.transactions.requests_out,
            overloaded: stats.transactions.overloaded,
            merged: stats.transactions.merged,
            unmatched_cancels: stats.transactions.unmatched_cancels,
            stray_responses: stats.transactions.stray_responses,
            foreign_responses: stats.transactions.foreign_responses,
            without_via: stats.transactions.malformed,
            backlogged: stats.transactions.backlogged,
            timeouts: stats.transactions.timeouts,
            transport_errors: stats.transactions.transport_errors,
            malformed_answered: stats.malformed_answered,
            unsendable: stats.unsendable,
            log_dropped: stats.log_dropped,
            trace_dropped: stats.trace_dropped,
            events_dropped: stats.events_dropped,
            foreign_requests: stats.foreign_requests,
            refused_calls: stats.refused_calls,
            malformed_by: spread(&stats.flows.malformed_by),
            sdp_refused_by: spread(&stats.sdp_refused_by),
        }
    }
}

/// Counters of what came from the network and was no good.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_get_stats(
    engine: *const subrosa_engine,
    out: *mut subrosa_engine_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            out.write(subrosa_engine_stats::of(&state.engine.stats()));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::named::{fields, numbered, same};
    use super::*;

    #[test]
    fn engine_statistics_are_the_same_in_c() {
        let mut stats = numbered!(EngineStats::default(), 0;
            refused_requests, refused_calls, strays, foreign_requests, malformed_answered,
            unsendable, stray_media, taken_media, events_dropped, log_dropped, trace_dropped);
        stats.flows = numbered!(stats.flows, 20;
            received, sent, malformed, turned_away, tls_failures, overflowed);
        stats.transactions = numbered!(stats.transactions, 40;
            requests_in, requests_out, retransmissions_in, retransmissions_out, overloaded, merged,
            unmatched_cancels, stray_responses, foreign_responses, malformed, backlogged, timeouts,
            transport_errors);
        stats.flows.malformed_by[1] = 5;
        stats.sdp_refused_by[2] = 6;
        let told = subrosa_engine_stats::of(&stats);
        same(&stats, &told, &[]);
        same(&stats.flows, &told, &[]);
        same(&stats.transactions, &told, &[("malformed", "without_via")]);
        assert_eq!((told.malformed_by[1], told.sdp_refused_by[2]), (5, 6));
        let empty = ["size", "reserved"];
        let zero =
            fields(&told).into_iter().find(|(n, v)| v == "0" && !empty.contains(&n.as_str()));
        assert_eq!(zero, None);
    }
}

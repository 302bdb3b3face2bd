//! What a phone tells the invariants: what it shows of its calls, and the keys of its packets.

use super::super::host::Net;
use super::super::invariants::{Claim, Fact};
use super::super::wiretap::{Kind, Packet};
use super::EngineHost;
use crate::engine::{CallId, Padlock};
use crate::media::session::SrtpProgress;

/// Tells the invariants how far a source's key has come.
pub(in crate::sim) fn report_progress(net: &mut Net<'_>, p: &SrtpProgress) {
    net.report(Fact::SrtpProgress {
        host: net.host(),
        ssrc: p.counters.ssrc,
        suite: p.suite,
        mki_len: p.mki_len,
        generation: p.generation,
        roll_over: p.counters.roll_over,
        sequence: p.counters.sequence,
        rtcp_index: p.counters.rtcp_index,
    });
}

impl EngineHost {
    pub(super) fn claim(&mut self, call: CallId) -> Claim {
        match self.engine.call(call).map(|call| call.security().padlock()) {
            Some(Padlock::EncryptedToProvider | Padlock::VerifiedEndToEnd) => {
                Claim { signalling: true, voice: true }
            }
            Some(Padlock::SignallingOnly) => Claim { signalling: true, voice: false },
            _ => Claim::default(),
        }
    }

    /// Tells the invariants under which key and index the packet in the buffer is protected.
    pub(super) fn report_srtp(&mut self, net: &mut Net<'_>, len: usize) {
        let packet = Packet::new(self.buffer.get(..len).unwrap_or_default());
        if !matches!(packet.kind(), Kind::Rtp | Kind::Srtp | Kind::Srtcp) {
            return;
        }
        for call in self.engine.call_ids() {
            let progress = self.engine.call(call).and_then(|call| call.srtp_progress());
            if let Some(p) = progress.filter(|p| packet.is_of(p.counters.ssrc)) {
                report_progress(net, &p);
            }
        }
    }

    /// Tells the invariants of calls that are new or shown otherwise than before.
    pub(super) fn refresh_claims(&mut self, net: &mut Net<'_>) {
        for call in self.engine.call_ids() {
            if self.ended.contains(&call) {
                continue;
            }
            let claim = self.claim(call);
            let (host, number) = (net.host(), call.to_raw());
            match self.claims.insert(call, claim) {
                None => {
                    net.report(Fact::CallNews { host, call: number, claim });
                    if let Some(call) = self.engine.call(call) {
                        let call_id = call.sip_call_id();
                        net.report(Fact::CallNamed { host, call: number, call_id });
                    }
                }
                Some(before) if before != claim => {
                    net.report(Fact::CallNews { host, call: number, claim });
                }
                Some(_) => {}
            }
        }
    }
}

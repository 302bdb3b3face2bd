//! What travels in the clear: under a mandatory policy, and while a padlock is shown.

use std::collections::{BTreeMap, BTreeSet};

use super::{Claim, Fact, Rule};
use crate::sim::host::HostId;
use crate::sim::wiretap::{Kind, Packet, Wiretap, call_id, is_bare_ok, is_refusal};
use crate::time::Instant;

/// A host under a mandatory policy sends no SIP, RTP or RTCP in the clear. It may refuse: who
/// asks in the clear is told no in the clear.
#[derive(Debug, Default)]
pub struct NothingInTheClear {
    required: BTreeSet<HostId>,
    wiretap: Wiretap,
}

impl Rule for NothingInTheClear {
    fn name(&self) -> &'static str {
        "nothing in the clear under a mandatory policy"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let kind = self.wiretap.listen(fact).unwrap_or(Kind::Other);
        match *fact {
            Fact::Required { host, on: true } => _ = self.required.insert(host),
            Fact::Required { host, on: false } => _ = self.required.remove(&host),
            Fact::Datagram { host, to, payload, .. } | Fact::Segment { host, to, payload, .. } => {
                let clear =
                    kind.is_clear() && !(kind == Kind::Sip && takes_no_call_further(payload));
                if clear && self.required.contains(&host) {
                    return Err(format!("{host:?} sent {kind} to {to}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A refusal, or a 200 to what needs no call; to a BYE or CANCEL too, which may name a call that
/// was refused before.
fn takes_no_call_further(message: &[u8]) -> bool {
    is_refusal(message) || is_bare_ok(message, &["OPTIONS", "CANCEL", "BYE"])
}

/// What an engine says that it encrypted looks like it: the first bytes of the payloads of a source
/// are any numbers. In Opus they are few (the mode, bandwidth and length of RFC 6716 §3.1), and so
/// they are in silence and in tones under G.711. Who is no engine (an attacker that repeats what
/// it heard) says nothing.
#[derive(Debug, Default)]
pub struct EncryptedLooksRandom {
    wiretap: Wiretap,
    first: BTreeMap<(HostId, u32), Vec<u8>>,
}

impl EncryptedLooksRandom {
    /// Packets in a row that are looked at together.
    const WINDOW: usize = 16;
    /// Different first bytes among them at least: of 16 random ones no more than this are
    /// different once in 10^10 times.
    const FEW: usize = 6;
}

impl Rule for EncryptedLooksRandom {
    fn name(&self) -> &'static str {
        "what is said to be encrypted looks random"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let kind = self.wiretap.listen(fact);
        let Fact::Datagram { host, to, payload, .. } = *fact else { return Ok(()) };
        let packet = Packet::new(payload);
        let (Some(Kind::Srtp), Some(ssrc), Some(byte)) = (kind, packet.ssrc(), packet.first_byte())
        else {
            return Ok(());
        };
        if !self.wiretap.was_told(host, ssrc) {
            return Ok(());
        }
        let first = self.first.entry((host, ssrc)).or_default();
        first.push(byte);
        if first.len() < Self::WINDOW {
            return Ok(());
        }
        let different = first.drain(..).collect::<BTreeSet<_>>().len();
        if different <= Self::FEW {
            return Err(format!(
                "{host:?} sent SRTP to {to} that reads as plain: {different} first bytes in {} \
                 packets",
                Self::WINDOW
            ));
        }
        Ok(())
    }
}

/// While every call of a host is shown as encrypted, no voice leaves it in the clear; and no SIP
/// of a call does whose signalling is shown as encrypted, be it a datagram or a segment of a
/// stream.
#[derive(Debug, Default)]
pub struct HonestPadlock {
    calls: BTreeMap<HostId, BTreeMap<u64, Shown>>,
    /// Call-IDs of calls that ended with signalling in the clear. A forged call may bear the
    /// Call-ID of a secure one; the last words of the one (the ACK to a refusal that comes again)
    /// are not those of the other.
    ended_clear: BTreeMap<HostId, BTreeSet<String>>,
    wiretap: Wiretap,
}

#[derive(Debug, Default)]
struct Shown {
    claim: Claim,
    call_id: Option<String>,
}

impl HonestPadlock {
    fn shown(&mut self, host: HostId, call: u64) -> &mut Shown {
        self.calls.entry(host).or_default().entry(call).or_default()
    }

    /// Whether this packet of a host's is in the clear although the screen says otherwise.
    fn is_lie(&self, host: HostId, kind: Kind, payload: &[u8]) -> bool {
        let calls = self.calls.get(&host).filter(|calls| !calls.is_empty());
        let Some(calls) = calls.map(BTreeMap::values) else { return false };
        match kind {
            Kind::Rtp | Kind::Rtcp => calls.clone().all(|shown| shown.claim.voice),
            Kind::Sip if takes_no_call_further(payload) => false,
            Kind::Sip => {
                let id = call_id(payload);
                // A call without a known Call-ID might be the one that is meant.
                let mine = |shown: &&Shown| match (&shown.call_id, id) {
                    (Some(known), Some(id)) => known == id,
                    _ => true,
                };
                let ended = self.ended_clear.get(&host);
                if id.is_some_and(|id| ended.is_some_and(|ended| ended.contains(id))) {
                    return false;
                }
                let mut mine = calls.clone().filter(mine).peekable();
                mine.peek().is_some() && mine.all(|shown| shown.claim.signalling)
            }
            _ => false,
        }
    }
}

impl Rule for HonestPadlock {
    fn name(&self) -> &'static str {
        "the padlock is never shown with a clear leg"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let kind = self.wiretap.listen(fact).unwrap_or(Kind::Other);
        match *fact {
            Fact::CallNews { host, call, claim } => {
                self.shown(host, call).claim = claim;
                if claim.voice && !claim.signalling {
                    return Err(format!(
                        "{host:?} shows call {call:#x} as encrypted over signalling in the clear"
                    ));
                }
            }
            Fact::CallNamed { host, call, call_id } => {
                self.shown(host, call).call_id = Some(call_id.to_owned());
            }
            Fact::CallEnded { host, call } => {
                let ended = self.calls.entry(host).or_default().remove(&call);
                if let Some(Shown { claim, call_id: Some(id) }) = ended
                    && !claim.signalling
                {
                    self.ended_clear.entry(host).or_default().insert(id);
                }
            }
            Fact::Datagram { host, to, payload, .. } | Fact::Segment { host, to, payload, .. }
                if self.is_lie(host, kind, payload) =>
            {
                return Err(format!("{host:?} sent {kind} to {to} with the padlock shut"));
            }
            _ => {}
        }
        Ok(())
    }
}

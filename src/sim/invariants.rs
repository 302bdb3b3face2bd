//! What must hold in every run, whatever the network does: the rules, and what they watch.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::host::{ConnectionId, HostId};
use super::wiretap::{Kind, Packet};
use crate::time::Instant;

/// Something that rules watch. The network reports what crosses the wire; hosts report what
/// the wire does not show, through [`Net::report`](super::Net::report).
#[derive(Debug)]
#[non_exhaustive]
pub enum Fact<'a> {
    /// A datagram leaves a host.
    Datagram {
        /// The host.
        host: HostId,
        /// Its address.
        from: SocketAddr,
        /// The destination.
        to: SocketAddr,
        /// The bytes.
        payload: &'a [u8],
    },
    /// A host writes to a TCP connection.
    Segment {
        /// The host.
        host: HostId,
        /// The connection.
        connection: ConnectionId,
        /// Its address.
        from: SocketAddr,
        /// The far end.
        to: SocketAddr,
        /// The bytes.
        payload: &'a [u8],
    },
    /// A host under a policy that allows nothing in the clear (`true`), or not (`false`).
    Required {
        /// The host.
        host: HostId,
        /// Whether only TLS and SRTP are allowed from now on.
        on: bool,
    },
    /// A call came into being, or something was told about it.
    CallNews {
        /// The host.
        host: HostId,
        /// The call's number on this host.
        call: u64,
        /// What the host's screen claims from now on.
        claim: Claim,
    },
    /// The application was told that a call is over.
    CallEnded {
        /// The host.
        host: HostId,
        /// The call's number on this host.
        call: u64,
    },
    /// A host was given the processor and has nothing more to do now.
    Turn {
        /// The host.
        host: HostId,
        /// How many things it did.
        outputs: usize,
    },
    /// At the end of a run, what a host still holds although nothing goes on.
    Leftovers {
        /// The host.
        host: HostId,
        /// UDP ports beyond those that it keeps for SIP.
        udp: usize,
        /// TCP connections.
        tcp: usize,
        /// Calls that are not over.
        calls: usize,
    },
}

/// What a phone's screen says about a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Claim {
    /// Signalling is said to be encrypted.
    pub signalling: bool,
    /// The voice is said to be encrypted.
    pub voice: bool,
}

/// A rule: it watches a run and says what broke.
pub trait Rule: Send {
    /// Its name, as a failure shows it.
    fn name(&self) -> &'static str;

    /// Looks at one fact.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    fn observe(&mut self, fact: &Fact<'_>, at: Instant) -> Result<(), String>;

    /// Looks back when the run is over.
    ///
    /// # Errors
    /// What is wrong, as a sentence.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// A rule was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// When.
    pub at: Instant,
    /// Which rule.
    pub rule: &'static str,
    /// What happened.
    pub problem: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}: {}", self.at, self.rule, self.problem)
    }
}

/// The rules of a world and what they found.
pub(crate) struct Rules {
    rules: Vec<Box<dyn Rule>>,
    pub(crate) violations: Vec<Violation>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rules: vec![
                Box::new(EndsOnce::default()),
                Box::new(NothingInTheClear::default()),
                Box::new(HonestPadlock::default()),
                Box::new(NoKeyReuse::default()),
                Box::new(NoSpin::default()),
                Box::new(NoLeftovers),
            ],
            violations: Vec::new(),
        }
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.rules.iter().map(|rule| rule.name())).finish()
    }
}

/// More violations than this are not kept: the first ones tell the story.
const KEPT: usize = 32;

impl Rules {
    pub(crate) fn add(&mut self, rule: Box<dyn Rule>) {
        self.rules.push(rule);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.rules.retain(|rule| rule.name() != name);
    }

    pub(crate) fn observe(&mut self, at: Instant, fact: &Fact<'_>) {
        self.judge(at, |rule| rule.observe(fact, at));
    }

    pub(crate) fn finish(&mut self, at: Instant) {
        self.judge(at, |rule| rule.finish());
    }

    fn judge(&mut self, at: Instant, ask: impl Fn(&mut dyn Rule) -> Result<(), String>) {
        for rule in &mut self.rules {
            if let Err(problem) = ask(rule.as_mut())
                && self.violations.len() < KEPT
            {
                self.violations.push(Violation { at, rule: rule.name(), problem });
            }
        }
    }
}

/// Every call ends exactly once, and nothing is told about it afterwards.
#[derive(Debug, Default)]
pub struct EndsOnce {
    open: BTreeSet<(HostId, u64)>,
    over: BTreeSet<(HostId, u64)>,
}

impl Rule for EndsOnce {
    fn name(&self) -> &'static str {
        "each call ends exactly once"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match *fact {
            Fact::CallNews { host, call, .. } => {
                if self.over.contains(&(host, call)) {
                    return Err(format!("news of call {call:#x} of {host:?} after its end"));
                }
                self.open.insert((host, call));
            }
            Fact::CallEnded { host, call } => {
                self.open.remove(&(host, call));
                if !self.over.insert((host, call)) {
                    return Err(format!("call {call:#x} of {host:?} ended twice"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        match self.open.first() {
            Some((host, call)) => Err(format!("call {call:#x} of {host:?} never ended")),
            None => Ok(()),
        }
    }
}

/// A host under a mandatory policy sends no SIP, RTP or RTCP in the clear.
#[derive(Debug, Default)]
pub struct NothingInTheClear {
    required: BTreeSet<HostId>,
}

impl Rule for NothingInTheClear {
    fn name(&self) -> &'static str {
        "nothing in the clear under a mandatory policy"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match *fact {
            Fact::Required { host, on: true } => _ = self.required.insert(host),
            Fact::Required { host, on: false } => _ = self.required.remove(&host),
            Fact::Datagram { host, to, payload, .. } | Fact::Segment { host, to, payload, .. } => {
                let udp = matches!(fact, Fact::Datagram { .. });
                let kind = if udp { Packet::new(payload).kind() } else { Kind::of_stream(payload) };
                if self.required.contains(&host) && kind.is_clear() {
                    return Err(format!("{host:?} sent {kind} to {to}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// While every call of a host is shown as encrypted, nothing of the kind leaves it in the clear.
#[derive(Debug, Default)]
pub struct HonestPadlock {
    claims: BTreeMap<HostId, BTreeMap<u64, Claim>>,
}

impl Rule for HonestPadlock {
    fn name(&self) -> &'static str {
        "the padlock is never shown with a clear leg"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match *fact {
            Fact::CallNews { host, call, claim } => {
                self.claims.entry(host).or_default().insert(call, claim);
                if claim.voice && !claim.signalling {
                    return Err(format!(
                        "{host:?} shows call {call:#x} as encrypted over signalling in the clear"
                    ));
                }
            }
            Fact::CallEnded { host, call } => {
                self.claims.entry(host).or_default().remove(&call);
            }
            Fact::Datagram { host, to, payload, .. } => {
                let kind = Packet::new(payload).kind();
                let claims = self.claims.get(&host).filter(|claims| !claims.is_empty());
                let all = |f: fn(&Claim) -> bool| claims.is_some_and(|c| c.values().all(f));
                let lie = match kind {
                    Kind::Rtp | Kind::Rtcp => all(|claim| claim.voice),
                    Kind::Sip => all(|claim| claim.signalling),
                    _ => false,
                };
                if lie {
                    return Err(format!("{host:?} sent {kind} to {to} with the padlock shut"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// No SRTP packet index is used twice, and no ciphertext ever repeats.
#[derive(Debug, Default)]
pub struct NoKeyReuse {
    /// Per sender and SSRC: the highest extended sequence number.
    highest: BTreeMap<(HostId, SocketAddr, u32), u64>,
    ciphertexts: BTreeSet<u64>,
}

impl Rule for NoKeyReuse {
    fn name(&self) -> &'static str {
        "no key is used twice with the same index"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let Fact::Datagram { host, to, payload, .. } = *fact else { return Ok(()) };
        let packet = Packet::new(payload);
        let body = match packet.kind() {
            Kind::Srtp => {
                self.advance(host, to, &packet)?;
                payload.get(12..)
            }
            Kind::Srtcp => payload.get(8..),
            _ => None,
        };
        if let Some(body) = body
            && body.len() >= 16
            && !self.ciphertexts.insert(fingerprint(body))
        {
            return Err(format!("{host:?} sent the same ciphertext twice, to {to}"));
        }
        Ok(())
    }
}

impl NoKeyReuse {
    /// A sender's sequence numbers rise by less than half their range from packet to packet.
    fn advance(&mut self, host: HostId, to: SocketAddr, packet: &Packet<'_>) -> Result<(), String> {
        let (Some(ssrc), Some(sequence)) = (packet.ssrc(), packet.sequence()) else {
            return Ok(());
        };
        let Some(highest) = self.highest.get_mut(&(host, to, ssrc)) else {
            self.highest.insert((host, to, ssrc), u64::from(sequence));
            return Ok(());
        };
        let step = sequence.wrapping_sub(*highest as u16);
        if step == 0 || step >= 0x8000 {
            return Err(format!(
                "{host:?} went from sequence number {} of SSRC {ssrc:08x} to {sequence}",
                *highest as u16
            ));
        }
        *highest = highest.saturating_add(u64::from(step));
        Ok(())
    }
}

/// FNV-1a, 64 bits: enough to tell apart the packets of a run.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// No host works without end at one instant.
#[derive(Debug, Default)]
pub struct NoSpin {
    now: Instant,
    done: BTreeMap<HostId, (usize, usize)>,
}

impl NoSpin {
    /// Things that a host may do at one instant.
    pub const OUTPUTS: usize = 20_000;
    /// Times that it may be given the processor at one instant.
    pub const TURNS: usize = 10_000;
}

impl Rule for NoSpin {
    fn name(&self) -> &'static str {
        "no timer loop of zero delay"
    }

    fn observe(&mut self, fact: &Fact<'_>, at: Instant) -> Result<(), String> {
        let Fact::Turn { host, outputs } = *fact else { return Ok(()) };
        if at != self.now {
            self.now = at;
            self.done.clear();
        }
        let (turns, done) = self.done.entry(host).or_default();
        *turns = turns.saturating_add(1);
        *done = done.saturating_add(outputs);
        if *turns == Self::TURNS || *done >= Self::OUTPUTS {
            return Err(format!("{host:?}: {turns} turns with {done} outputs at one instant"));
        }
        Ok(())
    }
}

/// When all is over, nothing is left open.
#[derive(Debug)]
pub struct NoLeftovers;

impl Rule for NoLeftovers {
    fn name(&self) -> &'static str {
        "memory is bounded"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        match *fact {
            Fact::Leftovers { host, udp, tcp, calls } if udp > 0 || tcp > 8 || calls > 0 => Err(
                format!("{host:?} still holds {udp} media ports, {tcp} connections, {calls} calls"),
            ),
            _ => Ok(()),
        }
    }
}

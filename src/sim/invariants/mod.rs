//! What must hold in every run, whatever the network does: the rules, and what they watch.

mod clear;
mod keys;
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

pub use clear::{EncryptedLooksRandom, HonestPadlock, NothingInTheClear};
pub use keys::NoKeyReuse;
pub use memory::{BoundedMemory, NoLeftovers};

use super::host::{ConnectionId, HostId};
use crate::crypto::srtp::Suite;
use crate::engine::EngineLoad;
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
    /// The Call-ID of a call, by which its SIP messages are known.
    CallNamed {
        /// The host.
        host: HostId,
        /// The call's number on this host.
        call: u64,
        /// The Call-ID.
        call_id: &'a str,
    },
    /// The host plays foul: what it sends is not judged.
    Hostile {
        /// The host.
        host: HostId,
    },
    /// How far the key has come that the next SRTP or SRTCP packet of a source is protected with,
    /// that packet included.
    SrtpProgress {
        /// The host.
        host: HostId,
        /// The source.
        ssrc: u32,
        /// The suite.
        suite: Suite,
        /// Length of the key's identifier in each packet.
        mki_len: usize,
        /// Which of the source's keys it is.
        generation: u32,
        /// The roll-over counter.
        roll_over: u32,
        /// The last sequence number.
        sequence: Option<u16>,
        /// The last SRTCP index.
        rtcp_index: Option<u32>,
    },
    /// What an engine holds.
    Load {
        /// The host.
        host: HostId,
        /// What.
        load: EngineLoad,
        /// The run is over: nothing goes on any more.
        at_end: bool,
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
                Box::new(EncryptedLooksRandom::default()),
                Box::new(NoKeyReuse::default()),
                Box::new(NoSpin::default()),
                Box::new(NoLeftovers),
                Box::new(BoundedMemory),
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

//! What the engine noticed, in words, for the host's log: off unless asked for, bounded, polled.
//!
//! No record holds a message, a key, a password, an answer to a challenge or who is called: calls
//! and accounts appear by their ids, servers by their domains.

use alloc::format;
use alloc::string::String;

use super::event::{EndReason, Event};
use super::{Engine, SecurityPolicy};
use crate::sip::flow::FlowEvent;
use crate::sip::route::FlowFailure;
use crate::sip::transaction::Failure;
use crate::time::Instant;
use crate::util::BoundedQueue;
use crate::wire::sip::Method;

/// Records that wait at most; further ones are dropped and counted.
const MAX_RECORDS: usize = 256;
/// Characters of a record at most: some of them are the far end's.
const MAX_TEXT: usize = 240;

/// How important a record is, and how much of the log is wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[non_exhaustive]
pub enum LogLevel {
    /// Nothing is kept, and nothing is formatted.
    #[default]
    Off,
    /// Something that somebody has to look after: a certificate that was not accepted.
    Error,
    /// Something did not work out; the engine copes with it.
    Warn,
    /// What an operator wants to know: registrations, the ends of calls, policies.
    Info,
    /// What an engineer wants to know: flows, refusals, broken messages.
    Debug,
}

/// One line of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LogRecord {
    /// When.
    pub at: Instant,
    /// How important.
    pub level: LogLevel,
    /// Which part of the engine: `flow`, `transaction`, `registration`, `call`, `policy`.
    pub target: &'static str,
    /// What happened: one line of at most 240 printable characters.
    pub text: String,
}

#[derive(Debug)]
pub(super) struct Log {
    level: LogLevel,
    records: BoundedQueue<LogRecord>,
}

impl Log {
    pub(super) fn new(level: LogLevel) -> Self {
        Self { level, records: BoundedQueue::new(MAX_RECORDS) }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.records.dropped()
    }

    fn note(
        &mut self,
        at: Instant,
        level: LogLevel,
        target: &'static str,
        text: impl FnOnce() -> String,
    ) {
        if level > self.level {
            return;
        }
        // The far end's words must not forge lines or steer a terminal.
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let text = text().chars().take(MAX_TEXT).map(printable).collect();
        self.records.push(LogRecord { at, level, target, text });
    }
}

impl Engine {
    /// The oldest record of the log that was not taken yet. At most 256 wait; further ones are
    /// counted in [`EngineStats::log_dropped`](super::EngineStats::log_dropped).
    pub fn poll_log(&mut self) -> Option<LogRecord> {
        self.log.records.pop()
    }

    /// How much is logged from now on; [`Config::log_level`](super::Config::log_level) at first.
    pub fn set_log_level(&mut self, level: LogLevel) {
        self.log.level = level;
    }

    pub(super) fn note(
        &mut self,
        level: LogLevel,
        target: &'static str,
        text: impl FnOnce() -> String,
    ) {
        self.log.note(self.now, level, target, text);
    }

    pub(super) fn log_event(&mut self, event: &Event) {
        use LogLevel::{Debug, Error, Info, Warn};
        match event {
            Event::NoMedia { call, reason } => {
                self.note(Warn, "media", || format!("call {call} hears nothing: {reason:?}"));
            }
            Event::CircuitBreaker { call, reason } => {
                self.note(Warn, "media", || format!("call {call} stopped sending: {reason}"));
            }
            Event::SendingResumed { call } => {
                self.note(Info, "media", || format!("call {call} sends again"));
            }
            Event::MediaResumed { call } => {
                self.note(Info, "media", || format!("call {call} hears the far end again"));
            }
            Event::TransportChanged { account, transport, fallback } => {
                let level = if *fallback { LogLevel::Warn } else { LogLevel::Info };
                self.note(level, "registration", || {
                    let how = if *fallback { ", for want of TLS" } else { "" };
                    format!("account {account} signals over {transport}{how}")
                });
            }
            Event::Registered { account, transport, expires } => {
                self.note(Info, "registration", || {
                    format!(
                        "account {account} is registered over {transport} for {} s",
                        expires.as_secs()
                    )
                })
            }
            Event::Unregistered { account } => {
                self.note(Info, "registration", || format!("account {account} is unregistered"));
            }
            Event::RegistrationFailed { account, reason, retry_in } => {
                self.note(Warn, "registration", || match retry_in {
                    None => format!("account {account}: {reason}"),
                    Some(wait) => {
                        format!("account {account}: {reason}; again in {} ms", wait.as_millis())
                    }
                });
            }
            Event::IncomingCall { call, .. } => {
                self.note(Debug, "call", || format!("call {call} comes in"));
            }
            Event::IncomingRefused { reason, .. } => {
                self.note(Info, "call", || format!("a call was refused: {reason}"));
            }
            Event::CallEstablished { call } => {
                self.note(Info, "call", || format!("call {call} is established"));
            }
            Event::CallEnded { call, reason: EndReason::Failed(reason) } => {
                self.note(Warn, "call", || format!("call {call} failed: {reason}"));
            }
            Event::CallEnded { call, reason } => {
                let padlock = self.calls.get(*call).map(|e| e.current_report().padlock());
                let padlock = padlock.unwrap_or_default();
                self.note(Info, "call", || {
                    format!("call {call} ended: {}; it was {padlock}", ended(reason))
                });
            }
            Event::CertificateRejected { domain, problem } => {
                self.note(Error, "flow", || format!("certificate of {domain}: {problem}"));
            }
            Event::Listening { transport, local } => {
                self.note(Info, "flow", || format!("ready for {transport} at {local}"));
            }
            Event::ListenFailed { transport } => {
                self.note(Error, "flow", || format!("no socket for {transport}"));
            }
            Event::SecurityDowngrade { call, before, now } => {
                self.note(Warn, "call", || {
                    format!("call {call} is {now}; earlier ones with this peer were {before}")
                });
            }
            Event::PeerIdentityChanged { call } => {
                self.note(Warn, "call", || {
                    format!("call {call}: the peer's certificate is not the one it had before")
                });
            }
            Event::SecurityChanged { call, padlock } => {
                self.note(Info, "call", || format!("call {call} is {padlock} now"));
            }
            Event::MediaSocketsChanged { call, .. } => {
                self.note(Info, "call", || format!("call {call}: its media has other sockets"));
            }
            Event::CallProgress { .. }
            | Event::CallMediaChanged { .. }
            | Event::EncodingChanged { .. } => {}
            // A digit may be part of a PIN.
            Event::DtmfReceived { .. } => {}
        }
    }

    pub(super) fn log_flow(&mut self, event: &FlowEvent) {
        match event {
            FlowEvent::Up(flow) => {
                let transport = self.flows.transport(*flow);
                self.note(LogLevel::Debug, "flow", || match transport {
                    Some(transport) => format!("flow {flow} is up over {transport}"),
                    None => format!("flow {flow} is up"),
                });
            }
            FlowEvent::Down { flow, why, domain } => {
                self.note(LogLevel::Warn, "flow", || match why {
                    FlowFailure::TimedOut => format!("no answer in time from flow {flow}"),
                    FlowFailure::Unreachable => {
                        format!("flow {flow} to {domain} is down: unreachable, refused or broken")
                    }
                    FlowFailure::Certificate(problem) => {
                        format!("flow {flow} to {domain} is down: its certificate: {problem}")
                    }
                    FlowFailure::Tls(problem) => {
                        format!("flow {flow} to {domain} is down: TLS: {problem}")
                    }
                });
            }
            FlowEvent::Malformed { flow, error } => {
                let kind = error.kind();
                self.note(LogLevel::Debug, "flow", || format!("flow {flow}: malformed: {kind}"));
            }
            FlowEvent::Message { .. } => {}
        }
    }

    pub(super) fn log_transaction_failure(&mut self, method: &Method, failure: Failure) {
        self.note(LogLevel::Warn, "transaction", || match failure {
            Failure::Timeout => format!("{method}: no answer in time"),
            Failure::TransportError => format!("{method}: the connection cannot deliver it"),
        });
    }

    pub(super) fn log_refusal(&mut self, method: &Method, status: u16) {
        self.note(LogLevel::Debug, "call", || format!("{method} is refused with {status}"));
    }

    pub(super) fn log_domain_policy(&mut self, domain: &str, policy: SecurityPolicy) {
        self.note(LogLevel::Info, "policy", || format!("{domain}: {policy}"));
    }
}

fn ended(reason: &EndReason) -> String {
    match reason {
        EndReason::LocalHangUp => String::from("we hung up"),
        EndReason::RemoteHangUp => String::from("the far end hung up"),
        EndReason::Cancelled => String::from("we gave up"),
        EndReason::RemoteCancelled => String::from("the caller gave up"),
        EndReason::Rejected(status) => format!("we rejected it with {status}"),
        EndReason::Refused { status, .. } => format!("the far end refused with {status}"),
        EndReason::NoAnswer => String::from("nobody answered"),
        EndReason::Failed(reason) => format!("{reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn what_is_not_wanted_is_not_even_formatted() {
        let mut log = Log::new(LogLevel::Warn);
        log.note(Instant::from_millis(1), LogLevel::Info, "call", || unreachable!());
        log.note(Instant::from_millis(2), LogLevel::Error, "call", || "bad".to_string());
        let record = log.records.pop().unwrap();
        assert_eq!((record.at.as_micros(), record.text.as_str()), (2_000, "bad"));
        assert!(log.records.pop().is_none());
    }

    #[test]
    fn the_far_end_cannot_forge_lines_or_fill_the_memory() {
        let mut log = Log::new(LogLevel::Debug);
        for _ in 0..MAX_RECORDS + 3 {
            let text = || "x\r\nforged\u{1b}[31m".to_string() + &"y".repeat(1_000);
            log.note(Instant::from_millis(1), LogLevel::Debug, "flow", text);
        }
        assert_eq!((log.records.len(), log.dropped()), (MAX_RECORDS, 3));
        let text = log.records.pop().unwrap().text;
        assert_eq!(text.chars().count(), MAX_TEXT);
        assert!(!text.chars().any(char::is_control), "{text}");
    }
}

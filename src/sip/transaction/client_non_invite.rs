//! The non-INVITE client transaction (RFC 3261 §17.1.2, figure 6).

use super::action::{Action, Actions, Failure};
use super::timers::{Backoff, Timers, earliest, is_due};
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// The machine of a request other than INVITE and ACK that we sent.
#[derive(Clone, Debug)]
pub struct ClientNonInvite {
    state: State,
    timers: Timers,
    reliable: bool,
    /// Timer E: retransmits the request over unreliable transports.
    retransmit: Option<Backoff>,
    /// Timer F until the final response, K afterwards.
    end: Option<Instant>,
}

impl ClientNonInvite {
    /// The machine of a request that the caller sends at `now`.
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        Self {
            state: State::Trying,
            timers,
            reliable,
            retransmit: (!reliable).then(|| Backoff::start(now, timers.t1())),
            end: Some(now + timers.give_up()),
        }
    }

    /// A response that matches the transaction.
    pub fn handle_response(&mut self, now: Instant, status: u16) -> Actions {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Actions::one(Action::PassUp)
            }
            (State::Trying | State::Proceeding, 200..=699) => {
                self.retransmit = None;
                if self.reliable {
                    (self.state, self.end) = (State::Terminated, None);
                    return Actions::two(Action::PassUp, Action::Terminate);
                }
                (self.state, self.end) = (State::Completed, Some(now + self.timers.t4()));
                Actions::one(Action::PassUp)
            }
            _ => Actions::NONE,
        }
    }

    /// The transport cannot deliver the request. Once the final response is there, nothing is
    /// left to deliver.
    pub fn handle_transport_error(&mut self) -> Actions {
        match self.state {
            State::Trying | State::Proceeding => self.fail(Failure::TransportError),
            State::Completed | State::Terminated => Actions::NONE,
        }
    }

    /// Does what is due. At most one retransmission per call, so a late call makes no burst.
    pub fn handle_timeout(&mut self, now: Instant) -> Actions {
        if is_due(self.end, now) {
            if self.state != State::Completed {
                return self.fail(Failure::Timeout);
            }
            (self.state, self.end) = (State::Terminated, None);
            return Actions::one(Action::Terminate);
        }
        let t2 = self.timers.t2();
        let proceeding = self.state == State::Proceeding;
        match &mut self.retransmit {
            Some(e) if e.due() <= now => {
                if proceeding {
                    *e = Backoff::start(now, t2);
                } else {
                    e.advance(now, t2);
                }
                Actions::one(Action::Transmit)
            }
            _ => Actions::NONE,
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        earliest(self.retransmit.as_ref().map(Backoff::due), self.end)
    }

    /// True until the final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn fail(&mut self, why: Failure) -> Actions {
        (self.state, self.end, self.retransmit) = (State::Terminated, None, None);
        Actions::two(Action::Fail(why), Action::Terminate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, run};
    use super::*;

    fn start(reliable: bool) -> ClientNonInvite {
        ClientNonInvite::new(Instant::ZERO, Timers::default(), reliable)
    }

    #[test]
    fn an_unanswered_request_goes_out_eleven_times_and_times_out_after_64_t1() {
        let mut m = start(false);
        let seen = run(&mut m, |m| m.next_timeout(), |m, now| m.handle_timeout(now));
        let sent = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
            .map(|t| (at(t), Action::Transmit));
        assert_eq!(seen[..10], sent);
        assert_eq!(
            seen[10..],
            [(at(32000), Action::Fail(Failure::Timeout)), (at(32000), Action::Terminate)]
        );
    }

    #[test]
    fn after_a_provisional_it_goes_out_every_t2_until_timer_f() {
        let mut m = start(false);
        assert_eq!(m.handle_response(at(600), 100), Actions::one(Action::PassUp));
        assert!(m.handle_timeout(at(500)).into_iter().eq([Action::Transmit]));
        assert_eq!(m.next_timeout(), Some(at(4500)));
        let seen = run(&mut m, |m| m.next_timeout(), |m, now| m.handle_timeout(now));
        let times: Vec<_> = seen.iter().map(|(t, _)| *t).collect();
        let expected = [4500, 8500, 12500, 16500, 20500, 24500, 28500, 32000, 32000].map(at);
        assert_eq!(times, expected);
    }

    #[test]
    fn a_final_response_is_passed_once_and_absorbed_for_t4() {
        for first in [None, Some(100)] {
            let mut m = start(false);
            if let Some(s) = first {
                m.handle_response(at(1), s);
            }
            assert_eq!(m.handle_response(at(100), 401), Actions::one(Action::PassUp));
            assert_eq!(m.handle_response(at(200), 401), Actions::NONE);
            assert_eq!(m.handle_response(at(200), 100), Actions::NONE);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
            assert_eq!(m.next_timeout(), Some(at(5100)));
            assert_eq!(m.handle_timeout(at(5100)), Actions::one(Action::Terminate));
            assert_eq!(m.next_timeout(), None);
        }
    }

    #[test]
    fn a_reliable_transport_neither_retransmits_nor_waits() {
        let mut m = start(true);
        assert_eq!(m.next_timeout(), Some(at(32000)));
        let done = Actions::two(Action::PassUp, Action::Terminate);
        assert_eq!(m.handle_response(at(1), 200), done);
        assert!(m.is_terminated());
    }

    #[test]
    fn a_transport_error_is_told_once() {
        for status in [None, Some(100)] {
            let mut m = start(true);
            if let Some(s) = status {
                m.handle_response(at(1), s);
            }
            let failed = Actions::two(Action::Fail(Failure::TransportError), Action::Terminate);
            assert_eq!(m.handle_transport_error(), failed);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
        }
    }
}

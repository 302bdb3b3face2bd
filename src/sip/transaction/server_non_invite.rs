//! The non-INVITE server transaction (RFC 3261 §17.2.2, figure 8).

use super::action::{Action, Actions, Failure};
use super::timers::{Timers, is_due};
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

/// The machine of a request other than INVITE and ACK that came in.
#[derive(Clone, Debug)]
pub struct ServerNonInvite {
    state: State,
    timers: Timers,
    reliable: bool,
    /// Timer J once completed. Before that the 64*T1 after which the client has given up
    /// (its timer F), so that a TU that never answers keeps nothing alive; an answer would be
    /// of no use by then (RFC 4320 §4.2).
    end: Option<Instant>,
}

impl ServerNonInvite {
    /// The machine of a request that came in at `now` and goes to the TU.
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        Self { state: State::Trying, timers, reliable, end: Some(now + timers.give_up()) }
    }

    /// The request came in again.
    pub fn handle_retransmission(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Completed => Actions::one(Action::Transmit),
            State::Trying | State::Terminated => Actions::NONE,
        }
    }

    /// The TU answers. `None` if this answer is no longer possible: the final response is given.
    pub fn respond(&mut self, now: Instant, status: u16) -> Option<Actions> {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                self.state = State::Proceeding;
                Some(Actions::one(Action::Transmit))
            }
            (State::Trying | State::Proceeding, 200..=699) if self.reliable => {
                (self.state, self.end) = (State::Terminated, None);
                Some(Actions::two(Action::Transmit, Action::Terminate))
            }
            (State::Trying | State::Proceeding, 200..=699) => {
                (self.state, self.end) = (State::Completed, Some(now + self.timers.give_up()));
                Some(Actions::one(Action::Transmit))
            }
            _ => None,
        }
    }

    /// The transport cannot deliver a response.
    pub fn handle_transport_error(&mut self) -> Actions {
        if self.is_terminated() {
            return Actions::NONE;
        }
        self.fail(Failure::TransportError)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Actions {
        if !is_due(self.end, now) {
            return Actions::NONE;
        }
        if self.state != State::Completed {
            return self.fail(Failure::Timeout);
        }
        (self.state, self.end) = (State::Terminated, None);
        Actions::one(Action::Terminate)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.end
    }

    /// True until the TU's final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn fail(&mut self, why: Failure) -> Actions {
        (self.state, self.end) = (State::Terminated, None);
        Actions::two(Action::Fail(why), Action::Terminate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::at;
    use super::*;

    const TRANSMIT: Actions = Actions::one(Action::Transmit);

    fn start(reliable: bool) -> ServerNonInvite {
        ServerNonInvite::new(Instant::ZERO, Timers::default(), reliable)
    }

    #[test]
    fn a_retransmission_gets_the_latest_response_or_nothing() {
        let mut m = start(false);
        assert_eq!(m.handle_retransmission(), Actions::NONE);
        assert_eq!(m.respond(at(1), 100), Some(TRANSMIT));
        assert_eq!(m.respond(at(2), 182), Some(TRANSMIT));
        assert_eq!(m.handle_retransmission(), TRANSMIT);
        assert_eq!(m.respond(at(100), 200), Some(TRANSMIT));
        assert_eq!(m.handle_retransmission(), TRANSMIT);
        assert_eq!(m.respond(at(101), 500), None);
        assert_eq!(m.respond(at(101), 100), None);
        assert_eq!(m.next_timeout(), Some(at(32100)));
        assert_eq!(m.handle_timeout(at(32099)), Actions::NONE);
        assert_eq!(m.handle_timeout(at(32100)), Actions::one(Action::Terminate));
        assert_eq!(m.handle_retransmission(), Actions::NONE);
    }

    #[test]
    fn timer_j_is_zero_over_a_reliable_transport() {
        let mut m = start(true);
        let done = Actions::two(Action::Transmit, Action::Terminate);
        assert_eq!(m.respond(at(1), 404), Some(done));
        assert_eq!(m.next_timeout(), None);
        assert!(m.is_terminated());
    }

    #[test]
    fn a_tu_that_never_answers_is_told_when_the_client_has_given_up() {
        for status in [None, Some(100)] {
            let mut m = start(false);
            if let Some(s) = status {
                m.respond(at(5), s);
            }
            assert_eq!(m.next_timeout(), Some(at(32000)));
            let failed = Actions::two(Action::Fail(Failure::Timeout), Action::Terminate);
            assert_eq!(m.handle_timeout(at(32000)), failed);
        }
    }

    #[test]
    fn a_transport_error_is_told_once() {
        for status in [None, Some(100), Some(200)] {
            let mut m = start(false);
            if let Some(s) = status {
                m.respond(at(5), s);
            }
            let failed = Actions::two(Action::Fail(Failure::TransportError), Action::Terminate);
            assert_eq!(m.handle_transport_error(), failed);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
        }
    }
}

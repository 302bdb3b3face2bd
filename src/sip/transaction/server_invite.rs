//! The INVITE server transaction (RFC 3261 §17.2.1 figure 7, with RFC 6026's Accepted state).

use super::action::{Action, Actions, Failure};
use super::timers::{Backoff, Timers, earliest, is_due};
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
    Terminated,
}

/// The machine of an INVITE that came in.
#[derive(Clone, Debug)]
pub struct ServerInvite {
    state: State,
    timers: Timers,
    reliable: bool,
    /// A provisional response went out, so there is something to repeat.
    answered: bool,
    failed: bool,
    /// When 100 is sent for a silent TU.
    trying: Option<Instant>,
    /// Timer G: retransmits the final response over unreliable transports.
    retransmit: Option<Backoff>,
    /// Timer L once accepted, H once completed, I once confirmed.
    end: Option<Instant>,
}

impl ServerInvite {
    /// The machine of an INVITE that came in at `now` and goes to the TU.
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            timers,
            reliable,
            answered: false,
            failed: false,
            trying: Some(now + timers.trying()),
            retransmit: None,
            end: None,
        }
    }

    /// The INVITE came in again.
    pub fn handle_retransmission(&mut self) -> Actions {
        match self.state {
            State::Proceeding if !self.answered => self.send_trying(),
            State::Proceeding | State::Completed => Actions::one(Action::Transmit),
            // An accepted INVITE is absorbed: the TU repeats its 2xx by itself.
            State::Accepted | State::Confirmed | State::Terminated => Actions::NONE,
        }
    }

    /// An ACK that matches the transaction.
    pub fn handle_ack(&mut self, now: Instant) -> Actions {
        match self.state {
            State::Completed if self.reliable => {
                self.enter(State::Terminated, None);
                Actions::one(Action::Terminate)
            }
            State::Completed => {
                self.enter(State::Confirmed, Some(now + self.timers.t4()));
                Actions::NONE
            }
            State::Accepted => Actions::one(Action::PassUp),
            State::Proceeding | State::Confirmed | State::Terminated => Actions::NONE,
        }
    }

    /// The TU answers. `None` if this answer is no longer possible: after a final response only
    /// 2xx after 2xx is.
    pub fn respond(&mut self, now: Instant, status: u16) -> Option<Actions> {
        match (self.state, status) {
            (State::Proceeding, 100..=199) => {
                (self.answered, self.trying) = (true, None);
            }
            (State::Proceeding, 200..=299) => {
                self.enter(State::Accepted, Some(now + self.timers.give_up()));
            }
            (State::Proceeding, 300..=699) => {
                self.enter(State::Completed, Some(now + self.timers.give_up()));
                self.retransmit = (!self.reliable).then(|| Backoff::start(now, self.timers.t1()));
            }
            (State::Accepted, 200..=299) => {}
            _ => return None,
        }
        Some(Actions::one(Action::Transmit))
    }

    /// The transport cannot deliver a response. The TU is told, once; the transaction stays to
    /// answer what may still come (RFC 6026).
    pub fn handle_transport_error(&mut self) -> Actions {
        match self.state {
            State::Proceeding | State::Accepted | State::Completed if !self.failed => {
                self.failed = true;
                (self.trying, self.retransmit) = (None, None);
                Actions::one(Action::Fail(Failure::TransportError))
            }
            _ => Actions::NONE,
        }
    }

    /// Does what is due. At most one retransmission per call, so a late call makes no burst.
    pub fn handle_timeout(&mut self, now: Instant) -> Actions {
        if is_due(self.end, now) {
            let unacknowledged = self.state == State::Completed && !self.failed;
            self.enter(State::Terminated, None);
            return if unacknowledged {
                Actions::two(Action::Fail(Failure::Timeout), Action::Terminate)
            } else {
                Actions::one(Action::Terminate)
            };
        }
        if is_due(self.trying, now) {
            return self.send_trying();
        }
        match &mut self.retransmit {
            Some(g) if g.due() <= now => {
                g.advance(now, self.timers.t2());
                Actions::one(Action::Transmit)
            }
            _ => Actions::NONE,
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        let repeat = self.retransmit.as_ref().map(Backoff::due);
        earliest(earliest(repeat, self.end), self.trying)
    }

    /// True until the TU's first final response.
    pub fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn send_trying(&mut self) -> Actions {
        (self.answered, self.trying) = (true, None);
        Actions::one(Action::SendTrying)
    }

    fn enter(&mut self, state: State, end: Option<Instant>) {
        (self.state, self.end) = (state, end);
        (self.trying, self.retransmit) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, run};
    use super::*;

    const TRANSMIT: Actions = Actions::one(Action::Transmit);

    fn start(reliable: bool) -> ServerInvite {
        ServerInvite::new(Instant::ZERO, Timers::default(), reliable)
    }

    #[test]
    fn a_silent_tu_is_covered_by_100_after_200_ms_or_at_the_first_retransmission() {
        let mut m = start(false);
        let seen = run(&mut m, |m| m.next_timeout(), |m, now| m.handle_timeout(now));
        assert_eq!(seen, [(at(200), Action::SendTrying)]);
        assert_eq!(m.handle_retransmission(), TRANSMIT);
        let mut m = start(false);
        assert_eq!(m.handle_retransmission(), Actions::one(Action::SendTrying));
        assert_eq!(m.next_timeout(), None);
        let mut m = start(false);
        assert_eq!(m.respond(at(100), 180), Some(TRANSMIT));
        assert_eq!(m.next_timeout(), None);
        assert_eq!(m.handle_retransmission(), TRANSMIT);
        assert_eq!(m.respond(at(200), 183), Some(TRANSMIT));
        assert_eq!(m.handle_ack(at(201)), Actions::NONE);
        assert!(m.is_pending());
    }

    #[test]
    fn a_2xx_is_accepted_absorbs_the_invite_and_passes_ack_until_timer_l() {
        for reliable in [false, true] {
            let mut m = start(reliable);
            assert_eq!(m.respond(at(100), 200), Some(TRANSMIT));
            assert_eq!(m.handle_retransmission(), Actions::NONE);
            assert_eq!(m.respond(at(600), 200), Some(TRANSMIT));
            assert_eq!(m.respond(at(600), 486), None);
            assert_eq!(m.respond(at(600), 180), None);
            assert_eq!(m.handle_ack(at(700)), Actions::one(Action::PassUp));
            assert_eq!(m.next_timeout(), Some(at(32100)));
            assert_eq!(m.handle_timeout(at(32100)), Actions::one(Action::Terminate));
            assert_eq!(m.handle_ack(at(32101)), Actions::NONE);
        }
    }

    #[test]
    fn an_unacknowledged_refusal_goes_out_eleven_times_until_timer_h() {
        let mut m = start(false);
        m.respond(at(0), 486);
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
    fn timer_g_is_not_set_over_a_reliable_transport_but_timer_h_is() {
        let mut m = start(true);
        m.respond(at(0), 500);
        assert_eq!(m.next_timeout(), Some(at(32000)));
        assert_eq!(m.handle_retransmission(), TRANSMIT);
        assert_eq!(m.handle_ack(at(10)), Actions::one(Action::Terminate));
    }

    #[test]
    fn an_ack_confirms_and_further_ones_are_absorbed_for_t4() {
        let mut m = start(false);
        m.respond(at(0), 404);
        assert_eq!(m.handle_ack(at(100)), Actions::NONE);
        assert_eq!(m.handle_ack(at(200)), Actions::NONE);
        assert_eq!(m.handle_retransmission(), Actions::NONE);
        assert_eq!(m.respond(at(200), 200), None);
        assert_eq!(m.next_timeout(), Some(at(5100)));
        assert_eq!(m.handle_timeout(at(5100)), Actions::one(Action::Terminate));
        assert!(m.is_terminated());
    }

    #[test]
    fn a_transport_error_is_told_once_and_the_transaction_still_ends() {
        let told = Actions::one(Action::Fail(Failure::TransportError));
        for status in [180, 200, 486] {
            let mut m = start(false);
            m.respond(at(0), status);
            assert_eq!(m.handle_transport_error(), told);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
            if status == 180 {
                assert!(m.is_pending());
                m.respond(at(1), 500);
                assert!(m.next_timeout().is_some());
            } else {
                assert_eq!(m.handle_timeout(at(32000)), Actions::one(Action::Terminate));
            }
        }
    }
}

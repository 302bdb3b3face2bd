//! The INVITE client transaction (RFC 3261 §17.1.1 figure 5, with RFC 6026's Accepted state).

use core::time::Duration;

use super::action::{Action, Actions, Failure};
use super::timers::{Backoff, Timers, earliest, is_due};
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
    Terminated,
}

/// Where the wish to cancel stands (RFC 3261 §9.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cancel {
    No,
    /// Wished for, but no provisional response has allowed it yet.
    Wanted,
    Sent,
}

/// The machine of an INVITE that we sent.
#[derive(Clone, Debug)]
pub struct ClientInvite {
    state: State,
    timers: Timers,
    reliable: bool,
    cancel: Cancel,
    /// Timer A: retransmits the INVITE over unreliable transports.
    retransmit: Option<Backoff>,
    /// Timer B while calling, D once completed, M once accepted; after a CANCEL the 64*T1 that
    /// §9.1 grants the final response.
    end: Option<Instant>,
}

impl ClientInvite {
    /// The machine of an INVITE that the caller sends at `now`.
    pub fn new(now: Instant, timers: Timers, reliable: bool) -> Self {
        Self {
            state: State::Calling,
            timers,
            reliable,
            cancel: Cancel::No,
            retransmit: (!reliable).then(|| Backoff::start(now, timers.t1())),
            end: Some(now + timers.give_up()),
        }
    }

    /// A response that matches the transaction.
    pub fn handle_response(&mut self, now: Instant, status: u16) -> Actions {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => self.provisional(now),
            (State::Calling | State::Proceeding, 200..=299) => {
                self.enter(State::Accepted, Some(now + self.timers.give_up()));
                Actions::one(Action::PassUp)
            }
            (State::Calling | State::Proceeding, 300..=699) => {
                if self.reliable {
                    self.enter(State::Terminated, None);
                    return Actions::three(Action::TransmitAck, Action::PassUp, Action::Terminate);
                }
                self.enter(State::Completed, Some(now + self.timers.timer_d()));
                Actions::two(Action::TransmitAck, Action::PassUp)
            }
            // Retransmissions and the 2xx of other forks: each is the TU's to acknowledge.
            (State::Accepted, 200..=299) => Actions::one(Action::PassUp),
            (State::Completed, 300..=699) => Actions::one(Action::TransmitAck),
            _ => Actions::NONE,
        }
    }

    fn provisional(&mut self, now: Instant) -> Actions {
        if self.state == State::Calling {
            self.enter(State::Proceeding, None);
        }
        if self.cancel == Cancel::Wanted {
            self.cancelling(now);
            return Actions::two(Action::PassUp, Action::SendCancel);
        }
        Actions::one(Action::PassUp)
    }

    fn cancelling(&mut self, now: Instant) {
        self.cancel = Cancel::Sent;
        self.end = Some(now + self.timers.give_up());
    }

    /// The TU wants the INVITE cancelled: at once if a provisional response came, else as soon as
    /// one comes; not at all once the INVITE has its final response (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Instant) -> Actions {
        match (self.state, self.cancel) {
            (State::Calling, Cancel::No) => {
                self.cancel = Cancel::Wanted;
                Actions::NONE
            }
            (State::Proceeding, Cancel::No) => {
                self.cancelling(now);
                Actions::one(Action::SendCancel)
            }
            _ => Actions::NONE,
        }
    }

    /// The transport cannot deliver the INVITE or its ACK (RFC 3261 §17.1.4). An accepted INVITE
    /// has nothing left to send, so it stays to absorb what may still come.
    pub fn handle_transport_error(&mut self) -> Actions {
        match self.state {
            State::Accepted | State::Terminated => Actions::NONE,
            _ => self.fail(Failure::TransportError),
        }
    }

    /// Does what is due. At most one retransmission per call, so a late call makes no burst.
    pub fn handle_timeout(&mut self, now: Instant) -> Actions {
        if is_due(self.end, now) {
            return match self.state {
                State::Calling | State::Proceeding => self.fail(Failure::Timeout),
                State::Accepted | State::Completed => {
                    self.enter(State::Terminated, None);
                    Actions::one(Action::Terminate)
                }
                State::Terminated => Actions::NONE,
            };
        }
        match &mut self.retransmit {
            Some(a) if a.due() <= now => {
                a.advance(now, Duration::MAX);
                Actions::one(Action::Transmit)
            }
            _ => Actions::NONE,
        }
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_timeout(&self) -> Option<Instant> {
        earliest(self.retransmit.as_ref().map(Backoff::due), self.end)
    }

    /// True until the first final response.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// True once the transaction is over.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn enter(&mut self, state: State, end: Option<Instant>) {
        (self.state, self.end, self.retransmit) = (state, end, None);
    }

    fn fail(&mut self, why: Failure) -> Actions {
        self.enter(State::Terminated, None);
        Actions::two(Action::Fail(why), Action::Terminate)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, run};
    use super::*;

    fn start(reliable: bool) -> ClientInvite {
        ClientInvite::new(Instant::ZERO, Timers::default(), reliable)
    }

    #[test]
    fn an_unanswered_invite_goes_out_seven_times_and_times_out_after_64_t1() {
        let mut m = start(false);
        let seen = run(&mut m, |m| m.next_timeout(), |m, now| m.handle_timeout(now));
        let sent = [500, 1500, 3500, 7500, 15500, 31500].map(|t| (at(t), Action::Transmit));
        assert_eq!(seen[..6], sent);
        assert_eq!(
            seen[6..],
            [(at(32000), Action::Fail(Failure::Timeout)), (at(32000), Action::Terminate)]
        );
    }

    #[test]
    fn a_reliable_transport_has_timer_b_only() {
        let mut m = start(true);
        let seen = run(&mut m, |m| m.next_timeout(), |m, now| m.handle_timeout(now));
        assert_eq!(
            seen,
            [(at(32000), Action::Fail(Failure::Timeout)), (at(32000), Action::Terminate)]
        );
    }

    #[test]
    fn a_provisional_response_stops_timers_a_and_b() {
        let mut m = start(false);
        assert_eq!(m.handle_response(at(100), 180), Actions::one(Action::PassUp));
        assert_eq!(m.next_timeout(), None);
        assert_eq!(m.handle_response(at(200), 183), Actions::one(Action::PassUp));
        assert!(m.is_pending());
    }

    #[test]
    fn a_2xx_is_accepted_and_every_further_2xx_reaches_the_tu_until_timer_m() {
        for provisional in [false, true] {
            let mut m = start(false);
            if provisional {
                m.handle_response(at(10), 100);
            }
            assert_eq!(m.handle_response(at(100), 200), Actions::one(Action::PassUp));
            assert_eq!(m.handle_response(at(600), 200), Actions::one(Action::PassUp));
            assert_eq!(m.handle_response(at(700), 180), Actions::NONE);
            assert_eq!(m.handle_response(at(700), 486), Actions::NONE);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
            assert_eq!(m.next_timeout(), Some(at(32100)));
            assert_eq!(m.handle_timeout(at(32100)), Actions::one(Action::Terminate));
            assert!(m.is_terminated());
            assert_eq!(m.handle_response(at(32101), 200), Actions::NONE);
        }
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_until_timer_d() {
        for status in [300, 486, 503, 603] {
            let mut m = start(false);
            assert_eq!(
                m.handle_response(at(100), status),
                Actions::two(Action::TransmitAck, Action::PassUp)
            );
            assert_eq!(m.handle_response(at(600), status), Actions::one(Action::TransmitAck));
            assert_eq!(m.handle_response(at(600), 200), Actions::NONE);
            assert_eq!(m.next_timeout(), Some(at(32100)));
            assert_eq!(m.handle_timeout(at(32100)), Actions::one(Action::Terminate));
        }
    }

    #[test]
    fn timer_d_is_zero_over_a_reliable_transport_and_never_below_32_s_otherwise() {
        let mut m = start(true);
        assert_eq!(
            m.handle_response(at(0), 404),
            Actions::three(Action::TransmitAck, Action::PassUp, Action::Terminate)
        );
        let fast = Timers::new(Duration::from_millis(10), Timers::SHORTEST, Timers::SHORTEST);
        let mut m = ClientInvite::new(Instant::ZERO, fast, false);
        m.handle_response(at(0), 404);
        assert_eq!(m.next_timeout(), Some(at(32000)));
    }

    #[test]
    fn a_transport_error_ends_it_in_each_state_but_accepted() {
        let failed = Actions::two(Action::Fail(Failure::TransportError), Action::Terminate);
        for statuses in [&[][..], &[180], &[180, 486]] {
            let mut m = start(false);
            for s in statuses {
                m.handle_response(at(1), *s);
            }
            assert_eq!(m.handle_transport_error(), failed);
            assert_eq!(m.handle_transport_error(), Actions::NONE);
        }
    }

    #[test]
    fn cancel_waits_for_a_provisional_response() {
        let mut m = start(false);
        assert_eq!(m.cancel(at(10)), Actions::NONE);
        assert_eq!(
            m.handle_response(at(100), 100),
            Actions::two(Action::PassUp, Action::SendCancel)
        );
        assert_eq!(m.cancel(at(110)), Actions::NONE);
        assert_eq!(m.handle_response(at(120), 180), Actions::one(Action::PassUp));
        assert_eq!(m.next_timeout(), Some(at(32100)));
        assert_eq!(
            m.handle_timeout(at(32100)),
            Actions::two(Action::Fail(Failure::Timeout), Action::Terminate)
        );
    }

    #[test]
    fn cancel_after_a_provisional_goes_out_once_and_after_a_final_not_at_all() {
        let mut m = start(false);
        m.handle_response(at(100), 180);
        assert_eq!(m.cancel(at(200)), Actions::one(Action::SendCancel));
        assert_eq!(m.cancel(at(201)), Actions::NONE);
        // The crossing 200 wins: accepted, and the TU has to ACK and BYE.
        assert_eq!(m.handle_response(at(210), 200), Actions::one(Action::PassUp));
        let mut m = start(false);
        assert_eq!(m.cancel(at(10)), Actions::NONE);
        assert_eq!(m.handle_response(at(20), 200), Actions::one(Action::PassUp));
        assert_eq!(m.cancel(at(30)), Actions::NONE);
        let mut m = start(false);
        m.handle_response(at(20), 486);
        assert_eq!(m.cancel(at(30)), Actions::NONE);
    }
}

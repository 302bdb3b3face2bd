//! The way to a server: from a URI over DNS answers and candidates to a flow that works.
//!
//! One [`Route`] serves one account or one call. It walks the candidates of RFC 3263 in order, the
//! ladder; a candidate that cannot be reached makes way for the next one, a certificate that does
//! not verify ends the walk: an attacker on the path must not be able to push a call off TLS by
//! showing one. Each step is recorded with its outcome, and the walk is bounded in steps and time.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::dns::DnsAnswer;
use super::resolve::{Candidate, Question, Resolution, ResolveError};
use super::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::util::Rng;
use crate::wire::sip::UriRef;

/// Steps of one ladder that are recorded at most.
pub const MAX_STEPS: usize = 16;
/// How long a walk may go on to further candidates.
const WALK_LIMIT: Duration = Duration::from_secs(60);

/// One candidate that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LadderStep {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// What came of it.
    pub outcome: StepOutcome,
}

/// What came of a candidate.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StepOutcome {
    /// It is being tried.
    Trying,
    /// It is used.
    Up,
    /// The connection was refused or broken off.
    Refused,
    /// No connection in time.
    TimedOut,
    /// No TLS there, or none that we speak.
    Tls(String),
    /// A certificate that does not verify.
    Certificate(String),
    /// It took requests and did not serve them: no answer in time, or 503.
    Unserved,
}

impl core::fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Trying => f.write_str("being tried"),
            Self::Up => f.write_str("connected"),
            Self::Refused => f.write_str("refused"),
            Self::TimedOut => f.write_str("no answer"),
            Self::Tls(why) => write!(f, "no TLS: {why}"),
            Self::Certificate(why) => write!(f, "certificate not accepted: {why}"),
            Self::Unserved => f.write_str("did not serve"),
        }
    }
}

/// What a route wants now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteAction {
    /// Ask the DNS.
    Ask(Question),
    /// Open a flow to this candidate, for [`Route::domain`].
    Open(Candidate),
    /// The flow is up: send.
    Ready(FlowId),
    /// No candidate is left.
    Failed(RouteFailure),
}

/// Why there is no way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteFailure {
    /// The DNS has no server for the name.
    NameNotFound,
    /// No candidate could be reached.
    Unreachable,
    /// A certificate did not verify.
    Certificate(String),
    /// The TLS handshake failed otherwise.
    Tls(String),
}

/// Why a flow could not be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlowFailure {
    /// Refused, or broken off.
    Unreachable,
    /// Nobody answered in time.
    TimedOut,
    /// The certificate did not verify: the walk ends.
    Certificate(String),
    /// The TLS handshake failed, for example because the far end speaks none.
    Tls(String),
}

#[derive(Debug)]
enum State {
    Resolving {
        asked: bool,
    },
    /// A candidate is to be opened, or is being opened.
    Opening {
        flow: Option<FlowId>,
        announced: bool,
    },
    Up {
        flow: FlowId,
        announced: bool,
    },
    Failed {
        reason: RouteFailure,
        announced: bool,
    },
}

/// The way to one server.
#[derive(Debug)]
pub struct Route {
    resolution: Resolution,
    next: usize,
    /// A place that has failed already.
    avoid: Option<Candidate>,
    state: State,
    last: Option<RouteFailure>,
    steps: Vec<LadderStep>,
    /// When no further candidate is tried; set by the first step.
    until: Option<Instant>,
    /// A certificate that does not verify is only one more candidate that is no good.
    lenient: bool,
}

impl Route {
    /// A route to the server of `uri` over the allowed transports, preferred ones first.
    pub fn new(uri: UriRef<'_>, allowed: &[Transport]) -> Result<Self, ResolveError> {
        let resolution = Resolution::new(uri, allowed)?;
        Ok(Self {
            resolution,
            next: 0,
            avoid: None,
            state: State::Resolving { asked: false },
            last: None,
            steps: Vec::new(),
            until: None,
            lenient: false,
        })
    }

    /// Goes on past a certificate that does not verify: for a domain without any policy.
    pub fn set_lenient(&mut self) {
        self.lenient = true;
    }

    /// The far end is at an address, and who it is was verified before: its certificate must be for
    /// this domain, instead of for the address, which certificates do not name (RFC 5922 §7.1).
    pub fn verify_as(&mut self, domain: &str) {
        self.resolution.verify_as(domain);
    }

    /// The candidates tried so far, in order.
    pub fn steps(&self) -> &[LadderStep] {
        &self.steps
    }

    /// Leaves one candidate out: it has failed already.
    pub fn avoid(&mut self, transport: Transport, address: SocketAddr) {
        self.avoid = Some(Candidate { transport, address });
    }

    /// True while it is under way: no flow yet, and not failed.
    pub fn is_looking(&self) -> bool {
        matches!(self.state, State::Resolving { .. } | State::Opening { .. })
    }

    /// True if there is another candidate to advance to.
    pub fn has_next(&self) -> bool {
        let rest = self.resolution.candidates().get(self.next..).unwrap_or(&[]);
        rest.iter().any(|c| Some(*c) != self.avoid)
    }

    /// The domain that the certificate must prove.
    pub fn domain(&self) -> &str {
        self.resolution.domain()
    }

    /// The flow, while it is up.
    pub fn flow(&self) -> Option<FlowId> {
        match self.state {
            State::Up { flow, .. } => Some(flow),
            _ => None,
        }
    }

    /// The flow that is being opened or is up.
    pub fn current_flow(&self) -> Option<FlowId> {
        match self.state {
            State::Opening { flow, .. } => flow,
            State::Up { flow, .. } => Some(flow),
            _ => None,
        }
    }

    /// What to do next; each action is given once.
    pub fn poll(&mut self, now: Instant) -> Option<RouteAction> {
        if let State::Resolving { asked } = &mut self.state {
            match self.resolution.question() {
                Some(_) if *asked => return None,
                Some(question) => {
                    *asked = true;
                    return Some(RouteAction::Ask(question));
                }
                None => self.open_next(now),
            }
        }
        match &mut self.state {
            State::Opening { announced, .. } if !*announced => {
                *announced = true;
                let at = self.next.saturating_sub(1);
                let candidate = self.resolution.candidates().get(at).copied()?;
                if self.steps.len() < MAX_STEPS {
                    let Candidate { transport, address } = candidate;
                    let outcome = StepOutcome::Trying;
                    self.steps.push(LadderStep { transport, address, outcome });
                }
                Some(RouteAction::Open(candidate))
            }
            State::Up { flow, announced } if !*announced => {
                *announced = true;
                Some(RouteAction::Ready(*flow))
            }
            State::Failed { reason, announced } if !*announced => {
                *announced = true;
                Some(RouteAction::Failed(reason.clone()))
            }
            _ => None,
        }
    }

    fn outcome(&mut self, outcome: StepOutcome) {
        if let Some(step) = self.steps.last_mut() {
            step.outcome = outcome;
        }
    }

    fn open_next(&mut self, now: Instant) {
        let until = *self.until.get_or_insert(now + WALK_LIMIT);
        let candidates = self.resolution.candidates();
        while self.avoid.is_some() && candidates.get(self.next).copied() == self.avoid {
            self.next = self.next.saturating_add(1);
        }
        if self.next < candidates.len() && self.next < MAX_STEPS && now < until {
            self.next = self.next.saturating_add(1);
            self.state = State::Opening { flow: None, announced: false };
            return;
        }
        let reason = self.last.clone().unwrap_or(if self.resolution.candidates().is_empty() {
            RouteFailure::NameNotFound
        } else {
            RouteFailure::Unreachable
        });
        self.state = State::Failed { reason, announced: false };
    }

    /// The answer to [`RouteAction::Ask`].
    pub fn handle_answer(&mut self, answer: &DnsAnswer, rng: &mut dyn Rng) {
        if let State::Resolving { asked } = &mut self.state {
            *asked = false;
            self.resolution.handle_answer(answer, rng);
        }
    }

    /// [`RouteAction::Open`] is being carried out by this flow; it may be up already.
    pub fn handle_opening(&mut self, flow: FlowId, up: bool) {
        if let State::Opening { .. } = self.state {
            self.state = State::Opening { flow: Some(flow), announced: true };
            if up {
                self.handle_up(flow);
            }
        }
    }

    /// A flow came up.
    pub fn handle_up(&mut self, flow: FlowId) {
        if matches!(self.state, State::Opening { flow: Some(f), .. } if f == flow) {
            self.state = State::Up { flow, announced: false };
            self.outcome(StepOutcome::Up);
        }
    }

    /// A flow could not be opened: the next candidate, unless its certificate was bad. One that
    /// breaks after it was up is its user's to replace.
    pub fn handle_down(&mut self, now: Instant, flow: FlowId, why: &FlowFailure) {
        if !matches!(self.state, State::Opening { flow: Some(f), .. } if f == flow) {
            return;
        }
        let (reason, outcome) = match why {
            FlowFailure::Certificate(problem) => {
                let reason = RouteFailure::Certificate(problem.to_string());
                (reason, StepOutcome::Certificate(problem.to_string()))
            }
            FlowFailure::Tls(problem) => {
                (RouteFailure::Tls(problem.to_string()), StepOutcome::Tls(problem.to_string()))
            }
            FlowFailure::Unreachable => (RouteFailure::Unreachable, StepOutcome::Refused),
            FlowFailure::TimedOut => (RouteFailure::Unreachable, StepOutcome::TimedOut),
        };
        self.outcome(outcome);
        if matches!(why, FlowFailure::Certificate(_)) && !self.lenient {
            self.state = State::Failed { reason, announced: false };
        } else {
            self.last = Some(reason);
            self.open_next(now);
        }
    }

    /// The server behind the flow does not answer (time-out, 503): the next candidate
    /// (RFC 3263 §4.3).
    pub fn advance(&mut self, now: Instant) {
        if let State::Up { .. } | State::Opening { .. } = self.state {
            self.last = Some(RouteFailure::Unreachable);
            self.outcome(StepOutcome::Unserved);
            // A server that was asked and kept us waiting does not use up the time of the walk.
            self.until = Some(now + WALK_LIMIT);
            self.open_next(now);
        }
    }

    /// The candidates that were found, in order.
    pub fn candidates(&self) -> Vec<Candidate> {
        self.resolution.candidates().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::Arena;
    use crate::wire::sip::Uri;

    const NOW: Instant = Instant::ZERO;

    fn route(uri: &str) -> Route {
        Route::new(Uri::parse(uri).unwrap().as_ref(), &[Transport::Tls, Transport::Tcp]).unwrap()
    }

    #[test]
    fn an_unreachable_candidate_makes_way_and_each_action_comes_once() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let (a, b) = (flows.insert(()), flows.insert(()));
        let mut r = route("sip:192.0.2.1");
        assert!(matches!(r.poll(NOW), Some(RouteAction::Open(c)) if c.transport == Transport::Tls));
        assert_eq!(r.poll(NOW), None);
        r.handle_opening(a, false);
        r.handle_down(NOW, a, &FlowFailure::Unreachable);
        assert!(matches!(r.poll(NOW), Some(RouteAction::Open(c)) if c.transport == Transport::Tcp));
        r.handle_opening(b, false);
        r.handle_up(a);
        assert_eq!(r.poll(NOW), None);
        r.handle_up(b);
        assert_eq!(r.poll(NOW), Some(RouteAction::Ready(b)));
        assert_eq!((r.poll(NOW), r.flow()), (None, Some(b)));
        r.advance(NOW);
        assert_eq!(r.poll(NOW), Some(RouteAction::Failed(RouteFailure::Unreachable)));
    }

    #[test]
    fn a_bad_certificate_ends_the_walk() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let a = flows.insert(());
        let mut r = route("sip:192.0.2.1");
        assert!(r.poll(NOW).is_some());
        r.handle_opening(a, false);
        r.handle_down(NOW, a, &FlowFailure::Certificate("expired".into()));
        let failed = RouteAction::Failed(RouteFailure::Certificate("expired".into()));
        assert_eq!((r.poll(NOW), r.poll(NOW)), (Some(failed), None));
    }

    #[test]
    fn each_step_is_recorded_and_the_walk_is_bounded_in_time() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let (a, b) = (flows.insert(()), flows.insert(()));
        for (late, outcome) in [(10, StepOutcome::Up), (70, StepOutcome::TimedOut)] {
            let mut r = route("sip:192.0.2.1");
            assert!(matches!(r.poll(NOW), Some(RouteAction::Open(_))));
            r.handle_opening(a, false);
            let later = NOW + Duration::from_secs(late);
            r.handle_down(later, a, &FlowFailure::TimedOut);
            let next = r.poll(later);
            r.handle_opening(b, true);
            assert_eq!(matches!(next, Some(RouteAction::Open(_))), late < 60);
            assert_eq!(r.steps().first().unwrap().outcome, StepOutcome::TimedOut);
            assert_eq!(r.steps().last().unwrap().outcome, outcome);
        }
    }

    #[test]
    fn only_a_domain_without_policy_goes_past_a_bad_certificate() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let a = flows.insert(());
        let mut r = route("sip:192.0.2.1");
        r.set_lenient();
        assert!(r.poll(NOW).is_some());
        r.handle_opening(a, false);
        r.handle_down(NOW, a, &FlowFailure::Certificate("expired".into()));
        assert!(matches!(r.poll(NOW), Some(RouteAction::Open(c)) if c.transport == Transport::Tcp));
    }

    #[test]
    fn an_unknown_name_fails_after_its_questions() {
        let mut r = route("sip:nowhere.test");
        let mut rng = crate::util::SeededRng::new(1);
        while let Some(RouteAction::Ask(_)) = r.poll(NOW) {
            r.handle_answer(&DnsAnswer::NotFound, &mut rng);
        }
        assert_eq!(r.poll(NOW), None);
        assert!(matches!(r.state, State::Failed { reason: RouteFailure::NameNotFound, .. }));
    }
}

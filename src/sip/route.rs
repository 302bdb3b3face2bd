//! The way to a server: from a URI over DNS answers and candidates to a flow that works.
//!
//! One [`Route`] serves one account or one call. It walks the candidates of RFC 3263 in order; a
//! candidate that cannot be reached makes way for the next one, a certificate that does not verify
//! ends the walk: an attacker on the path must not be able to push a call off TLS.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::dns::DnsAnswer;
use super::resolve::{Candidate, Question, Resolution, ResolveError};
use super::{FlowId, Transport};
use crate::util::Rng;
use crate::wire::sip::UriRef;

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
    /// Refused, timed out, broken.
    Unreachable,
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
        })
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
    pub fn poll(&mut self) -> Option<RouteAction> {
        if let State::Resolving { asked } = &mut self.state {
            match self.resolution.question() {
                Some(_) if *asked => return None,
                Some(question) => {
                    *asked = true;
                    return Some(RouteAction::Ask(question));
                }
                None => self.open_next(),
            }
        }
        match &mut self.state {
            State::Opening { announced, .. } if !*announced => {
                *announced = true;
                let at = self.next.saturating_sub(1);
                self.resolution.candidates().get(at).copied().map(RouteAction::Open)
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

    fn open_next(&mut self) {
        let candidates = self.resolution.candidates();
        while self.avoid.is_some() && candidates.get(self.next).copied() == self.avoid {
            self.next = self.next.saturating_add(1);
        }
        if self.next < candidates.len() {
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
            self.state = if up {
                State::Up { flow, announced: false }
            } else {
                State::Opening { flow: Some(flow), announced: true }
            };
        }
    }

    /// A flow came up.
    pub fn handle_up(&mut self, flow: FlowId) {
        if matches!(self.state, State::Opening { flow: Some(f), .. } if f == flow) {
            self.state = State::Up { flow, announced: false };
        }
    }

    /// A flow could not be opened: the next candidate, unless its certificate was bad. One that
    /// breaks after it was up is its user's to replace.
    pub fn handle_down(&mut self, flow: FlowId, why: &FlowFailure) {
        if !matches!(self.state, State::Opening { flow: Some(f), .. } if f == flow) {
            return;
        }
        match why {
            FlowFailure::Certificate(problem) => {
                let reason = RouteFailure::Certificate(problem.to_string());
                self.state = State::Failed { reason, announced: false };
            }
            FlowFailure::Tls(problem) => {
                self.last = Some(RouteFailure::Tls(problem.to_string()));
                self.open_next();
            }
            FlowFailure::Unreachable => {
                self.last = Some(RouteFailure::Unreachable);
                self.open_next();
            }
        }
    }

    /// The server behind the flow does not answer (time-out, 503): the next candidate
    /// (RFC 3263 §4.3).
    pub fn advance(&mut self) {
        if let State::Up { .. } | State::Opening { .. } = self.state {
            self.last = Some(RouteFailure::Unreachable);
            self.open_next();
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

    fn route(uri: &str) -> Route {
        Route::new(Uri::parse(uri).unwrap().as_ref(), &[Transport::Tls, Transport::Tcp]).unwrap()
    }

    #[test]
    fn an_unreachable_candidate_makes_way_and_each_action_comes_once() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let (a, b) = (flows.insert(()), flows.insert(()));
        let mut r = route("sip:192.0.2.1");
        assert!(matches!(r.poll(), Some(RouteAction::Open(c)) if c.transport == Transport::Tls));
        assert_eq!(r.poll(), None);
        r.handle_opening(a, false);
        r.handle_down(a, &FlowFailure::Unreachable);
        assert!(matches!(r.poll(), Some(RouteAction::Open(c)) if c.transport == Transport::Tcp));
        r.handle_opening(b, false);
        r.handle_up(a);
        assert_eq!(r.poll(), None);
        r.handle_up(b);
        assert_eq!(r.poll(), Some(RouteAction::Ready(b)));
        assert_eq!((r.poll(), r.flow()), (None, Some(b)));
        r.advance();
        assert_eq!(r.poll(), Some(RouteAction::Failed(RouteFailure::Unreachable)));
    }

    #[test]
    fn a_bad_certificate_ends_the_walk() {
        let mut flows: Arena<super::super::FlowTag, ()> = Arena::default();
        let a = flows.insert(());
        let mut r = route("sip:192.0.2.1");
        assert!(r.poll().is_some());
        r.handle_opening(a, false);
        r.handle_down(a, &FlowFailure::Certificate("expired".into()));
        let failed = RouteAction::Failed(RouteFailure::Certificate("expired".into()));
        assert_eq!((r.poll(), r.poll()), (Some(failed), None));
    }

    #[test]
    fn an_unknown_name_fails_after_its_questions() {
        let mut r = route("sip:nowhere.test");
        let mut rng = crate::util::SeededRng::new(1);
        while let Some(RouteAction::Ask(_)) = r.poll() {
            r.handle_answer(&DnsAnswer::NotFound, &mut rng);
        }
        assert_eq!(r.poll(), None);
        assert!(matches!(r.state, State::Failed { reason: RouteFailure::NameNotFound, .. }));
    }
}

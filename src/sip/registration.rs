//! Registration (RFC 3261 §10): one binding of one account at its registrar, kept alive.
//!
//! The machine sends nothing: it says which REGISTER to send, and is told what came back.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::collections::VecDeque;
use alloc::string::String;

use super::auth::{AuthError, Authorization, Credentials, DigestClient};
use super::backoff::Backoff;
use crate::time::{Duration, Instant};
use crate::util::Rng;
use crate::wire::sip::{HeaderName, Message, MessageBuilder, Method, NameAddr, Uri};

/// The longest expiry that is asked for or believed, in seconds: 30 days.
const MAX_EXPIRES: u32 = 30 * 86_400;
/// The longest Retry-After that is obeyed, in seconds.
const MAX_RETRY_AFTER: u32 = 86_400;
/// RFC 5626 §4.5: base-time and max-time of the back-off, in seconds.
const BACKOFF_BASE: Duration = Duration::from_secs(30);
const BACKOFF_MAX: Duration = Duration::from_secs(1800);
/// How long before its end a binding is refreshed at least, if it lasts long enough: a
/// non-INVITE transaction may take 32 s to fail.
const REFRESH_LEAD: u32 = 32;

/// What a registration needs to know.
#[derive(Debug, Clone)]
pub struct RegistrationConfig {
    /// The Request-URI: the registrar's domain, without a user part.
    pub registrar: Uri,
    /// The address of record, without a tag.
    pub identity: NameAddr,
    /// Our Contact, perhaps with `+sip.instance` and `reg-id`; without `expires`.
    pub contact: NameAddr,
    /// The expiry to ask for, in seconds.
    pub expires: u32,
    /// Globally unique; one for all REGISTERs of this binding.
    pub call_id: String,
    /// The From tag.
    pub from_tag: String,
    /// For challenges.
    pub credentials: Credentials,
}

/// Where the registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrationState {
    /// No binding is wanted.
    Unregistered,
    /// The first REGISTER, or the first after a failure, is on its way.
    Registering,
    /// The binding stands until `expires`, and is refreshed before.
    Registered {
        /// When the registrar forgets the binding.
        expires: Instant,
    },
    /// The last attempt failed.
    Failed {
        /// Why.
        reason: RegistrationFailure,
        /// When it is tried again by itself; `None` means that it is not.
        retry_at: Option<Instant>,
    },
    /// The binding is being removed.
    Unregistering,
}

/// Why a REGISTER failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationFailure {
    /// No response in time (Timer F).
    #[error("the registrar did not answer in time")]
    Timeout,
    /// The request could not be delivered: resolution, connection, TLS.
    #[error("the registrar could not be reached")]
    Transport,
    /// Authentication failed or was not allowed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A final response that refuses.
    #[error("the registrar answered {0}")]
    Rejected(u16),
    /// 423 without a usable Min-Expires, or again after it was obeyed.
    #[error("the registrar accepts no expiry that can be asked for")]
    IntervalTooBrief,
    /// A 200 that does not hold our binding.
    #[error("the registrar did not keep the binding")]
    NotBound,
}

/// What the REGISTER in flight is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Bind,
    Remove,
}

#[derive(Debug)]
struct InFlight {
    cseq: u32,
    purpose: Purpose,
    sent: Authorization,
    contact: NameAddr,
}

/// One binding at one registrar.
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    auth: DigestClient,
    state: RegistrationState,
    changes: VecDeque<RegistrationState>,
    cseq: u32,
    /// What to send as soon as nothing is in flight (RFC 3261 §10.2: one at a time).
    wanted: Option<Purpose>,
    in_flight: Option<InFlight>,
    /// The registrar may hold a binding of ours.
    bound: bool,
    /// A former contact that the next REGISTER removes.
    former: Option<NameAddr>,
    /// The expiry to ask for now, in seconds.
    asking: u32,
    /// 423 was answered once since the last success.
    raised: bool,
    backoff: Backoff,
    timer: Option<Instant>,
}

impl Registration {
    /// A registration that does nothing yet.
    pub fn new(config: RegistrationConfig) -> Self {
        Self {
            auth: DigestClient::new(config.credentials.clone()),
            state: RegistrationState::Unregistered,
            changes: VecDeque::new(),
            cseq: 0,
            wanted: None,
            in_flight: None,
            bound: false,
            former: None,
            asking: config.expires.clamp(1, MAX_EXPIRES),
            raised: false,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_MAX),
            timer: None,
            config,
        }
    }

    /// Where it stands.
    pub const fn state(&self) -> RegistrationState {
        self.state
    }

    /// The Contact that is registered.
    pub const fn contact(&self) -> &NameAddr {
        &self.config.contact
    }

    /// Registers, or registers again at once (after a failure, on a new flow).
    pub fn start(&mut self) {
        self.wanted = Some(Purpose::Bind);
        self.timer = None;
        if !matches!(self.state, RegistrationState::Registered { .. }) {
            self.set_state(RegistrationState::Registering);
        }
    }

    /// Removes the binding. Without one there is nothing to send.
    pub fn stop(&mut self) {
        self.timer = None;
        let binding = matches!(&self.in_flight, Some(f) if f.purpose == Purpose::Bind);
        if self.bound || binding {
            self.wanted = Some(Purpose::Remove);
            self.set_state(RegistrationState::Unregistering);
        } else if self.in_flight.is_none() {
            self.wanted = None;
            self.set_state(RegistrationState::Unregistered);
        }
    }

    /// Our address has changed: if a binding is wanted, the new contact is registered and the
    /// former one removed in the same REGISTER. With a `reg-id` the registrar replaces the
    /// former contact by itself (RFC 5626 §6).
    pub fn update_contact(&mut self, contact: NameAddr) {
        let former = core::mem::replace(&mut self.config.contact, contact);
        let same = former.uri().as_ref().equivalent(self.config.contact.uri().as_ref());
        if self.bound && !same && !former.params().has("reg-id") {
            self.former.get_or_insert(former);
        }
        let unwanted = matches!(
            self.state,
            RegistrationState::Unregistered | RegistrationState::Unregistering
        );
        if !unwanted {
            self.start();
        }
    }

    /// Takes other credentials and, if a binding is wanted, tries with them at once.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.auth.set_credentials(credentials);
        if matches!(self.state, RegistrationState::Failed { .. }) {
            self.start();
        }
    }

    /// Another display name beside the address of record, from the next REGISTER on.
    pub fn set_identity(&mut self, identity: NameAddr) {
        self.config.identity = identity;
    }

    /// The next REGISTER to send, without Via: the caller adds what its flow needs (Via, Route,
    /// Supported) and reports back with [`handle_response`](Self::handle_response) or
    /// [`handle_failure`](Self::handle_failure). `None` while one is in flight.
    pub fn poll_request(&mut self) -> Option<MessageBuilder> {
        if self.in_flight.is_some() {
            return None;
        }
        let purpose = self.wanted.take()?;
        self.cseq = self.cseq.saturating_add(1);
        let uri = &self.config.registrar;
        let sent = self.auth.authorize(Method::Register.as_str(), uri.as_str(), b"");
        let expires = if purpose == Purpose::Bind { self.asking } else { 0 };
        let RegistrationConfig { identity, contact, call_id, from_tag, .. } = &self.config;
        let mut request = MessageBuilder::request(&Method::Register, uri)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, format_args!("{identity};tag={from_tag}"))
            .header(HeaderName::To, identity)
            .header(HeaderName::CallId, call_id)
            .header(HeaderName::CSeq, format_args!("{} REGISTER", self.cseq))
            .header(HeaderName::Contact, format_args!("{contact};expires={expires}"));
        if let Some(former) = &self.former {
            request = request.header(HeaderName::Contact, format_args!("{former};expires=0"));
        }
        request = sent.apply(request.header(HeaderName::Expires, expires));
        let contact = contact.clone();
        self.in_flight = Some(InFlight { cseq: self.cseq, purpose, sent, contact });
        Some(request)
    }

    /// Takes a response; `false` if it does not belong to the REGISTER in flight.
    /// `may_authenticate` says whether the peer may see a Digest answer: it was verified as the
    /// registrar, or policy allows it without.
    pub fn handle_response(
        &mut self,
        now: Instant,
        response: &Message,
        may_authenticate: bool,
        rng: &mut dyn Rng,
    ) -> bool {
        let status = response.status().unwrap_or(0);
        let ours = response.call_id() == self.config.call_id
            && *response.method() == Method::Register
            && self.in_flight.as_ref().is_some_and(|f| f.cseq == response.cseq().number);
        if !ours {
            return false;
        }
        if status < 200 {
            return true;
        }
        let Some(flight) = self.in_flight.take() else { return false };
        if !matches!(status, 401 | 407) {
            self.auth.handle_accepted(&flight.sent);
        }
        match status {
            200..=299 => self.succeed(now, response, &flight, rng),
            401 | 407 => {
                let allowed = |_: &str| may_authenticate;
                match self.auth.handle_challenge(response, &flight.sent, allowed, rng) {
                    Ok(()) => self.again(flight.purpose),
                    Err(error) => self.fail(now, &flight, error.into(), Retry::Never, rng),
                }
            }
            423 => self.raise_expires(now, response, &flight, rng),
            _ => {
                let reason = RegistrationFailure::Rejected(status);
                let retry = retry_of(status, response.retry_after());
                self.fail(now, &flight, reason, retry, rng);
            }
        }
        true
    }

    /// The REGISTER in flight got no final response: it timed out or could not be delivered.
    pub fn handle_failure(&mut self, now: Instant, reason: RegistrationFailure, rng: &mut dyn Rng) {
        if let Some(flight) = self.in_flight.take() {
            self.fail(now, &flight, reason, Retry::Backoff, rng);
        }
    }

    /// The REGISTER in flight is given up: it goes to another server, as soon as the way is there.
    pub fn withdraw(&mut self) {
        if let Some(flight) = self.in_flight.take() {
            self.again(flight.purpose);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub const fn next_timeout(&self) -> Option<Instant> {
        self.timer
    }

    /// Refreshes or retries if it is time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.timer.is_some_and(|at| at <= now) {
            self.start();
        }
    }

    /// The next change of state.
    pub fn poll_change(&mut self) -> Option<RegistrationState> {
        self.changes.pop_front()
    }

    fn set_state(&mut self, state: RegistrationState) {
        if self.state != state {
            self.state = state;
            // Nobody who does not poll makes this grow: only the newest changes are kept.
            if self.changes.len() >= 16 {
                self.changes.pop_front();
            }
            self.changes.push_back(state);
        }
    }

    /// The same request once more, unless the user has asked for something else meanwhile.
    fn again(&mut self, purpose: Purpose) {
        self.wanted.get_or_insert(purpose);
    }

    fn succeed(&mut self, now: Instant, response: &Message, flight: &InFlight, rng: &mut dyn Rng) {
        self.backoff.succeeded();
        self.raised = false;
        if flight.purpose == Purpose::Remove {
            self.bound = false;
            self.former = None;
            if self.wanted.is_none() {
                self.set_state(RegistrationState::Unregistered);
            }
            return;
        }
        let granted = self.granted(response, flight).min(MAX_EXPIRES);
        if granted == 0 {
            self.bound = false;
            let reason = RegistrationFailure::NotBound;
            return self.fail(now, flight, reason, Retry::Backoff, rng);
        }
        self.bound = true;
        if flight.contact == self.config.contact {
            self.former = None;
        }
        if self.wanted == Some(Purpose::Remove) {
            return;
        }
        let lead = (granted / 10).max(REFRESH_LEAD).min(granted / 2);
        let refresh = granted.saturating_sub(lead); // at least half, so never 0
        self.timer = Some(now + seconds(refresh));
        self.set_state(RegistrationState::Registered { expires: now + seconds(granted) });
    }

    /// RFC 3261 §10.2.4: our binding's own `expires`, else Expires, else what was asked for.
    fn granted(&self, response: &Message, flight: &InFlight) -> u32 {
        let instance = flight.contact.params().get("+sip.instance");
        let reg_id = flight.contact.params().get("reg-id");
        let own = response.contacts().find(|contact| {
            let params = contact.params();
            let by_instance = instance.is_some()
                && params.get("+sip.instance") == instance
                && params.get("reg-id") == reg_id;
            by_instance || contact.uri().equivalent(flight.contact.uri().as_ref())
        });
        own.and_then(|contact| contact.params().get("expires"))
            .and_then(|text| text.parse().ok())
            .or_else(|| response.expires())
            .unwrap_or(self.asking)
    }

    fn raise_expires(
        &mut self,
        now: Instant,
        response: &Message,
        flight: &InFlight,
        rng: &mut dyn Rng,
    ) {
        let wanted = response.min_expires().filter(|min| (1..=MAX_EXPIRES).contains(min));
        match wanted {
            Some(min) if !self.raised && min > self.asking && flight.purpose == Purpose::Bind => {
                self.raised = true;
                self.asking = min;
                self.again(Purpose::Bind);
            }
            _ => {
                let reason = RegistrationFailure::IntervalTooBrief;
                self.fail(now, flight, reason, Retry::Never, rng);
            }
        }
    }

    fn fail(
        &mut self,
        now: Instant,
        flight: &InFlight,
        reason: RegistrationFailure,
        retry: Retry,
        rng: &mut dyn Rng,
    ) {
        if flight.purpose == Purpose::Remove {
            // Not worth a fight: the binding runs out by itself.
            self.bound = false;
            self.former = None;
            if self.wanted.is_none() {
                self.set_state(RegistrationState::Unregistered);
            }
            return;
        }
        if self.wanted.is_some() {
            return; // The user wants something else meanwhile: that goes out next.
        }
        let wait = self.backoff.failed(rng);
        let retry_at = match retry {
            Retry::Never => None,
            Retry::After(delay) => Some(now + seconds(delay.clamp(1, MAX_RETRY_AFTER))),
            Retry::Backoff => Some(now + wait),
        };
        self.timer = retry_at;
        self.set_state(RegistrationState::Failed { reason, retry_at });
    }
}

/// Whether and when a failed attempt is repeated without being asked.
#[derive(Debug, Clone, Copy)]
enum Retry {
    Never,
    After(u32),
    Backoff,
}

/// Refusals that waiting cannot cure are final; a server in trouble is asked again.
const fn retry_of(status: u16, retry_after: Option<u32>) -> Retry {
    match (status, retry_after) {
        (404 | 413 | 480 | 486 | 500 | 503 | 600 | 603, Some(delay)) => Retry::After(delay),
        (408 | 430 | 480 | 500..=599, _) => Retry::Backoff,
        _ => Retry::Never,
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}

#[cfg(test)]
mod tests;

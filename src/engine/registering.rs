//! Accounts at work: registered over the way that was found, looked for again when it is lost.

use alloc::string::String;

use super::accounts::AccountEntry;
use super::event::{Event, FailureReason};
use super::post::{Owner, route_failure};
use super::{AccountId, Engine};
use crate::sip::auth::AuthError;
use crate::sip::registration::{
    Registration, RegistrationConfig, RegistrationFailure, RegistrationState,
};
use crate::sip::route::RouteFailure;
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::wire::sip::{HeaderName, Message, NameAddr, Uri};

impl Engine {
    /// The way to an account's server is there: register over it.
    pub(super) fn account_way_ready(&mut self, now: Instant, id: AccountId, flow: FlowId) {
        let (call_id, from_tag) = (self.token(), self.token());
        let Some(contact) = self.account_contact(id, flow) else { return };
        let Some(entry) = self.accounts.get_mut(id) else { return };
        entry.flow = Some(flow);
        let aor = entry.config.aor.as_ref();
        match &mut entry.registration {
            Some(registration) => {
                registration.update_contact(contact);
                registration.start();
            }
            None => {
                let identity = NameAddr::new(entry.config.aor.clone());
                let registrar = Uri::from_parts(aor.scheme(), None, aor.host(), aor.port());
                let mut registration = Registration::new(RegistrationConfig {
                    registrar: registrar.unwrap_or_else(|_| entry.config.aor.clone()),
                    identity: identity
                        .clone()
                        .with_display(&entry.config.display_name)
                        .unwrap_or(identity),
                    contact,
                    expires: u32::try_from(entry.config.expires.as_secs()).unwrap_or(u32::MAX),
                    call_id,
                    from_tag,
                    credentials: entry.credentials(),
                });
                registration.start();
                entry.registration = Some(registration);
            }
        }
        if let Some(route) = &entry.route {
            entry.ladder.steps = route.steps().to_vec();
        }
        let interval = entry.config.keep_alive;
        self.flows.set_keep_alive(now, flow, interval, false, &mut self.rng);
        self.tell_transport(id, flow);
        self.calls_follow(id);
    }

    /// There is no way to the account's server now: try again later.
    pub(super) fn account_way_failed(
        &mut self,
        now: Instant,
        id: AccountId,
        failure: &RouteFailure,
    ) {
        let Some(entry) = self.accounts.get_mut(id) else { return };
        entry.flow = None;
        if let Some(route) = entry.route.take() {
            entry.ladder.steps = route.steps().to_vec();
        }
        // A bad certificate does not get better by asking often.
        let retry_in = entry.backoff.failed(&mut self.rng);
        entry.retry_at = Some(now + retry_in);
        if entry.removing {
            entry.give_up();
        }
        if let Some(registration) = &mut entry.registration {
            registration.handle_failure(now, RegistrationFailure::Transport, &mut self.rng);
            while registration.poll_change().is_some() {}
        }
        let reason = route_failure(failure.clone());
        self.event(Event::RegistrationFailed { account: id, reason, retry_in: Some(retry_in) });
    }

    /// A flow ended: accounts that used it look for a new way.
    pub(super) fn account_flow_down(&mut self, now: Instant, flow: FlowId) {
        for id in self.accounts.ids() {
            let Some(entry) = self.accounts.get_mut(id) else { continue };
            if entry.flow == Some(flow) {
                entry.flow = None;
                entry.route = None;
                let retry_in = entry.backoff.failed(&mut self.rng);
                entry.retry_at = Some(now + retry_in);
                if entry.removing {
                    entry.give_up();
                }
            }
        }
    }

    pub(super) fn account_timeouts(&mut self, now: Instant) {
        for id in self.accounts.ids() {
            let Some(entry) = self.accounts.get_mut(id) else { continue };
            let due = entry.registration.as_ref().and_then(Registration::next_timeout);
            if due.is_some_and(|at| at <= now) {
                self.climb_at_refresh(now, id);
            }
            let Some(entry) = self.accounts.get_mut(id) else { continue };
            if let Some(registration) = &mut entry.registration {
                registration.handle_timeout(now);
            }
            if entry.retry_at.is_some_and(|at| at <= now) {
                entry.retry_at = None;
                let Some(entry) = self.accounts.get(id) else { continue };
                let route = self.route_to_server(entry).ok();
                if let Some(entry) = self.accounts.get_mut(id) {
                    entry.route = route;
                }
            }
        }
    }

    /// REGISTERs to send and changes to tell. True if there was any.
    pub(super) fn account_actions(&mut self, now: Instant) -> bool {
        let mut moved = false;
        for id in self.accounts.ids() {
            let Some(entry) = self.accounts.get_mut(id) else { continue };
            let flow = entry.flow;
            if let Some(flow) = flow
                && let Some(request) =
                    entry.registration.as_mut().and_then(Registration::poll_request)
            {
                moved = true;
                self.send_register(now, id, flow, request);
            }
            while let Some(state) = self
                .accounts
                .get_mut(id)
                .and_then(|e| e.registration.as_mut())
                .and_then(Registration::poll_change)
            {
                moved = true;
                self.registration_changed(now, id, state);
            }
            if self.accounts.get(id).is_some_and(AccountEntry::is_gone) {
                self.account_gone(id);
                moved = true;
            }
        }
        moved
    }

    fn send_register(
        &mut self,
        now: Instant,
        id: AccountId,
        flow: FlowId,
        request: crate::wire::sip::MessageBuilder,
    ) {
        let mut request = request.header(HeaderName::Allow, super::ALLOW);
        if !self.config.user_agent.is_empty() {
            request = request.header(HeaderName::UserAgent, &self.config.user_agent);
        }
        if !self.start_request(now, Owner::Register(id), flow, request) {
            self.register_failed(now, id, RegistrationFailure::Transport);
        }
    }

    /// The server said how often it wants a keep-alive, and so that it answers them: Flow-Timer
    /// (RFC 5626 §5.4) or `keep` in our Via (RFC 6223 §5).
    fn agree_on_keep_alive(&mut self, now: Instant, id: AccountId, response: &Message) {
        if !response.status().is_some_and(|s| (200..300).contains(&s)) {
            return;
        }
        let Some(entry) = self.accounts.get(id) else { return };
        let Some(flow) = entry.flow.filter(|_| !entry.config.keep_alive.is_zero()) else { return };
        let timer =
            response.headers_named("Flow-Timer").next().and_then(|v| v.trim().parse::<u64>().ok());
        let via = response.vias().next().and_then(|v| v.params().get("keep")?.parse().ok());
        let Some(seconds) = timer.or(via).filter(|s| *s > 0) else { return };
        let interval = entry.config.keep_alive.min(Duration::from_secs(seconds));
        self.flows.set_keep_alive(now, flow, interval, true, &mut self.rng);
    }

    pub(super) fn register_failed(
        &mut self,
        now: Instant,
        id: AccountId,
        reason: RegistrationFailure,
    ) {
        if let Some(registration) = self.accounts.get_mut(id).and_then(|e| e.registration.as_mut())
        {
            registration.handle_failure(now, reason, &mut self.rng);
        }
    }

    /// Requirement: the server is verified before any Digest answer where the policy demands TLS;
    /// where it allows plain transports, Digest is all there is.
    pub(super) fn register_response(&mut self, now: Instant, id: AccountId, response: &Message) {
        self.agree_on_keep_alive(now, id, response);
        let Some(entry) = self.accounts.get_mut(id) else { return };
        let has_password = entry.config.password.is_some();
        if let Some(registration) = &mut entry.registration {
            registration.handle_response(now, response, has_password, &mut self.rng);
        }
        self.learn_address(now, id, response);
    }

    fn registration_changed(&mut self, now: Instant, account: AccountId, state: RegistrationState) {
        let flow = self.accounts.get(account).and_then(|e| e.flow);
        let has_password = self.accounts.get(account).is_some_and(|e| e.config.password.is_some());
        let transport = flow.and_then(|f| self.flows.transport(f)).unwrap_or(Transport::Udp);
        match state {
            RegistrationState::Registered { expires } => {
                if let Some(entry) = self.accounts.get_mut(account) {
                    entry.backoff.succeeded();
                }
                self.event(Event::Registered { account, transport, expires: expires - now });
            }
            RegistrationState::Unregistered => self.event(Event::Unregistered { account }),
            RegistrationState::Failed { reason, retry_at } => {
                let reason = match reason {
                    RegistrationFailure::Timeout => FailureReason::Timeout,
                    RegistrationFailure::Transport => FailureReason::Unreachable,
                    RegistrationFailure::Auth(AuthError::Refused) => FailureReason::Credentials,
                    RegistrationFailure::Auth(AuthError::RealmNotAllowed) if has_password => {
                        FailureReason::ForeignRealm
                    }
                    RegistrationFailure::Auth(_) => FailureReason::NoCredentials,
                    RegistrationFailure::Rejected(status) => {
                        FailureReason::Status(status, String::new())
                    }
                    other => FailureReason::Status(423, other.to_string()),
                };
                let retry_in = retry_at.map(|at| at.duration_since(now));
                self.event(Event::RegistrationFailed { account, reason, retry_in });
            }
            _ => {}
        }
    }
}

//! Accounts in the engine: the way to their server, their registration, their credentials.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::call::{Direction, Purpose};
use super::config::AccountConfig;
use super::error::AccountError;
use super::event::{Event, FailureReason};
use super::ladder::Ladder;
use super::nat::PublicAddress;
use super::policy::{EffectivePolicy, PolicySource, SecurityPolicy};
use super::post::{Owner, Pending, route_failure};
use super::{AccountId, Engine};
use crate::sip::auth::{AuthError, Authorization, Credentials, DigestClient};
use crate::sip::backoff::Backoff;
use crate::sip::registration::{
    Registration, RegistrationConfig, RegistrationFailure, RegistrationState,
};
use crate::sip::route::{LadderStep, Route, RouteFailure};
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::util::Secret;
use crate::wire::sip::{CSeq, HeaderName, Message, Method, NameAddr, Scheme, Uri};

/// How long to wait before a lost way is looked for again: at least, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// Where an account's registration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AccountState {
    /// Not registered, and not trying.
    Unregistered,
    /// Looking for the server, or a REGISTER is under way.
    Registering,
    /// Calls reach the account.
    Registered {
        /// When the binding ends unless it is refreshed.
        until: Instant,
    },
    /// The last attempt failed.
    Failed,
}

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccountStatus {
    /// The address of record.
    pub aor: String,
    /// Where its registration stands.
    pub state: AccountState,
    /// The transport of its flow, if there is one.
    pub transport: Option<Transport>,
    /// The policy in force: the stricter of the domain's and the account's.
    pub policy: EffectivePolicy,
    /// The policy prefers TLS, and the account's signalling is in the clear.
    pub fallback: bool,
    /// What was tried when the way to the server was looked for last, in order.
    pub ladder: Vec<LadderStep>,
}

/// An account with what ties it to its server.
#[derive(Debug)]
pub(super) struct AccountEntry {
    pub(super) config: AccountConfig,
    pub(super) route: Option<Route>,
    pub(super) flow: Option<FlowId>,
    pub(super) registration: Option<Registration>,
    pub(super) retry_at: Option<Instant>,
    pub(super) ladder: Ladder,
    /// Our address as the server sees it.
    pub(super) public: Option<PublicAddress>,
    backoff: Backoff,
    removing: bool,
    /// It takes the place of this account, as soon as that one is gone.
    after: Option<AccountId>,
}

/// What came of a 401 or 407 to a request of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Challenged {
    /// The request went out again with an answer.
    Answered,
    /// It is no challenge, or one that has no answer: the response stands as it is.
    Refused,
    /// The account does not belong to the realm, or to whoever asks.
    ByStranger,
}

/// The server that an account registers with.
fn server_of(account: &AccountConfig) -> Uri {
    let aor = account.aor.as_ref();
    let own = || Uri::from_parts(aor.scheme(), None, aor.host(), aor.port()).ok();
    let given = account.outbound_proxy.clone().or_else(|| account.registrar.clone());
    given.or_else(own).unwrap_or_else(|| account.aor.clone())
}

impl AccountEntry {
    pub(super) fn credentials(&self) -> Credentials {
        let user = self.config.aor.as_ref().user().unwrap_or("").to_string();
        let auth_user = self.config.auth_user.clone();
        Credentials {
            username: if auth_user.is_empty() { user } else { auth_user },
            password: self.config.password.clone().unwrap_or_else(|| Secret::new(String::new())),
            realm: self.config.realm.clone(),
        }
    }

    /// The server of an account that registers.
    pub(super) fn server(&self) -> Uri {
        server_of(&self.config)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let registration = self.registration.as_ref().and_then(Registration::next_timeout);
        [self.retry_at, registration].into_iter().flatten().min()
    }

    /// It registers, and is not being removed.
    pub(super) fn is_wanted(&self) -> bool {
        self.config.register && !self.removing
    }

    /// Nothing more is asked of the server.
    fn give_up(&mut self) {
        (self.route, self.registration, self.retry_at) = (None, None, None);
    }

    pub(super) fn is_being_removed(&self) -> bool {
        self.removing
    }

    pub(super) fn is_gone(&self) -> bool {
        self.removing
            && self.registration.as_ref().is_none_or(|r| {
                matches!(
                    r.state(),
                    RegistrationState::Unregistered | RegistrationState::Failed { .. }
                )
            })
    }
}

impl Engine {
    /// Adds an account. One that registers starts at once; watch for
    /// [`Event::Registered`] and [`Event::RegistrationFailed`].
    ///
    /// # Errors
    /// [`AccountError`] says what to change.
    pub fn add_account(
        &mut self,
        now: Instant,
        account: AccountConfig,
    ) -> Result<AccountId, AccountError> {
        let policy = self.policy_of_account(&account).policy;
        Self::check_account(&account, policy)?;
        Ok(self.insert_account(now, account, None))
    }

    /// Whether an account could be added under this policy, its own included.
    pub(super) fn check_account(
        account: &AccountConfig,
        policy: SecurityPolicy,
    ) -> Result<(), AccountError> {
        let aor = account.aor.as_ref();
        if !matches!(aor.scheme(), Scheme::Sip | Scheme::Sips) || aor.user().is_none() {
            return Err(AccountError::BadAor(account.aor.to_string()));
        }
        for server in [&account.registrar, &account.outbound_proxy].into_iter().flatten() {
            if !matches!(server.as_ref().scheme(), Scheme::Sip | Scheme::Sips) {
                return Err(AccountError::BadServer(server.to_string()));
            }
        }
        if account.codecs.is_empty() {
            return Err(AccountError::NoCodecs);
        }
        if account.display_name.chars().any(char::is_control) {
            return Err(AccountError::BadDisplayName);
        }
        let wanted = account.transport;
        let all = policy.transports().iter().copied();
        let allowed: Vec<_> = all.filter(|t| wanted.is_none_or(|w| w == *t)).collect();
        if allowed.is_empty() {
            return Err(AccountError::TransportForbidden);
        }
        if account.register {
            Self::route_under(&server_of(account), &allowed, policy)
                .map_err(|_| AccountError::TransportForbidden)?;
        }
        Ok(())
    }

    /// Puts a checked account in. One that takes the place of another waits until that one has
    /// un-registered: the registrar knows both by the same contact.
    pub(super) fn insert_account(
        &mut self,
        now: Instant,
        account: AccountConfig,
        after: Option<AccountId>,
    ) -> AccountId {
        let after = after.filter(|former| self.accounts.get(*former).is_some());
        let mut entry = AccountEntry {
            config: account,
            route: None,
            flow: None,
            registration: None,
            retry_at: None,
            ladder: Ladder::new(),
            public: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            removing: false,
            after,
        };
        if entry.config.register && after.is_none() {
            entry.route = self.route_to_server(&entry).ok();
        }
        let id = self.accounts.insert(entry);
        self.deliver(now);
        id
    }

    /// Other credentials, another display name, other codecs: the registration is kept, and
    /// tried again at once if it had failed.
    #[cfg(feature = "provisioning")]
    pub(super) fn update_account(&mut self, now: Instant, id: AccountId, account: AccountConfig) {
        let Some(entry) = self.accounts.get_mut(id) else { return };
        entry.config = account;
        let credentials = entry.credentials();
        let identity = NameAddr::new(entry.config.aor.clone());
        let named = identity.clone().with_display(&entry.config.display_name).unwrap_or(identity);
        if let Some(registration) = &mut entry.registration {
            registration.set_identity(named);
            registration.set_credentials(credentials);
        }
        self.deliver(now);
    }

    /// An account is gone: who waited for its place starts.
    fn account_gone(&mut self, former: AccountId) {
        self.accounts.remove(former);
        for id in self.accounts.ids() {
            let waits = |e: &&AccountEntry| {
                e.after == Some(former) && e.is_wanted() && e.route.is_none() && e.flow.is_none()
            };
            let Some(entry) = self.accounts.get(id).filter(waits) else { continue };
            let route = self.route_to_server(entry).ok();
            if let Some(entry) = self.accounts.get_mut(id) {
                entry.after = None;
                entry.route = route;
            }
        }
    }

    pub(super) fn route_to_server(&self, entry: &AccountEntry) -> Result<Route, AccountError> {
        let allowed = self.allowed_transports(entry);
        let policy = self.policy_of_account(&entry.config).policy;
        Self::route_under(&entry.server(), &allowed, policy)
            .map_err(|_| AccountError::TransportForbidden)
    }

    pub(super) fn policy_of_account(&self, account: &AccountConfig) -> EffectivePolicy {
        self.domain_policy(&account.aor.as_ref().host().to_string())
            .tightened(account.policy, PolicySource::Account)
    }

    pub(super) fn allowed_transports(&self, entry: &AccountEntry) -> Vec<Transport> {
        let policy = self.policy_of_account(&entry.config).policy;
        policy.transports_for(entry.config.transport, false)
    }

    /// Removes an account: un-registers it first. Its calls go on.
    ///
    /// # Errors
    /// [`AccountError::Unknown`].
    pub fn remove_account(&mut self, now: Instant, id: AccountId) -> Result<(), AccountError> {
        let entry = self.accounts.get_mut(id).ok_or(AccountError::Unknown(id))?;
        entry.removing = true;
        entry.retry_at = None;
        entry.ladder.climb = None;
        match &mut entry.registration {
            Some(registration) if entry.flow.is_some() => registration.stop(),
            // Without a way nothing can be un-registered: the binding runs out.
            _ => entry.give_up(),
        }
        self.deliver(now);
        Ok(())
    }

    /// What is known of an account; `None` if the id is stale.
    pub fn account(&self, id: AccountId) -> Option<AccountStatus> {
        let entry = self.accounts.get(id).filter(|e| !e.removing)?;
        let state = match entry.registration.as_ref().map(Registration::state) {
            _ if entry.flow.is_none() && entry.retry_at.is_some() => AccountState::Failed,
            _ if entry.flow.is_none() && entry.config.register => AccountState::Registering,
            Some(RegistrationState::Registered { expires }) => {
                AccountState::Registered { until: expires }
            }
            Some(RegistrationState::Registering | RegistrationState::Unregistering) => {
                AccountState::Registering
            }
            Some(RegistrationState::Failed { .. }) => AccountState::Failed,
            _ if entry.retry_at.is_some() => AccountState::Failed,
            _ if entry.config.register => AccountState::Registering,
            _ => AccountState::Unregistered,
        };
        Some(AccountStatus {
            aor: entry.config.aor.to_string(),
            state,
            transport: entry.flow.and_then(|f| self.flows.transport(f)),
            policy: self.policy_of_account(&entry.config),
            fallback: self.has_fallen_back(entry),
            ladder: entry.ladder.steps.clone(),
        })
    }

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

    /// A 401 or 407 to a request of a call: sends it again with an answer, if the challenge comes
    /// from the account's own server (RFC 3261 §22.2).
    pub(super) fn retry_with_digest(
        &mut self,
        now: Instant,
        call: super::CallId,
        purpose: Purpose,
        pending: &Pending,
        response: &Message,
    ) -> Challenged {
        if !matches!(response.status(), Some(401 | 407)) {
            return Challenged::Refused;
        }
        let account = self.calls.get(call).and_then(|e| e.machine.account);
        let Some(account) = account.and_then(|a| self.accounts.get(a)) else {
            return Challenged::Refused;
        };
        if account.config.password.is_none() {
            return Challenged::Refused;
        }
        // Our own server: the flow that the account registered over; for an outgoing call the proxy
        // that the account is told to use, or the server of the realm that it names. A caller who
        // challenges our BYE is a stranger.
        let same = |flow: FlowId| self.flows.is_same_server(flow, pending.flow);
        let Some(entry) = self.calls.get(call) else { return Challenged::Refused };
        // Who has given up does not ask again.
        if purpose == Purpose::Invite && entry.machine.is_cancelling() {
            return Challenged::Refused;
        }
        let by_proxy = account.config.outbound_proxy.is_some() || account.config.realm.is_some();
        let ours = entry.machine.direction == Direction::Outgoing && by_proxy;
        let own = account.flow.is_some_and(same) || ours;
        // The realm that the account names is in its credentials.
        let allowed = |_: &str| own;
        let credentials = account.credentials();
        let Some(entry) = self.calls.get_mut(call) else { return Challenged::Refused };
        let auth = entry.auth.get_or_insert_with(|| DigestClient::new(credentials));
        let sent = Authorization::of_request(&pending.request);
        match auth.handle_challenge(response, &sent, allowed, &mut self.rng) {
            Ok(()) => {}
            Err(AuthError::RealmNotAllowed) => return Challenged::ByStranger,
            Err(_) => return Challenged::Refused,
        }
        let request = &pending.request;
        let number = request.cseq().number.saturating_add(1);
        let method: Method = request.method().clone();
        let uri = request.request_uri().map(|u| u.to_string()).unwrap_or_default();
        let answer = auth.authorize(method.as_str(), &uri, request.body());
        entry.machine.set_local_seq(number);
        let builder = answer
            .apply(request.edit().remove(HeaderName::Via))
            .replace(HeaderName::CSeq, CSeq { number, method });
        match self.start_request(now, Owner::Call(call, purpose), pending.flow, builder) {
            true => Challenged::Answered,
            false => Challenged::Refused,
        }
    }
}

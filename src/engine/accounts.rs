//! Accounts in the engine: the way to their server, their registration, their credentials.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::call::{Direction, Purpose};
use super::config::AccountConfig;
use super::error::AccountError;
use super::ladder::Ladder;
use super::nat::PublicAddress;
use super::policy::{EffectivePolicy, PolicySource, SecurityPolicy};
use super::post::{Owner, Pending};
use super::{AccountId, Engine};
use crate::sip::auth::{AuthError, Authorization, Credentials, DigestClient};
use crate::sip::backoff::Backoff;
use crate::sip::registration::{Registration, RegistrationState};
use crate::sip::route::{LadderStep, Route};
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::util::Secret;
use crate::wire::sip::{CSeq, HeaderName, Message, Method, Scheme, Uri};

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
    pub(super) backoff: Backoff,
    pub(super) removing: bool,
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
    pub(super) fn give_up(&mut self) {
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
    /// [`Event::Registered`](super::Event::Registered) and
    /// [`Event::RegistrationFailed`](super::Event::RegistrationFailed).
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
        if let Some(absent) = account.codecs.iter().find(|codec| !codec.id().is_available()) {
            return Err(AccountError::CodecNotBuilt(*absent));
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
        let identity = crate::wire::sip::NameAddr::new(entry.config.aor.clone());
        let named = identity.clone().with_display(&entry.config.display_name).unwrap_or(identity);
        if let Some(registration) = &mut entry.registration {
            registration.set_identity(named);
            registration.set_credentials(credentials);
        }
        self.deliver(now);
    }

    /// An account is gone: who waited for its place starts.
    pub(super) fn account_gone(&mut self, former: AccountId) {
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

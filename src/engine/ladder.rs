//! Accounts on the ladder: a policy that changes moves them, a fallback is told, and who has
//! fallen back climbs again.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::accounts::AccountEntry;
use super::event::{Event, FailureReason};
use super::policy::{EffectivePolicy, PolicyError, PolicySource, SecurityPolicy};
use super::{AccountId, Engine};
use crate::sip::backoff::Backoff;
use crate::sip::route::{LadderStep, Route};
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::wire::sip::Uri;

/// After a climb that failed: at least, and at most, until a refresh is the next chance.
const CLIMB: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// Where an account stands on its ladder.
#[derive(Debug)]
pub(super) struct Ladder {
    /// A better way that is being looked for while the present one serves.
    pub(super) climb: Option<Route>,
    /// No climb before this.
    not_before: Option<Instant>,
    backoff: Backoff,
    /// What was tried when the present flow was found.
    pub(super) steps: Vec<LadderStep>,
    /// What the application was told last.
    told: Option<(Transport, bool)>,
}

impl Ladder {
    pub(super) const fn new() -> Self {
        Self {
            climb: None,
            not_before: None,
            backoff: Backoff::new(CLIMB.0, CLIMB.1),
            steps: Vec::new(),
            told: None,
        }
    }
}

impl Engine {
    /// The policy of a domain. A domain that was not set has [`SecurityPolicy::Preferred`].
    pub fn policy_of(&self, domain: &str) -> SecurityPolicy {
        self.domain_policy(domain).policy
    }

    /// The policy of a domain, and whether it was set or is the default.
    pub fn domain_policy(&self, domain: &str) -> EffectivePolicy {
        EffectivePolicy::of_domain(self.policies.get(&domain.to_ascii_lowercase()).copied())
    }

    /// The policy of an account, and where it comes from; `None` if the id is stale.
    pub fn account_policy(&self, id: AccountId) -> Option<EffectivePolicy> {
        Some(self.policy_of_account(&self.accounts.get(id)?.config))
    }

    /// Sets a domain's policy. It holds at once: accounts register again over the right
    /// transport without a log-out, new calls follow it; running calls are kept, and moved to
    /// SRTP if [`Config::upgrade_running_calls`](super::Config::upgrade_running_calls) says so.
    ///
    /// # Errors
    /// [`PolicyError::BadDomain`].
    pub fn set_domain_policy(
        &mut self,
        now: Instant,
        domain: &str,
        policy: SecurityPolicy,
    ) -> Result<(), PolicyError> {
        Self::check_domain(domain)?;
        self.policies.insert(domain.to_ascii_lowercase(), policy);
        self.domain_policy_changed(now, domain);
        Ok(())
    }

    /// Takes a domain's policy away: it has the default again, at once as with
    /// [`Engine::set_domain_policy`]. False if none was set.
    #[cfg(feature = "provisioning")]
    pub(super) fn clear_domain_policy(&mut self, now: Instant, domain: &str) -> bool {
        let was_set = self.policies.remove(&domain.to_ascii_lowercase()).is_some();
        if was_set {
            self.domain_policy_changed(now, domain);
        }
        was_set
    }

    /// A policy is set for a host name or an address, without a port.
    pub(super) fn check_domain(domain: &str) -> Result<(), PolicyError> {
        let valid = Uri::parse(&alloc::format!("sip:{domain}"))
            .is_ok_and(|u| u.as_ref().host().to_string() == domain && u.as_ref().port().is_none());
        if valid {
            return Ok(());
        }
        Err(PolicyError::BadDomain(domain.chars().take(80).collect()))
    }

    fn domain_policy_changed(&mut self, now: Instant, domain: &str) {
        self.log_domain_policy(domain, self.policy_of(domain));
        for id in self.accounts.ids() {
            let Some(entry) = self.accounts.get(id) else { continue };
            if entry.config.aor.as_ref().host().to_string().eq_ignore_ascii_case(domain) {
                self.policy_changed(id);
                self.upgrade_calls(id);
            }
        }
        self.deliver(now);
    }

    /// An account's policy may demand another transport now.
    fn policy_changed(&mut self, id: AccountId) {
        let Some(entry) = self.accounts.get(id).filter(|e| e.is_wanted()) else { return };
        let allowed = self.allowed_transports(entry);
        let current = entry.flow.and_then(|f| self.flows.transport(f));
        if current.is_some() && current == allowed.first().copied() {
            // A better way that a former policy was looking for is none any more.
            if let Some(entry) = self.accounts.get_mut(id) {
                entry.ladder.climb = None;
            }
            return;
        }
        let route = self.route_to_server(entry).ok();
        let forbidden = current.is_none_or(|t| !allowed.contains(&t));
        let Some(entry) = self.accounts.get_mut(id) else { return };
        entry.ladder.not_before = None;
        match route {
            None => {
                (entry.flow, entry.route) = (None, None);
                let why = "the account is bound to a transport that the policy forbids";
                let reason = FailureReason::Policy(why.into());
                self.event(Event::RegistrationFailed { account: id, reason, retry_in: None });
            }
            Some(route) if forbidden => {
                // Nothing more goes over the old way; calls that run on it are kept.
                (entry.flow, entry.retry_at, entry.ladder.climb) = (None, None, None);
                if let Some(registration) = &mut entry.registration {
                    registration.withdraw();
                }
                entry.route = Some(route);
            }
            Some(route) => entry.ladder.climb = Some(route),
        }
    }

    /// A refresh is due: the moment to try for TLS again.
    pub(super) fn climb_at_refresh(&mut self, now: Instant, id: AccountId) {
        let Some(entry) = self.accounts.get(id) else { return };
        let ready = entry.ladder.climb.is_none()
            && entry.ladder.not_before.is_none_or(|at| at <= now)
            && self.has_fallen_back(entry);
        if !ready {
            return;
        }
        let route = self.route_to_server(entry).ok();
        if let Some(entry) = self.accounts.get_mut(id) {
            entry.ladder.climb = route;
        }
    }

    /// True if the policy prefers TLS, the account may use it, and it does not.
    pub(super) fn has_fallen_back(&self, entry: &AccountEntry) -> bool {
        let transport = entry.flow.and_then(|f| self.flows.transport(f));
        let policy = self.policy_of_account(&entry.config).policy;
        policy != SecurityPolicy::Off
            && transport.is_some_and(|t| !t.is_secure())
            && self.allowed_transports(entry).contains(&Transport::Tls)
    }

    /// A climb came to an end at this flow.
    pub(super) fn climb_ready(&mut self, now: Instant, id: AccountId, flow: FlowId) {
        let Some(entry) = self.accounts.get_mut(id) else { return };
        let Some(route) = entry.ladder.climb.take() else { return };
        if entry.flow == Some(flow) {
            entry.ladder.steps = route.steps().to_vec();
            return self.climb_failed(now, id);
        }
        entry.route = Some(route);
        entry.ladder.backoff.succeeded();
        self.account_way_ready(now, id, flow);
    }

    /// A climb led nowhere better: the account stays where it is, for a while.
    pub(super) fn climb_failed(&mut self, now: Instant, id: AccountId) {
        let Some(entry) = self.accounts.get_mut(id) else { return };
        entry.ladder.climb = None;
        let wait = entry.ladder.backoff.failed(&mut self.rng);
        entry.ladder.not_before = Some(now + wait);
    }

    /// Tells the application how the account's signalling travels, if that is news.
    pub(super) fn tell_transport(&mut self, account: AccountId, flow: FlowId) {
        let Some(transport) = self.flows.transport(flow) else { return };
        let Some(entry) = self.accounts.get(account) else { return };
        let fallback = self.has_fallen_back(entry);
        let Some(entry) = self.accounts.get_mut(account) else { return };
        if entry.ladder.told == Some((transport, fallback)) {
            return;
        }
        entry.ladder.told = Some((transport, fallback));
        self.event(Event::TransportChanged { account, transport, fallback });
    }

    /// The parts of a call's policy.
    pub(super) fn call_policy(
        &self,
        account: Option<AccountId>,
        own: SecurityPolicy,
    ) -> EffectivePolicy {
        let base = account.and_then(|a| self.account_policy(a)).unwrap_or_else(|| {
            // Without an account, the strictest policy of any of ours holds.
            let all = self.accounts.iter().map(|(_, a)| self.policy_of_account(&a.config));
            all.max_by_key(|p| p.policy).unwrap_or(EffectivePolicy::of_domain(None))
        });
        base.tightened(own, PolicySource::Call)
    }

    /// A route to a server over what a policy allows; lenient about certificates only without
    /// any policy.
    pub(super) fn route_under(
        hop: &Uri,
        allowed: &[Transport],
        policy: SecurityPolicy,
    ) -> Result<Route, crate::sip::resolve::ResolveError> {
        let mut route = Route::new(hop.as_ref(), allowed)?;
        if policy == SecurityPolicy::Off {
            route.set_lenient();
        }
        Ok(route)
    }
}

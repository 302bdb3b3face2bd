//! A document's values put into an engine: everything or nothing, and only what changed.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::error::Problems;
use super::{EngineOptions, Provisioning, ProvisioningError, account};
use crate::crypto::tls::TlsClientSettings;
use crate::engine::policy::{EffectivePolicy, PolicySource};
use crate::engine::{AccountConfig, AccountId, Engine, SecurityPolicy};
use crate::time::Instant;

/// What applying a document changed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProvisioningOutcome {
    /// The document's accounts, in its order, whatever happened to them.
    pub accounts: Vec<AccountId>,
    /// Accounts that were not there.
    pub added: Vec<AccountId>,
    /// Accounts that are no longer in the document: they un-register.
    pub removed: Vec<AccountId>,
    /// Accounts that changed in a way that needs a new registration: the former id, and the one
    /// that takes its place once the former has un-registered.
    pub replaced: Vec<(AccountId, AccountId)>,
    /// Accounts that have another password, display name or codecs: their registration is kept.
    pub updated: Vec<AccountId>,
    /// Accounts that are as they were.
    pub unchanged: Vec<AccountId>,
    /// Domains whose policy or TLS options changed.
    pub domains: Vec<String>,
    /// Options of the whole engine changed.
    pub engine: bool,
}

impl ProvisioningOutcome {
    /// True if the document changed anything.
    pub fn is_change(&self) -> bool {
        let (accounts, unchanged) = (self.accounts.clone(), self.unchanged.clone());
        let same = Self { accounts, unchanged, ..Self::default() };
        *self != same
    }
}

/// What the last document set.
#[derive(Default, Debug)]
pub(in crate::engine) struct Provisioned {
    /// By domain: its policy, and the digest of its TLS options.
    domains: BTreeMap<String, (Option<SecurityPolicy>, Option<[u8; 32]>)>,
    accounts: BTreeMap<String, AccountId>,
    options: EngineOptions,
    /// What the engine's configuration said before the first document.
    original: Option<EngineOptions>,
}

/// What has to happen to an account.
enum Change {
    None,
    Update,
    Replace,
}

fn change(old: &AccountConfig, new: &AccountConfig) -> Change {
    let same_way = old.aor.as_str() == new.aor.as_str()
        && old.auth_user == new.auth_user
        && old.realm == new.realm
        && old.register == new.register
        && same_uri(old.registrar.as_ref(), new.registrar.as_ref())
        && same_uri(old.outbound_proxy.as_ref(), new.outbound_proxy.as_ref())
        && old.transport == new.transport
        && old.expires == new.expires
        && old.keep_alive == new.keep_alive
        && old.policy == new.policy;
    let same_password = match (&old.password, &new.password) {
        (None, None) => true,
        (Some(old), Some(new)) => old.ct_eq(new.expose().as_bytes()),
        _ => false,
    };
    let same_face = old.display_name == new.display_name && old.codecs == new.codecs;
    match (same_way, same_password && same_face) {
        (false, _) => Change::Replace,
        (true, false) => Change::Update,
        (true, true) => Change::None,
    }
}

fn same_uri(old: Option<&crate::wire::sip::Uri>, new: Option<&crate::wire::sip::Uri>) -> bool {
    old.map(|uri| uri.as_str()) == new.map(|uri| uri.as_str())
}

impl Engine {
    /// Makes the engine what the document says: everything, or nothing if there is an error.
    ///
    /// Applied again after a change, it changes only what changed: an account that is as it was
    /// sends nothing; one that is gone un-registers; another password, display name or list of
    /// codecs keeps the registration; any other change replaces the account by a new one. A
    /// domain's policy takes effect as with [`Engine::set_domain_policy`], its TLS options as
    /// with [`Engine::set_domain_tls`]; what is no longer in the document is taken back.
    /// Accounts and domains that were never in a document are left alone; one that is gets what
    /// the document says.
    ///
    /// # Errors
    /// [`ProvisioningError`]: what this engine cannot take, with lines; it is as it was.
    pub fn provision(
        &mut self,
        now: Instant,
        document: &Provisioning,
    ) -> Result<ProvisioningOutcome, ProvisioningError> {
        self.check_document(document)?;
        let mut outcome =
            ProvisioningOutcome { engine: self.apply_options(document), ..Default::default() };
        // Who goes, goes over the way that it has.
        let mut former = core::mem::take(&mut self.provisioned.accounts);
        former.retain(|_, id| self.accounts.get(*id).is_some_and(|e| !e.is_being_removed()));
        let mut wanted: Vec<(String, &AccountConfig, Option<AccountId>)> = Vec::new();
        for config in document.accounts() {
            let key = account::key(config);
            let id = former.remove(&key);
            if let Some(id) = id
                && self.change_of(id, config).is_some_and(|c| matches!(c, Change::Replace))
            {
                // The id was just looked up.
                let _ = self.remove_account(now, id);
            }
            wanted.push((key, config, id));
        }
        for id in former.into_values() {
            let _ = self.remove_account(now, id);
            outcome.removed.push(id);
        }
        self.apply_domains(now, document, &mut outcome);
        for (key, config, id) in wanted {
            let id = self.apply_account(now, config, id, &mut outcome);
            self.provisioned.accounts.insert(key, id);
            outcome.accounts.push(id);
        }
        Ok(outcome)
    }

    /// Whether everything of it would be taken.
    fn check_document(&self, document: &Provisioning) -> Result<(), ProvisioningError> {
        let mut problems = Problems::default();
        for domain in &document.domains {
            if let Some(tls) = &domain.tls {
                let options = tls.over(self.tls_options());
                problems.take(domain.line, TlsClientSettings::with_options(options));
            }
        }
        for (line, account) in &document.accounts {
            let host = account.aor.as_ref().host().to_string().to_ascii_lowercase();
            let policy = EffectivePolicy::of_domain(self.policy_under(document, &host));
            let policy = policy.tightened(account.policy, PolicySource::Account).policy;
            problems.take(*line, Self::check_account(account, policy));
        }
        problems.or(())
    }

    /// The policy that a domain will have under the document.
    fn policy_under(&self, document: &Provisioning, host: &str) -> Option<SecurityPolicy> {
        let named = document.domains.iter().find(|d| d.name == host);
        let taken_back = self.provisioned.domains.get(host).is_some_and(|was| was.0.is_some());
        match named.and_then(|d| d.policy) {
            Some(policy) => Some(policy),
            None if taken_back => None,
            None => self.policies.get(host).copied(),
        }
    }

    fn apply_options(&mut self, document: &Provisioning) -> bool {
        let config = &mut self.config;
        let original = self.provisioned.original.get_or_insert_with(|| EngineOptions {
            max_calls: Some(config.max_calls),
            upgrade_running_calls: Some(config.upgrade_running_calls),
            user_agent: Some(config.user_agent.clone()),
        });
        let options = document.options.clone();
        if options == self.provisioned.options {
            return false;
        }
        if let Some(n) = options.max_calls.or(original.max_calls) {
            config.max_calls = n;
        }
        if let Some(on) = options.upgrade_running_calls.or(original.upgrade_running_calls) {
            config.upgrade_running_calls = on;
        }
        if let Some(name) = options.user_agent.as_ref().or(original.user_agent.as_ref()) {
            config.user_agent.clone_from(name);
        }
        self.provisioned.options = options;
        true
    }

    fn apply_domains(
        &mut self,
        now: Instant,
        document: &Provisioning,
        outcome: &mut ProvisioningOutcome,
    ) {
        let mut former = core::mem::take(&mut self.provisioned.domains);
        for domain in &document.domains {
            let name = &domain.name;
            let was = former.remove(name).unwrap_or_default();
            let is = (domain.policy, domain.tls.as_ref().map(|tls| tls.digest));
            if was.1 != is.1 {
                match &domain.tls {
                    // Both were checked before anything was touched.
                    Some(tls) => drop(self.set_domain_tls(name, tls.over(self.tls_options()))),
                    None => drop(self.clear_domain_tls(name)),
                }
            }
            match domain.policy {
                Some(policy) if was.0 != is.0 || self.policy_of(name) != policy => {
                    let _ = self.set_domain_policy(now, name, policy);
                }
                None if was.0.is_some() => drop(self.clear_domain_policy(now, name)),
                _ => {}
            }
            if was != is {
                outcome.domains.push(name.clone());
            }
            self.provisioned.domains.insert(name.clone(), is);
        }
        for (name, was) in former {
            if was.1.is_some() {
                self.clear_domain_tls(&name);
            }
            if was.0.is_some() {
                self.clear_domain_policy(now, &name);
            }
            outcome.domains.push(name);
        }
    }

    fn change_of(&self, id: AccountId, config: &AccountConfig) -> Option<Change> {
        self.accounts.get(id).map(|entry| change(&entry.config, config))
    }

    fn apply_account(
        &mut self,
        now: Instant,
        config: &AccountConfig,
        former: Option<AccountId>,
        outcome: &mut ProvisioningOutcome,
    ) -> AccountId {
        let known =
            former.filter(|id| self.accounts.get(*id).is_some_and(|e| !e.is_being_removed()));
        match (former, known.map(|id| (id, self.change_of(id, config)))) {
            (_, Some((id, Some(Change::None)))) => {
                outcome.unchanged.push(id);
                id
            }
            (_, Some((id, _))) => {
                self.update_account(now, id, config.clone());
                outcome.updated.push(id);
                id
            }
            (Some(former), None) => {
                let id = self.insert_account(now, config.clone(), Some(former));
                outcome.replaced.push((former, id));
                id
            }
            (None, None) => {
                let id = self.insert_account(now, config.clone(), None);
                outcome.added.push(id);
                id
            }
        }
    }
}

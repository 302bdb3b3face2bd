//! Which settings a domain is dialled with.

use alloc::collections::BTreeMap;

use super::settings::TlsClientSettings;
use crate::crypto::identity::{Dialled, InvalidDomain};

/// The settings of the dialling side, by the domain dialled: a domain may have its own trust
/// anchors, pins, revocation lists and identity; every other domain has the common ones.
///
/// A domain is the whole name: settings of `example.com` say nothing of `sip.example.com`.
#[derive(Clone, Debug)]
pub struct TlsDomains {
    common: TlsClientSettings,
    own: BTreeMap<Dialled, TlsClientSettings>,
}

impl TlsDomains {
    /// These settings for every domain.
    pub fn new(common: TlsClientSettings) -> Self {
        Self { common, own: BTreeMap::new() }
    }

    /// Gives a domain settings of its own, in place of those it had. Sessions made under the
    /// old ones are never resumed under the new ones.
    ///
    /// # Errors
    /// [`InvalidDomain`] if it is no host name or address.
    pub fn set(&mut self, domain: &str, settings: TlsClientSettings) -> Result<(), InvalidDomain> {
        self.own.insert(Dialled::parse(domain)?, settings);
        Ok(())
    }

    /// Takes a domain's own settings away; false if it had none.
    pub fn remove(&mut self, domain: &str) -> bool {
        Dialled::parse(domain).is_ok_and(|domain| self.own.remove(&domain).is_some())
    }

    /// The settings to dial this domain with.
    pub fn get(&self, domain: &str) -> &TlsClientSettings {
        let own = Dialled::parse(domain).ok().and_then(|domain| self.own.get(&domain));
        own.unwrap_or(&self.common)
    }

    /// The settings of every domain that has none of its own.
    pub fn common(&self) -> &TlsClientSettings {
        &self.common
    }
}

impl From<TlsClientSettings> for TlsDomains {
    fn from(common: TlsClientSettings) -> Self {
        Self::new(common)
    }
}

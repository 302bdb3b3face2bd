//! What the engine's TLS demands beyond trust and identity, of all domains or of one, and the key
//! log.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Config, ConfigError, Engine};
use crate::crypto::tls::{
    ClientCertificates, KeyPurposes, RevocationLists, TlsClientOptions, TlsClientSettings,
    TlsProvider, TlsServerOptions, TlsServerSettings, TlsSettingsError, TlsVersions,
};
use crate::util::Secret;

/// What TLS demands, beside [`Config::trust`] and [`Config::identity`].
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct TlsConfig {
    /// Whose cryptography to run on: with feature `aws-lc`, one with hybrid post-quantum key
    /// exchange.
    pub provider: TlsProvider,
    /// The versions to offer and to accept.
    pub versions: TlsVersions,
    /// What has been revoked, of servers and of clients.
    pub revocation: RevocationLists,
    /// What a certificate must be meant for.
    pub purposes: KeyPurposes,
    /// A connection that we accept must bring a certificate that [`Config::trust`] vouches for.
    /// Otherwise one is asked for and may be missing.
    pub require_client_certificate: bool,
    /// Domains of which a client's certificate must stand for one; empty: any that
    /// [`Config::trust`] vouches for.
    pub client_domains: Vec<String>,
    /// Give the secrets of every connection away through [`Engine::poll_key_log`], for
    /// debugging alone: whoever has the log reads the calls. The report of each call says so.
    pub key_log: bool,
}

impl Config {
    /// What connections are opened with, for domains that have nothing of their own.
    fn tls_options(&self) -> TlsClientOptions {
        TlsClientOptions {
            anchors: self.trust.clone(),
            identity: self.identity.clone(),
            versions: self.tls.versions,
            pins: None,
            revocation: self.tls.revocation.clone(),
            purposes: self.tls.purposes,
            provider: self.tls.provider,
            key_log: self.tls.key_log,
        }
    }

    /// The settings of both sides; without an identity nothing is accepted.
    pub(super) fn tls_settings(
        &self,
    ) -> Result<(TlsClientSettings, Option<TlsServerSettings>), ConfigError> {
        let bad = |e: TlsSettingsError| ConfigError::BadIdentity(e.to_string());
        let client = TlsClientSettings::with_options(self.tls_options()).map_err(bad)?;
        let Some(identity) = self.identity.clone() else { return Ok((client, None)) };
        let mut options = TlsServerOptions::new(identity);
        // A client that has a certificate proves who it is; one without is served too.
        options.clients = match (self.tls.require_client_certificate, self.trust.is_empty()) {
            (true, _) => ClientCertificates::Required(self.trust.clone()),
            (false, true) => ClientCertificates::NotRequested,
            (false, false) => ClientCertificates::Requested(self.trust.clone()),
        };
        options.client_domains.clone_from(&self.tls.client_domains);
        options.versions = self.tls.versions;
        options.revocation = self.tls.revocation.clone();
        options.purposes = self.tls.purposes;
        options.provider = self.tls.provider;
        options.key_log = self.tls.key_log;
        Ok((client, Some(TlsServerSettings::with_options(options).map_err(bad)?)))
    }
}

impl Engine {
    /// What connections are opened with to domains that have nothing of their own: the start for
    /// options to give to [`Engine::set_domain_tls`].
    pub fn tls_options(&self) -> TlsClientOptions {
        self.config.tls_options()
    }

    /// Gives a domain its own trust anchors, pins, revocation lists, identity: for connections
    /// that are opened from now on, by those who dial this domain, whole and not its subdomains.
    /// A connection that is up stays and carries what runs on it; nothing new is sent on it, and
    /// its session is not resumed.
    ///
    /// # Errors
    /// [`TlsSettingsError::InvalidDomain`] if it is no host name or address; the others say what
    /// is wrong with the options.
    pub fn set_domain_tls(
        &mut self,
        domain: &str,
        options: TlsClientOptions,
    ) -> Result<(), TlsSettingsError> {
        let settings = TlsClientSettings::with_options(options)?;
        Ok(self.flows.tls_domains().set(domain, settings)?)
    }

    /// Takes a domain's own TLS options away; false if it had none.
    pub fn clear_domain_tls(&mut self, domain: &str) -> bool {
        self.flows.tls_domains().remove(domain)
    }

    /// The next line of the TLS key log (`SSLKEYLOGFILE` format, without the line's end), if
    /// [`TlsConfig::key_log`] or a domain's options ask for one. The host writes it to a file,
    /// which Wireshark reads. Lines that nobody takes are lost past 256.
    pub fn poll_key_log(&mut self) -> Option<Secret<String>> {
        self.flows.poll_key_log()
    }
}

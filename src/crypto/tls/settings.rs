//! What a TLS stream is built from: options and settings per side.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

use super::entropy;
use super::error::{TlsSettingsError, bounded};
use super::gate::{Gate, Role};
use super::keylog::NotedKeys;
use super::material::{TlsIdentity, TrustAnchors};
use super::pins::PinSet;
use super::provider::TlsProvider;
use super::revocation::RevocationLists;
use super::usage::KeyPurposes;
use super::verify::{OwnCertificate, Verifier};
use crate::crypto::identity::Dialled;

/// Sessions kept for resumption, per settings.
const SESSIONS: usize = 64;

/// Which versions are offered or accepted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum TlsVersions {
    /// TLS 1.3 and TLS 1.2.
    #[default]
    V1_2AndV1_3,
    /// TLS 1.3 alone.
    V1_3Only,
    /// TLS 1.2 alone.
    V1_2Only,
}

impl TlsVersions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::V1_2AndV1_3 => &BOTH,
            Self::V1_3Only => BOTH.split_at(1).0,
            Self::V1_2Only => BOTH.split_at(1).1,
        }
    }
}

/// What the dialling side demands and presents. `Default` trusts nobody.
#[derive(Clone, Default, Debug)]
#[non_exhaustive]
pub struct TlsClientOptions {
    /// Whom to trust to name a server.
    pub anchors: TrustAnchors,
    /// The certificate to present to a server that asks for one.
    pub identity: Option<TlsIdentity>,
    /// The versions to offer.
    pub versions: TlsVersions,
    /// Keys of which one must stand in the chain, which must verify too.
    pub pins: Option<PinSet>,
    /// What has been revoked.
    pub revocation: RevocationLists,
    /// What a certificate must be meant for.
    pub purposes: KeyPurposes,
    /// Whose cryptography to run on.
    pub provider: TlsProvider,
    /// Give the secrets of each connection away through
    /// [`TlsStream::poll_key_log`](super::TlsStream::poll_key_log): for debugging alone.
    pub key_log: bool,
}

/// The settings of the dialling side. Clones share one session cache, keyed by the domain
/// dialled; two settings never share sessions, so a session cannot outlive a change of trust,
/// pins, revocation or identity. Early data (0-RTT) is never sent.
#[derive(Clone)]
pub struct TlsClientSettings {
    pub(super) config: Arc<ClientConfig>,
    pub(super) gate: Arc<Gate>,
    pub(super) key_log: bool,
}

impl TlsClientSettings {
    /// Settings that trust these anchors and present this identity if asked for one.
    ///
    /// # Errors
    /// [`TlsSettingsError::Refused`] if rustls refuses them.
    pub fn new(
        anchors: TrustAnchors,
        identity: Option<TlsIdentity>,
        versions: TlsVersions,
    ) -> Result<Self, TlsSettingsError> {
        Self::with_options(TlsClientOptions {
            anchors,
            identity,
            versions,
            ..TlsClientOptions::default()
        })
    }

    /// Settings made of these options.
    ///
    /// # Errors
    /// [`TlsSettingsError::VerifierCannot`] if the anchors have a verifier and the options rules
    /// that it cannot keep, [`TlsSettingsError::Refused`] if rustls refuses them.
    pub fn with_options(options: TlsClientOptions) -> Result<Self, TlsSettingsError> {
        if options.anchors.verifier.is_some() {
            if !options.revocation.is_empty() {
                return Err(TlsSettingsError::VerifierCannot("revocation lists"));
            }
            if options.purposes == KeyPurposes::SipOnly {
                return Err(TlsSettingsError::VerifierCannot("SIP-only key purposes"));
            }
        }
        let provider = options.provider;
        let gate = Arc::new(Gate {
            role: Role::Server,
            trust: options.anchors,
            pins: options.pins,
            revocation: options.revocation,
            purposes: options.purposes,
            clients: Vec::new(),
            provider,
        });
        let verifier = Arc::new(Verifier { gate: gate.clone(), required: true });
        let builder = ClientConfig::builder_with_details(provider.rustls(), entropy::clock())
            .with_protocol_versions(options.versions.list())
            .map_err(|e| TlsSettingsError::Refused(bounded(&e)))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match options.identity {
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(OwnCertificate(identity.certified(provider)))),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        config.enable_early_data = false;
        if options.key_log {
            config.key_log = Arc::new(NotedKeys);
        }
        Ok(Self { config: Arc::new(config), gate, key_log: options.key_log })
    }

    /// True if both are clones of the same settings: then, and only then, may a connection made
    /// under one serve the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl core::fmt::Debug for TlsClientSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let pins = self.gate.pins.as_ref().map_or(0, |pins| pins.pins().len());
        write!(f, "TlsClientSettings({:?}, {pins} pins)", self.gate.trust)
    }
}

/// What a server asks of its clients.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Nothing: clients authenticate by other means (Digest).
    #[default]
    NotRequested,
    /// A certificate is asked for; a client without one is served, one with a certificate that
    /// does not pass is refused.
    Requested(TrustAnchors),
    /// No certificate, no connection.
    Required(TrustAnchors),
}

/// What the accepting side presents and demands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsServerOptions {
    /// The certificate to present.
    pub identity: TlsIdentity,
    /// What to ask of clients. A chain verifier beside the anchors is not asked about clients.
    pub clients: ClientCertificates,
    /// Domains (or addresses) of which a client's certificate must stand for one, by the rules
    /// of RFC 5922 §7.1; empty: whoever the anchors vouch for.
    pub client_domains: Vec<String>,
    /// Keys of which one must stand in a client's chain, which must verify too.
    pub client_pins: Option<PinSet>,
    /// What has been revoked.
    pub revocation: RevocationLists,
    /// What a client's certificate must be meant for.
    pub purposes: KeyPurposes,
    /// The versions to accept.
    pub versions: TlsVersions,
    /// Whose cryptography to run on.
    pub provider: TlsProvider,
    /// Give the secrets of each connection away through
    /// [`TlsStream::poll_key_log`](super::TlsStream::poll_key_log): for debugging alone.
    pub key_log: bool,
}

impl TlsServerOptions {
    /// Presents this identity and asks nothing of clients.
    pub fn new(identity: TlsIdentity) -> Self {
        Self {
            identity,
            clients: ClientCertificates::default(),
            client_domains: Vec::new(),
            client_pins: None,
            revocation: RevocationLists::default(),
            purposes: KeyPurposes::default(),
            versions: TlsVersions::default(),
            provider: TlsProvider::default(),
            key_log: false,
        }
    }
}

/// The settings of the accepting side. Clones share one session cache (stateful: no ticket key
/// exists that could be stolen); two settings never share sessions. Early data is never
/// accepted.
#[derive(Clone)]
pub struct TlsServerSettings {
    pub(super) config: Arc<ServerConfig>,
    pub(super) gate: Arc<Gate>,
    pub(super) key_log: bool,
}

impl TlsServerSettings {
    /// Settings that present this identity and ask this of clients.
    ///
    /// # Errors
    /// [`TlsSettingsError::Refused`] if rustls refuses them.
    pub fn new(
        identity: TlsIdentity,
        clients: ClientCertificates,
        versions: TlsVersions,
    ) -> Result<Self, TlsSettingsError> {
        Self::with_options(TlsServerOptions {
            clients,
            versions,
            ..TlsServerOptions::new(identity)
        })
    }

    /// Settings made of these options.
    ///
    /// # Errors
    /// [`TlsSettingsError::InvalidDomain`] if an expected client is no host name or address,
    /// [`TlsSettingsError::Refused`] if rustls refuses them.
    pub fn with_options(options: TlsServerOptions) -> Result<Self, TlsSettingsError> {
        let (anchors, required) = match options.clients {
            ClientCertificates::NotRequested => (None, false),
            ClientCertificates::Requested(anchors) => (Some(anchors), false),
            ClientCertificates::Required(anchors) => (Some(anchors), true),
        };
        let requested = anchors.is_some();
        let provider = options.provider;
        let domains = options.client_domains.iter().map(|domain| Dialled::parse(domain));
        let gate = Arc::new(Gate {
            role: Role::Client,
            trust: anchors.unwrap_or_default(),
            pins: options.client_pins,
            revocation: options.revocation,
            purposes: options.purposes,
            clients: domains.collect::<Result<_, _>>()?,
            provider,
        });
        let builder = ServerConfig::builder_with_details(provider.rustls(), entropy::clock())
            .with_protocol_versions(options.versions.list())
            .map_err(|e| TlsSettingsError::Refused(bounded(&e)))?;
        let builder = match requested {
            false => builder.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()),
            true => builder
                .with_client_cert_verifier(Arc::new(Verifier { gate: gate.clone(), required })),
        };
        let own = SingleCertAndKey::from(options.identity.certified(provider));
        let mut config = builder.with_cert_resolver(Arc::new(own));
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        config.max_early_data_size = 0;
        if options.key_log {
            config.key_log = Arc::new(NotedKeys);
        }
        Ok(Self { config: Arc::new(config), gate, key_log: options.key_log })
    }
}

impl core::fmt::Debug for TlsServerSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TlsServerSettings({:?} for clients)", self.gate.trust)
    }
}

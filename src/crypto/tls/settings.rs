//! What a TLS stream is built from: trust anchors, an identity, settings per side.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, InconsistentKeys, ServerConfig, SupportedProtocolVersion};

use super::entropy;
use super::error::{TlsSettingsError, bounded};
use super::provider::provider;
use super::verify::{OwnCertificate, Verifier};

/// Sessions kept for resumption, per settings.
const SESSIONS: usize = 64;

/// Whom to trust to name a peer.
#[derive(Clone, Default)]
pub struct TrustAnchors(Vec<TrustAnchor<'static>>);

impl TrustAnchors {
    /// No anchors: every peer is refused until some are added.
    pub fn none() -> Self {
        Self::default()
    }

    /// Mozilla's list of public authorities, compiled in.
    pub fn webpki_roots() -> Self {
        Self(webpki_roots::TLS_SERVER_ROOTS.to_vec())
    }

    /// All certificates of a PEM text.
    ///
    /// # Errors
    /// [`TlsSettingsError::NoPem`] if there is none, [`TlsSettingsError::BadCertificate`] if one
    /// does not parse.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TlsSettingsError> {
        let mut anchors = Self::none();
        for certificate in certificates(pem)? {
            anchors.add_der(&certificate)?;
        }
        Ok(anchors)
    }

    /// Adds one certificate in DER.
    ///
    /// # Errors
    /// [`TlsSettingsError::BadCertificate`] if it does not parse.
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TlsSettingsError> {
        let der = CertificateDer::from(der);
        let anchor = webpki::anchor_from_trusted_cert(&der)
            .map_err(|e| TlsSettingsError::BadCertificate(bounded(&e)))?;
        self.0.push(anchor.to_owned());
        Ok(())
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl core::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TrustAnchors({})", self.0.len())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsSettingsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|e| TlsSettingsError::BadCertificate(bounded(&e)))?;
    if found.is_empty() { Err(TlsSettingsError::NoPem("certificate")) } else { Ok(found) }
}

/// A certificate chain and its private key. `Debug` does not show the key.
#[derive(Clone)]
pub struct TlsIdentity(Arc<CertifiedKey>);

impl TlsIdentity {
    /// Reads the chain (own certificate first) and the private key (PKCS#8, SEC1 or PKCS#1).
    ///
    /// # Errors
    /// [`TlsSettingsError`] if either does not parse or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsSettingsError> {
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsSettingsError::NoPem("private key"))?;
        Self::new(certificates(chain)?, key)
    }

    /// The same from DER.
    ///
    /// # Errors
    /// [`TlsSettingsError`] if either does not parse or they do not belong together.
    pub fn from_der(chain: &[&[u8]], key: &[u8]) -> Result<Self, TlsSettingsError> {
        let chain = chain.iter().map(|c| CertificateDer::from(c.to_vec())).collect();
        let key = PrivateKeyDer::try_from(key.to_vec()).map_err(|_| TlsSettingsError::BadKey)?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsSettingsError> {
        let key =
            provider().key_provider.load_private_key(key).map_err(|_| TlsSettingsError::BadKey)?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Self(Arc::new(certified)))
            }
            Err(rustls::Error::InconsistentKeys(_)) => Err(TlsSettingsError::KeyMismatch),
            Err(e) => Err(TlsSettingsError::BadCertificate(bounded(&e))),
        }
    }
}

impl core::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TlsIdentity({} certificates, key [redacted])", self.0.cert.len())
    }
}

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

/// The settings of the dialling side. Clones share one session cache, keyed by the domain
/// dialled; two settings never share sessions.
#[derive(Clone)]
pub struct TlsClientSettings {
    pub(super) config: Arc<ClientConfig>,
    pub(super) roots: Arc<[TrustAnchor<'static>]>,
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
        let roots: Arc<[TrustAnchor<'static>]> = anchors.0.into();
        let verifier = Arc::new(Verifier { roots: roots.clone(), required: true });
        let builder = ClientConfig::builder_with_details(provider(), entropy::clock())
            .with_protocol_versions(versions.list())
            .map_err(|e| TlsSettingsError::Refused(bounded(&e)))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match identity {
            Some(identity) => {
                builder.with_client_cert_resolver(Arc::new(OwnCertificate(identity.0)))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self { config: Arc::new(config), roots })
    }

    /// True if both are clones of the same settings: then, and only then, may a connection made
    /// under one serve the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl core::fmt::Debug for TlsClientSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TlsClientSettings({} anchors)", self.roots.len())
    }
}

/// What a server asks of its clients.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Nothing: clients authenticate by other means (Digest).
    #[default]
    NotRequested,
    /// A certificate is asked for; a client without one is served.
    Requested(TrustAnchors),
    /// No certificate, no connection.
    Required(TrustAnchors),
}

/// The settings of the accepting side. Clones share one session cache (stateful: no ticket key
/// exists that could be stolen).
#[derive(Clone)]
pub struct TlsServerSettings {
    pub(super) config: Arc<ServerConfig>,
    pub(super) roots: Arc<[TrustAnchor<'static>]>,
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
        let (anchors, required) = match clients {
            ClientCertificates::NotRequested => (None, false),
            ClientCertificates::Requested(anchors) => (Some(anchors), false),
            ClientCertificates::Required(anchors) => (Some(anchors), true),
        };
        let roots: Arc<[TrustAnchor<'static>]> =
            anchors.clone().map(|a| a.0).unwrap_or_default().into();
        let builder = ServerConfig::builder_with_details(provider(), entropy::clock())
            .with_protocol_versions(versions.list())
            .map_err(|e| TlsSettingsError::Refused(bounded(&e)))?;
        let builder = match anchors {
            None => builder.with_client_cert_verifier(WebPkiClientVerifier::no_client_auth()),
            Some(_) => builder
                .with_client_cert_verifier(Arc::new(Verifier { roots: roots.clone(), required })),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.0)));
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(Self { config: Arc::new(config), roots })
    }
}

impl core::fmt::Debug for TlsServerSettings {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TlsServerSettings({} anchors for clients)", self.roots.len())
    }
}

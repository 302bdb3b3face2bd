//! What trust and identity are made of: trust anchors, and a certificate chain with its key.

use std::sync::Arc;

use rustls::InconsistentKeys;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use rustls::sign::CertifiedKey;

use super::error::{CertificateProblem, TlsSettingsError, bounded};
use super::provider::TlsProvider;
use crate::crypto::identity::Dialled;
use crate::time::UnixTime;

/// Whom to trust to name a peer.
///
/// A verifier of the host's own ([`ChainVerifier`]) can stand beside the anchors: it is asked
/// about servers whose chain leads to none of them. The rules of RFC 5922 and the pins apply on
/// top of what it says.
#[derive(Clone, Default)]
pub struct TrustAnchors {
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    pub(super) verifier: Option<Arc<dyn ChainVerifier>>,
}

/// Somebody else who can judge a server's chain: the operating system's trust store, a
/// hardware token, a vendor's own rules.
///
/// It is called in the middle of a handshake, on the thread that feeds the engine: an
/// implementation that blocks, blocks the engine. Called for the peers of the dialling side
/// only.
pub trait ChainVerifier: core::fmt::Debug + Send + Sync {
    /// Judges a chain (DER, the peer's own certificate first) for what was dialled, at this
    /// time. Returns who is behind it, fit for the report.
    ///
    /// # Errors
    /// Why the chain is refused.
    fn verify(
        &self,
        chain: &[&[u8]],
        dialled: &Dialled,
        now: UnixTime,
    ) -> Result<String, CertificateProblem>;
}

impl TrustAnchors {
    /// No anchors: every peer is refused until some are added.
    pub fn none() -> Self {
        Self::default()
    }

    /// Mozilla's list of public authorities, compiled in.
    pub fn webpki_roots() -> Self {
        Self { anchors: webpki_roots::TLS_SERVER_ROOTS.to_vec(), verifier: None }
    }

    /// No anchors, and this verifier for servers.
    pub fn from_verifier(verifier: Arc<dyn ChainVerifier>) -> Self {
        Self { anchors: Vec::new(), verifier: Some(verifier) }
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
        self.anchors.push(anchor.to_owned());
        Ok(())
    }

    /// How many anchors there are.
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// True if nobody is trusted: no anchor and no verifier.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.verifier.is_none()
    }
}

impl core::fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TrustAnchors({}", self.anchors.len())?;
        f.write_str(if self.verifier.is_some() { " and a verifier)" } else { ")" })
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
pub struct TlsIdentity {
    ring: Arc<CertifiedKey>,
    #[cfg(feature = "aws-lc")]
    aws_lc: Arc<CertifiedKey>,
}

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
        Ok(Self {
            #[cfg(feature = "aws-lc")]
            aws_lc: certify(TlsProvider::AwsLc, chain.clone(), key.clone_key())?,
            ring: certify(TlsProvider::Ring, chain, key)?,
        })
    }

    /// The key in the form that this provider signs with.
    pub(super) fn certified(&self, provider: TlsProvider) -> Arc<CertifiedKey> {
        match provider {
            TlsProvider::Ring => self.ring.clone(),
            #[cfg(feature = "aws-lc")]
            TlsProvider::AwsLc => self.aws_lc.clone(),
        }
    }
}

fn certify(
    provider: TlsProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsSettingsError> {
    let loaded = provider.rustls().key_provider.load_private_key(key);
    let certified = CertifiedKey::new(chain, loaded.map_err(|_| TlsSettingsError::BadKey)?);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Arc::new(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsSettingsError::KeyMismatch),
        Err(e) => Err(TlsSettingsError::BadCertificate(bounded(&e))),
    }
}

impl core::fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "TlsIdentity({} certificates, key [redacted])", self.ring.cert.len())
    }
}

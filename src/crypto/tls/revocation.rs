//! Certificate revocation lists (RFC 5280 §5), given by the host: nothing is fetched here.

use alloc::vec::Vec;
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::error::{TlsSettingsError, bounded};

/// The most lists in [`RevocationLists`].
pub const MAX_REVOCATION_LISTS: usize = 64;
/// The most bytes of DER in [`RevocationLists`]: each handshake verifies the signature of the
/// lists that it uses, which takes time in proportion.
pub const MAX_REVOCATION_BYTES: usize = 4 * 1024 * 1024;

/// What to do with a list whose `nextUpdate` has passed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum ExpiredList {
    /// The connection is refused: whoever can keep new lists from the phone could otherwise keep
    /// a revoked certificate alive. The host must bring new lists in time.
    #[default]
    Refuse,
    /// An old list is used: what it revokes stays revoked, what was revoked since is not known.
    Use,
}

/// What to do with a certificate whose issuer has no list here.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum UnlistedIssuer {
    /// It is accepted, and reported as [`Revocation::Unknown`]: lists of one's own authority
    /// say nothing of others.
    #[default]
    Accept,
    /// It is refused: every certificate of the chain below the anchor must be covered.
    Refuse,
}

/// Lists of revoked certificates and how to use them. Only complete lists (version 2, with
/// `nextUpdate`) are usable; their signatures are verified in each handshake with the key of
/// the issuer in the chain, which must be allowed to sign lists.
#[derive(Clone, Default)]
pub struct RevocationLists {
    lists: Vec<Arc<CertRevocationList<'static>>>,
    bytes: usize,
    /// What to do with an expired list.
    pub expired: ExpiredList,
    /// What to do with a certificate that no list is for.
    pub unlisted: UnlistedIssuer,
}

impl RevocationLists {
    /// No lists: nothing is checked until one is added.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all lists of a PEM text (`BEGIN X509 CRL`).
    ///
    /// # Errors
    /// [`TlsSettingsError`]: there is none, one does not parse, or there are too many.
    pub fn add_pem(&mut self, pem: &[u8]) -> Result<(), TlsSettingsError> {
        let mut found = false;
        for list in CertificateRevocationListDer::pem_slice_iter(pem) {
            let list = list.map_err(|e| TlsSettingsError::BadRevocationList(bounded(&e)))?;
            self.add_der(&list)?;
            found = true;
        }
        if found { Ok(()) } else { Err(TlsSettingsError::NoPem("X509 CRL")) }
    }

    /// Adds one list in DER.
    ///
    /// # Errors
    /// [`TlsSettingsError::BadRevocationList`] if it does not parse or is of a kind that is not
    /// supported, [`TlsSettingsError::TooManyRevocationLists`] past
    /// [`MAX_REVOCATION_LISTS`] or [`MAX_REVOCATION_BYTES`].
    pub fn add_der(&mut self, der: &[u8]) -> Result<(), TlsSettingsError> {
        let bytes = self.bytes.saturating_add(der.len());
        if self.lists.len() >= MAX_REVOCATION_LISTS || bytes > MAX_REVOCATION_BYTES {
            return Err(TlsSettingsError::TooManyRevocationLists);
        }
        let list = OwnedCertRevocationList::from_der(der)
            .map_err(|e| TlsSettingsError::BadRevocationList(bounded(&e)))?;
        self.lists.push(Arc::new(list.into()));
        self.bytes = bytes;
        Ok(())
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// True if nothing is checked.
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.unlisted == UnlistedIssuer::Accept
    }

    /// The lists as webpki wants them.
    pub(super) fn lists(&self) -> Vec<&CertRevocationList<'static>> {
        self.lists.iter().map(|list| &**list).collect()
    }

    fn options<'a>(
        &self,
        lists: &'a [&'a CertRevocationList<'a>],
        depth: RevocationCheckDepth,
        unknown: UnknownStatusPolicy,
    ) -> Option<RevocationOptions<'a>> {
        let expired = match self.expired {
            ExpiredList::Refuse => ExpirationPolicy::Enforce,
            ExpiredList::Use => ExpirationPolicy::Ignore,
        };
        let builder = RevocationOptionsBuilder::new(lists).ok()?;
        let builder = builder.with_depth(depth).with_status_policy(unknown);
        Some(builder.with_expiration_policy(expired).build())
    }

    /// How a chain is judged.
    pub(super) fn judging<'a>(
        &self,
        lists: &'a [&'a CertRevocationList<'a>],
    ) -> Option<RevocationOptions<'a>> {
        let unknown = match self.unlisted {
            UnlistedIssuer::Accept => UnknownStatusPolicy::Allow,
            UnlistedIssuer::Refuse => UnknownStatusPolicy::Deny,
        };
        self.options(lists, RevocationCheckDepth::Chain, unknown)
    }

    /// How to find out whether the peer's own certificate was covered.
    pub(super) fn covering<'a>(
        &self,
        lists: &'a [&'a CertRevocationList<'a>],
    ) -> Option<RevocationOptions<'a>> {
        self.options(lists, RevocationCheckDepth::EndEntity, UnknownStatusPolicy::Deny)
    }
}

impl core::fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (count, bytes) = (self.lists.len(), self.bytes);
        write!(f, "RevocationLists({count}, {bytes} bytes, expired: {:?}, ", self.expired)?;
        write!(f, "unlisted: {:?})", self.unlisted)
    }
}

/// What is known of a peer's certificate's revocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Revocation {
    /// The host gave no lists.
    #[default]
    NotChecked,
    /// There are lists, but none of the certificate's issuer.
    Unknown,
    /// A list of its issuer does not name it.
    NotRevoked,
}

//! For what a certificate may be used: RFC 5280 §4.2.1.12 and RFC 5924 §4.

use webpki::{
    Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage,
    RequiredEkuNotFoundContext,
};

use super::gate::Role;

/// id-kp-serverAuth, 1.3.6.1.5.5.7.3.1.
const SERVER_AUTH: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 1]);
/// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 2]);
/// id-kp-sipDomain, 1.3.6.1.5.5.7.3.20 (RFC 5924 §3).
const SIP_DOMAIN: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 6, 1, 5, 5, 7, 3, 20]);
/// anyExtendedKeyUsage, 2.5.29.37.0.
const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[0x55, 0x1d, 0x25, 0]);

/// Which key purposes make a certificate one for SIP. A certificate without the extension and
/// one with id-kp-sipDomain are accepted either way (RFC 5924 §4.1), and so is
/// anyExtendedKeyUsage, which RFC 5924 leaves to local policy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum KeyPurposes {
    /// TLS's own purpose is enough too: id-kp-serverAuth for a server, id-kp-clientAuth for a
    /// client. Public authorities issue nothing else.
    #[default]
    TlsOrSip,
    /// RFC 5924 to the letter: an extension that names TLS alone is refused.
    SipOnly,
}

/// The purposes that are accepted in one role. It is asked about each certificate of a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted(pub(super) KeyPurposes, pub(super) Role);

impl ExtendedKeyUsageValidator for Accepted {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let tls = match self.1 {
            Role::Server => SERVER_AUTH,
            Role::Client => CLIENT_AUTH,
        };
        let (mut absent, mut accepted) = (true, false);
        for purpose in purposes {
            let purpose = purpose?;
            absent = false;
            accepted |= purpose == SIP_DOMAIN
                || purpose == ANY
                || (self.0 == KeyPurposes::TlsOrSip && purpose == tls);
        }
        if absent || accepted {
            return Ok(());
        }
        let required = match self.1 {
            Role::Server => KeyUsage::server_auth(),
            Role::Client => KeyUsage::client_auth(),
        };
        let context = RequiredEkuNotFoundContext { required, present: Vec::new() };
        Err(Error::RequiredEkuNotFoundContext(context))
    }
}

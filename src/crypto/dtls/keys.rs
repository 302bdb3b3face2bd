//! The keys that come out of a handshake (RFC 5764 §4.2).
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

use dimpl::SrtpProfile;

use super::DtlsRole;
use crate::crypto::srtp::{KeyError, MasterKey, Suite};
use crate::util::Secret;

/// The SRTP keys of one association, both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DtlsSrtpKeys {
    suite: Suite,
    send: MasterKey,
    receive: MasterKey,
}

impl DtlsSrtpKeys {
    /// Cuts the exported keying material: client key, server key, client salt, server salt
    /// (RFC 5764 §4.2). The client is the active end.
    pub(super) fn split(role: DtlsRole, suite: Suite, material: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyError::Length { suite, got: material.len() };
        if material.len() != suite.master_len().saturating_mul(2) {
            return Err(wrong);
        }
        let (client_key, rest) = material.split_at_checked(suite.key_len()).ok_or(wrong)?;
        let (server_key, salts) = rest.split_at_checked(suite.key_len()).ok_or(wrong)?;
        let (client_salt, server_salt) = salts.split_at_checked(suite.salt_len()).ok_or(wrong)?;
        let join = |key: &[u8], salt: &[u8]| {
            let mut both = Secret::new(Vec::with_capacity(suite.master_len()));
            both.expose_mut().extend_from_slice(key);
            both.expose_mut().extend_from_slice(salt);
            MasterKey::new(suite, both.expose())
        };
        let client = join(client_key, client_salt)?;
        let server = join(server_key, server_salt)?;
        Ok(match role {
            DtlsRole::Active => Self { suite, send: client, receive: server },
            DtlsRole::Passive => Self { suite, send: server, receive: client },
        })
    }

    /// The negotiated protection profile.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key for what we send.
    pub fn send(&self) -> &MasterKey {
        &self.send
    }

    /// The key for what the peer sends.
    pub fn receive(&self) -> &MasterKey {
        &self.receive
    }
}

/// The suite of a protection profile (RFC 5764 §4.1.2, RFC 7714 §14.2).
pub(super) fn suite_of(profile: SrtpProfile) -> Option<Suite> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Suite::AesCm128HmacSha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Suite::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Suite::AeadAes256Gcm),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_rfc_5764() {
        let suite = Suite::AesCm128HmacSha1_80;
        let material: Vec<u8> =
            [[1; 16], [2; 16]].concat().into_iter().chain([3; 14]).chain([4; 14]).collect();
        let client = DtlsSrtpKeys::split(DtlsRole::Active, suite, &material).unwrap();
        let server = DtlsSrtpKeys::split(DtlsRole::Passive, suite, &material).unwrap();
        assert_eq!(client.send().expose(), [&[1; 16][..], &[3; 14]].concat());
        assert_eq!(client.receive().expose(), [&[2; 16][..], &[4; 14]].concat());
        assert_eq!((server.send(), server.receive()), (client.receive(), client.send()));
        assert!(DtlsSrtpKeys::split(DtlsRole::Active, suite, &material[1..]).is_err());
    }

    #[test]
    fn the_profiles_have_the_lengths_of_their_suites() {
        for profile in SrtpProfile::ALL {
            let suite = suite_of(*profile).unwrap();
            assert_eq!(profile.keying_material_len(), 2 * suite.master_len());
        }
    }
}

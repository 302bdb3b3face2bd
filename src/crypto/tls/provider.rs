//! ring's suites and signature checks, our key exchange and signatures: the provider that rustls
//! runs on, so that every random byte of a handshake comes from the engine's generator.
//!
//! Two exceptions, both inside ring, which signs with a generator of its own choice: RSA-PSS
//! padding, and ECDSA on P-384. They do not weaken anything; but a run in which *our* certificate
//! has such a key is not reproducible bit for bit. Ed25519 (by ring) and P-256 (RFC 6979, by
//! `p256`) signatures are deterministic.

use std::sync::{Arc, LazyLock};

use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::pkcs8::DecodePrivateKey;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, KeyProvider, SharedSecret, SupportedKxGroup, ring,
};
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer, alg_id};
use rustls::sign::{Signer, SigningKey, public_key_to_spki};
use rustls::{Error, NamedGroup, PeerMisbehaved, SignatureAlgorithm, SignatureScheme};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entropy::{self, LentRandom};

/// Whose cryptography a TLS connection runs on. A choice of the settings, so that building with
/// another provider changes nothing for those who do not ask for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum TlsProvider {
    /// ring, with every random byte of the handshake drawn from the engine's generator (but for
    /// RSA-PSS and P-384 signatures, which ring makes with its own): X25519 and P-256.
    #[default]
    Ring,
    /// AWS-LC: prefers the hybrid post-quantum key exchange X25519MLKEM768, then X25519, P-256
    /// and P-384.
    ///
    /// AWS-LC takes randomness from its own generator, which the operating system seeds: the
    /// engine's generator is *not* used for the handshake, and a run is not reproducible bit for
    /// bit. The engine's clock still decides over certificates.
    ///
    /// For FIPS 140-3, the host adds `rustls = { version = "0.23", features = ["fips"] }` to its
    /// own manifest: cargo then builds this provider on the validated module (which needs CMake
    /// and Go). [`TlsProvider::is_fips`] and [`TlsFacts::fips`](super::TlsFacts::fips) say
    /// whether it is there. The SRTP context is not part of that module.
    #[cfg(feature = "aws-lc")]
    AwsLc,
}

impl TlsProvider {
    /// The provider as rustls wants it (constant data).
    pub(super) fn rustls(self) -> Arc<CryptoProvider> {
        match self {
            Self::Ring => RING.clone(),
            #[cfg(feature = "aws-lc")]
            Self::AwsLc => AWS_LC.clone(),
        }
    }

    /// True if the provider is a FIPS-validated module, built and running as such.
    pub fn is_fips(self) -> bool {
        self.rustls().fips()
    }
}

static RING: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: vec![&X25519, &Secp256r1],
        secure_random: &LentRandom,
        key_provider: &Keys,
        // AEAD with ECDHE only, for TLS 1.2 too (RFC 9325 §4.2).
        ..ring::default_provider()
    })
});

#[cfg(feature = "aws-lc")]
static AWS_LC: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    use rustls::crypto::aws_lc_rs::{self, kx_group};
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups =
        vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    if provider.secure_random.fips() {
        // X25519 alone is not an approved curve.
        provider.kx_groups.retain(|g| g.fips());
    }
    Arc::new(provider)
});

/// X25519 (RFC 7748).
#[derive(Debug)]
struct X25519;

struct X25519Exchange {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy::fill(&mut *secret)?;
        let public = x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES);
        Ok(Box::new(X25519Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for X25519Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = <[u8; 32]>::try_from(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = Zeroizing::new(x25519_dalek::x25519(*self.secret, peer));
        // A point of small order would make the secret public (RFC 7748 §6.1).
        if bool::from(shared.ct_eq(&[0; 32])) {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// ECDH on P-256 (RFC 8446 §4.2.8.2).
#[derive(Debug)]
struct Secp256r1;

struct Secp256r1Exchange {
    secret: p256::SecretKey,
    public: Box<[u8]>,
}

impl SupportedKxGroup for Secp256r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        // A draw is out of range about once in 2^32: eight failures mean a broken generator.
        for _ in 0..8 {
            let mut bytes = Zeroizing::new([0; 32]);
            entropy::fill(&mut *bytes)?;
            if let Ok(secret) = p256::SecretKey::from_slice(&*bytes) {
                let public = secret.public_key().to_sec1_point(false).as_bytes().into();
                return Ok(Box::new(Secp256r1Exchange { secret, public }));
            }
        }
        Err(Error::FailedToGetRandomBytes)
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl ActiveKeyExchange for Secp256r1Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // Only the uncompressed form is allowed.
        if peer.first() != Some(&4) {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let peer = p256::PublicKey::from_sec1_bytes(peer)
            .map_err(|_| Error::from(PeerMisbehaved::InvalidKeyShare))?;
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(&shared.raw_secret_bytes()[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

/// Loads private keys: P-256 for `p256`, everything else for ring.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let key = Zeroizing::new(key);
        let p256 = match &*key {
            PrivateKeyDer::Pkcs8(der) => {
                p256::ecdsa::SigningKey::from_pkcs8_der(der.secret_pkcs8_der()).ok()
            }
            PrivateKeyDer::Sec1(der) => p256::SecretKey::from_sec1_der(der.secret_sec1_der())
                .ok()
                .map(p256::ecdsa::SigningKey::from),
            _ => None,
        };
        match p256 {
            Some(key) => Ok(Arc::new(P256Key(Arc::new(key)))),
            None => ring::sign::any_supported_type(&key),
        }
    }
}

/// ECDSA on P-256 with deterministic nonces (RFC 6979).
struct P256Key(Arc<p256::ecdsa::SigningKey>);

impl core::fmt::Debug for P256Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("P256Key([redacted])")
    }
}

impl SigningKey for P256Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SignatureScheme::ECDSA_NISTP256_SHA256)
            .then(|| Box::new(Self(self.0.clone())) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let point = self.0.verifying_key().to_sec1_point(false);
        Some(public_key_to_spki(&alg_id::ECDSA_P256, point.as_bytes()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for P256Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: p256::ecdsa::Signature =
            self.0.try_sign(message).map_err(|_| Error::General("signing failed".into()))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;
    use crate::util::SeededRng;

    fn lent<R>(call: impl FnOnce() -> R) -> R {
        entropy::lend(UnixTime::from_secs(0), &mut SeededRng::new(3), call).0
    }

    #[test]
    fn both_groups_agree_with_rings() {
        for (ours, rings) in [
            (&X25519 as &dyn SupportedKxGroup, ring::kx_group::X25519),
            (&Secp256r1, ring::kx_group::SECP256R1),
        ] {
            let a = lent(|| ours.start()).expect("a key");
            let b = rings.start().expect("a key");
            let (a_public, b_public) = (a.pub_key().to_vec(), b.pub_key().to_vec());
            let a = a.complete(&b_public).expect("a secret");
            let b = b.complete(&a_public).expect("a secret");
            assert_eq!(a.secret_bytes(), b.secret_bytes());
        }
    }

    #[test]
    fn bad_shares_are_refused() {
        for bad in [&[0; 32][..], &[0; 31], &[]] {
            let exchange = lent(|| X25519.start()).expect("a key");
            assert!(exchange.complete(bad).is_err());
        }
        let good = lent(|| Secp256r1.start()).expect("a key").pub_key().to_vec();
        let mut off_curve = good.clone();
        off_curve[64] ^= 1;
        let mut compressed = good[..33].to_vec();
        compressed[0] = 2 + (good[64] & 1);
        for bad in [&off_curve, &compressed, &vec![0]] {
            let exchange = lent(|| Secp256r1.start()).expect("a key");
            assert!(exchange.complete(bad).is_err());
        }
    }

    #[test]
    fn no_key_without_a_lent_generator() {
        assert!(X25519.start().is_err() && Secp256r1.start().is_err());
    }
}

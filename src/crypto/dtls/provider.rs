//! The cryptography that dimpl runs on: ring for hashes, HMAC, AES-GCM and the verification of
//! signatures; `x25519-dalek` and `p256` for key exchange and our own signatures, because these
//! take their randomness from us.

use std::sync::Arc;

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use dimpl::crypto::{
    Aad, ActiveKeyExchange, Buf, Cipher, CryptoProvider, Dtls12CipherSuite, Dtls13CipherSuite,
    HashContext, HashProvider, HmacProvider, KeyProvider, Nonce, SecureRandom, SignatureVerifier,
    SigningKey, SupportedDtls12CipherSuite, SupportedDtls13CipherSuite, SupportedKxGroup, TmpBuf,
    check_verify_scheme,
};
use dimpl::{CryptoError, CryptoOperation, HashAlgorithm, NamedGroup, SignatureAlgorithm};
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::sec1::ToSec1Point;
use ring::{aead, digest, hmac, signature};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{der, lend};

/// AES-256 first, as SRTP's profiles are ordered.
static DTLS12_SUITES: &[&dyn SupportedDtls12CipherSuite] = &[&AES_256, &AES_128];
static DTLS13_SUITES: &[&dyn SupportedDtls13CipherSuite] = &[&AES_256, &AES_128];

/// What dimpl is built on.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: &[&X25519, &Secp256r1],
        signature_verification: &Verifier,
        key_provider: &Keys,
        secure_random: &Random,
        hash_provider: &Hashes,
        hmac_provider: &Hmac,
        cipher_suites: DTLS12_SUITES,
        dtls13_cipher_suites: DTLS13_SUITES,
    }
}

fn failed(operation: CryptoOperation) -> CryptoError {
    CryptoError::OperationFailed(operation)
}

/// AES-GCM with SHA-256 or SHA-384, in DTLS 1.2 (RFC 5289) and 1.3 (RFC 8446 §B.4).
#[derive(Debug)]
struct AesGcmSuite {
    dtls12: Dtls12CipherSuite,
    dtls13: Dtls13CipherSuite,
    hash: HashAlgorithm,
    aead: &'static aead::Algorithm,
    key_len: usize,
}

static AES_128: AesGcmSuite = AesGcmSuite {
    dtls12: Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256,
    dtls13: Dtls13CipherSuite::AES_128_GCM_SHA256,
    hash: HashAlgorithm::SHA256,
    aead: &aead::AES_128_GCM,
    key_len: 16,
};

static AES_256: AesGcmSuite = AesGcmSuite {
    dtls12: Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384,
    dtls13: Dtls13CipherSuite::AES_256_GCM_SHA384,
    hash: HashAlgorithm::SHA384,
    aead: &aead::AES_256_GCM,
    key_len: 32,
};

impl AesGcmSuite {
    fn cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        let key = aead::UnboundKey::new(self.aead, key)
            .map_err(|_| failed(CryptoOperation::CreateCipher))?;
        Ok(Box::new(AesGcm(aead::LessSafeKey::new(key))))
    }
}

impl SupportedDtls12CipherSuite for AesGcmSuite {
    fn suite(&self) -> Dtls12CipherSuite {
        self.dtls12
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.hash
    }

    fn key_lengths(&self) -> (usize, usize, usize) {
        (0, self.key_len, 4)
    }

    fn explicit_nonce_len(&self) -> usize {
        8
    }

    fn tag_len(&self) -> usize {
        16
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        self.cipher(key)
    }
}

impl SupportedDtls13CipherSuite for AesGcmSuite {
    fn suite(&self) -> Dtls13CipherSuite {
        self.dtls13
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        self.hash
    }

    fn key_len(&self) -> usize {
        self.key_len
    }

    fn iv_len(&self) -> usize {
        12
    }

    fn tag_len(&self) -> usize {
        16
    }

    fn create_cipher(&self, key: &[u8]) -> Result<Box<dyn Cipher>, CryptoError> {
        self.cipher(key)
    }

    fn encrypt_sn(&self, sn_key: &[u8], sample: &[u8; 16]) -> [u8; 16] {
        let mut block = Array(*sample);
        // The key has this length because `key_len` says so.
        if let Ok(cipher) = aes::Aes128::new_from_slice(sn_key) {
            cipher.encrypt_block(&mut block);
        } else if let Ok(cipher) = aes::Aes256::new_from_slice(sn_key) {
            cipher.encrypt_block(&mut block);
        }
        block.0
    }
}

#[derive(Debug)]
struct AesGcm(aead::LessSafeKey);

impl Cipher for AesGcm {
    fn encrypt(&mut self, plaintext: &mut Buf, aad: Aad, nonce: Nonce) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, aead::Aad::from(&*aad), plaintext.as_mut())
            .map_err(|_| failed(CryptoOperation::Encrypt))?;
        plaintext.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn decrypt(
        &mut self,
        ciphertext: &mut TmpBuf<'_>,
        aad: Aad,
        nonce: Nonce,
    ) -> Result<(), CryptoError> {
        let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
        let len = self
            .0
            .open_in_place(nonce, aead::Aad::from(&*aad), ciphertext.as_mut())
            .map_err(|_| failed(CryptoOperation::Decrypt))?
            .len();
        ciphertext.truncate(len);
        Ok(())
    }
}

/// Gives dimpl a shared secret, or its handle.
fn hand_out(shared: &[u8], out: &mut Buf) {
    out.clear();
    match lend::vault(|vault, rng| vault.hide(shared, rng)) {
        Some(handle) => out.extend_from_slice(&handle),
        None => out.extend_from_slice(shared),
    }
}

#[derive(Debug)]
struct X25519;

struct X25519Exchange {
    secret: Zeroizing<[u8; 32]>,
    public: Buf,
}

impl SupportedKxGroup for X25519 {
    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        let mut secret = Zeroizing::new([0; 32]);
        lend::fill(&mut *secret).ok_or(failed(CryptoOperation::GenerateEphemeralKey))?;
        public.clear();
        let point = x25519_dalek::x25519(*secret, x25519_dalek::X25519_BASEPOINT_BYTES);
        public.extend_from_slice(&point);
        Ok(Box::new(X25519Exchange { secret, public }))
    }
}

impl core::fmt::Debug for X25519Exchange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("X25519Exchange([redacted])")
    }
}

impl ActiveKeyExchange for X25519Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let invalid = CryptoError::InvalidPublicKey(NamedGroup::X25519);
        let peer = <[u8; 32]>::try_from(peer).map_err(|_| invalid.clone())?;
        let shared = Zeroizing::new(x25519_dalek::x25519(*self.secret, peer));
        // A point of small order would make the secret public (RFC 7748 §6.1).
        if bool::from(shared.ct_eq(&[0; 32])) {
            return Err(invalid);
        }
        hand_out(&*shared, out);
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[derive(Debug)]
struct Secp256r1;

struct Secp256r1Exchange {
    secret: p256::SecretKey,
    public: Buf,
}

impl SupportedKxGroup for Secp256r1 {
    fn name(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }

    fn start_exchange(&self, mut public: Buf) -> Result<Box<dyn ActiveKeyExchange>, CryptoError> {
        // A draw is out of range about once in 2^32: eight failures mean a broken generator.
        for _ in 0..8 {
            let mut bytes = Zeroizing::new([0; 32]);
            lend::fill(&mut *bytes).ok_or(failed(CryptoOperation::GenerateEphemeralKey))?;
            if let Ok(secret) = p256::SecretKey::from_slice(&*bytes) {
                public.clear();
                let point = secret.public_key().to_sec1_point(false);
                public.extend_from_slice(point.as_bytes());
                return Ok(Box::new(Secp256r1Exchange { secret, public }));
            }
        }
        Err(failed(CryptoOperation::GenerateEphemeralKey))
    }
}

impl core::fmt::Debug for Secp256r1Exchange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secp256r1Exchange([redacted])")
    }
}

impl ActiveKeyExchange for Secp256r1Exchange {
    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn complete(self: Box<Self>, peer: &[u8], out: &mut Buf) -> Result<(), CryptoError> {
        let invalid = CryptoError::InvalidPublicKey(NamedGroup::Secp256r1);
        // Only the uncompressed form is allowed (RFC 8422 §5.11, RFC 8446 §4.2.8.2).
        if peer.first() != Some(&4) {
            return Err(invalid);
        }
        let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| invalid)?;
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        hand_out(&shared.raw_secret_bytes()[..], out);
        Ok(())
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::Secp256r1
    }
}

#[derive(Debug)]
struct Verifier;

impl SignatureVerifier for Verifier {
    fn verify_signature(
        &self,
        certificate: &[u8],
        data: &[u8],
        signature: &[u8],
        hash: HashAlgorithm,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let (curve, point) =
            der::public_key(certificate).ok_or(CryptoError::CertificateParseFailed)?;
        let group = match curve {
            der::Curve::P256 => NamedGroup::Secp256r1,
            der::Curve::P384 => NamedGroup::Secp384r1,
        };
        check_verify_scheme(algorithm, hash, group)?;
        let verification: &'static dyn signature::VerificationAlgorithm = match (curve, hash) {
            (der::Curve::P256, HashAlgorithm::SHA256) => &signature::ECDSA_P256_SHA256_ASN1,
            (der::Curve::P256, _) => &signature::ECDSA_P256_SHA384_ASN1,
            (der::Curve::P384, HashAlgorithm::SHA256) => &signature::ECDSA_P384_SHA256_ASN1,
            (der::Curve::P384, _) => &signature::ECDSA_P384_SHA384_ASN1,
        };
        signature::UnparsedPublicKey::new(verification, point)
            .verify(data, signature)
            .map_err(|_| failed(CryptoOperation::VerifySignature))
    }
}

/// Gives dimpl the lent key, whatever bytes it asks with: it never sees the real ones.
#[derive(Debug)]
struct Keys;

impl KeyProvider for Keys {
    fn load_private_key(&self, _: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let key = lend::key().ok_or(failed(CryptoOperation::LoadPrivateKey))?;
        Ok(Box::new(P256Key(key)))
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
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            let group = NamedGroup::Secp256r1;
            return Err(CryptoError::SigningKeyUnsupportedHash { group, hash });
        }
        let signature: p256::ecdsa::Signature =
            self.0.try_sign(data).map_err(|_| failed(CryptoOperation::Sign))?;
        out.clear();
        out.extend_from_slice(signature.to_der().as_bytes());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

#[derive(Debug)]
struct Random;

impl SecureRandom for Random {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        lend::fill(out).ok_or(failed(CryptoOperation::FillRandom))
    }
}

#[derive(Debug)]
struct Hashes;

struct Hash(digest::Context);

impl HashProvider for Hashes {
    fn create_hash(&self, algorithm: HashAlgorithm) -> Box<dyn HashContext> {
        // No suite of ours has another hash than these two.
        let algorithm = match algorithm {
            HashAlgorithm::SHA384 => &digest::SHA384,
            _ => &digest::SHA256,
        };
        Box::new(Hash(digest::Context::new(algorithm)))
    }
}

impl core::fmt::Debug for Hash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hash")
    }
}

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn clone_and_finalize(&self, out: &mut Buf) {
        out.clear();
        out.extend_from_slice(self.0.clone().finish().as_ref());
    }
}

#[derive(Debug)]
struct Hmac;

impl HmacProvider for Hmac {
    fn hmac(
        &self,
        hash: HashAlgorithm,
        key: &[u8],
        data: &[u8],
        out: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let algorithm = match hash {
            HashAlgorithm::SHA256 => hmac::HMAC_SHA256,
            HashAlgorithm::SHA384 => hmac::HMAC_SHA384,
            _ => return Err(CryptoError::UnsupportedHmacHash(hash)),
        };
        let make = |key: &[u8], data: &[u8]| {
            let tag = hmac::sign(&hmac::Key::new(algorithm, key), data);
            let mut out = Zeroizing::new([0; 64]);
            out.iter_mut().zip(tag.as_ref()).for_each(|(slot, byte)| *slot = *byte);
            (out, tag.as_ref().len())
        };
        let hidden = lend::vault(|vault, rng| vault.hmac(rng, &make, key, data));
        let (tag, len) = hidden.unwrap_or_else(|| make(key, data));
        let tag = tag.get(..len).unwrap_or_default();
        let slot = out.get_mut(..len).ok_or(failed(CryptoOperation::ComputeHmac))?;
        slot.copy_from_slice(tag);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::dtls::lend::{Ratchet, lend};
    use crate::util::SeededRng;

    /// dimpl's own vectors: AEAD, HMAC, PRF, HKDF, record numbers, signatures, key exchange.
    #[test]
    fn dimpls_vectors_hold() {
        let key = Arc::new(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap());
        let mut rng = Ratchet::new(&mut SeededRng::new(3));
        lend(&mut rng, &key, || provider().validate()).unwrap();
        // And without a lent generator no key is made.
        assert!(provider().validate().is_err());
    }

    #[test]
    fn bad_shares_are_refused() {
        let key = Arc::new(p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap());
        let mut rng = Ratchet::new(&mut SeededRng::new(3));
        lend(&mut rng, &key, || {
            let start = |group: &dyn SupportedKxGroup| group.start_exchange(Buf::new()).unwrap();
            for bad in [&[0; 32][..], &[0; 31], &[]] {
                assert!(start(&X25519).complete(bad, &mut Buf::new()).is_err());
            }
            let good = start(&Secp256r1).pub_key().to_vec();
            let mut off_curve = good.clone();
            off_curve[64] ^= 1;
            let mut compressed = good[..33].to_vec();
            compressed[0] = 2 + (good[64] & 1);
            for bad in [&off_curve, &compressed, &vec![]] {
                assert!(start(&Secp256r1).complete(bad, &mut Buf::new()).is_err());
            }
            assert!(start(&Secp256r1).complete(&good, &mut Buf::new()).is_ok());
        });
    }
}

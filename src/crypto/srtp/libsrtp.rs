//! libsrtp 2 behind [`ProtectPackets`] and [`UnprotectPackets`] (feature `libsrtp`), to compare it
//! with our own contexts. It copies each packet; keys are libsrtp's to wipe.
//!
//! Differences that a comparison must know: libsrtp's first SRTCP index is 1 (RFC 3711 §3.2.1 has
//! 0), its senders take sequence numbers out of order, and it does not look at RTP's version. Its
//! AES-192 suites are not those of RFC 6188: session keys come from AES-256 on a padded key where
//! §3 asks for AES-192, so they are refused here. It has no f8-mode.

use super::{
    Egress, KeyError, MAX_PACKET_LEN, MasterKey, ProtectError, ProtectPackets, REPLAY_WINDOW,
    Suite, UnprotectError, UnprotectPackets, rtcp_ssrc,
};
use crate::wire::rtp::RtpHeader;
use alloc::vec::Vec;
use core::fmt;
use srtp::{CryptoPolicy, Error, Session, StreamPolicy};

/// Protects packets with libsrtp.
pub struct LibsrtpSender(Context);

/// Checks and decrypts packets with libsrtp; its replay windows are as long as ours.
pub struct LibsrtpReceiver(Context);

struct Context {
    session: Session,
    suite: Suite,
    /// libsrtp's crate takes vectors alone.
    buffer: Vec<u8>,
}

impl LibsrtpSender {
    /// A context for the packets that this key protects.
    ///
    /// # Errors
    /// [`KeyError::Refused`] for AES-192 and f8, and if libsrtp refuses the key.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        Context::new(key, Session::with_outbound_template).map(Self)
    }
}

impl LibsrtpReceiver {
    /// A context for the packets that this key protects.
    ///
    /// # Errors
    /// [`KeyError::Refused`] for AES-192 and f8, and if libsrtp refuses the key.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        Context::new(key, Session::with_inbound_template).map(Self)
    }
}

impl Context {
    fn new(
        key: &MasterKey,
        make: impl FnOnce(StreamPolicy<'_>) -> Result<Session, Error>,
    ) -> Result<Self, KeyError> {
        let suite = key.suite();
        let (rtp, rtcp) = policies(suite).ok_or(KeyError::Refused(suite))?;
        let policy = StreamPolicy {
            rtp,
            rtcp,
            key: key.expose(),
            window_size: REPLAY_WINDOW,
            allow_repeat_tx: false,
            encrypt_extension_headers: &[],
        };
        let session = make(policy).map_err(|_| KeyError::Refused(suite))?;
        Ok(Self { session, suite, buffer: Vec::with_capacity(2048) })
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
    }

    /// What libsrtp left, copied back.
    fn result<'b>(&self, to: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let to = to.get_mut(..self.buffer.len())?;
        to.copy_from_slice(&self.buffer);
        Some(to)
    }
}

/// RTCP has 80 bits of tag where RTP has 32 (RFC 4568 §6.2.2).
fn policies(suite: Suite) -> Option<(CryptoPolicy, CryptoPolicy)> {
    use CryptoPolicy as P;
    let both = |policy| (policy, policy);
    Some(match suite {
        Suite::AesCm128HmacSha1_80 => both(P::aes_cm_128_hmac_sha1_80()),
        Suite::AesCm128HmacSha1_32 => (P::aes_cm_128_hmac_sha1_32(), P::aes_cm_128_hmac_sha1_80()),
        Suite::AesCm192HmacSha1_80 | Suite::AesCm192HmacSha1_32 | Suite::F8_128HmacSha1_80 => {
            return None;
        }
        Suite::AesCm256HmacSha1_80 => both(P::aes_cm_256_hmac_sha1_80()),
        Suite::AesCm256HmacSha1_32 => (P::aes_cm_256_hmac_sha1_32(), P::aes_cm_256_hmac_sha1_80()),
        Suite::AeadAes128Gcm => both(P::aes_gcm_128_16_auth()),
        Suite::AeadAes256Gcm => both(P::aes_gcm_256_16_auth()),
    })
}

impl ProtectPackets for LibsrtpSender {
    fn suite(&self) -> Suite {
        self.0.suite
    }

    fn protect_rtp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        let suite = self.0.suite;
        let plain = check_room(buffer, len, suite.rtp_overhead())?;
        let header = RtpHeader::parse(plain).map_err(|_| ProtectError::Malformed)?;
        let (ssrc, sequence) = (header.ssrc, header.sequence_number);
        self.0.fill(plain);
        self.0.session.protect(&mut self.0.buffer).map_err(|error| match error {
            Error::REPLAY_FAIL | Error::REPLAY_OLD => ProtectError::IndexReused { ssrc, sequence },
            Error::KEY_EXPIRED => ProtectError::KeyExhausted,
            _ => ProtectError::Malformed,
        })?;
        let bytes = self.0.result(buffer).ok_or(ProtectError::TooLong)?;
        Ok(Egress::protected(bytes, suite))
    }

    fn protect_rtcp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        let suite = self.0.suite;
        let plain = check_room(buffer, len, suite.rtcp_overhead())?;
        rtcp_ssrc(plain).ok_or(ProtectError::Malformed)?;
        self.0.fill(plain);
        self.0.session.protect_rtcp(&mut self.0.buffer).map_err(|error| match error {
            Error::KEY_EXPIRED => ProtectError::KeyExhausted,
            _ => ProtectError::Malformed,
        })?;
        let bytes = self.0.result(buffer).ok_or(ProtectError::TooLong)?;
        Ok(Egress::protected(bytes, suite))
    }
}

impl UnprotectPackets for LibsrtpReceiver {
    fn suite(&self) -> Suite {
        self.0.suite
    }

    fn unprotect_rtp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError> {
        self.0.fill(packet);
        self.0.session.unprotect(&mut self.0.buffer).map_err(refusal)?;
        self.0.result(packet).ok_or(UnprotectError::Malformed)
    }

    fn unprotect_rtcp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError> {
        self.0.fill(packet);
        self.0.session.unprotect_rtcp(&mut self.0.buffer).map_err(refusal)?;
        self.0.result(packet).ok_or(UnprotectError::Malformed)
    }
}

fn check_room(buffer: &[u8], len: usize, overhead: usize) -> Result<&[u8], ProtectError> {
    let needed = len.saturating_add(overhead);
    if needed > MAX_PACKET_LEN {
        return Err(ProtectError::TooLong);
    }
    let room = buffer.len() >= needed;
    buffer.get(..len).filter(|_| room).ok_or(ProtectError::BufferTooSmall { needed })
}

fn refusal(error: Error) -> UnprotectError {
    match error {
        Error::AUTH_FAIL | Error::CIPHER_FAIL => UnprotectError::AuthFailed,
        Error::REPLAY_FAIL => UnprotectError::Replayed,
        Error::REPLAY_OLD => UnprotectError::TooOld,
        Error::CANT_CHECK => UnprotectError::Unencrypted,
        Error::KEY_EXPIRED => UnprotectError::KeyExhausted,
        Error::BAD_MKI => UnprotectError::UnknownMki,
        _ => UnprotectError::Malformed,
    }
}

impl fmt::Debug for LibsrtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LibsrtpSender").field(&self.0.suite).finish()
    }
}

impl fmt::Debug for LibsrtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LibsrtpReceiver").field(&self.0.suite).finish()
    }
}

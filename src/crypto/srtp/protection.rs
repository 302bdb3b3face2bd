//! What a sender and a receiver of protected packets do, whoever implements it.

use super::{Egress, ProtectError, SrtpReceiver, SrtpSender, Suite, UnprotectError};

/// Protects outgoing packets: our own [`SrtpSender`], or libsrtp's with the feature `libsrtp`.
/// Only this module's types can make an [`Egress`].
pub trait ProtectPackets {
    /// The suite.
    fn suite(&self) -> Suite;

    /// Protects the RTP packet in `buffer[..len]` in place.
    ///
    /// # Errors
    /// See [`SrtpSender::protect_rtp`].
    fn protect_rtp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError>;

    /// Protects the compound RTCP packet in `buffer[..len]` in place.
    ///
    /// # Errors
    /// See [`SrtpSender::protect_rtcp`].
    fn protect_rtcp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError>;
}

/// Checks and decrypts incoming packets: our own [`SrtpReceiver`], or libsrtp's with the feature
/// `libsrtp`.
pub trait UnprotectPackets {
    /// The suite.
    fn suite(&self) -> Suite;

    /// Checks and decrypts an SRTP packet in place; returns the RTP packet.
    ///
    /// # Errors
    /// See [`SrtpReceiver::unprotect_rtp`].
    fn unprotect_rtp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError>;

    /// Checks and decrypts an SRTCP packet in place; returns the compound RTCP packet.
    ///
    /// # Errors
    /// See [`SrtpReceiver::unprotect_rtcp`].
    fn unprotect_rtcp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError>;
}

impl ProtectPackets for SrtpSender {
    fn suite(&self) -> Suite {
        self.suite()
    }

    fn protect_rtp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        self.protect_rtp(buffer, len)
    }

    fn protect_rtcp<'b>(
        &mut self,
        buffer: &'b mut [u8],
        len: usize,
    ) -> Result<Egress<'b>, ProtectError> {
        self.protect_rtcp(buffer, len)
    }
}

impl UnprotectPackets for SrtpReceiver {
    fn suite(&self) -> Suite {
        self.suite()
    }

    fn unprotect_rtp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError> {
        self.unprotect_rtp(packet)
    }

    fn unprotect_rtcp<'p>(&mut self, packet: &'p mut [u8]) -> Result<&'p mut [u8], UnprotectError> {
        self.unprotect_rtcp(packet)
    }
}

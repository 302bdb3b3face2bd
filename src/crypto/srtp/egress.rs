//! The only type of packet that a media socket takes.

use super::Suite;

/// An RTP or RTCP packet that may leave.
///
/// Its bytes come from an [`SrtpSender`](super::SrtpSender), or are plain by a [`PlainPermit`]
/// that the security policy issued. There is no other way to make one, so plain media cannot leave
/// by mistake.
#[derive(Clone, Copy, Debug)]
pub struct Egress<'b> {
    bytes: &'b [u8],
    suite: Option<Suite>,
}

impl<'b> Egress<'b> {
    pub(super) fn protected(bytes: &'b [u8], suite: Suite) -> Self {
        Self { bytes, suite: Some(suite) }
    }

    /// A plain packet, as the policy permits.
    pub fn plain(bytes: &'b [u8], _permit: &PlainPermit) -> Self {
        Self { bytes, suite: None }
    }

    /// The bytes for the wire.
    pub fn bytes(self) -> &'b [u8] {
        self.bytes
    }

    /// The suite that protects the packet; `None` for a plain one.
    pub fn suite(self) -> Option<Suite> {
        self.suite
    }
}

/// Permission to send media in clear, for a stream whose policy allows it.
///
/// Only the engine's policy can issue one.
#[derive(Clone, Debug)]
pub struct PlainPermit(());

impl PlainPermit {
    /// Issues a permit. `clippy.toml` disallows this call everywhere but in the engine's policy.
    #[allow(dead_code)] // without the engine nobody permits plain media
    pub(crate) fn issue() -> Self {
        Self(())
    }
}

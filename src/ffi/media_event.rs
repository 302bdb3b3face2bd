//! What a media session that was taken tells.

use super::addr::subrosa_addr;
use super::breaker::{SUBROSA_BREAKER_NONE, breaker_number};
use super::end::{SUBROSA_NO_MEDIA_NONE, no_media_number};
use super::pointer::Versioned;
use crate::media::session::MediaEvent;

/// Nothing happened.
pub const SUBROSA_MEDIA_EVENT_NONE: i32 = 0;
/// The first valid packet came: `ssrc`, `from`.
pub const SUBROSA_MEDIA_EVENT_FIRST_PACKET: i32 = 1;
/// The far end pressed `digit`.
pub const SUBROSA_MEDIA_EVENT_DTMF: i32 = 2;
/// The far end's source changed: `ssrc_before`, `ssrc`.
pub const SUBROSA_MEDIA_EVENT_SSRC_CHANGED: i32 = 3;
/// The far end used our source's number: ours is `ssrc` from now on.
pub const SUBROSA_MEDIA_EVENT_SSRC_COLLISION: i32 = 4;
/// Media comes from and goes to another address: before `from`, now `to`.
pub const SUBROSA_MEDIA_EVENT_SOURCE_CHANGED: i32 = 5;
/// The far end's RTCP said goodbye.
pub const SUBROSA_MEDIA_EVENT_REMOTE_BYE: i32 = 6;
/// Nothing usable has been heard for ten seconds: `no_media`.
pub const SUBROSA_MEDIA_EVENT_NO_MEDIA: i32 = 7;
/// Something is heard again.
pub const SUBROSA_MEDIA_EVENT_MEDIA_RESUMED: i32 = 8;
/// The SRTP key is used up: nothing is sent until an update brings another.
pub const SUBROSA_MEDIA_EVENT_SEND_BLOCKED: i32 = 9;
/// Something that this version of the C interface does not know.
pub const SUBROSA_MEDIA_EVENT_OTHER: i32 = 10;
/// Nothing is sent any more, because it harms the network: `breaker`.
pub const SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER: i32 = 11;
/// The program, which encodes by itself, is to encode otherwise: subrosa_media_encoding.
pub const SUBROSA_MEDIA_EVENT_ENCODING_CHANGED: i32 = 12;
/// Media is sent again after SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER: the peer is back.
pub const SUBROSA_MEDIA_EVENT_SENDING_RESUMED: i32 = 13;

/// What happened in a media session; which fields count depends on the kind, the others are 0.
/// Set `size` to sizeof before polling.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_media_event {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_MEDIA_EVENT_.
    pub kind: i32,
    /// An ASCII character.
    pub digit: i32,
    /// A SUBROSA_NO_MEDIA_.
    pub no_media: i32,
    /// A source of RTP.
    pub ssrc: u32,
    /// The source before.
    pub ssrc_before: u32,
    /// A SUBROSA_BREAKER_.
    pub breaker: i32,
    /// An address.
    pub from: subrosa_addr,
    /// An address.
    pub to: subrosa_addr,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_media_event {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_media_event {
    pub(super) fn new(kind: i32) -> Self {
        let (from, to) = (subrosa_addr::default(), subrosa_addr::default());
        let no_media = SUBROSA_NO_MEDIA_NONE;
        let breaker = SUBROSA_BREAKER_NONE;
        Self { size: 0, kind, digit: 0, no_media, ssrc: 0, ssrc_before: 0, breaker, from, to }
    }

    pub(super) fn of(event: MediaEvent) -> Self {
        match event {
            MediaEvent::FirstPacket { ssrc, from } => {
                let from = from.into();
                Self { ssrc, from, ..Self::new(SUBROSA_MEDIA_EVENT_FIRST_PACKET) }
            }
            MediaEvent::Dtmf(digit) => {
                let digit = i32::try_from(u32::from(digit.to_char())).unwrap_or(0);
                Self { digit, ..Self::new(SUBROSA_MEDIA_EVENT_DTMF) }
            }
            MediaEvent::SsrcChanged { old, new } => {
                Self { ssrc: new, ssrc_before: old, ..Self::new(SUBROSA_MEDIA_EVENT_SSRC_CHANGED) }
            }
            MediaEvent::SsrcCollision { new } => {
                Self { ssrc: new, ..Self::new(SUBROSA_MEDIA_EVENT_SSRC_COLLISION) }
            }
            MediaEvent::SourceChanged { from, to } => {
                let (from, to) = (from.into(), to.into());
                Self { from, to, ..Self::new(SUBROSA_MEDIA_EVENT_SOURCE_CHANGED) }
            }
            MediaEvent::RemoteBye => Self::new(SUBROSA_MEDIA_EVENT_REMOTE_BYE),
            MediaEvent::NoMedia { reason } => {
                let no_media = no_media_number(reason);
                Self { no_media, ..Self::new(SUBROSA_MEDIA_EVENT_NO_MEDIA) }
            }
            MediaEvent::MediaResumed => Self::new(SUBROSA_MEDIA_EVENT_MEDIA_RESUMED),
            MediaEvent::SendBlocked => Self::new(SUBROSA_MEDIA_EVENT_SEND_BLOCKED),
            MediaEvent::EncodingChanged => Self::new(SUBROSA_MEDIA_EVENT_ENCODING_CHANGED),
            MediaEvent::SendingResumed => Self::new(SUBROSA_MEDIA_EVENT_SENDING_RESUMED),
            MediaEvent::CircuitBreaker { reason } => {
                let breaker = breaker_number(Some(reason));
                Self { breaker, ..Self::new(SUBROSA_MEDIA_EVENT_CIRCUIT_BREAKER) }
            }
            #[allow(unreachable_patterns)]
            _ => Self::new(SUBROSA_MEDIA_EVENT_OTHER),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::named::{count, number};
    use super::*;
    use crate::media::breaker::BreakerReason;
    use crate::media::session::NoMediaReason;
    use crate::wire::dtmf::Digit;

    #[test]
    fn each_event_is_told_with_its_kind_and_all_that_it_says() {
        let (from, to) = (([192, 0, 2, 1], 5).into(), ([192, 0, 2, 2], 6).into());
        let (reason, breaker) = (NoMediaReason::Plain, BreakerReason::Congestion);
        // Sources, the ports of addresses, a digit, a reason.
        let cases = [
            (MediaEvent::FirstPacket { ssrc: 1, from }, (1, 0), (5, 0), 0, 0),
            (MediaEvent::Dtmf(Digit::from_char('#').unwrap()), (0, 0), (0, 0), 35, 0),
            (MediaEvent::SsrcChanged { old: 2, new: 3 }, (3, 2), (0, 0), 0, 0),
            (MediaEvent::SsrcCollision { new: 4 }, (4, 0), (0, 0), 0, 0),
            (MediaEvent::SourceChanged { from, to }, (0, 0), (5, 6), 0, 0),
            (MediaEvent::RemoteBye, (0, 0), (0, 0), 0, 0),
            (MediaEvent::NoMedia { reason }, (0, 0), (0, 0), 0, no_media_number(reason)),
            (MediaEvent::MediaResumed, (0, 0), (0, 0), 0, 0),
            (MediaEvent::SendBlocked, (0, 0), (0, 0), 0, 0),
            (MediaEvent::EncodingChanged, (0, 0), (0, 0), 0, 0),
            (MediaEvent::SendingResumed, (0, 0), (0, 0), 0, 0),
            (MediaEvent::CircuitBreaker { reason: breaker }, (0, 0), (0, 0), 0, 0),
        ];
        assert_eq!(cases.len(), count("SUBROSA_MEDIA_EVENT_"));
        for (event, sources, ports, digit, no_media) in cases {
            let out = subrosa_media_event::of(event);
            assert_eq!(out.kind, number("SUBROSA_MEDIA_EVENT_", &event), "{event:?}");
            assert_eq!((out.ssrc, out.ssrc_before), sources, "{event:?}");
            assert_eq!((out.from.port, out.to.port), ports, "{event:?}");
            assert_eq!((out.digit, out.no_media), (digit, no_media), "{event:?}");
            let stopped = if let MediaEvent::CircuitBreaker { .. } = event { 3 } else { 0 };
            assert_eq!(out.breaker, stopped, "{event:?}");
        }
    }
}

//! Media sockets: an RTP port and, next to it, one for RTCP. The host binds, the engine chooses.

use core::net::{IpAddr, SocketAddr};
use core::ops::RangeInclusive;

use crate::sip::SocketId;
use crate::util::{Rng, RngExt};

/// Pairs tried before giving up.
const ATTEMPTS: u8 = 16;

/// What the binder wants from the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortAction {
    Bind(SocketId, SocketAddr),
    Close(SocketId),
}

/// The two sockets of one call's media, on their way to being bound.
#[derive(Debug)]
pub(super) struct MediaPorts {
    rtp: SocketId,
    rtcp: SocketId,
    rtp_local: Option<SocketAddr>,
    rtcp_local: Option<SocketAddr>,
    attempts: u8,
}

/// What became of a pair after the host answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PortProgress {
    Waiting,
    Ready,
    /// One of the two was taken: both are given back, another pair is to be tried.
    Retry,
    Failed,
}

impl MediaPorts {
    /// Takes two fresh socket ids; [`MediaPorts::bind`] says where to bind them.
    pub(super) fn new(rtp: SocketId, rtcp: SocketId) -> Self {
        Self { rtp, rtcp, rtp_local: None, rtcp_local: None, attempts: 1 }
    }

    /// Another attempt with fresh socket ids.
    pub(super) fn again(&mut self, rtp: SocketId, rtcp: SocketId) {
        *self = Self { attempts: self.attempts.saturating_add(1), ..Self::new(rtp, rtcp) };
    }

    /// Where to bind: a random even port of the range and its successor.
    pub(super) fn bind(
        &self,
        ip: IpAddr,
        range: &RangeInclusive<u16>,
        rng: &mut dyn Rng,
    ) -> [PortAction; 2] {
        let first = u32::from(*range.start()).div_ceil(2);
        let pairs = pair_count(range);
        let even = (first + rng.below(pairs)).saturating_mul(2);
        let even = u16::try_from(even).unwrap_or(u16::MAX - 1);
        [
            PortAction::Bind(self.rtp, SocketAddr::new(ip, even)),
            PortAction::Bind(self.rtcp, SocketAddr::new(ip, even.saturating_add(1))),
        ]
    }

    pub(super) fn bound(&mut self, socket: SocketId, local: SocketAddr) -> PortProgress {
        if socket == self.rtp {
            self.rtp_local = Some(local);
        } else if socket == self.rtcp {
            self.rtcp_local = Some(local);
        }
        match (self.rtp_local, self.rtcp_local) {
            (Some(_), Some(_)) => PortProgress::Ready,
            _ => PortProgress::Waiting,
        }
    }

    pub(super) fn bind_failed(&self) -> PortProgress {
        if self.attempts < ATTEMPTS { PortProgress::Retry } else { PortProgress::Failed }
    }

    pub(super) fn close(&self) -> [PortAction; 2] {
        [PortAction::Close(self.rtp), PortAction::Close(self.rtcp)]
    }

    pub(super) fn rtp(&self) -> SocketId {
        self.rtp
    }

    pub(super) fn rtcp(&self) -> SocketId {
        self.rtcp
    }

    /// Both local addresses, once both are bound.
    pub(super) fn locals(&self) -> Option<(SocketAddr, SocketAddr)> {
        Some((self.rtp_local?, self.rtcp_local?))
    }
}

/// How many even ports with their successor the range holds.
pub(super) fn pair_count(range: &RangeInclusive<u16>) -> u32 {
    let first = u32::from(*range.start()).div_ceil(2);
    let end = u32::from(*range.end()).div_ceil(2);
    end.saturating_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::{Arena, SeededRng};
    use core::net::Ipv4Addr;

    #[test]
    fn pairs_are_even_adjacent_and_inside_the_range() {
        let mut ids: Arena<crate::sip::SocketTag, ()> = Arena::default();
        let ports = MediaPorts::new(ids.insert(()), ids.insert(()));
        let mut rng = SeededRng::new(1);
        for range in [16_384..=32_767, 10_001..=10_003, 65_534..=65_535] {
            assert!(pair_count(&range) > 0);
            for _ in 0..200 {
                let [a, b] = ports.bind(Ipv4Addr::LOCALHOST.into(), &range, &mut rng);
                let (PortAction::Bind(_, a), PortAction::Bind(_, b)) = (a, b) else {
                    panic!("binds")
                };
                assert!(a.port() % 2 == 0 && b.port() == a.port() + 1);
                assert!(range.contains(&a.port()) && range.contains(&b.port()));
            }
        }
        assert_eq!(pair_count(&(10_001..=10_002)), 0);
    }
}

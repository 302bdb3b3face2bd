//! Who is the client? A ClientHello proves nothing until its cookie comes back (RFC 6347 §4.2.1,
//! RFC 9147 §5.1), but dimpl takes the first one that it sees for the peer's, and all others for
//! its repetitions. So that a forged one does not shut the real peer out, each hello random gets
//! an instance of dimpl of its own, until one of them returned its cookie.
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

use dimpl::Dtls;

/// Instances that wait beside the current one.
const MAX_PARKED: usize = 3;

/// The random of a ClientHello: the same in a handshake's first and second one.
pub(super) type HelloRandom = [u8; 32];

/// What to do with a ClientHello.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// It is for the current instance.
    Current,
    /// It is the first of its kind and needs a new instance.
    New,
    /// Another client has proven to be there: drop it.
    Refused,
}

/// The hellos that a passive session heard.
#[derive(Default)]
pub(super) struct Rivals {
    /// The hello that the current instance heard.
    current: Option<HelloRandom>,
    /// Instances that heard others, oldest first.
    parked: Vec<(HelloRandom, Dtls)>,
    /// The current instance's client returned its cookie.
    proven: bool,
}

impl Rivals {
    /// Finds the instance for a hello; puts it into `dtls`.
    pub(super) fn route(&mut self, random: HelloRandom, dtls: &mut Option<Dtls>) -> Route {
        if self.current == Some(random) {
            return Route::Current;
        }
        if self.proven {
            return Route::Refused;
        }
        let previous = self.current.replace(random);
        let found = self.parked.iter().position(|(parked, _)| *parked == random);
        let found = found.map(|at| self.parked.remove(at).1);
        let Some(previous) = previous else {
            // The current instance heard nobody yet: it will do, unless there is a better one.
            if found.is_some() {
                *dtls = found;
            }
            return if dtls.is_some() { Route::Current } else { Route::New };
        };
        if self.parked.len() >= MAX_PARKED {
            self.parked.remove(0);
        }
        if let Some(parking) = core::mem::replace(dtls, found) {
            self.parked.push((previous, parking));
        }
        if dtls.is_some() { Route::Current } else { Route::New }
    }

    /// The client of the current instance returned its cookie.
    pub(super) fn prove(&mut self) {
        self.proven = true;
        self.parked = Vec::new();
    }

    /// True once a client returned its cookie.
    pub(super) fn proven(&self) -> bool {
        self.proven
    }

    /// The current instance is gone; the others stay.
    pub(super) fn forget_current(&mut self) {
        self.current = None;
        self.proven = false;
    }
}

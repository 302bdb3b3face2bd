//! What the machines ask of the layer that holds them.

/// One thing to be done for a machine. The machines hold no message: the layer keeps the request
/// of a client transaction and the latest response of a server transaction for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send the request (client) or the latest response (server), for the first time or again.
    Transmit,
    /// Send the ACK that answers a final response other than 2xx (client INVITE), building it
    /// from the response at hand if it is not there yet (RFC 3261 §17.1.1.3).
    TransmitAck,
    /// Start the CANCEL that was asked for before a provisional response allowed it (§9.1).
    SendCancel,
    /// Answer 100 (Trying), because the TU has been silent for 200 ms (§17.2.1).
    SendTrying,
    /// Give the message at hand to the TU.
    PassUp,
    /// Tell the TU that the transaction failed.
    Fail(Failure),
    /// The transaction is over: forget it.
    Terminate,
}

/// Why a transaction failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Failure {
    /// Timer B or F: no final response within 64*T1; timer H: no ACK within 64*T1; or the TU
    /// never answered a request whose client has given up by now.
    Timeout,
    /// The transport reported that it cannot deliver (RFC 3261 §17.1.4, §17.2.4).
    TransportError,
}

/// The actions that one input leads to, in the order in which they are to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Actions([Option<Action>; 3]);

impl Actions {
    /// Nothing to be done.
    pub const NONE: Self = Self([None, None, None]);

    pub(crate) const fn one(a: Action) -> Self {
        Self([Some(a), None, None])
    }

    pub(crate) const fn two(a: Action, b: Action) -> Self {
        Self([Some(a), Some(b), None])
    }

    pub(crate) const fn three(a: Action, b: Action, c: Action) -> Self {
        Self([Some(a), Some(b), Some(c)])
    }
}

impl IntoIterator for Actions {
    type Item = Action;
    type IntoIter = core::iter::Flatten<core::array::IntoIter<Option<Action>, 3>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

//! Transactions (RFC 3261 §17, RFC 6026): a request, its retransmissions and its responses.
//!
//! The four machines are the figures of the RFC and hold no message; the [`TransactionLayer`]
//! holds the machines, their messages and timers, and matches what comes in to them.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod action;
mod client;
mod client_invite;
mod client_non_invite;
mod event;
mod hop;
mod key;
mod layer;
#[cfg(test)]
mod layer_tests;
mod server;
mod server_invite;
mod server_non_invite;
#[cfg(test)]
mod testing;
mod timers;

pub use action::{Action, Actions, Failure};
pub use client_invite::ClientInvite;
pub use client_non_invite::ClientNonInvite;
pub use event::{
    ClientTxId, ClientTxTag, ServerTxId, ServerTxTag, TransactionConfig, TransactionError,
    TransactionEvent, TransactionStats, Transmit,
};
pub use layer::TransactionLayer;
pub use server_invite::ServerInvite;
pub use server_non_invite::ServerNonInvite;
pub(crate) use timers::Backoff;
pub use timers::Timers;

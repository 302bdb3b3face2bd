//! SIP behaviour over `wire::sip` values: transactions, dialogs, flows, registration.

pub mod auth;
pub mod dialog;
pub mod flow;
pub mod registration;
pub mod resolve;
pub mod transaction;

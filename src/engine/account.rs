//! One account: its registration, its credentials, the way to its server.

use alloc::string::{String, ToString};

use super::config::AccountConfig;
use super::error::AccountError;
use super::policy::SecurityPolicy;
use crate::sip::auth::{AuthSession, Credentials};
use crate::sip::registration::Registration;
use crate::sip::{FlowId, Transport};
use crate::time::{Duration, Instant};
use crate::wire::sip::{Scheme, Uri};

/// Where an account's registration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AccountState {
    /// Not registered, and not trying.
    Unregistered,
    /// A REGISTER is under way.
    Registering,
    /// Calls reach the account.
    Registered {
        /// When the binding ends unless it is refreshed.
        until: Instant,
    },
    /// The last attempt failed.
    Failed,
}

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct AccountStatus {
    /// The address of record.
    pub aor: String,
    /// Where its registration stands.
    pub state: AccountState,
    /// The transport of its flow, if there is one.
    pub transport: Option<Transport>,
    /// The policy in force: the stricter of the domain's and the account's.
    pub policy: SecurityPolicy,
}

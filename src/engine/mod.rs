//! The engine: accounts, calls, policy, events.

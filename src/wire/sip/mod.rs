//! SIP messages (RFC 3261 §7, §25).

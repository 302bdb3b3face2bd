//! Locating SIP servers (RFC 3263).

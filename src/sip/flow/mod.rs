//! Flows: the connections that carry SIP (RFC 3261 §18, RFC 5626).

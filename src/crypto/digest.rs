//! HTTP Digest as SIP uses it (RFC 7616, 8760).

//! Answering Digest challenges (RFC 3261 §22, RFC 8760).

//! SDP and the offer/answer model (RFC 4566, 3264, 4568).

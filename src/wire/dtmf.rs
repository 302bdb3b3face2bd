//! DTMF as RTP telephone events (RFC 4733).

//! TLS over memory: rustls behind one door.

//! The driver: the only sockets, threads and clocks of the crate.

//! Sample-rate conversion between host and codec.

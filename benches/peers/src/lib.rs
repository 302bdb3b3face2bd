//! What the comparisons in `benches/` and `tests/` share.

/// `opus-pure` twice, as it was published and as it is in `vendor/opus-pure`: each module has the
/// same functions, one for each crate.
#[cfg(feature = "opus")]
#[path = "opus_sides.rs"]
pub mod opus;

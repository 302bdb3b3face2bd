//! Comfort noise: what the background is like while nobody speaks, and noise like it (RFC 3389).

mod analyse;
mod generate;

pub use analyse::NoiseAnalyser;
pub(in crate::media) use analyse::differ;
pub use generate::NoiseGenerator;

#[cfg(test)]
mod tests;

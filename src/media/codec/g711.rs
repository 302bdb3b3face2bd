//! G.711, both laws: one byte per sample at 8 kHz, no state.

use super::{CodecError, Decoder, Encoder};
use audio_codec_algorithms::{decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// Which companding law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Mu-law (North America, Japan).
    Mu,
    /// A-law (elsewhere).
    A,
}

/// G.711 encoder and decoder.
#[derive(Clone, Copy, Debug)]
pub struct G711 {
    law: Law,
}

impl G711 {
    /// A codec of this law.
    pub const fn new(law: Law) -> Self {
        Self { law }
    }
}

impl Encoder for G711 {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let needed = pcm.len();
        let out = payload.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        match self.law {
            Law::Mu => out.iter_mut().zip(pcm).for_each(|(o, s)| *o = encode_ulaw(*s)),
            Law::A => out.iter_mut().zip(pcm).for_each(|(o, s)| *o = encode_alaw(*s)),
        }
        Ok(needed)
    }

    fn reset(&mut self) {}
}

impl Decoder for G711 {
    fn samples(&self, payload: &[u8]) -> Result<usize, CodecError> {
        if payload.is_empty() { Err(CodecError::BadPayload) } else { Ok(payload.len()) }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples(payload)?;
        let out = pcm.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        match self.law {
            Law::Mu => out.iter_mut().zip(payload).for_each(|(o, b)| *o = decode_ulaw(*b)),
            Law::A => out.iter_mut().zip(payload).for_each(|(o, b)| *o = decode_alaw(*b)),
        }
        Ok(needed)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_a_round_trip() {
        for law in [Law::Mu, Law::A] {
            let mut codec = G711::new(law);
            let codes: Vec<u8> = (0..=255).collect();
            let mut pcm = [0i16; 256];
            assert_eq!(codec.decode(&codes, &mut pcm), Ok(256));
            let mut again = [0u8; 256];
            assert_eq!(codec.encode(&pcm, &mut again), Ok(256));
            let mut pcm2 = [0i16; 256];
            assert_eq!(codec.decode(&again, &mut pcm2), Ok(256));
            // Mu-law has two codes for zero, so the samples are compared.
            assert_eq!(pcm, pcm2);
        }
    }

    #[test]
    fn silence_has_the_well_known_codes() {
        let mut out = [0u8; 1];
        assert_eq!(G711::new(Law::Mu).encode(&[0], &mut out), Ok(1));
        assert_eq!(out, [0xff]);
        assert_eq!(G711::new(Law::A).encode(&[0], &mut out), Ok(1));
        assert_eq!(out, [0xd5]);
    }

    #[test]
    fn short_buffers_and_empty_payloads_are_refused() {
        let mut codec = G711::new(Law::Mu);
        assert_eq!(
            codec.encode(&[0; 4], &mut [0; 3]),
            Err(CodecError::OutputTooSmall { needed: 4 })
        );
        assert_eq!(codec.decode(&[], &mut [0; 3]), Err(CodecError::BadPayload));
    }
}

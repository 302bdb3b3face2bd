//! L16 (RFC 3551 §4.5.11): samples as they are, 16 bits each, in network byte order. Nothing is lost
//! to coding, and nothing saved.

use super::{CodecError, Decoder, Encoder};

/// Encoder and decoder of L16, mono, at any rate.
#[derive(Clone, Copy, Debug, Default)]
pub struct L16;

impl Encoder for L16 {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let needed = pcm.len().saturating_mul(2);
        let out = payload.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        for (bytes, sample) in out.as_chunks_mut::<2>().0.iter_mut().zip(pcm) {
            *bytes = sample.to_be_bytes();
        }
        Ok(needed)
    }

    fn reset(&mut self) {}
}

impl Decoder for L16 {
    /// A byte that is left over is no sample.
    fn samples(&self, payload: &[u8]) -> Result<usize, CodecError> {
        match payload.len() / 2 {
            0 => Err(CodecError::BadPayload),
            samples => Ok(samples),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples(payload)?;
        let out = pcm.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        for (sample, bytes) in out.iter_mut().zip(payload.as_chunks::<2>().0) {
            *sample = i16::from_be_bytes(*bytes);
        }
        Ok(needed)
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_survives_in_network_byte_order() {
        let pcm: Vec<i16> = (i16::MIN..=i16::MAX).step_by(7).collect();
        let mut payload = vec![0; pcm.len() * 2];
        assert_eq!(L16.encode(&pcm, &mut payload), Ok(payload.len()));
        let mut again = vec![0; pcm.len()];
        assert_eq!(L16.decode(&payload, &mut again), Ok(pcm.len()));
        assert_eq!(again, pcm);
        let mut payload = [0; 4];
        assert_eq!(L16.encode(&[0x0102, -2], &mut payload), Ok(4));
        assert_eq!(payload, [1, 2, 0xff, 0xfe]);
    }

    #[test]
    fn a_byte_too_much_costs_nothing_and_too_little_is_refused() {
        let mut pcm = [7; 4];
        assert_eq!(L16.decode(&[0, 5, 0, 6, 9], &mut pcm), Ok(2));
        assert_eq!(pcm, [5, 6, 7, 7]);
        for payload in [&[][..], &[1]] {
            assert_eq!(L16.decode(payload, &mut pcm), Err(CodecError::BadPayload));
        }
        assert_eq!(L16.decode(&[0; 10], &mut pcm), Err(CodecError::OutputTooSmall { needed: 5 }));
        assert_eq!(L16.encode(&[0; 2], &mut [0; 3]), Err(CodecError::OutputTooSmall { needed: 4 }));
    }
}

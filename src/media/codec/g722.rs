//! G.722 (ITU-T G.722, 11/88) at 64 kbit/s: two sub-bands, each an adaptive differential coder,
//! six bits for the lower and two for the upper; one byte for two samples at 16 kHz.
//!
//! Names of the blocks follow the recommendation (BLOCK4, RECONS, UPPOL2 and so on), so that the
//! arithmetic, which must be exact to the bit, can be read beside it. It is that of 32 bits in two's
//! complement, `wrapping_` by name: every operand has 17 bits at most (`saturate`, the tables, the
//! limits of the coefficients), so that no product or sum of six wraps.
#![deny(clippy::arithmetic_side_effects)]

use super::{CodecError, Decoder, Encoder};

/// Scale factor steps of the lower band, by the code's upper four bits.
const WL: [i16; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// Scale factor steps of the upper band, by code.
const WH: [i16; 4] = [798, -214, 798, -214];
/// Logarithmic to linear conversion of the scale factor.
const ILB: [i16; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
/// Inverse quantiser of the upper band.
const QM2: [i16; 4] = [-7408, -1616, 7408, 1616];
/// Inverse quantiser of the lower band for the predictor (four bits).
const QM4: [i16; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];
/// Inverse quantiser of the lower band for the output (six bits).
const QM6: [i16; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// Decision levels of the lower band's quantiser.
const Q6: [i16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// The quadrature mirror filter; the other half is its mirror image.
const QMF: [i16; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

const fn saturate(v: i32) -> i32 {
    if v > 32_767 {
        32_767
    } else if v < -32_768 {
        -32_768
    } else {
        v
    }
}

fn at<const N: usize>(table: &[i16; N], index: usize) -> i32 {
    table.get(index).copied().map_or(0, i32::from)
}

/// A product of two fractions of 15 bits, cut.
const fn scaled(a: i32, b: i32) -> i32 {
    a.wrapping_mul(b) >> 15
}

/// The adaptive predictor and the scale factor of one sub-band.
#[derive(Clone, Debug)]
struct Band {
    /// Predicted signal, and its part from the zeros.
    s: i32,
    sz: i32,
    /// Past reconstructed signals, and past partial reconstructions.
    r: [i32; 2],
    p: [i32; 2],
    /// Coefficients of the two poles and the six zeros.
    a: [i32; 2],
    b: [i32; 6],
    /// Past quantised differences.
    d: [i32; 6],
    /// Logarithmic and linear scale factor.
    nb: i32,
    det: i32,
}

impl Band {
    const fn new(det: i32) -> Self {
        Self { s: 0, sz: 0, r: [0; 2], p: [0; 2], a: [0; 2], b: [0; 6], d: [0; 6], nb: 0, det }
    }

    /// LOGSCL/LOGSCH and SCALEL/SCALEH: adapts the scale factor.
    fn scale(&mut self, step: i32, limit: i32, shift: i32) {
        self.nb = (self.nb.wrapping_mul(127) >> 7).wrapping_add(step).clamp(0, limit);
        let mantissa = at(&ILB, ((self.nb >> 6) & 31) as usize);
        // 8 or 10 less 0 to 11.
        let exponent = shift.wrapping_sub(self.nb >> 11);
        let by = exponent.unsigned_abs();
        let linear =
            if exponent < 0 { mantissa.wrapping_shl(by) } else { mantissa.wrapping_shr(by) };
        self.det = linear << 2;
    }

    /// BLOCK4: reconstructs with the quantised difference `d0` and adapts the predictor.
    fn block4(&mut self, d0: i32) {
        let r0 = saturate(self.s.wrapping_add(d0)); // RECONS
        let p0 = saturate(self.sz.wrapping_add(d0)); // PARREC
        let [a1, a2] = self.a;
        let [p1, p2] = self.p;
        let same1 = (p0 < 0) == (p1 < 0);
        let same2 = (p0 < 0) == (p2 < 0);
        // UPPOL2
        let wd1 = saturate(a1 << 2);
        let wd2 = if same1 { wd1.wrapping_neg().min(32_767) } else { wd1 };
        let wd3 = (wd2 >> 7)
            .wrapping_add(if same2 { 128 } else { -128 })
            .wrapping_add(scaled(a2, 32_512));
        let a2 = wd3.clamp(-12_288, 12_288);
        // UPPOL1
        let wd1: i32 = if same1 { 192 } else { -192 };
        let limit = saturate(15_360_i32.wrapping_sub(a2));
        let a1 = saturate(wd1.wrapping_add(scaled(a1, 32_640))).clamp(limit.wrapping_neg(), limit);
        self.a = [a1, a2];
        // UPZERO
        let step: i32 = if d0 == 0 { 0 } else { 128 };
        for (b, d) in self.b.iter_mut().zip(&self.d) {
            let wd = if (*d < 0) == (d0 < 0) { step } else { step.wrapping_neg() };
            *b = saturate(wd.wrapping_add(scaled(*b, 32_640)));
        }
        // DELAYA
        self.d.rotate_right(1);
        if let Some(first) = self.d.first_mut() {
            *first = d0;
        }
        let r1 = r0;
        let [r2, _] = self.r;
        self.r = [r1, r2];
        self.p = [p0, p1];
        // FILTEP
        let twice = |r: i32| saturate(r.wrapping_add(r));
        let sp = saturate(scaled(a1, twice(r1)).wrapping_add(scaled(a2, twice(r2))));
        // FILTEZ
        let zeros = self.b.iter().zip(&self.d).map(|(b, d)| scaled(*b, twice(*d)));
        self.sz = saturate(zeros.fold(0, i32::wrapping_add));
        self.s = saturate(sp.wrapping_add(self.sz)); // PREDIC
    }

    /// Adapts the lower band to its code; returns nothing, the output is the caller's.
    fn adapt_low(&mut self, code: usize) {
        let d = scaled(self.det, at(&QM4, code >> 2));
        self.scale(at(&WL, code >> 2), 18_432, 8);
        self.block4(d);
    }

    /// Adapts the upper band to its code.
    fn adapt_high(&mut self, code: usize) {
        let d = scaled(self.det, at(&QM2, code));
        self.scale(at(&WH, code), 22_528, 10);
        self.block4(d);
    }

    /// QUANTL: the six-bit code of the difference `el`.
    fn quantise_low(&self, el: i32) -> usize {
        let wd = if el >= 0 { el } else { !el };
        let below = |q: &&i16| wd >= i32::from(**q).wrapping_mul(self.det) >> 12;
        let level = Q6.iter().take_while(below).count();
        // Positive codes count down from 61; negative ones are 63, 62, then down from 31.
        match (el < 0, level) {
            (false, n) => 61_usize.wrapping_sub(n),
            (true, n @ 0..=1) => 63_usize.wrapping_sub(n),
            (true, n) => 33_usize.wrapping_sub(n),
        }
    }

    /// QUANTH: the two-bit code of the difference `eh`.
    fn quantise_high(&self, eh: i32) -> usize {
        let wd = if eh >= 0 { eh } else { !eh };
        match (eh < 0, wd >= 564_i32.wrapping_mul(self.det) >> 12) {
            (false, false) => 3,
            (false, true) => 2,
            (true, false) => 1,
            (true, true) => 0,
        }
    }
}

/// Delay line of the quadrature mirror filter: 24 taps, written twice so that any window is
/// contiguous.
#[derive(Clone, Debug)]
struct Qmf {
    line: [i32; 48],
    head: usize,
}

impl Qmf {
    const fn new() -> Self {
        Self { line: [0; 48], head: 0 }
    }

    /// Takes two values; returns the two sums over the odd and the even taps.
    fn filter(&mut self, first: i32, second: i32) -> (i32, i32) {
        for (offset, value) in [(0, first), (1, second)] {
            let place = self.head.wrapping_add(offset);
            for at in [place, place.wrapping_add(24)] {
                if let Some(slot) = self.line.get_mut(at) {
                    *slot = value;
                }
            }
        }
        self.head = self.head.wrapping_add(2) % 24;
        let window = self.line.get(self.head..self.head.wrapping_add(24)).unwrap_or_default();
        let taps = QMF.iter().zip(QMF.iter().rev());
        window.as_chunks::<2>().0.iter().zip(taps).fold(
            (0_i32, 0_i32),
            |(x, y), ([even, odd], (c, m))| {
                let (c, m) = (i32::from(*c), i32::from(*m));
                (x.wrapping_add(even.wrapping_mul(c)), y.wrapping_add(odd.wrapping_mul(m)))
            },
        )
    }
}

/// G.722 encoder.
#[derive(Clone, Debug)]
pub struct G722Encoder {
    qmf: Qmf,
    low: Band,
    high: Band,
}

impl G722Encoder {
    /// An encoder in its initial state.
    pub const fn new() -> Self {
        Self { qmf: Qmf::new(), low: Band::new(32), high: Band::new(8) }
    }
}

impl Default for G722Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder for G722Encoder {
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (pairs, []) = pcm.as_chunks::<2>() else {
            return Err(CodecError::NotAFrame { samples: pcm.len(), unit: 2 });
        };
        let needed = pairs.len();
        let out = payload.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        for (byte, [first, second]) in out.iter_mut().zip(pairs) {
            let (x, y) = self.qmf.filter((*first).into(), (*second).into());
            let (xlow, xhigh) = (y.wrapping_add(x) >> 14, y.wrapping_sub(x) >> 14);
            let ilow = self.low.quantise_low(saturate(xlow.wrapping_sub(self.low.s)));
            self.low.adapt_low(ilow);
            let ihigh = self.high.quantise_high(saturate(xhigh.wrapping_sub(self.high.s)));
            self.high.adapt_high(ihigh);
            *byte = ((ihigh << 6) | ilow) as u8;
        }
        Ok(needed)
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

/// G.722 decoder (mode 1: all 64 kbit/s are audio).
#[derive(Clone, Debug)]
pub struct G722Decoder {
    qmf: Qmf,
    low: Band,
    high: Band,
}

impl G722Decoder {
    /// A decoder in its initial state.
    pub const fn new() -> Self {
        Self { qmf: Qmf::new(), low: Band::new(32), high: Band::new(8) }
    }
}

impl Default for G722Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder for G722Decoder {
    fn samples(&self, payload: &[u8]) -> Result<usize, CodecError> {
        if payload.is_empty() {
            Err(CodecError::BadPayload)
        } else {
            Ok(payload.len().saturating_mul(2))
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let needed = self.samples(payload)?;
        let out = pcm.get_mut(..needed).ok_or(CodecError::OutputTooSmall { needed })?;
        for ([first, second], byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(payload) {
            let ilow = usize::from(byte & 0x3f);
            let ihigh = usize::from(byte >> 6);
            let limit = |v: i32| v.clamp(-16_384, 16_383);
            let rlow = limit(self.low.s.wrapping_add(scaled(self.low.det, at(&QM6, ilow))));
            self.low.adapt_low(ilow);
            let rhigh = limit(self.high.s.wrapping_add(scaled(self.high.det, at(&QM2, ihigh))));
            self.high.adapt_high(ihigh);
            let (x, y) = self.qmf.filter(rlow.wrapping_add(rhigh), rlow.wrapping_sub(rhigh));
            // The synthesis filter is the analysis filter with its halves exchanged.
            *first = saturate(y >> 11) as i16;
            *second = saturate(x >> 11) as i16;
        }
        Ok(needed)
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    /// 0.5 s of read speech, 16 kHz (assets/speech), its encoding by ffmpeg 5.1
    /// (`-c:a g722`), and ffmpeg's decoding of that.
    const PCM: &[u8] = include_bytes!("../../../tests/data/g722/speech.s16");
    const ENCODED: &[u8] = include_bytes!("../../../tests/data/g722/speech.g722");
    const DECODED: &[u8] = include_bytes!("../../../tests/data/g722/decoded.s16");
    /// `loudest` as ffmpeg 5.1 and spandsp 0.0.6 both encode it, and `hostile` as ffmpeg decodes
    /// it; spandsp agrees wherever its output, which wraps, stays within 16 bits.
    const LOUDEST: &[u8] = include_bytes!("../../../tests/data/g722/extreme.g722");
    const HOSTILE: &[u8] = include_bytes!("../../../tests/data/g722/codes.s16");

    fn samples(bytes: &[u8]) -> Vec<i16> {
        bytes.as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b)).collect()
    }

    #[test]
    fn encodes_to_the_bit_as_ffmpeg_does_whatever_the_framing() {
        for frame in [320, 160, 2] {
            let mut encoder = G722Encoder::new();
            let mut got = Vec::new();
            for chunk in samples(PCM).chunks(frame) {
                let mut out = [0u8; 160];
                let n = encoder.encode(chunk, &mut out).unwrap();
                got.extend_from_slice(&out[..n]);
            }
            assert_eq!(got, ENCODED);
        }
    }

    #[test]
    fn decodes_to_the_bit_as_ffmpeg_does() {
        let mut pcm = vec![0i16; ENCODED.len() * 2];
        assert_eq!(G722Decoder::new().decode(ENCODED, &mut pcm), Ok(pcm.len()));
        assert_eq!(pcm, samples(DECODED));
    }

    /// Numbers of 16 bits that look random.
    fn noise() -> impl Iterator<Item = u32> {
        core::iter::successors(Some(1_015_568_748_u32), |x| {
            Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        })
        .map(|x| x >> 16)
    }

    /// Full scale throughout: square waves from the highest pitch down, direct current of either
    /// sign, and signs at random.
    fn loudest() -> Vec<i16> {
        let sign = |plus: bool| if plus { i16::MAX } else { i16::MIN };
        let square = |half: usize| (0..400_usize).map(move |i| sign((i / half).is_multiple_of(2)));
        let halves = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 400];
        let direct = core::iter::repeat_n(i16::MIN, 400);
        let random = noise().take(1_200).map(|n| sign(n & 1 == 1));
        halves.into_iter().flat_map(square).chain(direct).chain(random).collect()
    }

    /// Codes that no encoder sends: at random, then the largest steps of both bands, held and in
    /// turn, which drive the predictors and the scale factors into their limits.
    fn hostile() -> Vec<u8> {
        let mut codes: Vec<u8> = noise().take(600).map(|n| (n >> 8) as u8).collect();
        for (a, b) in [(0x04, 0x20), (0x84, 0x60), (0x20, 0x20), (0x04, 0xe0), (0xa0, 0x04)] {
            codes.extend([[a; 60], [b; 60]].concat());
        }
        for run in [1, 2, 3, 5, 9] {
            let turn = |i: usize| if (i / run).is_multiple_of(2) { 0xa0 } else { 0x04 };
            codes.extend((0..200).map(turn));
        }
        codes
    }

    #[test]
    fn at_the_limits_it_encodes_to_the_bit_as_others_do() {
        let input = loudest();
        let mut got = vec![0; input.len() / 2];
        assert_eq!(G722Encoder::new().encode(&input, &mut got), Ok(got.len()));
        assert_eq!(got, LOUDEST);
    }

    #[test]
    fn at_the_limits_it_decodes_to_the_bit_as_others_do() {
        let codes = hostile();
        let mut pcm = vec![0i16; codes.len() * 2];
        assert_eq!(G722Decoder::new().decode(&codes, &mut pcm), Ok(pcm.len()));
        assert_eq!(pcm, samples(HOSTILE));
    }

    #[test]
    fn every_byte_and_full_scale_input_stay_in_range() {
        let mut encoder = G722Encoder::new();
        let mut decoder = G722Decoder::new();
        let mut rng = crate::util::SeededRng::new(1);
        let mut bytes = [0u8; 1000];
        let mut pcm = [0i16; 2000];
        for round in 0..50 {
            crate::util::Rng::fill(&mut rng, &mut bytes);
            decoder.decode(&bytes, &mut pcm).unwrap();
            pcm.iter_mut().enumerate().for_each(|(i, s)| {
                *s = if (i / (round + 1)) % 2 == 0 { i16::MAX } else { i16::MIN };
            });
            assert_eq!(encoder.encode(&pcm, &mut bytes), Ok(1000));
            decoder.decode(&bytes, &mut pcm).unwrap();
        }
    }

    #[test]
    fn an_odd_number_of_samples_is_no_frame() {
        assert_eq!(
            G722Encoder::new().encode(&[0; 3], &mut [0; 8]),
            Err(CodecError::NotAFrame { samples: 3, unit: 2 })
        );
    }
}

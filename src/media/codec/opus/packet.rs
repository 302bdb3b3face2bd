//! The framing of Opus packets (RFC 6716 §3.1 and §3.2): how long they play, and whether they
//! hold together. Looks at lengths only; nothing is decoded.

/// The longest frame of a packet in bytes (RFC 6716 §3.2.1).
const MAX_FRAME: usize = 1_275;
/// A packet plays at most 120 ms (RFC 6716 §3.2.5), here in samples at 48 kHz.
const MAX_SAMPLES: u32 = 5_760;

/// Samples at 48 kHz of each frame, by the table of contents byte (RFC 6716 table 2).
pub(super) const fn frame_samples(toc: u8) -> u32 {
    match (toc >> 3, (toc >> 3) & 3) {
        // SILK only: 10, 20, 40, 60 ms.
        (0..=11, 0) => 480,
        (0..=11, 1) => 960,
        (0..=11, 2) => 1_920,
        (0..=11, _) => 2_880,
        // Hybrid: 10, 20 ms.
        (12..=15, 0 | 2) => 480,
        (12..=15, _) => 960,
        // CELT only: 2.5, 5, 10, 20 ms.
        (_, 0) => 120,
        (_, 1) => 240,
        (_, 2) => 480,
        (_, _) => 960,
    }
}

/// Samples at 48 kHz of the whole packet; `None` if it breaks a rule of RFC 6716 §3.4.
pub(super) fn samples(packet: &[u8]) -> Option<u32> {
    let (toc, rest) = packet.split_first()?;
    let frames = match toc & 3 {
        0 => one_frame(rest)?,
        1 => equal_frames(rest, 2)?,
        2 => {
            let (first, rest) = frame_length(rest)?;
            one_frame(rest.get(first..)?)?;
            2
        }
        _ => counted_frames(rest, *toc)?,
    };
    let samples = frame_samples(*toc).checked_mul(frames)?;
    (samples <= MAX_SAMPLES).then_some(samples)
}

/// Whether the packet carries a coarse copy of the one before it (LBRR, RFC 6716 §4.2.3 and §4.2.4):
/// the flag follows the voice activity flags of each 20 ms, of the first channel first. Packets of
/// several frames of different lengths are not looked into.
pub(super) fn recalls_previous(packet: &[u8]) -> bool {
    let [toc, flags, ..] = packet else { return false };
    if toc >> 3 >= 16 || toc & 3 > 1 {
        return false;
    }
    let frames = (frame_samples(*toc) / 960).max(1);
    let first = flags >> 7u32.saturating_sub(frames) & 1 == 1;
    let stereo = toc & 4 != 0;
    first || stereo && flags >> 6u32.saturating_sub(2 * frames) & 1 == 1
}

fn one_frame(bytes: &[u8]) -> Option<u32> {
    (bytes.len() <= MAX_FRAME).then_some(1)
}

fn equal_frames(bytes: &[u8], frames: u32) -> Option<u32> {
    let count = usize::try_from(frames).ok()?;
    let fits = bytes.len().checked_rem(count)? == 0 && bytes.len().checked_div(count)? <= MAX_FRAME;
    fits.then_some(frames)
}

/// A frame length of one or two bytes (RFC 6716 §3.2.1), and what follows it.
fn frame_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first < 252 {
        return Some((usize::from(*first), rest));
    }
    let (second, rest) = rest.split_first()?;
    Some((usize::from(*second) * 4 + usize::from(*first), rest))
}

/// Code 3: a count, padding, and lengths of their own or one for all (RFC 6716 §3.2.5).
fn counted_frames(bytes: &[u8], toc: u8) -> Option<u32> {
    let (head, mut rest) = bytes.split_first()?;
    let frames = u32::from(head & 0x3f);
    if frames == 0 || frame_samples(toc) * frames > MAX_SAMPLES {
        return None;
    }
    if head & 0x40 != 0 {
        let mut padding = 0;
        loop {
            let (more, after) = rest.split_first()?;
            rest = after;
            // 255 stands for 254 bytes and another length byte.
            padding += usize::from(*more).min(254);
            if *more != 255 {
                break;
            }
        }
        rest = rest.get(..rest.len().checked_sub(padding)?)?;
    }
    if head & 0x80 == 0 {
        return equal_frames(rest, frames);
    }
    let mut sum = 0;
    for _ in 1..frames {
        let (length, after) = frame_length(rest)?;
        (sum, rest) = (sum + length, after);
    }
    one_frame(rest.get(sum..)?)?;
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms of SILK, wideband, mono.
    const SILK20: u8 = 9 << 3;

    #[test]
    fn the_configurations_have_the_lengths_of_the_table() {
        let ms: Vec<u32> = (0..32).map(|c| frame_samples(c << 3) * 10 / 48).collect();
        let silk = [100, 200, 400, 600];
        let celt = [25, 50, 100, 200];
        let expected: Vec<u32> = [silk; 3]
            .concat()
            .into_iter()
            .chain([100, 200, 100, 200])
            .chain([celt; 4].concat())
            .collect();
        assert_eq!(ms, expected);
    }

    #[test]
    fn frames_are_counted_by_all_four_codes() {
        assert_eq!(samples(&[]), None);
        assert_eq!(samples(&[SILK20]), Some(960), "a frame of no bytes: DTX");
        assert_eq!(samples(&[SILK20, 1, 2, 3]), Some(960));
        assert_eq!(samples(&[SILK20 | 1, 1, 2]), Some(1_920));
        assert_eq!(samples(&[SILK20 | 1, 1, 2, 3]), None, "two halves of unequal length");
        assert_eq!(samples(&[SILK20 | 2, 1, 9, 8, 7]), Some(1_920));
        assert_eq!(samples(&[SILK20 | 2, 4, 9, 8, 7]), None, "the first frame is cut off");
        assert_eq!(samples(&[SILK20 | 2]), None);
        assert_eq!(samples(&[SILK20 | 3, 3, 1, 2, 3]), Some(2_880));
        assert_eq!(samples(&[SILK20 | 3, 3, 1, 2]), None, "no multiple of three");
        assert_eq!(samples(&[SILK20 | 3, 0]), None, "no frame at all");
        assert_eq!(samples(&[SILK20 | 3, 0x82, 2, 1, 2, 3]), Some(1_920));
        assert_eq!(samples(&[SILK20 | 3, 0x82, 4, 1, 2, 3]), None);
    }

    #[test]
    fn padding_is_taken_off_and_may_not_reach_into_the_frames() {
        assert_eq!(samples(&[SILK20 | 3, 0x42, 3, 1, 2, 0, 0, 0]), Some(1_920));
        assert_eq!(samples(&[SILK20 | 3, 0x42, 3, 1, 0, 0, 0]), None, "one byte for two frames");
        assert_eq!(samples(&[SILK20 | 3, 0x41, 4, 0, 0, 0]), None, "more padding than bytes");
        let mut long = vec![SILK20 | 3, 0x41, 255, 10, 7];
        long.resize(5 + 264, 0);
        assert_eq!(samples(&long), Some(960));
        long.pop();
        assert_eq!(samples(&long), Some(960), "the frame has lost its byte: nothing was sent");
        long.pop();
        assert_eq!(samples(&long), None);
        assert_eq!(samples(&[SILK20 | 3, 0x41, 255, 255]), None);
    }

    #[test]
    fn a_packet_is_neither_longer_than_120_ms_nor_a_frame_than_1275_bytes() {
        assert_eq!(samples(&[SILK20 | 3, 6, 1, 2, 3, 4, 5, 6]), Some(MAX_SAMPLES));
        assert_eq!(samples(&[SILK20 | 3, 7, 1, 2, 3, 4, 5, 6, 7]), None);
        let celt2_5 = 28 << 3;
        assert_eq!(samples(&[celt2_5 | 3, 48]), Some(MAX_SAMPLES));
        assert_eq!(samples(&[celt2_5 | 3, 49]), None);
        let mut frame = vec![0; 1 + MAX_FRAME];
        assert_eq!(samples(&frame), Some(480));
        frame.push(0);
        assert_eq!(samples(&frame), None);
        // Two bytes for a length: 252 + 4 * 255 = 1272, at most 255 + 4 * 255 = 1275.
        let mut two = vec![2, 255, 255];
        two.resize(3 + MAX_FRAME, 0);
        assert_eq!(samples(&two), Some(960));
    }
}

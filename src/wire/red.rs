//! RED, redundant audio (RFC 2198): a packet that carries earlier audio once more.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// Redundant blocks in a packet at most; more are garbage.
pub const MAX_REDUNDANT: usize = 8;
/// The largest distance in time of a redundant block, in ticks of the RTP clock.
pub const MAX_OFFSET: u16 = 0x3fff;
/// The longest redundant block, in bytes.
pub const MAX_BLOCK: usize = 0x3ff;
/// Bytes of the header of a redundant block.
pub const REDUNDANT_HEADER_LEN: usize = 4;
/// Bytes of the header of the primary block.
pub const PRIMARY_HEADER_LEN: usize = 1;

/// The header of a redundant block (RFC 2198 §3); `None` if a value does not fit its field.
pub fn redundant_header(
    payload_type: u8,
    offset: u16,
    len: usize,
) -> Option<[u8; REDUNDANT_HEADER_LEN]> {
    if payload_type > 0x7f || offset > MAX_OFFSET || len > MAX_BLOCK {
        return None;
    }
    let length = u16::try_from(len).ok()?;
    let [high, low] = (offset << 2 | length >> 8).to_be_bytes();
    Some([0x80 | payload_type, high, low, (length & 0xff) as u8])
}

/// Why a payload is no RED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedError {
    /// It ends within its headers, or a block is longer than what follows them.
    #[error("a RED payload ends early")]
    Truncated,
    /// More blocks than [`MAX_REDUNDANT`].
    #[error("a RED payload has too many blocks")]
    TooManyBlocks,
}

/// One block of audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedBlock<'a> {
    /// Payload type of the audio.
    pub payload_type: u8,
    /// By how many RTP clock ticks it begins before the packet's timestamp: up to 16383, 0 for
    /// the primary block.
    pub offset: u16,
    /// The encoded audio. May be empty.
    pub payload: &'a [u8],
}

/// A RED payload whose lengths are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red<'a> {
    headers: &'a [u8],
    copies: &'a [u8],
    primary: RedBlock<'a>,
}

impl<'a> Red<'a> {
    /// Reads the headers of a payload (RFC 2198 §3).
    ///
    /// # Errors
    /// [`RedError`]: the whole payload is to be dropped.
    pub fn parse(payload: &'a [u8]) -> Result<Self, RedError> {
        let (mut rest, mut redundant, mut length) = (payload, 0usize, 0usize);
        let primary = loop {
            match *rest {
                [first, ..] if first & 0x80 == 0 => break first,
                [_, _, high, low, ref after @ ..] => {
                    redundant = redundant.saturating_add(1);
                    if redundant > MAX_REDUNDANT {
                        return Err(RedError::TooManyBlocks);
                    }
                    length = length.saturating_add(block_len(high, low));
                    rest = after;
                }
                _ => return Err(RedError::Truncated),
            }
        };
        let headers = redundant.saturating_mul(REDUNDANT_HEADER_LEN);
        let headers = headers.saturating_add(PRIMARY_HEADER_LEN);
        let (headers, body) = payload.split_at_checked(headers).ok_or(RedError::Truncated)?;
        let (copies, primary_payload) = body.split_at_checked(length).ok_or(RedError::Truncated)?;
        let primary = RedBlock { payload_type: primary, offset: 0, payload: primary_payload };
        Ok(Self { headers, copies, primary })
    }

    /// The audio of the packet itself.
    pub fn primary(&self) -> RedBlock<'a> {
        self.primary
    }

    /// The redundant blocks in their order, usually the oldest first.
    pub fn redundant(&self) -> impl Iterator<Item = RedBlock<'a>> + use<'a> {
        let mut copies = self.copies;
        self.headers.chunks_exact(REDUNDANT_HEADER_LEN).map_while(move |header| {
            let &[first, high, low, length] = header else { return None };
            let (payload, rest) = copies.split_at_checked(block_len(low, length))?;
            copies = rest;
            let offset = u16::from(high) << 6 | u16::from(low >> 2);
            Some(RedBlock { payload_type: first & 0x7f, offset, payload })
        })
    }
}

/// The length in the last two bytes of a redundant block's header.
fn block_len(high: u8, low: u8) -> usize {
    usize::from(high & 3) << 8 | usize::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    /// A payload of these blocks.
    fn write(blocks: &[(u8, u16, Vec<u8>)], primary: (u8, &[u8])) -> Vec<u8> {
        let mut out = Vec::new();
        for (payload_type, offset, payload) in blocks {
            out.extend(redundant_header(*payload_type, *offset, payload.len()).unwrap());
        }
        out.push(primary.0);
        blocks.iter().for_each(|(.., payload)| out.extend(payload));
        out.extend(primary.1);
        out
    }

    #[test]
    fn blocks_are_read_in_their_order() {
        let bytes = write(&[(0, 320, vec![1; 160]), (13, 160, vec![])], (0, &[2; 160]));
        assert_eq!(bytes[..9], [0x80, 5, 0, 160, 0x8d, 2, 0x80, 0, 0]);
        let red = Red::parse(&bytes).unwrap();
        let blocks: Vec<_> = red.redundant().collect();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0], RedBlock { payload_type: 0, offset: 320, payload: &[1; 160] });
        assert_eq!(blocks[1], RedBlock { payload_type: 13, offset: 160, payload: &[] });
        assert_eq!(red.primary(), RedBlock { payload_type: 0, offset: 0, payload: &[2; 160] });
    }

    #[test]
    fn what_ends_early_or_never_is_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0, 0], &[0x80, 0, 0, 1], &[0x80, 0, 0, 1, 0]] {
            assert_eq!(Red::parse(bytes), Err(RedError::Truncated), "{bytes:?}");
        }
        let many = [0x80, 0, 0, 0].repeat(MAX_REDUNDANT + 1);
        assert_eq!(Red::parse(&many), Err(RedError::TooManyBlocks));
        assert!(Red::parse(&[8]).is_ok());
        assert_eq!(redundant_header(128, 0, 0), None);
        assert_eq!(redundant_header(0, MAX_OFFSET + 1, 0), None);
        assert_eq!(redundant_header(0, 0, MAX_BLOCK + 1), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            blocks in proptest::collection::vec(
                (0u8..128, 0..=MAX_OFFSET, proptest::collection::vec(any::<u8>(), 0..=MAX_BLOCK)),
                0..=MAX_REDUNDANT,
            ),
            last in 0u8..128,
            primary in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let bytes = write(&blocks, (last, &primary));
            let red = Red::parse(&bytes).unwrap();
            let read: Vec<_> = red.redundant().collect();
            prop_assert_eq!(read.len(), blocks.len());
            for (read, (payload_type, offset, payload)) in read.iter().zip(&blocks) {
                prop_assert_eq!(read.payload_type, *payload_type);
                prop_assert_eq!((read.offset, read.payload), (*offset, &payload[..]));
            }
            let end = red.primary();
            prop_assert_eq!((end.payload_type, end.payload), (last, &primary[..]));
        }

        #[test]
        fn whatever_parses_has_all_its_blocks(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(red) = Red::parse(&bytes) {
                let blocks: Vec<_> = red.redundant().collect();
                prop_assert!(blocks.len() <= MAX_REDUNDANT);
                let body: usize = blocks.iter().map(|b| b.payload.len()).sum();
                let body = body + red.primary().payload.len();
                prop_assert_eq!(body + blocks.len() * 4 + 1, bytes.len());
            }
        }
    }
}

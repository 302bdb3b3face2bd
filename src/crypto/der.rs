//! One step through DER (X.690 §8.1, §10.1): what the certificate readers share.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

/// The first element of definite length: its tag, its content, and what follows it. `None` if the
/// bytes end too early, or the length takes more than `length_bytes` bytes after the first.
pub(crate) fn split_element(bytes: &[u8], length_bytes: u8) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0xff if first & 0x7f <= length_bytes => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = bytes
                .iter()
                .try_fold(0_usize, |len, b| len.checked_mul(256)?.checked_add(usize::from(*b)))?;
            (len, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::split_element;

    #[test]
    fn lengths_short_and_long_are_read_and_bounded() {
        assert_eq!(split_element(&[2, 1, 7, 9], 3), Some((2, &[7][..], &[9][..])));
        assert_eq!(split_element(&[4, 0x81, 1, 7], 3), Some((4, &[7][..], &[][..])));
        assert_eq!(split_element(&[4, 0x84, 0, 0, 0, 1, 7], 4), Some((4, &[7][..], &[][..])));
        for bad in
            [&[4, 0x84, 0, 0, 0, 1, 7][..], &[4, 0x80, 0, 0], &[4, 2, 7], &[4], &[4, 0x82, 1]]
        {
            assert_eq!(split_element(bad, 3), None);
        }
    }
}

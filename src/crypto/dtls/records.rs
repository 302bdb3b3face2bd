//! What a datagram is before it is decrypted (RFC 7983, RFC 6347 §4.1, RFC 9147 §4).
#![deny(clippy::arithmetic_side_effects)]

use super::rivals::HelloRandom;

/// Length of a plaintext record's header (RFC 6347 §4.1).
const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// The random that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// True for what belongs to DTLS on a port that RTP, RTCP and STUN share (RFC 7983 §7).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// One record of epoch 0, which anybody could have sent.
#[derive(Clone, Copy, Debug)]
struct Plaintext<'a> {
    content_type: u8,
    body: &'a [u8],
}

/// Splits the first record off if it has a plaintext header, with its epoch.
fn split_record(datagram: &[u8]) -> Option<(u8, u16, &[u8], &[u8])> {
    let (header, rest) = datagram.split_at_checked(HEADER_LEN)?;
    let &[content_type, 0xfe, _, e0, e1, _, _, _, _, _, _, l0, l1] = header else { return None };
    let (body, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    Some((content_type, u16::from_be_bytes([e0, e1]), body, rest))
}

/// The records of epoch 0 in a datagram, each with what lies before it.
fn plaintext_records(datagram: &[u8]) -> impl Iterator<Item = (usize, Plaintext<'_>)> {
    let mut rest = datagram;
    core::iter::from_fn(move || {
        loop {
            let at = datagram.len().checked_sub(rest.len())?;
            let (content_type, epoch, body, after) = split_record(rest)?;
            rest = after;
            if epoch == 0 {
                return Some((at, Plaintext { content_type, body }));
            }
        }
    })
}

/// The part of a datagram before its first alert of epoch 0, and that alert's description.
pub(super) fn before_forgeable_alert(datagram: &[u8]) -> (&[u8], Option<u8>) {
    let alert = plaintext_records(datagram).find(|(_, record)| record.content_type == ALERT);
    match alert {
        Some((at, record)) => {
            let description = record.body.get(1).copied().unwrap_or(0);
            (datagram.get(..at).unwrap_or_default(), Some(description))
        }
        None => (datagram, None),
    }
}

/// True if a datagram has a ClientHello (or a piece of one) that is not encrypted.
pub(crate) fn has_client_hello(datagram: &[u8]) -> bool {
    plaintext_records(datagram).any(|(_, record)| {
        record.content_type == HANDSHAKE && record.body.first() == Some(&CLIENT_HELLO)
    })
}

/// The random of a ClientHello at the start of a datagram, unless it is a later fragment: header
/// of 12 bytes, version of 2 (RFC 6347 §4.2.2).
pub(super) fn client_hello_random(datagram: &[u8]) -> Option<HelloRandom> {
    match split_record(datagram)? {
        (HANDSHAKE, 0, body @ [CLIENT_HELLO, ..], _) => {
            let first_fragment = body.get(6..9)? == [0; 3];
            if first_fragment { body.get(14..46)?.try_into().ok() } else { None }
        }
        _ => None,
    }
}

/// True if a datagram of ours starts with a ServerHello that is no HelloRetryRequest: the client
/// has returned its cookie.
pub(super) fn is_server_hello(datagram: &[u8]) -> bool {
    match split_record(datagram) {
        Some((HANDSHAKE, 0, body @ [SERVER_HELLO, ..], _)) => {
            body.get(14..46).is_some_and(|random| random != HELLO_RETRY_REQUEST)
        }
        _ => false,
    }
}

/// True if a datagram starts with what a client may get as the first answer: a ServerHello or a
/// HelloVerifyRequest.
pub(super) fn starts_with_server_answer(datagram: &[u8]) -> bool {
    let first = split_record(datagram);
    matches!(first, Some((HANDSHAKE, 0, [2 | 3, ..], _)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(content_type: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        let header = [content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, len[0], len[1]];
        [&header, body].concat()
    }

    #[test]
    fn alerts_of_epoch_0_are_cut_off() {
        let hello = record(HANDSHAKE, 0, &[2, 0, 0]);
        let alert = record(ALERT, 0, &[2, 40]);
        let both = [hello.clone(), alert.clone()].concat();
        assert_eq!(before_forgeable_alert(&both), (&hello[..], Some(40)));
        let encrypted = [hello, record(ALERT, 1, &[2, 40])].concat();
        assert_eq!(before_forgeable_alert(&encrypted), (&encrypted[..], None));
        assert_eq!(before_forgeable_alert(&alert[..14]).1, None);
    }

    #[test]
    fn hellos_are_found_behind_other_records() {
        let hello = record(HANDSHAKE, 0, &[CLIENT_HELLO, 0, 0]);
        assert!(has_client_hello(&hello));
        assert!(has_client_hello(&[record(HANDSHAKE, 1, &[1]), hello.clone()].concat()));
        assert!(!has_client_hello(&record(HANDSHAKE, 1, &[CLIENT_HELLO])));
        assert!(!has_client_hello(&hello[..13]));
        assert!(starts_with_server_answer(&record(HANDSHAKE, 0, &[3])));
        assert!(!starts_with_server_answer(&hello));
    }

    #[test]
    fn hello_randoms_are_found_in_first_fragments() {
        let header = |kind: u8, offset: u8| [kind, 0, 0, 34, 0, 0, 0, 0, offset, 0, 0, 34, 3, 3];
        let hello = |kind, offset, random: [u8; 32]| {
            record(HANDSHAKE, 0, &[&header(kind, offset)[..], &random].concat())
        };
        assert_eq!(client_hello_random(&hello(1, 0, [7; 32])), Some([7; 32]));
        assert_eq!(client_hello_random(&hello(1, 1, [7; 32])), None);
        assert_eq!(client_hello_random(&hello(2, 0, [7; 32])), None);
        assert!(is_server_hello(&hello(2, 0, [7; 32])));
        assert!(!is_server_hello(&hello(2, 0, HELLO_RETRY_REQUEST)));
        assert!(!is_server_hello(&hello(3, 0, [7; 32])));
    }

    #[test]
    fn dtls_is_told_from_rtp_and_stun() {
        assert!(is_dtls(&[20]) && is_dtls(&[63]));
        assert!(!is_dtls(&[]) && !is_dtls(&[0]) && !is_dtls(&[64]) && !is_dtls(&[128]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn garbage_never_panics(raw in any::<Vec<u8>>()) {
            let (before, _) = before_forgeable_alert(&raw);
            prop_assert!(before.len() <= raw.len());
            has_client_hello(&raw);
            client_hello_random(&raw);
            is_server_hello(&raw);
            starts_with_server_answer(&raw);
        }
    }
}

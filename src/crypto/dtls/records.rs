//! What a datagram is before it is decrypted (RFC 7983, RFC 6347 §4.1, RFC 9147 §4).
#![deny(clippy::arithmetic_side_effects)]

use alloc::vec::Vec;

/// Length of a plaintext record's header (RFC 6347 §4.1).
const HEADER_LEN: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const HELLO_VERIFY_REQUEST: u8 = 3;
/// The random that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// The random of a ClientHello: the same in a handshake's first and second one.
pub(super) type HelloRandom = [u8; 32];

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

/// What a server answers to a ClientHello: a ServerHello (a HelloRetryRequest is one) or a
/// HelloVerifyRequest, or its first fragment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ServerAnswer<'a> {
    /// The message's number in the handshake (RFC 6347 §4.2.2).
    number: u16,
    kind: u8,
    body: &'a [u8],
}

impl ServerAnswer<'_> {
    /// True for a ServerHello with which the server goes on with the handshake.
    pub(super) fn goes_on(&self) -> bool {
        let random = self.body.get(2..34);
        self.kind == SERVER_HELLO && random.is_some_and(|random| random != HELLO_RETRY_REQUEST)
    }
}

/// The server's answer that a datagram starts with.
pub(super) fn server_answer(datagram: &[u8]) -> Option<ServerAnswer<'_>> {
    let (HANDSHAKE, 0, message, _) = split_record(datagram)? else { return None };
    let (header, body) = message.split_at_checked(12)?;
    let &[kind @ (SERVER_HELLO | HELLO_VERIFY_REQUEST), _, _, _, n0, n1, 0, 0, 0, ..] = header
    else {
        return None;
    };
    Some(ServerAnswer { number: u16::from_be_bytes([n0, n1]), kind, body })
}

/// The answers that a client took in one handshake: at most one of each number.
#[derive(Default)]
pub(super) struct Answers(Vec<(u16, u8, Vec<u8>)>);

impl Answers {
    /// No handshake has more: a request for a cookie, one for another share, the ServerHello.
    const MAX: usize = 3;

    /// Takes an answer. False if it contradicts one that was taken: one of the two is forged.
    pub(super) fn take(&mut self, answer: ServerAnswer<'_>) -> bool {
        let ServerAnswer { number, kind, body } = answer;
        match self.0.iter().find(|(taken, ..)| *taken == number) {
            // The fragments of a retransmission may be of another length.
            Some((_, taken, first)) => {
                *taken == kind && first.iter().zip(body).all(|(one, other)| one == other)
            }
            None => {
                let fits = self.0.len() < Self::MAX;
                if fits {
                    self.0.push((number, kind, body.to_vec()));
                }
                fits
            }
        }
    }
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
    }

    #[test]
    fn a_client_takes_one_answer_of_each_number() {
        let answer = |kind: u8, number: u8, offset: u8, body: &[u8]| {
            let header = [kind, 0, 0, 40, 0, number, 0, 0, offset, 0, 0, 40];
            record(HANDSHAKE, 0, &[&header[..], body].concat())
        };
        let body = |random: [u8; 32]| [&[0xfe, 0xfd][..], &random].concat();
        let mut answers = Answers::default();
        let mut take = |raw: &[u8]| server_answer(raw).map(|answer| answers.take(answer));
        let retry = answer(2, 0, 0, &body(HELLO_RETRY_REQUEST));
        assert_eq!(take(&retry), Some(true));
        assert_eq!(take(&retry[..HEADER_LEN + 11]), None);
        assert_eq!(take(&answer(2, 0, 9, &[1])), None, "a later fragment");
        assert_eq!(take(&answer(1, 0, 0, &[1])), None, "no answer");
        assert_eq!(take(&answer(2, 0, 0, &body([7; 32]))), Some(false));
        assert_eq!(take(&answer(3, 0, 0, &body(HELLO_RETRY_REQUEST))), Some(false));
        assert_eq!(take(&answer(2, 1, 0, &body([7; 32]))), Some(true));
        assert_eq!(take(&answer(2, 1, 0, &body([7; 32])[..20])), Some(true), "less of the same");
        assert_eq!(take(&retry), Some(true), "once more");
        assert_eq!(take(&answer(2, 2, 0, &[1])), Some(true));
        assert_eq!(take(&answer(2, 3, 0, &[1])), Some(false), "too many");
        assert!(server_answer(&answer(2, 1, 0, &body([7; 32]))).unwrap().goes_on());
        assert!(!server_answer(&retry).unwrap().goes_on());
        assert!(!server_answer(&answer(3, 0, 0, &body([7; 32]))).unwrap().goes_on());
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
            server_answer(&raw);
        }
    }
}

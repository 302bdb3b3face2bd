//! The torture messages of RFC 4475 and RFC 5118: each verdict over datagrams, over a stream, and
//! over a stream that arrives byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::fs;

use corpus::{bytes, error, first_frame, message};
use subrosa::wire::sip::{Frame, HeaderName, Message, ParseErrorKind as Kind};

/// What a datagram gives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Datagram {
    Good,
    /// Malformed, to be answered.
    Answer(Kind),
    /// Malformed, to be dropped.
    Drop(Kind),
}

/// What a stream gives first, where it is not the same as the datagram.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stream {
    Same,
    /// More bytes are needed.
    Waits,
    /// The framing is lost.
    Broken(Kind),
}

use Datagram::{Answer, Drop, Good};

const EXPECTED: &[(&str, Datagram, Stream)] = &[
    ("wsinv", Good, Stream::Same),
    ("intmeth", Good, Stream::Same),
    ("esc01", Good, Stream::Same),
    ("escnull", Good, Stream::Same),
    ("esc02", Good, Stream::Same),
    ("lwsdisp", Good, Stream::Same),
    ("longreq", Good, Stream::Same),
    ("dblreq", Good, Stream::Same),
    ("semiuri", Good, Stream::Same),
    ("transports", Good, Stream::Same),
    ("mpart01", Good, Stream::Same),
    ("unreason", Good, Stream::Same),
    ("noreason", Good, Stream::Same),
    ("badinv01", Answer(Kind::Via), Stream::Same),
    ("clerr", Answer(Kind::BodyTooShort), Stream::Waits),
    ("ncl", Answer(Kind::ContentLength), Stream::Broken(Kind::ContentLength)),
    ("scalar02", Answer(Kind::CSeq), Stream::Same),
    ("scalarlg", Drop(Kind::CSeq), Stream::Same),
    ("quotbal", Answer(Kind::To), Stream::Same),
    ("ltgtruri", Answer(Kind::RequestUri), Stream::Same),
    ("lwsruri", Answer(Kind::StartLine), Stream::Same),
    ("lwsstart", Answer(Kind::StartLine), Stream::Same),
    ("trws", Answer(Kind::StartLine), Stream::Same),
    ("escruri", Answer(Kind::RequestUri), Stream::Same),
    ("baddate", Good, Stream::Same),
    ("regbadct", Answer(Kind::Contact), Stream::Same),
    ("badaspec", Answer(Kind::To), Stream::Same),
    ("baddn", Answer(Kind::From), Stream::Same),
    ("baddn-noblank", Answer(Kind::UnterminatedHeaders), Stream::Waits),
    ("badvers", Answer(Kind::Version), Stream::Same),
    ("mismatch01", Answer(Kind::CSeqMethodMismatch), Stream::Same),
    ("mismatch02", Answer(Kind::CSeqMethodMismatch), Stream::Same),
    ("bigcode", Drop(Kind::StatusCode), Stream::Broken(Kind::StatusCode)),
    ("badbranch", Good, Stream::Same),
    ("insuf", Answer(Kind::MissingFrom), Stream::Same),
    ("unkscm", Good, Stream::Same),
    ("novelsc", Good, Stream::Same),
    ("unksm2", Good, Stream::Same),
    ("bext01", Good, Stream::Same),
    ("invut", Good, Stream::Same),
    ("regaut01", Good, Stream::Same),
    ("multi01", Answer(Kind::DuplicateHeader), Stream::Same),
    (
        "mcl01",
        Answer(Kind::ConflictingContentLength),
        Stream::Broken(Kind::ConflictingContentLength),
    ),
    ("bcast", Good, Stream::Same),
    ("zeromf", Good, Stream::Same),
    ("cparam01", Good, Stream::Same),
    ("cparam02", Good, Stream::Same),
    ("regescrt", Good, Stream::Same),
    ("sdp01", Good, Stream::Same),
    ("inv2543", Good, Stream::Broken(Kind::MissingContentLength)),
    ("ipv6-good", Good, Stream::Same),
    ("ipv6-bad", Answer(Kind::RequestUri), Stream::Same),
    ("port-ambiguous", Good, Stream::Same),
    ("port-unambiguous", Good, Stream::Same),
    ("via-received-param-with-delim", Good, Stream::Same),
    ("via-received-param-no-delim", Good, Stream::Same),
    ("ipv6-in-sdp", Good, Stream::Same),
    ("ipv6-in-sdp-archived-cl", Good, Stream::Same),
    ("mult-ip-in-header", Good, Stream::Same),
    ("mult-ip-in-sdp", Good, Stream::Same),
    ("mult-ip-in-sdp-archived-cl", Good, Stream::Same),
    ("ipv4-mapped-ipv6", Good, Stream::Same),
    ("ipv4-mapped-ipv6-archived-cl", Good, Stream::Same),
    ("ipv6-bug-abnf-3-colons", Good, Stream::Same),
    ("ipv6-correct-abnf-2-colons", Good, Stream::Same),
];

/// File name (without `.dat`) to verdict, of both manifests.
fn manifest() -> BTreeMap<String, String> {
    let mut verdicts = BTreeMap::new();
    for (rfc, column) in [("rfc4475", 4), ("rfc5118", 2)] {
        let file = format!("{}/tests/corpora/{rfc}/MANIFEST.tsv", env!("CARGO_MANIFEST_DIR"));
        for line in fs::read_to_string(file).unwrap().lines().skip(1) {
            let columns: Vec<_> = line.split('\t').collect();
            let name = columns[0].strip_suffix(".dat").unwrap();
            verdicts.insert(name.to_string(), columns[column].to_string());
        }
    }
    verdicts
}

#[test]
fn the_expectations_agree_with_the_manifests() {
    let verdicts = manifest();
    let expected: BTreeMap<_, _> = EXPECTED.iter().map(|(n, d, _)| (n.to_string(), *d)).collect();
    assert!(verdicts.keys().eq(expected.keys()), "a file without its expectation");
    for (name, verdict) in verdicts {
        match verdict.as_str() {
            "VALID"
            | "LEGACY VALID"
            | "ACCEPT (grammar bug)"
            | "ACCEPT (robustness)"
            | "ACCEPT (must tolerate)"
            | "ROBUST" => assert_eq!(expected[&name], Good, "{name}"),
            "INVALID" => assert_ne!(expected[&name], Good, "{name}"),
            "INVALID/MAY" | "SEMANTIC" => {}
            other => panic!("{name}: unknown verdict {other}"),
        }
    }
}

#[test]
fn datagrams() {
    for (name, want, _) in EXPECTED {
        let got = match Message::parse(&bytes(name)) {
            Ok(_) => Good,
            Err(e) if e.rejectable().is_some() => Answer(e.kind()),
            Err(e) => Drop(e.kind()),
        };
        assert_eq!(got, *want, "{name}");
    }
}

#[test]
fn streams_whole_and_byte_by_byte() {
    for (name, datagram, stream) in EXPECTED {
        for step in [usize::MAX, 1] {
            let (frame, framer) = first_frame(name, step);
            match (stream, datagram, frame) {
                (Stream::Same, Good, Some(Frame::Message(m))) => {
                    assert_eq!(m, message(name), "{name}");
                }
                (Stream::Same, Answer(kind), Some(Frame::Malformed(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(e.rejectable().is_some(), "{name}");
                    assert!(!framer.is_broken(), "{name}");
                }
                (Stream::Same, Drop(kind), Some(Frame::Malformed(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(e.rejectable().is_none(), "{name}");
                }
                (Stream::Broken(kind), _, Some(Frame::Broken(e))) => {
                    assert_eq!(e.kind(), *kind, "{name}");
                    assert!(framer.is_broken(), "{name}");
                }
                (Stream::Waits, _, None) => assert!(framer.pending() > 0, "{name}"),
                (want, _, got) => panic!("{name}: {got:?} instead of {want:?}"),
            }
        }
    }
}

#[test]
fn what_was_parsed_is_printed_as_it_came() {
    for (name, want, _) in EXPECTED.iter().filter(|(_, want, _)| *want == Good) {
        let parsed = message(name);
        let again = Message::parse(parsed.as_bytes()).unwrap();
        assert_eq!(again, parsed, "{name} {want:?}");
        let rebuilt = parsed.edit().finish().unwrap_or_else(|e| panic!("{name}: {e}"));
        let fields = |m: &Message| -> Vec<(String, String)> {
            m.all_headers()
                .filter(|(n, _)| HeaderName::parse(n) != HeaderName::ContentLength)
                .map(|(n, v)| (n.to_string(), v.to_string()))
                .collect()
        };
        assert_eq!(fields(&rebuilt), fields(&parsed), "{name}");
        assert_eq!(rebuilt.body(), parsed.body(), "{name}");
    }
}

#[test]
fn every_malformed_request_gets_an_answer_that_names_its_transaction() {
    for (name, want, _) in EXPECTED {
        let Answer(kind) = want else { continue };
        let error = error(name);
        let request = error.rejectable().unwrap();
        assert_eq!(error.status(), if *kind == Kind::Version { 505 } else { 400 }, "{name}");
        let answer = request.response(error.status(), kind.as_str()).to_tag("t").finish();
        let answer = answer.unwrap_or_else(|e| panic!("{name}: {e}"));
        for field in [HeaderName::Via, HeaderName::From, HeaderName::CallId, HeaderName::CSeq] {
            let (got, sent) = (answer.header(field), request.header(field));
            assert_eq!(got, sent, "{name}");
        }
        assert!(answer.top_via().is_some(), "{name}");
    }
}

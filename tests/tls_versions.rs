//! Which versions and suites of TLS are spoken: 1.2 and 1.3, or one of them, with AEAD and ECDHE
//! alone (RFC 9325 §3 and §4); what is older is refused by either side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "support/tls_pair.rs"]
mod tls_pair;

use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsError, TlsServerSettings, TlsStream, TlsVersion,
    TlsVersions,
};
use subrosa::util::SeededRng;
use tls_pair::{NOW, Pair, authority, dns, trust};

const SUITES: [u16; 9] = [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
const ECDSA_GCM: u16 = 0xc02b;
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// A length of `bytes` bytes before the content.
fn sized(bytes: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[4 - bytes..], content].concat()
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

/// A handshake message in a record of its own.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = [&[kind], &sized(3, body)[..]].concat();
    [&[0x16, 3, 1], &sized(2, &message)[..]].concat()
}

/// A hello of the time before TLS 1.3, of a client that knows X25519 and ECDSA on P-256.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let extension =
        |kind: u16, content: &[u8]| [&kind.to_be_bytes(), &sized(2, content)[..]].concat();
    let extensions = [
        extension(10, &sized(2, &words(&[0x001d, 0x0017]))),
        extension(11, &sized(1, &[0])),
        extension(13, &sized(2, &words(&[0x0403]))),
        extension(23, &[]),
    ];
    let body = [
        version.to_be_bytes().to_vec(),
        vec![7; 32],
        vec![0],
        sized(2, &words(suites)),
        vec![1, 0],
        sized(2, &extensions.concat()),
    ];
    record(1, &body.concat())
}

/// What our server says to it: the kind of its first record, or why it refuses.
fn served(versions: TlsVersions, hello: &[u8]) -> Result<u8, TlsError> {
    let identity = authority("Test CA").issue(vec![dns("example.com")], false);
    let server =
        TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap();
    let mut rng = SeededRng::new(1);
    let mut server = TlsStream::server(&server, NOW, &mut rng).unwrap();
    let result = server.read_tls(NOW, hello, &mut rng);
    let mut out = Vec::new();
    server.write_tls_to(&mut out);
    if result.is_err() {
        assert_eq!((out[0], out.len()), (0x15, 7), "an alert and nothing else");
    }
    result.map(|_| out[0])
}

#[test]
fn a_server_takes_nothing_older_than_tls_1_2_and_no_suite_without_aead_and_ecdhe() {
    let both = TlsVersions::default();
    assert_eq!(served(both, &hello(TLS_1_2, &[ECDSA_GCM])), Ok(0x16));
    let refused = |versions, hello: Vec<u8>| {
        let result = served(versions, &hello);
        assert!(matches!(result, Err(TlsError::Incompatible(_))), "{result:?}");
    };
    refused(both, hello(TLS_1_1, &[ECDSA_GCM]));
    refused(both, hello(TLS_1_1, &[0xc009, 0x002f]));
    refused(TlsVersions::V1_3Only, hello(TLS_1_2, &[ECDSA_GCM]));
    for suite in [
        0xc009, // ECDHE_ECDSA_WITH_AES_128_CBC_SHA
        0xc023, // ECDHE_ECDSA_WITH_AES_128_CBC_SHA256
        0x009c, // RSA_WITH_AES_128_GCM_SHA256, without ECDHE
        0x009e, // DHE_RSA_WITH_AES_128_GCM_SHA256
        0xc02d, // ECDH_ECDSA_WITH_AES_128_GCM_SHA256, a static key
        0xc007, // ECDHE_ECDSA_WITH_RC4_128_SHA
        0xc006, // ECDHE_ECDSA_WITH_NULL_SHA
    ] {
        refused(both, hello(TLS_1_2, &[suite]));
    }
}

/// The suites and the versions that a client of these settings offers.
fn offered(versions: TlsVersions) -> (Vec<u16>, Vec<u16>) {
    let client = TlsClientSettings::new(authority("Test CA").anchors(), None, versions).unwrap();
    let mut rng = SeededRng::new(1);
    let mut client = TlsStream::client(&client, "example.com", NOW, &mut rng).unwrap();
    let mut hello = Vec::new();
    client.write_tls_to(&mut hello);
    let word = |at: usize| u16::from_be_bytes([hello[at], hello[at + 1]]);
    let list = |at: usize, bytes: usize| (at..at + bytes).step_by(2).map(word).collect::<Vec<_>>();
    // Record, message, version and random; the session; the suites; no compression.
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    let suites = list(at + 2, usize::from(word(at)));
    at += 2 + 2 * suites.len();
    assert_eq!(hello[at..at + 2], [1, 0], "no compression");
    at += 4;
    let mut known = vec![];
    while at < hello.len() {
        if word(at) == 43 {
            known = list(at + 5, usize::from(hello[at + 4]));
        }
        at += 4 + usize::from(word(at + 2));
    }
    (suites, known)
}

#[test]
fn a_client_offers_aead_with_ecdhe_alone_and_the_versions_that_it_is_told() {
    for (versions, wanted) in [
        (TlsVersions::default(), &[TLS_1_3, TLS_1_2][..]),
        (TlsVersions::V1_3Only, &[TLS_1_3]),
        (TlsVersions::V1_2Only, &[TLS_1_2]),
    ] {
        let (suites, known) = offered(versions);
        assert_eq!(known, wanted);
        // 0x00ff asks for secure renegotiation and is no suite (RFC 5746 §3.3).
        let real: Vec<_> = suites.into_iter().filter(|s| *s != 0x00ff).collect();
        assert!(!real.is_empty() && real.iter().all(|s| SUITES.contains(s)), "{real:x?}");
    }
}

#[test]
fn a_server_that_answers_with_tls_1_1_or_an_old_suite_is_refused() {
    for (version, suite) in [(TLS_1_1, ECDSA_GCM), (TLS_1_1, 0xc009), (TLS_1_2, 0xc009)] {
        let mut rng = SeededRng::new(1);
        let client = trust(&authority("Test CA"));
        let mut client = TlsStream::client(&client, "example.com", NOW, &mut rng).unwrap();
        client.write_tls_to(&mut Vec::new());
        let body = [words(&[version]), vec![7; 32], vec![0], words(&[suite]), vec![0]];
        let result = client.read_tls(NOW, &record(2, &body.concat()), &mut rng);
        let refused = matches!(result, Err(TlsError::Incompatible(_) | TlsError::Protocol(_)));
        assert!(refused && client.facts().is_none(), "{result:?}");
    }
}

#[test]
fn each_side_keeps_to_the_versions_that_it_is_told() {
    use TlsVersions::{V1_2AndV1_3 as Both, V1_2Only, V1_3Only};
    let ca = authority("Test CA");
    for (ours, theirs, agreed) in [
        (Both, Both, Some(TlsVersion::V1_3)),
        (Both, V1_2Only, Some(TlsVersion::V1_2)),
        (V1_2Only, Both, Some(TlsVersion::V1_2)),
        (Both, V1_3Only, Some(TlsVersion::V1_3)),
        (V1_3Only, Both, Some(TlsVersion::V1_3)),
        (V1_2Only, V1_3Only, None),
        (V1_3Only, V1_2Only, None),
    ] {
        let client = TlsClientSettings::new(ca.anchors(), None, ours).unwrap();
        let identity = ca.issue(vec![dns("example.com")], false);
        let asks = ClientCertificates::NotRequested;
        let server = TlsServerSettings::new(identity, asks, theirs).unwrap();
        let mut pair = Pair::new(&client, &server, "example.com", NOW);
        let result = pair.run(NOW, 4096);
        assert_eq!(result.is_ok(), agreed.is_some(), "{ours:?} {theirs:?} {result:?}");
        assert_eq!(pair.client.facts().map(|f| f.version), agreed, "{ours:?} {theirs:?}");
    }
}

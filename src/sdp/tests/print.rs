//! Printing and reading again gives the same.

use super::*;
use proptest::prelude::*;

fn address() -> impl Strategy<Value = ConnectionAddress> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| ConnectionAddress::Ip(ip.into())),
        any::<[u8; 16]>().prop_map(|ip| ConnectionAddress::Ip(ip.into())),
        "[a-z]{1,8}\\.example".prop_map(ConnectionAddress::Name),
    ]
}

fn any_codec() -> impl Strategy<Value = CodecDescription> {
    (0..128u8, "[a-zA-Z0-9-]{1,12}", 1..200_000u32, 1..3u8, proptest::option::of("[!-~]{1,20}"))
        .prop_map(|(payload_type, name, clock_rate, channels, fmtp)| CodecDescription {
            payload_type,
            name,
            clock_rate,
            channels,
            fmtp,
        })
}

fn any_crypto() -> impl Strategy<Value = CryptoAttribute> {
    let lifetime = prop_oneof![
        (0..=48u8).prop_map(Lifetime::PowerOfTwo),
        (1..=1u64 << 48).prop_map(Lifetime::Packets),
    ];
    let mki = (any::<u16>(), 2..128u8).prop_map(|(v, length)| Mki { value: v.into(), length });
    let key = (
        proptest::collection::vec(any::<u8>(), 1..64),
        proptest::option::of(lifetime),
        proptest::option::of(mki),
    );
    let hint = proptest::option::of(64..9999u32);
    ("[A-Z0-9_]{1,20}", key, hint).prop_map(|(suite, (key, lifetime, mki), window_size_hint)| {
        let key = InlineKey { lifetime, mki, ..InlineKey::new(Secret::new(key)) };
        CryptoAttribute { tag: 0, suite, keys: vec![key], window_size_hint }
    })
}

fn any_fingerprint() -> impl Strategy<Value = Fingerprint> {
    let known = |name: &'static str, length: usize| {
        proptest::collection::vec(any::<u8>(), length).prop_map(move |b| (name.into(), b))
    };
    prop_oneof![
        known("sha-1", 20),
        known("sha-256", 32),
        known("sha-512", 64),
        ("[a-z0-9-]{9,20}", proptest::collection::vec(any::<u8>(), 1..64)),
    ]
    .prop_map(|(name, bytes): (String, Vec<u8>)| Fingerprint::new(&name, bytes).unwrap())
}

fn any_setup() -> impl Strategy<Value = Option<Setup>> {
    let all = vec![Setup::ActPass, Setup::Active, Setup::Passive, Setup::HoldConn];
    proptest::option::of(proptest::sample::select(all))
}

fn any_tls_id() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[a-zA-Z0-9+/_-]{20,255}")
}

fn direction() -> impl Strategy<Value = Direction> {
    (any::<bool>(), any::<bool>()).prop_map(|(send, receive)| Direction::new(send, receive))
}

fn audio() -> impl Strategy<Value = MediaDescription> {
    let profile = proptest::sample::select(vec![
        Profile::Avp,
        Profile::Avpf,
        Profile::Savp,
        Profile::Savpf,
        Profile::DtlsSavp,
        Profile::DtlsSavpf,
    ]);
    let rtcp = (1..=u16::MAX, proptest::option::of(any::<[u8; 4]>()))
        .prop_map(|(port, ip)| RtcpAddress { port, address: ip.map(Into::into) });
    let times = (proptest::option::of(1..=1000u16), proptest::option::of(1..=1000u16));
    (
        (1..=u16::MAX, profile, proptest::collection::vec(any_codec(), 1..6)),
        (proptest::option::of(address()), direction(), times),
        (proptest::option::of(rtcp), any::<bool>()),
        proptest::collection::vec(any_crypto(), 0..4),
        (proptest::collection::vec(any_fingerprint(), 0..3), any_setup(), any_tls_id()),
    )
        .prop_map(|(head, flow, rtcp, crypto, dtls)| {
            let (port, profile, mut codecs) = head;
            codecs.sort_by_key(|c| c.payload_type);
            codecs.dedup_by_key(|c| c.payload_type);
            let mut media = MediaDescription::new(MediaKind::Audio, port, profile);
            media.codecs = codecs;
            (media.connection, media.direction, (media.ptime, media.maxptime)) = flow;
            (media.rtcp, media.rtcp_mux) = rtcp;
            media.crypto = crypto;
            for (tag, line) in (1..).zip(&mut media.crypto) {
                line.tag = tag;
            }
            (media.fingerprints, media.setup, media.tls_id) = dtls;
            media
        })
}

fn other() -> impl Strategy<Value = MediaDescription> {
    ("video|image|x-[a-z]{1,5}", any::<u16>(), "[a-z]{1,5}/[A-Z]{1,5}", "[0-9a-z]{1,4}").prop_map(
        |(kind, port, profile, formats)| {
            let kind = MediaKind::Other(kind);
            let mut media = MediaDescription::new(kind, port, Profile::Other(profile));
            media.formats = formats;
            media
        },
    )
}

fn description() -> impl Strategy<Value = SessionDescription> {
    let media = proptest::collection::vec(prop_oneof![audio(), other()], 0..5);
    ("[a-z]{1,8}", "[0-9]{1,19}", any::<u64>(), address(), proptest::option::of(address()), media)
        .prop_map(|(username, session_id, version, address, connection, media)| {
            SessionDescription {
                origin: Origin { username, session_id, version, address },
                connection,
                media,
                ignored: 0,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_printed_description_reads_the_same(description in description()) {
        prop_assert_eq!(wire(&description), description);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = SessionDescription::parse(&bytes);
    }

    /// What was read once prints into something that reads the same and is answered or refused.
    #[test]
    fn lines_in_any_order_are_harmless(
        lines in proptest::collection::vec(
            prop_oneof![
                "m=audio [0-9]{1,5} RTP/S?AVPF? [0-9 ]{1,20}",
                "a=(rtpmap|fmtp|ptime|rtcp|crypto|maxptime):[0-9a-zA-Z/:| ^=-]{0,40}",
                "a=crypto:[0-9] AES_CM_128_HMAC_SHA1_80 inline:[a-zA-Z0-9+/]{40}(\\|2\\^[0-9]{1,2})?",
                "c=IN IP[46] [0-9a-f.:]{1,15}",
                "a=(sendonly|inactive|rtcp-mux|recvonly)",
            ],
            0..12,
        ),
    ) {
        let text = format!("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(parsed) = SessionDescription::parse(text.as_bytes()) {
            let again = wire(&parsed);
            prop_assert!(again.media.len() == parsed.media.len());
            let mut twice = wire(&again);
            twice.ignored = again.ignored;
            prop_assert_eq!(&twice, &again);
            for security in [MediaSecurity::plain(), MediaSecurity::sdes(super::lines())] {
                let _ = answer(parsed.clone(), &local(security));
            }
        }
    }
}

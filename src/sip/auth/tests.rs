use super::*;
use crate::util::SeededRng;
use alloc::format;

fn client(realm: Option<&str>) -> DigestClient {
    DigestClient::new(Credentials {
        username: "alice".into(),
        password: Secret::new("zanzibar".into()),
        realm: realm.map(Into::into),
    })
}

fn refusal(status: u16, challenges: &[&str]) -> Message {
    let name = if status == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    let lines: String = challenges.iter().map(|c| format!("{name}: {c}\r\n")).collect();
    let text = format!(
        "SIP/2.0 {status} No\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes()).unwrap()
}

fn challenge(nonce: &str, more: &str) -> String {
    format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"{more}")
}

/// One refused request and the next try.
fn step(
    client: &mut DigestClient,
    sent: &Authorization,
    challenge: &str,
) -> Result<Authorization, AuthError> {
    let response = refusal(401, &[challenge]);
    client.handle_challenge(&response, sent, |_| true, &mut SeededRng::new(1))?;
    Ok(client.authorize("REGISTER", "sip:b", b""))
}

fn value(authorization: &Authorization) -> &str {
    &authorization.fields()[0].1
}

#[test]
fn the_example_of_rfc_2617_comes_out_whole() {
    let challenges = Challenge::parse_all(
        "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
    );
    let challenge = &challenges[0];
    let password = Secret::new(String::from("Circle Of Life"));
    let ha1 = Ha1::new(challenge.algorithm.hash, "Mufasa", &challenge.realm, &password);
    let mut space = Space {
        field: HeaderName::Authorization,
        challenge: challenge.clone(),
        ha1,
        cnonce: "0a4f113b".into(),
        nonce_count: 0,
        accepted: false,
        renewals: 0,
    };
    assert_eq!(
        space.answer("Mufasa", "GET", "/dir/index.html", b""),
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", qop=auth, \
         nc=00000001, opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""
    );
}

#[test]
fn the_strongest_supported_algorithm_is_answered() {
    let mut client = client(None);
    let response = refusal(
        401,
        &[
            &challenge("n1", ", algorithm=MD5"),
            &challenge("n2", ", algorithm=SHA-512-256"),
            &challenge("n3", ", algorithm=SHA-256"),
            &challenge("n4", ", algorithm=SHA3-512"),
        ],
    );
    let sent = Authorization::default();
    client.handle_challenge(&response, &sent, |_| true, &mut SeededRng::new(1)).unwrap();
    let authorization = client.authorize("REGISTER", "sip:b", b"");
    assert_eq!(authorization.fields().len(), 1);
    assert!(value(&authorization).contains("nonce=\"n2\""));
    assert!(value(&authorization).contains("algorithm=SHA-512-256"));
    assert_eq!(client.weakest_hash(), Some(HashFunction::Sha512_256));
}

#[test]
fn nonce_counts_rise_per_nonce_and_start_again() {
    let mut client = client(None);
    let first = step(&mut client, &Authorization::default(), &challenge("n1", "")).unwrap();
    assert!(value(&first).contains("nc=00000001"));
    let second = client.authorize("INVITE", "sip:b", b"");
    assert!(value(&second).contains("nc=00000002"));
    let renewed = step(&mut client, &second, &challenge("n2", ", stale=true")).unwrap();
    assert!(value(&renewed).contains("nonce=\"n2\""));
    assert!(value(&renewed).contains("nc=00000001"));
}

#[test]
fn a_nonce_that_comes_again_is_counted_on_and_realms_are_bounded() {
    let mut client = client(None);
    let none = Authorization::default();
    let first = step(&mut client, &none, &challenge("n", "")).unwrap();
    assert!(value(&first).contains("nc=00000001"));
    // Another request, which was sent before the first challenge came, meets the same nonce.
    let second = step(&mut client, &none, &challenge("n", "")).unwrap();
    assert!(value(&second).contains("nc=00000002"), "{}", value(&second));
    for realm in 0..100 {
        let challenge = format!("Digest realm=\"r{realm}\", nonce=\"n\", qop=\"auth\"");
        let answer = step(&mut client, &none, &challenge).unwrap();
        assert!(answer.fields().len() <= MAX_SPACES);
        let newest = format!("realm=\"r{realm}\"");
        assert!(answer.fields().last().unwrap().1.contains(&newest));
    }
}

#[test]
fn refused_credentials_are_not_tried_again() {
    let mut client = client(None);
    let sent = step(&mut client, &Authorization::default(), &challenge("n1", "")).unwrap();
    assert_eq!(step(&mut client, &sent, &challenge("n2", "")), Err(AuthError::Refused));
    // Nor are they volunteered afterwards.
    assert!(client.authorize("INVITE", "sip:b", b"").fields().is_empty());
}

#[test]
fn the_same_nonce_declared_stale_is_a_refusal() {
    let mut client = client(None);
    let sent = step(&mut client, &Authorization::default(), &challenge("n1", "")).unwrap();
    let again = step(&mut client, &sent, &challenge("n1", ", stale=true"));
    assert_eq!(again, Err(AuthError::Refused));
}

#[test]
fn endless_stale_nonces_end() {
    let mut client = client(None);
    let mut sent = Authorization::default();
    let mut tries = 0;
    let error = loop {
        tries += 1;
        let nonce = format!("n{tries}");
        match step(&mut client, &sent, &challenge(&nonce, ", stale=true")) {
            Ok(next) => sent = next,
            Err(error) => break error,
        }
    };
    assert_eq!((error, tries), (AuthError::Refused, 5));
}

#[test]
fn a_nonce_that_worked_may_be_replaced_without_stale() {
    let mut client = client(None);
    let sent = step(&mut client, &Authorization::default(), &challenge("n1", "")).unwrap();
    client.handle_accepted(&sent);
    let sent = client.authorize("REGISTER", "sip:b", b"");
    let sent = step(&mut client, &sent, &challenge("n2", "")).unwrap();
    assert_eq!(step(&mut client, &sent, &challenge("n3", "")), Err(AuthError::Refused));
}

#[test]
fn of_two_requests_with_an_old_nonce_the_later_refusal_is_no_refusal_of_the_password() {
    let mut client = client(None);
    let sent = step(&mut client, &Authorization::default(), &challenge("n1", "")).unwrap();
    client.handle_accepted(&sent);
    let (one, two) =
        (client.authorize("INVITE", "sip:b", b""), client.authorize("BYE", "sip:b", b""));
    let again = step(&mut client, &one, &challenge("n2", "")).unwrap();
    client.handle_accepted(&again);
    assert!(
        value(&step(&mut client, &two, &challenge("n3", "")).unwrap()).contains("nonce=\"n3\"")
    );
}

#[test]
fn a_foreign_realm_gets_no_answer() {
    let response = refusal(401, &[&challenge("n1", "")]);
    let sent = Authorization::default();
    let mut pinned = client(Some("home"));
    let rng = &mut SeededRng::new(1);
    let result = pinned.handle_challenge(&response, &sent, |_| true, rng);
    assert_eq!(result, Err(AuthError::RealmNotAllowed));
    assert!(pinned.authorize("BYE", "sip:b", b"").fields().is_empty());
    let mut open = client(None);
    let result = open.handle_challenge(&response, &sent, |realm| realm != "r", rng);
    assert_eq!(result, Err(AuthError::RealmNotAllowed));
}

#[test]
fn proxy_and_registrar_are_answered_together() {
    let mut client = client(None);
    let rng = &mut SeededRng::new(1);
    let sent = Authorization::default();
    let proxy = refusal(407, &[&challenge("p", "")]);
    client.handle_challenge(&proxy, &sent, |_| true, rng).unwrap();
    let sent = client.authorize("REGISTER", "sip:b", b"");
    let registrar = refusal(401, &[&challenge("w", "")]);
    client.handle_challenge(&registrar, &sent, |_| true, rng).unwrap();
    let both = client.authorize("REGISTER", "sip:b", b"");
    let names: Vec<_> = both.fields().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [HeaderName::ProxyAuthorization, HeaderName::Authorization]);
}

#[test]
fn quality_is_chosen_and_rfc_2069_still_works() {
    let qop = |text: &str| Challenge::parse_all(text).first().map(|c| c.qop);
    assert_eq!(qop("Digest realm=\"r\",nonce=\"n\""), Some(None));
    assert_eq!(qop("Digest realm=\"r\",nonce=\"n\",qop=\"auth-int\""), Some(Some(Qop::AuthInt)));
    assert_eq!(qop("Digest realm=\"r\",nonce=\"n\",qop=\"auth-int, auth\""), Some(Some(Qop::Auth)));
    assert_eq!(qop("Digest realm=\"r\",nonce=\"n\",qop=\"token\""), None);
    let mut client = client(None);
    let sent = Authorization::default();
    let old = step(&mut client, &sent, "Digest realm=\"r\", nonce=\"n\"").unwrap();
    assert!(!value(&old).contains("qop") && !value(&old).contains("cnonce"));
}

#[test]
fn hostile_challenges_are_harmless() {
    for text in [
        "",
        "Digest",
        "Digest ,,,",
        "Basic realm=\"r\"",
        "Digest realm=\"r\"",
        "Digest nonce=\"n\"",
        "Digest realm=r\"x, nonce=\"n\"",
        "Digest realm=\"a\\\", nonce=\"n\"",
        "Digest realm=\"r\", nonce=\"n\", algorithm=ROT13",
        "Digest realm=\"r\", nonce=\"n\", opaque=a\"b",
        "\"",
        "\\",
        "Digest \"",
    ] {
        assert_eq!(Challenge::parse_all(text), [], "{text}");
    }
    let many = "Digest realm=\"r\",nonce=\"n\",".repeat(100);
    assert_eq!(Challenge::parse_all(&many).len(), MAX_CHALLENGES);
    let long = format!("Digest realm=\"r\",nonce=\"{}\"", "n".repeat(MAX_VALUE));
    assert_eq!(Challenge::parse_all(&long), []);
    let mixed = "Basic realm=\"x\", Digest realm=\"a,b\", nonce=n , Digest realm=\"c\",nonce=\"m\"";
    let realms: Vec<_> = Challenge::parse_all(mixed).into_iter().map(|c| c.realm).collect();
    assert_eq!(realms, ["a,b", "c"]);
}

#[test]
fn a_user_name_cannot_break_out_of_its_quotes() {
    let mut client = client(None);
    client.set_credentials(Credentials {
        username: "a\"b\\".into(),
        password: Secret::new("p".into()),
        realm: None,
    });
    let sent = step(&mut client, &Authorization::default(), &challenge("n", "")).unwrap();
    assert!(value(&sent).starts_with("Digest username=\"a\\\"b\\\\\", realm=\"r\""));
    assert!(!format!("{client:?}").contains("zanzibar"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(128))]

    /// Whatever a server sends, the answer is one header value that reads as it was meant.
    #[test]
    fn any_challenge_is_answered_cleanly_or_not_at_all(
        text in "(Digest )?((realm|nonce|qop|opaque|algorithm|stale)=[\"\\\\a-z0-9,= -]{0,12},? ?){0,6}",
    ) {
        let response = match refusal_of(&text) {
            Some(response) => response,
            None => return Ok(()),
        };
        let mut client = client(None);
        let sent = Authorization::default();
        let rng = &mut SeededRng::new(1);
        if client.handle_challenge(&response, &sent, |_| true, rng).is_ok() {
            let answer = client.authorize("REGISTER", "sip:b", b"");
            let realms = Challenge::parse_all(&text);
            proptest::prop_assert!(!answer.fields().is_empty());
            for (name, value) in answer.fields() {
                let challenge = realms.iter().find(|c| value.contains(&c.nonce)).unwrap();
                let nonce = answer.nonce_for(*name, &challenge.realm);
                proptest::prop_assert!(nonce.is_some(), "{}", value);
                proptest::prop_assert_eq!(value.matches("response=\"").count(), 1);
            }
        }
    }
}

fn refusal_of(challenge: &str) -> Option<Message> {
    let text = format!(
        "SIP/2.0 401 No\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: {challenge}\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Message::parse(text.as_bytes()).ok()
}

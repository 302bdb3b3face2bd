use super::*;
use crate::util::{Secret, SeededRng};
use alloc::{format, vec::Vec};

const T0: Instant = Instant::from_millis(1_000);

fn machine() -> Registration {
    let uri = |text: &str| Uri::parse(text).unwrap();
    Registration::new(RegistrationConfig {
        registrar: uri("sips:example.com"),
        identity: NameAddr::new(uri("sips:alice@example.com")),
        contact: NameAddr::new(uri("sips:alice@192.0.2.1:5061")),
        expires: 3600,
        call_id: "c1".into(),
        from_tag: "t1".into(),
        credentials: Credentials {
            username: "alice".into(),
            password: Secret::new("zanzibar".into()),
            realm: None,
        },
    })
}

/// The REGISTER that goes out, as a message.
fn sent(machine: &mut Registration) -> Message {
    let request = machine.poll_request().expect("a REGISTER");
    request.prepend(HeaderName::Via, "SIP/2.0/TLS a;branch=z9hG4bK1").finish().unwrap()
}

fn respond(machine: &mut Registration, now: Instant, request: &Message, status: u16, more: &str) {
    let text = format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=t1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: c1\r\nCSeq: {}\r\n{more}Content-Length: 0\r\n\r\n",
        request.cseq()
    );
    let response = Message::parse(text.as_bytes()).unwrap();
    assert!(machine.handle_response(now, &response, true, &mut SeededRng::new(3)));
}

fn registered(more: &str) -> (Registration, RegistrationState) {
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    respond(&mut machine, T0, &request, 200, more);
    let state = machine.state();
    (machine, state)
}

fn at(seconds: u64) -> Instant {
    T0 + Duration::from_secs(seconds)
}

#[test]
fn the_request_has_what_rfc_3261_asks_for() {
    let mut machine = machine();
    assert!(machine.poll_request().is_none());
    machine.start();
    let request = sent(&mut machine);
    assert_eq!(request.request_uri().unwrap().as_str(), "sips:example.com");
    assert_eq!(request.header(HeaderName::To), Some("<sips:alice@example.com>"));
    assert_eq!(request.from().tag(), Some("t1"));
    assert_eq!(request.expires(), Some(3600));
    assert_eq!(request.contacts().next().unwrap().params().get("expires"), Some("3600"));
    // RFC 3261 §10.2: no second one before the first is answered.
    machine.start();
    assert!(machine.poll_request().is_none());
}

#[test]
fn the_own_bindings_expiry_counts_before_the_header() {
    let own = "Contact: <sip:other@203.0.113.9>;expires=7, <sips:alice@192.0.2.1:5061>;expires=600\r\n\
               Expires: 1800\r\n";
    let (machine, state) = registered(own);
    assert_eq!(state, RegistrationState::Registered { expires: at(600) });
    assert_eq!(machine.next_timeout(), Some(at(540)));
    let (_, state) = registered("Expires: 1800\r\n");
    assert_eq!(state, RegistrationState::Registered { expires: at(1800) });
    let (_, state) = registered("");
    assert_eq!(state, RegistrationState::Registered { expires: at(3600) });
}

#[test]
fn a_binding_is_refreshed_before_it_ends_and_never_without_delay() {
    for (granted, refresh) in [(1, 1), (2, 1), (10, 5), (60, 30), (100, 68), (3600, 3240)] {
        let (mut machine, _) = registered(&format!("Expires: {granted}\r\n"));
        assert_eq!(machine.next_timeout(), Some(at(refresh)), "{granted}");
        machine.handle_timeout(at(refresh) - Duration::from_micros(1));
        assert!(machine.poll_request().is_none());
        machine.handle_timeout(at(refresh));
        assert_eq!(sent(&mut machine).cseq().number, 2);
        assert_eq!(machine.next_timeout(), None);
        assert!(matches!(machine.state(), RegistrationState::Registered { .. }));
    }
    let (machine, _) = registered("Expires: 4294967295\r\n");
    assert!(machine.next_timeout().unwrap() <= at(u64::from(MAX_EXPIRES)));
}

#[test]
fn a_challenge_is_answered_once() {
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"\r\n";
    respond(&mut machine, T0, &request, 401, challenge);
    let request = sent(&mut machine);
    assert_eq!(request.cseq().number, 2);
    let authorization = request.header(HeaderName::Authorization).unwrap();
    assert!(authorization.contains("uri=\"sips:example.com\""));
    respond(&mut machine, T0, &request, 401, challenge);
    assert!(machine.poll_request().is_none());
    let reason = RegistrationFailure::Auth(AuthError::Refused);
    assert_eq!(machine.state(), RegistrationState::Failed { reason, retry_at: None });
    // Other credentials are another attempt.
    machine.set_credentials(Credentials {
        username: "alice".into(),
        password: Secret::new("right".into()),
        realm: None,
    });
    let request = sent(&mut machine);
    respond(&mut machine, T0, &request, 200, "");
    assert!(matches!(machine.state(), RegistrationState::Registered { .. }));
}

#[test]
fn an_unverified_peer_gets_no_digest() {
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    let text = format!(
        "SIP/2.0 401 X\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=t1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: c1\r\nCSeq: {}\r\n\
         WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\"\r\n\r\n",
        request.cseq()
    );
    let response = Message::parse(text.as_bytes()).unwrap();
    machine.handle_response(T0, &response, false, &mut SeededRng::new(3));
    let reason = RegistrationFailure::Auth(AuthError::RealmNotAllowed);
    assert_eq!(machine.state(), RegistrationState::Failed { reason, retry_at: None });
}

#[test]
fn too_brief_an_interval_is_raised_once() {
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    respond(&mut machine, T0, &request, 423, "Min-Expires: 7200\r\n");
    let request = sent(&mut machine);
    assert_eq!(request.expires(), Some(7200));
    respond(&mut machine, T0, &request, 423, "Min-Expires: 9000\r\n");
    let reason = RegistrationFailure::IntervalTooBrief;
    assert_eq!(machine.state(), RegistrationState::Failed { reason, retry_at: None });
    for hostile in ["", "Min-Expires: 0\r\n", "Min-Expires: 4294967295\r\n", "Min-Expires: 5\r\n"] {
        let mut machine = self::machine();
        machine.start();
        let request = sent(&mut machine);
        respond(&mut machine, T0, &request, 423, hostile);
        assert!(machine.poll_request().is_none(), "{hostile}");
    }
}

#[test]
fn refusals_are_final_and_trouble_is_waited_out() {
    for (status, more, expected) in [
        (403, "", None),
        (404, "", None),
        (404, "Retry-After: 60\r\n", Some(60)),
        (503, "Retry-After: 120 (busy)\r\n", Some(120)),
        (503, "Retry-After: 0\r\n", Some(1)),
        (503, "Retry-After: 4294967295\r\n", Some(86_400)),
    ] {
        let mut machine = machine();
        machine.start();
        let request = sent(&mut machine);
        respond(&mut machine, T0, &request, status, more);
        let reason = RegistrationFailure::Rejected(status);
        let retry_at = expected.map(at);
        assert_eq!(machine.state(), RegistrationState::Failed { reason, retry_at });
        assert_eq!(machine.next_timeout(), retry_at);
    }
}

#[test]
fn backoff_doubles_up_to_its_limit() {
    let mut machine = machine();
    let mut now = T0;
    let mut delays = Vec::new();
    machine.start();
    for _ in 0..9 {
        sent(&mut machine);
        machine.handle_failure(now, RegistrationFailure::Timeout, &mut SeededRng::new(9));
        let retry = machine.next_timeout().unwrap();
        delays.push((retry - now).as_secs());
        now = retry;
        machine.handle_timeout(now);
    }
    let limits = [60, 120, 240, 480, 960, 1800, 1800, 1800, 1800];
    for (delay, limit) in delays.iter().zip(limits) {
        assert!((limit / 2..=limit).contains(delay), "{delays:?}");
    }
}

#[test]
fn stopping_removes_the_binding_whatever_is_going_on() {
    let (mut machine, _) = registered("");
    machine.stop();
    let request = sent(&mut machine);
    assert_eq!(request.expires(), Some(0));
    assert_eq!(request.contacts().next().unwrap().params().get("expires"), Some("0"));
    respond(&mut machine, T0, &request, 200, "");
    assert_eq!(machine.state(), RegistrationState::Unregistered);
    assert_eq!(machine.next_timeout(), None);
    // While the first REGISTER is in flight.
    let mut machine = self::machine();
    machine.start();
    let request = sent(&mut machine);
    machine.stop();
    assert!(machine.poll_request().is_none());
    respond(&mut machine, T0, &request, 200, "");
    let request = sent(&mut machine);
    assert_eq!(request.expires(), Some(0));
    respond(&mut machine, T0, &request, 500, "");
    assert_eq!(machine.state(), RegistrationState::Unregistered);
    // Without any binding there is nothing to send.
    let mut machine = self::machine();
    machine.start();
    machine.stop();
    assert!(machine.poll_request().is_none());
    assert_eq!(machine.state(), RegistrationState::Unregistered);
}

#[test]
fn a_new_contact_replaces_the_former_one() {
    let (mut machine, _) = registered("");
    machine.update_contact(NameAddr::new(Uri::parse("sips:alice@192.0.2.77:5061").unwrap()));
    let request = sent(&mut machine);
    let contacts: Vec<_> = request.contacts().map(|c| format!("{c}")).collect();
    assert_eq!(
        contacts,
        ["<sips:alice@192.0.2.77:5061>;expires=3600", "<sips:alice@192.0.2.1:5061>;expires=0"]
    );
    respond(&mut machine, T0, &request, 200, "");
    machine.start();
    assert_eq!(sent(&mut machine).contacts().count(), 1);
}

#[test]
fn foreign_responses_change_nothing() {
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    let text = "SIP/2.0 200 X\r\nVia: SIP/2.0/TLS a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=t1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: c1\r\nCSeq: 9 REGISTER\r\nContent-Length: 0\r\n\r\n";
    let stray = Message::parse(text.as_bytes()).unwrap();
    assert!(!machine.handle_response(T0, &stray, true, &mut SeededRng::new(3)));
    assert_eq!(machine.state(), RegistrationState::Registering);
    respond(&mut machine, T0, &request, 100, "");
    assert_eq!(machine.state(), RegistrationState::Registering);
    respond(&mut machine, T0, &request, 200, "Contact: <sips:alice@192.0.2.1:5061>;expires=0\r\n");
    let state = machine.state();
    let reason = RegistrationFailure::NotBound;
    assert!(matches!(state, RegistrationState::Failed { reason: r, .. } if r == reason));
    let changes: Vec<_> = core::iter::from_fn(|| machine.poll_change()).collect();
    assert_eq!(changes.first(), Some(&RegistrationState::Registering));
    assert_eq!(changes.last(), Some(&state));
}

#[test]
fn a_nonce_that_worked_may_be_replaced_without_the_word_stale() {
    let challenge = |nonce: &str| {
        format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"\r\n")
    };
    let mut machine = machine();
    machine.start();
    let request = sent(&mut machine);
    respond(&mut machine, T0, &request, 401, &challenge("n1"));
    let request = sent(&mut machine);
    respond(&mut machine, T0, &request, 200, "Expires: 100\r\n");
    machine.handle_timeout(at(100));
    let refresh = sent(&mut machine);
    assert!(refresh.header(HeaderName::Authorization).unwrap().contains("nonce=\"n1\""));
    respond(&mut machine, at(100), &refresh, 401, &challenge("n2"));
    let again = sent(&mut machine);
    assert!(again.header(HeaderName::Authorization).unwrap().contains("nonce=\"n2\""));
}

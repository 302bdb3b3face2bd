//! Provisioning documents: what is read, what is refused and in which words, and what applying
//! one does to an engine and on the wire, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/sim_registrar.rs"]
mod sim_registrar;
#[path = "support/tls_pair.rs"]
mod tls_pair;

use proptest::prelude::*;
use sim_registrar::Registrar;
use subrosa::crypto::tls::TrustAnchors;
use subrosa::engine::provisioning::{Format, Provisioning, ProvisioningError, ProvisioningOutcome};
use subrosa::engine::{
    AccountConfig, AccountId, AccountState, Codec, Event, PolicySource, SecurityPolicy,
};
use subrosa::sim::{EngineHost, Handle, World};
use subrosa::sip::Transport;
use subrosa::time::Duration;
use subrosa::wire::sip::{HeaderName, Uri};

const CA: &str = include_str!("data/sim/ca.pem");
const PAGE: &str = include_str!("../docs/provisioning.md");
const PINS: &str = r#"["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
"sha256/LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564="]"#;

fn toml(text: &str) -> Result<Provisioning, ProvisioningError> {
    Provisioning::parse(text, Format::Toml)
}

fn refusal(text: &str, format: Format) -> String {
    Provisioning::parse(text, format).unwrap_err().to_string()
}

/// The blocks of the page in this language.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let block = |part: &str| part.split("```").next().unwrap().to_owned();
    PAGE.split(&opening).skip(1).map(block).collect()
}

fn files(name: &str) -> Option<Vec<u8>> {
    match name {
        "company-ca.pem" => Some(CA.into()),
        "company.crl.pem" => Some(tls_pair::authority("CA").revoke(&[], 2030).into()),
        _ => None,
    }
}

#[test]
fn the_examples_of_the_page_are_read() {
    let (toml, json) = (blocks("toml"), blocks("json"));
    assert_eq!((toml.len(), json.len()), (1, 1));
    let read = Provisioning::parse_with_files(&toml[0], Format::Toml, files).unwrap();
    let [first, second] = read.domains() else { panic!("{read:?}") };
    assert_eq!((&*first.name, first.policy), ("example.com", Some(SecurityPolicy::Required)));
    assert!(first.has_tls() && !second.has_tls());
    let accounts: Vec<&AccountConfig> = read.accounts().collect();
    let [alice, office] = accounts[..] else { panic!("{read:?}") };
    assert_eq!(alice.aor.as_str(), "sip:alice@example.com");
    assert_eq!((&*alice.display_name, &*alice.auth_user), ("Alice", "alice-desk"));
    assert_eq!(alice.password.as_ref().unwrap().expose(), "correct horse");
    assert_eq!(alice.codecs, [Codec::G722, Codec::Pcma]);
    assert_eq!((alice.expires.as_secs(), alice.keep_alive.as_secs()), (600, 90));
    assert_eq!(office.transport, Some(Transport::Udp));
    assert_eq!(office.registrar.as_ref().unwrap().as_str(), "sip:10.0.0.2");
    assert_eq!(office.outbound_proxy.as_ref().unwrap().as_str(), "sip:10.0.0.1;lr");
    assert_eq!((office.realm.as_deref(), office.register), (Some("old-office"), true));
    let read = Provisioning::parse_with_files(&json[0], Format::Json, files).unwrap();
    assert!(read.domains()[0].has_tls());
    assert_eq!(read.accounts().next().unwrap().codecs, [Codec::G722]);
}

#[test]
fn every_key_that_the_page_shows_is_known_and_every_known_key_is_shown() {
    // A key of each table that nobody knows lists those that are known.
    for table in ["[engine]", "[[domain]]\nname = \"a.test\"", "[[account]]\naor = \"sip:a@b\""] {
        let told =
            refusal(&format!("{table}\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n"), Format::Toml);
        let known = told.split("it takes ").nth(1).unwrap();
        for key in known.split(", ") {
            assert!(PAGE.contains(key), "{key} is not documented");
        }
    }
}

#[test]
fn each_mistake_is_told_with_its_line_and_what_to_do() {
    let text = r#"colour = "red"
[engine]
max_calls = "8"
upgrade_running_calls = 1

[[domain]]
name = "exa mple"
policy = "strict"
trust_anchors = ["no certificate"]
pins = ["sha256/short"]
revocation_list_files = ["gone.pem"]

[[domain]]
name = "a.test"
pins = ["sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="]
[[domain]]
name = "A.test"

[[account]]
display_name = "nobody"
[[account]]
aor = "sip:alice:hunter2@a.test"
pasword = "hunter2"
[[account]]
aor = "mailto:hunter2@a.test"
password = 22222
codecs = ["G729", "PCMU", "pcmu"]
expires = 5
[[account]]
aor = "sip:bob@a.test"
regstrar = "sip:x"
[[account]]
aor = "sip:bob@A.TEST"
codecs = []
transport = "sctp"
"#;
    let expected = r#"line 1: a document has no key colour: it takes engine, domain, account
line 3: max_calls is a whole number from 1 to 10000, without quotes
line 4: upgrade_running_calls is true or false, without quotes, not a number
line 7: name: exa mple is no domain: write a host name such as example.com
line 8: policy: give one of off, preferred, required
line 9: trust_anchors: no certificate found: pass PEM with BEGIN and END lines
line 10: pins: a pin is the base64 of a SHA-256 digest, 32 bytes: sha256/...=
line 10: a set of pins has 1 to 16 different pins
line 11: revocation_list_files: there is no file gone.pem
line 15: pins needs a second one, of a key kept offline: a lost key locks everyone out
line 16: a.test has a domain of its own already, on line 13: join them
line 19: this account has no aor: add aor = "sip:user@example.com"
line 22: aor: a password has no place in an address: use the key password
line 23: an account has no key pasword: did you mean password?
line 25: aor: this is no SIP address: it begins with sip: or sips:
line 26: password takes text in quotes, not a number
line 27: codecs: give one of opus, G722, PCMA, PCMU, L16/16000, L16/48000, L16/8000
line 27: this codec is there twice
line 28: expires is a whole number from 10 to 2592000, without quotes
line 31: an account has no key regstrar: did you mean registrar?
line 32: this aor has an account already, on line 29: remove one
line 34: codecs is empty: name one, or leave it out
line 35: transport: give one of udp, tcp, tls"#;
    assert_eq!(refusal(text, Format::Toml), expected);
}

#[test]
fn texts_that_are_neither_toml_nor_json_are_refused_with_the_line() {
    let told = refusal("[engine]\n\nmax_calls = = 3\n", Format::Toml);
    assert!(told.starts_with("line 3: this is not TOML: "), "{told}");
    let told = refusal("[engine]\nmax_calls = 1\nmax_calls = 2\n", Format::Toml);
    assert!(told.starts_with("line 3: this is not TOML: "), "{told}");
    let told = refusal("{\n\"engine\": {,}}", Format::Json);
    assert!(told.starts_with("line 2: this is not JSON: "), "{told}");
    let told = refusal("", Format::Json);
    assert!(told.starts_with("line 1: this is not JSON: "), "{told}");
    let twice = "{\"engine\":\n{\"max_calls\": 1,\n \"max_calls\": 2}}";
    assert_eq!(refusal(twice, Format::Json), "line 3: max_calls is given twice: remove one");
    let wrong = "{\"account\": [\n{\"aor\": 7},\n null]}";
    let expected = "line 2: aor takes text in quotes, not a number\n\
                    line 3: an account is a table, not something else";
    assert_eq!(refusal(wrong, Format::Json), expected);
    // A lone surrogate is found only where the text is read.
    let told = refusal("{\"account\": [\n{\"aor\": \"\\ud800\"}]}", Format::Json);
    assert!(told.starts_with("line 2: "), "{told}");
}

#[test]
fn depth_and_number_are_bounded() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Provisioning::parse(&deep, Format::Json).is_err());
    assert!(toml(&format!("engine = {deep}")).is_err());
    for text in ["a.".repeat(100_000) + "a = 1", format!("[{}a]", "a.".repeat(100_000))] {
        assert!(toml(&text).is_err());
    }
    let inline = format!("a = {}1{}", "{a = ".repeat(50_000), "}".repeat(50_000));
    assert!(toml(&inline).is_err());
    let many = "[[account]]\n".repeat(2000);
    let error = toml(&many).unwrap_err();
    assert_eq!(error.problems().len(), 32);
    assert_eq!(error.omitted(), 1000 + 1 - 32);
    assert!(error.to_string().ends_with("and 969 more"));
}

#[test]
fn passwords_appear_in_no_debug_output() {
    let read = toml("[[account]]\naor = \"sip:a@b.test\"\npassword = \"hunter2\"\n").unwrap();
    let shown = format!("{read:?}");
    assert!(shown.contains("sip:a@b.test") && !shown.contains("hunter2"), "{shown}");
}

// ---- On the wire ----

const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

fn world(seed: u64) -> (World, Handle<EngineHost>, Handle<Registrar>) {
    let mut world = World::new(seed);
    let trust = |c: &mut subrosa::engine::Config| {
        c.trust = TrustAnchors::from_pem(CA.as_bytes()).unwrap();
    };
    let phone = world.add_phone("alice", trust).unwrap();
    let chain = include_bytes!("data/sim/bob.pem");
    let key = include_bytes!("data/sim/bob.key.pem");
    let registrar = world.add_host("registrar", Registrar::new(&ALL, chain, key));
    let ip = world.ip(registrar);
    world.zone().add_address("bob.test", ip);
    (world, phone, registrar)
}

fn apply(
    world: &mut World,
    phone: Handle<EngineHost>,
    text: &str,
) -> Result<ProvisioningOutcome, ProvisioningError> {
    let document = toml(text).unwrap_or_else(|e| panic!("{e}"));
    let outcome = world.command(phone, |engine, now| engine.provision(now, &document));
    world.run_for(Duration::from_secs(5));
    outcome
}

fn document(policy: &str, accounts: &[&str]) -> String {
    let mut text = format!("[[domain]]\nname = \"bob.test\"\npolicy = \"{policy}\"\n");
    for account in accounts {
        text += &format!("[[account]]\n{account}\n");
    }
    text
}

fn status(
    world: &mut World,
    phone: Handle<EngineHost>,
    id: AccountId,
) -> Option<(bool, Option<Transport>)> {
    let status = world.command(phone, |engine, _| engine.account(id))?;
    Some((matches!(status.state, AccountState::Registered { .. }), status.transport))
}

/// REGISTERs that the registrar heard from a user.
fn registers(world: &World, registrar: Handle<Registrar>, user: &str) -> Vec<String> {
    let of = |m: &subrosa::wire::sip::Message| m.header(HeaderName::To).unwrap().contains(user);
    let seen = world.host(registrar).seen.iter().filter(|(_, m)| of(m));
    seen.map(|(t, m)| format!("{t} {}", m.header(HeaderName::Expires).unwrap())).collect()
}

const ALICE: &str = "aor = \"sip:alice@bob.test\"\npassword = \"one\"";
const CAROL: &str = "aor = \"sip:carol@bob.test\"";

#[test]
fn the_same_document_again_sends_not_one_datagram() {
    let (mut world, phone, _) = world(1);
    let text = document("off", &[ALICE, CAROL])
        + &format!("[[domain]]\nname = \"c.test\"\ntrust_anchors = ['''{CA}''']\npins = {PINS}\n");
    let outcome = apply(&mut world, phone, &text).unwrap();
    assert_eq!(
        (outcome.added.len(), &*outcome.domains),
        (2, &["bob.test".into(), "c.test".into()][..])
    );
    for id in &outcome.added {
        assert_eq!(status(&mut world, phone, *id), Some((true, Some(Transport::Udp))));
    }
    let before = world.trace().entries().len();
    assert!(before > 0);
    let again = apply(&mut world, phone, &text).unwrap();
    assert!(!again.is_change(), "{again:?}");
    assert_eq!(again.unchanged, outcome.added);
    assert_eq!(world.trace().entries().len(), before);
}

#[test]
fn only_what_changed_changes() {
    let (mut world, phone, registrar) = world(2);
    let first = apply(&mut world, phone, &document("off", &[ALICE, CAROL])).unwrap();
    let [alice, carol] = first.added[..] else { panic!("{first:?}") };
    // Another password and name: kept, without a word.
    let renamed = "aor = \"sip:alice@bob.test\"\npassword = \"two\"\ndisplay_name = \"Al\"";
    let outcome = apply(&mut world, phone, &document("off", &[renamed, CAROL])).unwrap();
    assert_eq!((outcome.updated, outcome.unchanged), (vec![alice], vec![carol]));
    assert_eq!(registers(&world, registrar, "alice"), ["UDP 600"]);
    // Another lifetime: the former un-registers before its successor registers.
    let shorter = format!("{renamed}\nexpires = 120");
    let outcome = apply(&mut world, phone, &document("off", &[&shorter, CAROL])).unwrap();
    let [(former, next)] = outcome.replaced[..] else { panic!("{outcome:?}") };
    assert_eq!(former, alice);
    assert_eq!(registers(&world, registrar, "alice"), ["UDP 600", "UDP 0", "UDP 120"]);
    assert_eq!(status(&mut world, phone, former), None);
    assert_eq!(status(&mut world, phone, next), Some((true, Some(Transport::Udp))));
    let named = world.host(registrar).seen.last().unwrap().1.header(HeaderName::From).unwrap();
    assert!(named.contains("Al"), "{named}");
    // Gone, and one more.
    let dave = "aor = \"sip:dave@bob.test\"\nregister = false";
    let outcome = apply(&mut world, phone, &document("off", &[CAROL, dave])).unwrap();
    assert_eq!((outcome.removed, outcome.unchanged), (vec![next], vec![carol]));
    assert_eq!(outcome.added.len(), 1);
    assert_eq!(outcome.accounts, [carol, outcome.added[0]]);
    assert_eq!(registers(&world, registrar, "alice").last().unwrap(), "UDP 0");
    assert_eq!(registers(&world, registrar, "carol"), ["UDP 600"]);
    assert!(registers(&world, registrar, "dave").is_empty());
    assert_eq!(status(&mut world, phone, carol), Some((true, Some(Transport::Udp))));
}

#[test]
fn a_policy_that_changes_moves_the_account_to_tls_and_back_to_the_default() {
    let (mut world, phone, registrar) = world(3);
    let first = apply(&mut world, phone, &document("off", &[CAROL])).unwrap();
    let carol = first.added[0];
    assert_eq!(status(&mut world, phone, carol), Some((true, Some(Transport::Udp))));
    let outcome = apply(&mut world, phone, &document("required", &[CAROL])).unwrap();
    assert_eq!((outcome.unchanged, outcome.domains), (vec![carol], vec!["bob.test".into()]));
    assert_eq!(status(&mut world, phone, carol), Some((true, Some(Transport::Tls))));
    assert_eq!(world.host(registrar).bindings.len(), 1);
    let out =
        |e: &Event| matches!(e, Event::Unregistered { .. } | Event::RegistrationFailed { .. });
    assert!(!world.host(phone).events().iter().any(|(_, e)| out(e)), "no log-out");
    let without = format!("[[account]]\n{CAROL}\n");
    let outcome = apply(&mut world, phone, &without).unwrap();
    assert_eq!((outcome.unchanged, outcome.domains), (vec![carol], vec!["bob.test".into()]));
    let policy = world.command(phone, |engine, _| engine.domain_policy("bob.test"));
    assert_eq!((policy.policy, policy.source), (SecurityPolicy::Preferred, PolicySource::Default));
}

#[test]
fn an_error_in_the_last_account_leaves_everything_as_it_was() {
    let (mut world, phone, _) = world(4);
    let first = apply(&mut world, phone, &document("off", &[ALICE])).unwrap();
    let before = world.trace().entries().len();
    let udp = "aor = \"sip:erin@bob.test\"\ntransport = \"udp\"";
    let text = format!("[engine]\nmax_calls = 1\n{}", document("required", &[CAROL, udp]));
    let error = apply(&mut world, phone, &text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 8: the policy in force does not allow this transport: choose TLS or change the policy"
    );
    assert_eq!(world.trace().entries().len(), before);
    assert_eq!(status(&mut world, phone, first.added[0]), Some((true, Some(Transport::Udp))));
    assert_eq!(world.command(phone, |e, _| e.policy_of("bob.test")), SecurityPolicy::Off);
    // What held is what a further document is compared with.
    let again = apply(&mut world, phone, &document("off", &[ALICE])).unwrap();
    assert!(!again.is_change());
}

#[test]
fn trust_and_pins_of_a_document_decide_about_the_server() {
    let (mut world, phone, _) = world(5);
    // Nobody has these keys.
    let pinned = format!(
        "[[domain]]\nname = \"bob.test\"\npolicy = \"required\"\npins = {PINS}\n[[account]]\n{CAROL}\n"
    );
    let carol = apply(&mut world, phone, &pinned).unwrap().added[0];
    assert!(!status(&mut world, phone, carol).unwrap().0);
    let rejected = |e: &Event| matches!(e, Event::CertificateRejected { .. });
    assert!(world.host(phone).events().iter().any(|(_, e)| rejected(e)));
    let outcome = apply(&mut world, phone, &document("required", &[CAROL])).unwrap();
    assert_eq!(outcome.domains, ["bob.test"]);
    world.run_for(Duration::from_secs(60));
    assert_eq!(status(&mut world, phone, carol), Some((true, Some(Transport::Tls))));
}

#[test]
fn what_the_program_set_itself_is_left_alone() {
    let (mut world, phone, _) = world(6);
    let own = world.command(phone, |engine, now| {
        engine.set_domain_policy(now, "own.test", SecurityPolicy::Required).unwrap();
        engine.set_domain_policy(now, "bob.test", SecurityPolicy::Off).unwrap();
        let aor = Uri::parse("sip:zoe@bob.test").unwrap();
        engine.add_account(now, AccountConfig::new(aor)).unwrap()
    });
    apply(&mut world, phone, &format!("[[account]]\n{ALICE}\n")).unwrap();
    let outcome = apply(&mut world, phone, "").unwrap();
    assert_eq!((outcome.removed.len(), outcome.domains.len()), (1, 0));
    assert_eq!(status(&mut world, phone, own), Some((true, Some(Transport::Udp))));
    assert_eq!(world.command(phone, |e, _| e.policy_of("own.test")), SecurityPolicy::Required);
}

#[test]
fn options_of_the_engine_are_set_and_taken_back() {
    let (mut world, phone, registrar) = world(7);
    let agent = "[engine]\nuser_agent = \"Desk\"\n".to_owned() + &document("off", &[ALICE]);
    assert!(apply(&mut world, phone, &agent).unwrap().engine);
    let said = |world: &World| {
        let seen = &world.host(registrar).seen;
        seen.last().unwrap().1.header(HeaderName::UserAgent).unwrap().to_owned()
    };
    assert_eq!(said(&world), "Desk");
    assert!(apply(&mut world, phone, &document("off", &[])).unwrap().engine);
    assert!(said(&world).starts_with("subrosa/"));
}

// ---- Any text ----

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        for format in [Format::Toml, Format::Json] {
            let _ = Provisioning::parse(&text, format);
        }
    }

    /// Broken anywhere, the example is refused or read, and never shows a password.
    #[test]
    fn a_broken_document_never_panics_nor_tells_a_secret(
        at in 0..2000_usize, cut in 0..40_usize, put in "[\\[\\]{}\"'=.,\\\\\\na-z0-9#:]{0,6}", json: bool,
    ) {
        let (mut text, format) = if json {
            (blocks("json").remove(0), Format::Json)
        } else {
            (blocks("toml").remove(0), Format::Toml)
        };
        let at = at % text.len();
        text.replace_range(at..(at + cut).min(text.len()), &put);
        match Provisioning::parse_with_files(&text, format, |_| Some(CA.into())) {
            Ok(read) => {
                let shown = format!("{read:?}");
                prop_assert!(!shown.contains("horse") && !shown.contains("staple"));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains("horse") && !shown.contains("staple"), "{}", shown);
                prop_assert!(error.problems().iter().all(|p| p.line >= 1 && p.line <= text.lines().count() + 1));
            }
        }
    }
}

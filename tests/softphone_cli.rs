//! The softphone example at its command line: each failure is one sentence and a status of its
//! own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/registrar.rs"]
mod registrar;
#[path = "support/softphone.rs"]
mod softphone;

use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;

use registrar::{Registrar, Seen, copied};
use softphone::{LOOPBACK, answering, outcome, run, softphone};

/// It failed with this status and one line that contains `part`.
fn assert_fails(arguments: &[&str], status: i32, part: &str) {
    let (code, out, err) = run(arguments);
    assert_eq!(code, status, "{arguments:?}: {out}{err}");
    assert_eq!(err.lines().count(), 1, "{arguments:?}: {err}");
    assert!(err.starts_with("softphone: ") && err.contains(part), "{arguments:?}: {err}");
}

#[test]
fn help_documents_every_option_and_every_exit_status() {
    let (code, help, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let source = include_str!("../examples/softphone/options.rs");
    let known = source.split("const KNOWN").nth(1).unwrap().split("];").next().unwrap();
    let flags = source.split("fn set_flag").nth(1).unwrap().split("_ => return").next().unwrap();
    let mut options = 0;
    for text in [known.split('=').nth(1).unwrap(), flags] {
        for name in text.split('"').skip(1).step_by(2) {
            assert!(help.contains(&format!("--{name} ")), "--{name} is not in --help");
            options += 1;
        }
    }
    assert_eq!(options, 39, "options found in the source");
    // And no text promises an option that there is not.
    let others = source.split("match name.as_str() {").nth(1).unwrap();
    let others = others.split("_ if options").next().unwrap();
    let accepted = [known, flags, others].concat();
    let readme = include_str!("../README.md").split("softphone -- ").skip(1);
    let readme = readme.map(|rest| rest.split('`').next().unwrap());
    for text in std::iter::once(&*help).chain(readme) {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        for name in words.filter_map(|word| word.strip_prefix("--")).filter(|n| !n.is_empty()) {
            assert!(accepted.contains(&format!("\"{name}\"")), "there is no option --{name}");
        }
    }
    let failure = include_str!("../examples/softphone/failure.rs");
    let statuses = failure.split("enum Status {").nth(1).unwrap().split('}').next().unwrap();
    let values: Vec<&str> =
        statuses.split(" = ").skip(1).map(|s| s.split(',').next().unwrap()).collect();
    assert_eq!(values.len(), 12);
    for value in values {
        assert!(help.contains(&format!("{value}  ")), "status {value} is not in --help");
    }
}

#[test]
fn wrong_options_are_told_apart_from_everything_else() {
    let cases: [(&[&str], &str); 16] = [
        (&["--colour"], "there is no option --colour"),
        (&["extra"], "extra"),
        (&["--call"], "call"),
        (&["--call", "sip:"], "is no SIP address"),
        (&["--transport", "pigeon"], "udp, tcp or tls"),
        (&["--policy", "maybe"], "off, preferred or required"),
        (&["--duration", "-3"], "give seconds"),
        (&["--udp-port", "70000"], "give a port"),
        (&["--rate", "12345"], "give 8000"),
        (&["--codec", "g722,mp3"], "g722, pcmu and pcma"),
        (&["--dtmf", "12x"], "digits are"),
        (&["--tones", "atlantis"], "give a country"),
        (&["--echo", "11"], "from 0 to 10"),
        (&["--listen-tls", "0"], "needs --cert and --key"),
        (&["--cert", "c.pem"], "go together"),
        (&["--call", "sip:bob@example.com", "--auto-answer"], "only one of"),
    ];
    for (arguments, part) in cases {
        assert_fails(arguments, 2, part);
    }
    if cfg!(not(feature = "audio-device")) {
        for option in [
            &["--device"][..],
            &["--input", "x"],
            &["--list-devices"],
            &["--echo-test"],
            &["--echo", "1"],
        ] {
            assert_fails(option, 2, "--features audio-device");
        }
    }
    if cfg!(not(feature = "provisioning")) {
        assert_fails(&["--provision", "phone.toml"], 2, "--features provisioning");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    assert_fails(&["--play", "/no/such.wav"], 3, "/no/such.wav");
    assert_fails(&["--ca", "/no/such.pem"], 3, "/no/such.pem");
    assert_fails(&["--password-file", "/no/such.txt"], 3, "/no/such.txt");
    assert_fails(&["--ca", "Cargo.toml"], 3, "Cargo.toml");
    assert_fails(&["--play", "Cargo.toml"], 3, "not a WAV file");
}

#[test]
fn a_socket_that_cannot_be_had_has_a_status_of_its_own() {
    // An address of a documentation network: no host has it.
    let call = ["--bind", "203.0.113.9", "--policy", "off", "--call", "sip:bob@127.0.0.1"];
    assert_fails(&call, 4, "cannot listen");
}

/// A registration check over this transport at 127.0.0.1:`port`.
fn check(transport: &str, port: u16, more: &[&str]) -> (i32, String, String) {
    let registrar = format!("sip:127.0.0.1:{port};transport={transport}");
    let mut arguments = vec!["--check", "--aor", "sip:alice@example.com"];
    arguments.extend(["--registrar", &registrar, "--transport", transport]);
    arguments.extend(LOOPBACK);
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, out, err) = check("tcp", port, &[]);
    assert_eq!((code, err.lines().count()), (10, 1), "{out}{err}");
    assert!(err.contains("cannot register"), "{err}");
}

#[test]
fn a_far_end_that_is_not_there_is_unreachable() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = format!("sip:bob@127.0.0.1:{port};transport=tcp");
    let mut call = vec!["--call", &target, "--policy", "off"];
    call.extend(LOOPBACK);
    assert_fails(&call, 10, "the call failed");
}

/// A registrar on UDP that answers every request with this status and these header fields.
fn registrar(status: &'static str, fields: &'static str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let request = String::from_utf8_lossy(&buf[..n]).into_owned();
            if request.trim().is_empty() {
                continue;
            }
            let contact = request.lines().find(|line| line.starts_with("Contact:")).unwrap_or("");
            let contact = if status.starts_with("200") { contact } else { "" };
            let mut response = format!("SIP/2.0 {status}\r\n{}{fields}", copied(&request));
            if !contact.is_empty() {
                response.push_str(&format!("{contact};expires=300\r\n"));
            }
            response.push_str("Content-Length: 0\r\n\r\n");
            let _ = socket.send_to(response.as_bytes(), from);
        }
    });
    port
}

#[test]
fn a_registrar_that_says_yes_ends_the_check_well() {
    let port = registrar("200 OK", "");
    let (code, out, err) = check("udp", port, &["--policy", "off"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("registered as sip:alice@example.com over UDP"), "{out}");
}

#[test]
fn a_refused_password_has_a_status_of_its_own() {
    let challenge =
        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"abc\", qop=\"auth\"\r\n";
    let port = registrar("401 Unauthorized", challenge);
    for password in [&["--password", "wrong"][..], &[]] {
        let mut more = vec!["--policy", "off"];
        more.extend(password);
        let (code, out, err) = check("udp", port, &more);
        assert_eq!((code, err.lines().count()), (11, 1), "{out}{err}");
    }
}

#[test]
fn another_refusal_is_told_with_its_status() {
    let port = registrar("403 Forbidden", "");
    let (code, out, err) = check("udp", port, &["--policy", "off"]);
    assert_eq!(code, 13, "{out}{err}");
    assert!(err.contains("403"), "{err}");
}

/// PEM files of a self-signed certificate for `domain`.
fn certificate(domain: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir();
    let name = format!("subrosa-cli-{}-{domain}", std::process::id());
    let made = rcgen::generate_simple_self_signed(vec![domain.to_owned()]).unwrap();
    let (cert, key) = (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (cert, key)
}

#[test]
fn a_certificate_of_nobody_known_is_not_trusted() {
    let (cert, key) = certificate("127.0.0.1");
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let listen = ["--auto-answer", "--listen-tls", "0", "--cert", cert, "--key", key];
    let bob = answering(&listen);
    let target = format!("sip:bob@{};transport=tls", bob.address);
    let mut call = vec!["--call", &target, "--policy", "required"];
    call.extend(LOOPBACK);
    assert_fails(&call, 12, "not");
}

/// A call to a phone that answers with `arguments`, under no policy.
fn call_to(address: &str, more: &[&str]) -> (i32, String, String) {
    let target = format!("sip:bob@{address}");
    let mut call = vec!["--call", &target, "--policy", "off", "--bind", "127.0.0.1"];
    call.extend(more);
    run(&call)
}

#[test]
fn busy_declined_and_no_answer_have_statuses_of_their_own() {
    let busy = answering(&["--call", "sip:nobody@127.0.0.1:9", "--policy", "off"]);
    let (code, out, err) = call_to(&busy.address, &[]);
    assert_eq!((code, err.lines().count()), (17, 1), "{out}{err}");
    assert!(err.contains("busy: 486"), "{err}");

    let mut declining = answering(&["--policy", "off"]);
    let address = declining.address.clone();
    let caller = thread::spawn(move || call_to(&address, &[]));
    declining.wait_for("incoming call");
    declining.type_line("reject");
    let (code, out, err) = caller.join().unwrap();
    assert_eq!((code, err.lines().count()), (18, 1), "{out}{err}");
    assert!(err.contains("declined: 603"), "{err}");

    // The same phone again, which now lets it ring.
    let (code, out, err) = call_to(&declining.address, &["--timeout", "2"]);
    assert_eq!((code, err.lines().count()), (14, 1), "{out}{err}");
    assert!(out.contains("ringing (180)") && err.contains("nobody answered"), "{out}{err}");
    declining.type_line("quit");
    assert_eq!(declining.end(), 0);
}

/// An authority's PEM in a file, and a certificate and key for 127.0.0.1 under it.
fn authority() -> (PathBuf, String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let path = std::env::temp_dir().join(format!("subrosa-cli-{}-ca.pem", std::process::id()));
    std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    (path, params.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
}

#[test]
fn it_registers_and_un_registers_over_every_transport() {
    let (ca, chain, key) = authority();
    for transport in ["udp", "tcp", "tls"] {
        let registrar = Registrar::start(transport, Some((&chain, &key)), "alice", "secret");
        let policy = if transport == "tls" { "required" } else { "off" };
        let more = ["--policy", policy, "--ca", ca.to_str().unwrap()];
        let more = [&more[..], &["--password", "secret"]].concat();
        let (code, out, err) = check(transport, registrar.port, &more);
        assert_eq!((code, err.as_str()), (0, ""), "{transport}: {out}");
        let told = format!("registered as sip:alice@example.com over {}", transport.to_uppercase());
        assert!(out.contains(&told), "{out}");
        let seen = registrar.seen();
        assert!(matches!(seen[..2], [Seen::Challenged, Seen::Registered { .. }]), "{seen:?}");
        assert_eq!(seen.last(), Some(&Seen::Unregistered), "{transport}: {seen:?}");
        let Seen::Registered { contact } = &seen[1] else { panic!("{seen:?}") };
        let named = contact.contains(&format!("transport={transport}"));
        assert!(named || transport == "udp", "{contact}");

        // The wrong password, and none at all.
        for password in [&["--password", "wrong"][..], &[]] {
            let (code, out, err) =
                check(transport, registrar.port, &[&more[..4], password].concat());
            assert_eq!((code, err.lines().count()), (11, 1), "{transport}: {out}{err}");
        }
        assert!(registrar.seen().contains(&Seen::Refused));
    }
}

#[test]
fn a_registrar_with_a_certificate_of_nobody_known_learns_nothing() {
    let (_, chain, key) = authority();
    let registrar = Registrar::start("tls", Some((&chain, &key)), "alice", "secret");
    let (code, out, err) = check("tls", registrar.port, &["--password", "secret"]);
    assert_eq!((code, err.lines().count()), (12, 1), "{out}{err}");
    assert!(err.contains("certificate"), "{err}");
    assert_eq!(registrar.seen(), []);
}

#[test]
fn a_registrar_that_says_nothing_is_unreachable() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let registrar = format!("sip:127.0.0.1:{port};transport=udp");
    let mut command = softphone();
    command.args(["--check", "--aor", "sip:alice@example.com", "--registrar", &registrar]);
    command.args(["--bind", "127.0.0.1", "--policy", "off", "--timeout", "1"]);
    let (code, out, err) = outcome(&command.stdin(Stdio::null()).output().unwrap());
    assert_eq!((code, err.lines().count()), (10, 1), "{out}{err}");
}

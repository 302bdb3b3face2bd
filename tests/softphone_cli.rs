//! The softphone example at its command line: each failure is one sentence and a status of its
//! own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Once;
use std::thread;

/// Builds the example: `cargo test` has done that already, `cargo test --test` has not.
fn build() {
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
        cargo.args(["build", "--quiet", "--example", "softphone"]);
        cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
        if cfg!(not(debug_assertions)) {
            cargo.arg("--release");
        }
        if cfg!(feature = "audio-device") {
            cargo.args(["--features", "audio-device"]);
        }
        assert!(cargo.status().unwrap().success(), "the example does not build");
    });
}

fn softphone() -> Command {
    build();
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let name = format!("softphone{}", std::env::consts::EXE_SUFFIX);
    let mut command = Command::new(path.join("examples").join(name));
    command.env_remove("SUBROSA_PASSWORD");
    command
}

/// Runs the phone; returns its status, what it printed, and its one sentence of failure.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = softphone().args(arguments).stdin(Stdio::null()).output().unwrap();
    outcome(&output)
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

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
    assert_eq!(options, 31, "options found in the source");
    let failure = include_str!("../examples/softphone/failure.rs");
    let statuses = failure.split("enum Status {").nth(1).unwrap().split('}').next().unwrap();
    let values: Vec<&str> =
        statuses.split(" = ").skip(1).map(|s| s.split(',').next().unwrap()).collect();
    assert_eq!(values.len(), 10);
    for value in values {
        assert!(help.contains(&format!("{value}  ")), "status {value} is not in --help");
    }
}

#[test]
fn wrong_options_are_told_apart_from_everything_else() {
    let cases: [(&[&str], &str); 14] = [
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
        (&["--listen-tls", "0"], "needs --cert and --key"),
        (&["--cert", "c.pem"], "go together"),
        (&["--call", "sip:bob@example.com", "--auto-answer"], "only one of"),
    ];
    for (arguments, part) in cases {
        assert_fails(arguments, 2, part);
    }
    if cfg!(not(feature = "audio-device")) {
        assert_fails(&["--device"], 2, "--features audio-device");
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

const LOOPBACK: [&str; 4] = ["--bind", "127.0.0.1", "--timeout", "20"];

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

/// Header fields that a response copies from its request.
fn copied(request: &str) -> String {
    let wanted = ["via:", "from:", "to:", "call-id:", "cseq:", "v:", "f:", "t:", "i:"];
    request
        .lines()
        .filter(|line| wanted.iter().any(|w| line.to_ascii_lowercase().starts_with(w)))
        .map(|line| {
            let tagged = line.to_ascii_lowercase().starts_with("to:") && !line.contains("tag=");
            if tagged { format!("{line};tag=server\r\n") } else { format!("{line}\r\n") }
        })
        .collect()
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

/// A phone that runs in the background and is ended with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a phone that answers; returns where it listens.
fn answering(arguments: &[&str]) -> (Background, String) {
    let mut command = softphone();
    command.args(LOOPBACK).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let wanted = if arguments.contains(&"--listen-tls") { "(TLS)" } else { "(UDP)" };
    let line = lines.by_ref().map(Result::unwrap).find(|l| l.contains(wanted)).unwrap();
    // What it prints later must not fill the pipe.
    thread::spawn(move || lines.for_each(drop));
    let address = line.split_whitespace().nth(2).unwrap().to_owned();
    (Background(child), address)
}

#[test]
fn a_certificate_of_nobody_known_is_not_trusted() {
    let (cert, key) = certificate("127.0.0.1");
    let (cert, key) = (cert.to_str().unwrap(), key.to_str().unwrap());
    let listen = ["--auto-answer", "--listen-tls", "0", "--cert", cert, "--key", key];
    let (_bob, address) = answering(&listen);
    let target = format!("sip:bob@{address};transport=tls");
    let mut call = vec!["--call", &target, "--policy", "required"];
    call.extend(LOOPBACK);
    assert_fails(&call, 12, "not");
}

#[test]
fn one_phone_calls_another_speaks_and_records() {
    let folder = std::env::temp_dir();
    let file = |name: &str| folder.join(format!("subrosa-cli-{}-{name}", std::process::id()));
    let (speech, heard) = (file("speech.wav"), file("heard.wav"));
    let tone: Vec<i16> =
        (0..16_000).map(|n| if n / 20 % 2 == 0 { 8_000 } else { -8_000 }).collect();
    let wav = subrosa::media::wav::Wav { sample_rate: 16_000, samples: tone };
    std::fs::File::create(&speech).unwrap().write_all(&wav.to_bytes()).unwrap();
    let record = ["--auto-answer", "--policy", "off", "--record", heard.to_str().unwrap()];
    let (mut bob, address) = answering(&record);
    let target = format!("sip:bob@{address}");
    let mut call = vec!["--call", &target, "--policy", "off", "--play", speech.to_str().unwrap()];
    call.extend(LOOPBACK);
    let (code, out, err) = run(&call);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("answered: [not encrypted]") && out.contains("we hung up"), "{out}");
    assert!(bob.0.wait().unwrap().success());
    let heard = subrosa::media::wav::Wav::parse(&std::fs::read(&heard).unwrap()).unwrap();
    let loud = heard.samples.iter().filter(|s| s.unsigned_abs() > 4_000).count();
    assert!(loud > 10_000, "{loud} loud samples of {}", heard.samples.len());
}

#[test]
fn a_busy_phone_refuses_the_call() {
    let (_bob, address) = answering(&["--call", "sip:nobody@127.0.0.1:9", "--policy", "off"]);
    let target = format!("sip:bob@{address}");
    let mut call = vec!["--call", &target, "--policy", "off"];
    call.extend(LOOPBACK);
    assert_fails(&call, 13, "486");
}

//! C programs over the C functions: small ones, and a desk phone that calls and is called by the
//! Rust phone over TLS and SRTP on loopback, its audio checked by content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "support/c_build.rs"]
mod c_build;
#[path = "support/registrar.rs"]
mod registrar;

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use c_build::{compile, folder, root};
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use registrar::{Registrar, Seen};
use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::driver::{AudioRing, CallAudio, DnsConfig, Phone, Player};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, EndReason, Event, Padlock, SecurityPolicy,
};
use subrosa::media::wav::Wav;
use subrosa::sim::{Source, tone_share};
use subrosa::sip::Transport;

const RATE: u32 = 16_000;
/// What the C side says and what the Rust side says, Hz.
const C_TONE: u32 = 500;
const RUST_TONE: u32 = 900;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn run_small(name: &str, argument: &Path) {
    let program = compile(name, &[&format!("tests/c/{name}.c"), "examples/c/wav.c"]);
    let output = Command::new(program).arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn misuse_is_told_and_harmless() {
    run_small("misuse", root());
}

#[test]
fn two_engines_in_c_make_a_secure_call() {
    run_small("two_engines", &root().join("tests/data/sim"));
}

#[test]
fn two_engines_in_c_make_a_call_whose_media_runs_elsewhere() {
    run_small("taken_media", &root().join("tests/data/sim"));
}

#[test]
fn two_engines_in_c_exchange_encoded_frames_for_pcm() {
    run_small("encoded_frames", &root().join("tests/data/sim"));
}

#[test]
fn two_phones_in_c_call_on_loopback_in_the_clear_and_encrypted() {
    let plain = folder().join("plain");
    std::fs::create_dir_all(&plain).unwrap();
    run_small("two_phones", &plain);
    papers();
    run_small("two_phones", folder());
}

/// The header stands alone, in C and in C++, with every warning.
#[test]
fn the_header_compiles_alone_in_c_and_cpp() {
    let source = folder().join("alone.c");
    std::fs::write(&source, "#include \"subrosa.h\"\nint main(void) { return 0; }\n").unwrap();
    for (compiler, language) in [("cc", &["-std=c99", "-pedantic"][..]), ("c++", &["-xc++"])] {
        if compiler == "c++" && Command::new(compiler).arg("--version").output().is_err() {
            continue;
        }
        let output = Command::new(compiler)
            .args(language)
            .args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Iinclude"])
            .arg(&source)
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Certificates for `localhost`, made on the spot, and a tone to say.
struct Papers {
    ca: String,
    certificate: String,
    key: String,
}

fn papers() -> &'static Papers {
    static PAPERS: OnceLock<Papers> = OnceLock::new();
    PAPERS.get_or_init(|| {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(vec![]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        let name = |name: &str| SanType::DnsName(Ia5String::try_from(name).unwrap());
        params.subject_alt_names = vec![name("localhost"), name("desk.test")];
        let certificate = params.signed_by(&key, &issuer).unwrap().pem();
        let papers = Papers { ca: ca_pem, certificate, key: key.serialize_pem() };
        std::fs::write(folder().join("ca.pem"), &papers.ca).unwrap();
        std::fs::write(folder().join("cert.pem"), &papers.certificate).unwrap();
        std::fs::write(folder().join("key.pem"), &papers.key).unwrap();
        let wav = Wav { sample_rate: RATE, samples: tone(C_TONE) };
        std::fs::write(folder().join("say.wav"), wav.to_bytes()).unwrap();
        papers
    })
}

/// A minute of a tone.
fn tone(hz: u32) -> Vec<i16> {
    let mut samples = vec![0; RATE as usize * 60];
    Source::Sine { hz, peak: 8000 }.fill(0, RATE, &mut samples);
    samples
}

/// A Rust phone that takes and makes secure calls only, and the port that it listens at.
fn rust_phone() -> (Phone, AccountId, u16) {
    let (phone, account) = rust_phone_with(true);
    let port = wait(&phone, |event| match event {
        Event::Listening { transport: Transport::Tls, local } => Some(local.port()),
        _ => None,
    });
    (phone, account, port)
}

/// The same, which can prove who it is, and listen, or not.
fn rust_phone_with(certificate: bool) -> (Phone, AccountId) {
    let papers = papers();
    let mut config = Phone::config_trusting(TrustAnchors::from_pem(papers.ca.as_bytes()).unwrap());
    config.local_ip = [127, 0, 0, 1].into();
    if certificate {
        let (chain, key) = (papers.certificate.as_bytes(), papers.key.as_bytes());
        config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
        config.listen_tls = Some(([127, 0, 0, 1], 0).into());
    }
    let phone = Phone::builder(config).dns(DnsConfig::new(vec![])).start().unwrap();
    let mut account = AccountConfig::new("sip:rust@localhost".parse().unwrap());
    account.register = false;
    account.policy = SecurityPolicy::Required;
    let account = phone.add_account(account).unwrap();
    (phone, account)
}

/// The first event that `want` picks.
fn wait<T>(phone: &Phone, want: impl Fn(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while let Some(event) = phone.next_event(deadline.saturating_duration_since(Instant::now())) {
        if let Some(wanted) = want(&event) {
            return wanted;
        }
        seen.push(event);
    }
    panic!("it did not happen; instead: {seen:?}");
}

/// The desk phone, running; killed if the test ends early.
struct Desk {
    child: Child,
    lines: BufReader<ChildStdout>,
    recording: PathBuf,
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Over already in the good case.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Desk {
    fn program() -> &'static Path {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let sources =
            ["desk_phone", "sockets", "options", "dns", "wav"].map(|n| format!("examples/c/{n}.c"));
        let sources = sources.each_ref().map(String::as_str);
        PROGRAM.get_or_init(|| compile("desk_phone", &sources))
    }

    fn start(name: &str, arguments: &[&str]) -> Self {
        let recording = folder().join(format!("{name}.wav"));
        let file = |name: &str| folder().join(name);
        let mut child = Command::new(Self::program())
            .args(["--policy", "required", "--udp", "-1", "--ip", "127.0.0.1"])
            .arg("--ca")
            .arg(file("ca.pem"))
            .arg("--cert")
            .arg(file("cert.pem"))
            .arg("--key")
            .arg(file("key.pem"))
            .arg("--play")
            .arg(file("say.wav"))
            .arg("--record")
            .arg(&recording)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines, recording }
    }

    /// Reads lines until one begins like this; what follows.
    fn line(&mut self, start: &str) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "{start:?} never came: {seen}");
            if let Some(rest) = line.strip_prefix(start) {
                return rest.trim().to_owned();
            }
            seen.push_str(&line);
        }
    }

    /// Its exit status, the rest of its words, and what it heard.
    fn finish(mut self) -> (Option<i32>, String, Vec<i16>) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let code = self.child.wait().unwrap().code();
        let heard = Wav::parse(&std::fs::read(&self.recording).unwrap()).unwrap();
        assert_eq!(heard.sample_rate, RATE);
        (code, rest, heard.samples)
    }
}

fn audio() -> (CallAudio, AudioRing) {
    let heard = AudioRing::new(RATE as usize * 60);
    (CallAudio::new(RATE).source(Player::new(tone(RUST_TONE))).sink(heard.clone()), heard)
}

/// Most of the middle of a recording is this tone.
fn assert_tone(samples: &[i16], hz: u32, who: &str) {
    assert!(samples.len() > RATE as usize * 2, "{who}: only {} samples", samples.len());
    let second = RATE as usize;
    let share = tone_share(&samples[second..second * 2], hz, RATE);
    assert!(share > 0.8, "{who}: {share:.3} of the energy is at {hz} Hz");
}

fn padlock(phone: &Phone, call: CallId) -> Padlock {
    phone.call(call).unwrap().unwrap().security.padlock()
}

fn all(ring: &AudioRing) -> Vec<i16> {
    let mut samples = vec![0; ring.len()];
    ring.pop(&mut samples);
    samples
}

#[test]
fn the_desk_phone_calls_the_rust_phone() {
    let (phone, _, port) = rust_phone();
    let to = format!("sip:rust@localhost:{port};transport=tls");
    let mut desk = Desk::start("calls", &["--call", &to, "--seconds", "3", "--dtmf", "7"]);
    let call = wait(&phone, |event| match event {
        Event::IncomingCall { call, .. } => Some(*call),
        _ => None,
    });
    let (audio, heard) = audio();
    phone.ring(call).unwrap();
    phone.accept(call, CallOptions::default(), audio).unwrap();
    let digit = wait(&phone, |event| match event {
        Event::DtmfReceived { digit, .. } => Some(*digit),
        _ => None,
    });
    assert_eq!(digit, '7');
    assert_eq!(padlock(&phone, call), Padlock::EncryptedToProvider);
    let reason = wait(&phone, |event| match event {
        Event::CallEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason, EndReason::RemoteHangUp);
    let text = desk.line("security: ");
    let (code, rest, recorded) = desk.finish();
    assert_eq!(code, Some(0), "{text}\n{rest}");
    assert!(text.starts_with("Encrypted to your provider"), "{text}");
    assert_tone(&recorded, RUST_TONE, "the desk phone");
    assert_tone(&all(&heard), C_TONE, "the Rust phone");
}

/// Calls it and lets both speak until 3 s are heard of it.
fn call_the_desk_phone(phone: &Phone, account: AccountId, desk: &mut Desk) -> (CallId, AudioRing) {
    let port = desk.line("listening: tls 127.0.0.1:");
    let to = format!("sip:desk@localhost:{port};transport=tls").parse().unwrap();
    let (audio, heard) = audio();
    let call = phone.place_call(account, to, CallOptions::default(), audio).unwrap();
    wait(phone, |event| matches!(event, Event::CallEstablished { .. }).then_some(()));
    desk.line("established");
    let deadline = Instant::now() + PATIENCE;
    while heard.len() < RATE as usize * 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    (call, heard)
}

#[test]
fn the_rust_phone_calls_the_desk_phone() {
    let (phone, account, _) = rust_phone();
    let mut desk = Desk::start("answers", &["--answer", "--seconds", "30"]);
    let (call, heard) = call_the_desk_phone(&phone, account, &mut desk);
    assert_eq!(padlock(&phone, call), Padlock::EncryptedToProvider);
    phone.hang_up(call).unwrap();
    let (code, rest, recorded) = desk.finish();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("security: Encrypted to your provider"), "{rest}");
    assert_tone(&recorded, RUST_TONE, "the desk phone");
    assert_tone(&all(&heard), C_TONE, "the Rust phone");
}

#[test]
fn after_a_call_from_nobody_in_particular_the_desk_phone_has_a_status_of_its_own() {
    let (phone, account) = rust_phone_with(false);
    let mut desk = Desk::start("stranger", &["--answer", "--seconds", "30"]);
    let (call, _heard) = call_the_desk_phone(&phone, account, &mut desk);
    // Who calls knows whom; who answers does not, though everything is encrypted.
    assert_eq!(padlock(&phone, call), Padlock::EncryptedToProvider);
    phone.hang_up(call).unwrap();
    let (code, rest, recorded) = desk.finish();
    assert_eq!(code, Some(4), "{rest}");
    let why = "security: The voice is encrypted, but the other end did not prove who it is";
    assert!(rest.contains(why), "{rest}");
    assert_tone(&recorded, RUST_TONE, "the desk phone");
}

/// A DNS server that knows one domain: its SIP server over TLS by SRV, which points to a name
/// with an address. Its first answer to each question is lost.
fn dns_server(sips_port: u16) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut buf, mut lost) = ([0; 512], Vec::new());
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let query = &buf[..n];
            if !lost.contains(&query.to_vec()) {
                lost.push(query.to_vec());
                continue;
            }
            let (name, kind) = (&query[12..n - 4], query[n - 3]);
            let srv = [&[0, 1, 0, 5][..], &sips_port.to_be_bytes(), b"\x04edge\xc0\x17"].concat();
            let data = match (name, kind) {
                // \xc0\x17: the rest of the name is at 23, "desk.test" of the question.
                (b"\x05_sips\x04_tcp\x04desk\x04test\0", 33) => Some(srv),
                (b"\x04edge\x04desk\x04test\0", 1) => Some(vec![127, 0, 0, 1]),
                _ => None,
            };
            let mut answer = query.to_vec();
            answer[2] |= 0x80;
            if let Some(data) = data {
                answer[7] = 1;
                answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
                answer.push(u8::try_from(data.len()).unwrap());
                answer.extend(data);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    port
}

fn register(name: &str, password: &str) -> (Registrar, Desk) {
    let papers = papers();
    let identity = Some((papers.certificate.as_str(), papers.key.as_str()));
    let registrar = Registrar::start("tls", identity, "alice", "open sesame");
    let dns = format!("127.0.0.1:{}", dns_server(registrar.port));
    let account = ["--account", "sip:alice@desk.test", "--register", "--answer"];
    let login = ["--user", "alice", "--password", password, "--dns", &dns];
    let desk = Desk::start(name, &[&account[..], &login].concat());
    (registrar, desk)
}

#[test]
fn the_desk_phone_finds_its_registrar_and_registers_over_tls_with_digest() {
    let (registrar, mut desk) = register("registers", "open sesame");
    desk.line("registered");
    assert_eq!(registrar.seen()[0], Seen::Challenged);
    assert!(
        matches!(&registrar.seen()[1], Seen::Registered { contact } if contact.contains("tls"))
    );
    // It goes, and says so.
    let id = desk.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    desk.line("unregistered");
    assert_eq!(registrar.seen().last(), Some(&Seen::Unregistered));
    assert_eq!(desk.child.wait().unwrap().code(), Some(3), "there was no call");
}

#[test]
fn the_desk_phone_says_that_its_password_is_refused() {
    let (registrar, mut desk) = register("refused", "open barley");
    let why = desk.line("not registered: ");
    assert!(why.contains("refused the user name or password"), "{why}");
    assert!(registrar.seen().contains(&Seen::Refused));
    assert!(!registrar.seen().iter().any(|seen| matches!(seen, Seen::Registered { .. })));
}

/// What a desk phone that is given only this ends with, and all that it says.
fn desk(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(Desk::program()).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn the_desk_phone_tells_a_wrong_option_from_what_it_cannot_use() {
    for wrong in [&["--colour", "red"][..], &["--policy", "maybe"], &["--call"], &["extra"]] {
        let (code, said) = desk(&[&["--answer"], wrong].concat());
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
        assert!(said.starts_with("usage: desk_phone"), "{said}");
    }
    assert_eq!(desk(&["--user", "desk"]).0, Some(2), "nothing to do");
    for (unusable, part) in [
        (["--play", "/no/such.wav"], "/no/such.wav"),
        (["--ca", "/no/such.pem"], "/no/such.pem"),
        (["--account", "mailto:desk@localhost"], "account"),
        (["--dns", "nonsense"], "--dns"),
    ] {
        let (code, said) = desk(&[&["--answer"], &unusable[..]].concat());
        assert_eq!(code, Some(1), "{unusable:?}: {said}");
        assert!(said.starts_with("desk_phone: ") && said.contains(part), "{said}");
    }
}

#[test]
fn a_call_of_the_desk_phone_to_nobody_and_to_a_stranger_ends_with_a_status_of_its_own() {
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let to = format!("sip:rust@127.0.0.1:{free};transport=tcp");
    let (code, said) = desk(&["--call", &to]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("ended: reason 8, status 0"), "{said}");
    assert!(!said.contains("certificate") && !said.contains("established"), "{said}");

    // It trusts the public CAs alone, and the Rust phone's is none of them.
    let (_phone, _, port) = rust_phone();
    let to = format!("sip:rust@localhost:{port};transport=tls");
    let (code, said) = desk(&["--policy", "required", "--udp", "-1", "--call", &to]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("certificate of localhost: "), "{said}");
    assert!(said.contains("ended: reason 8, status 0"), "{said}");
}

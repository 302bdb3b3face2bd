//! C programs over the C functions: small ones, and a desk phone that calls and is called by the
//! Rust phone over TLS and SRTP on loopback, its audio checked by content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of this test run, below the target directory.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_abi");
        std::fs::create_dir_all(&path).unwrap();
        path
    })
}

/// The static library, built once, where this test was built.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells its tests would make some build scripts run again, here and in the
        // next test run.
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_PRIMARY_", "OUT_DIR"];
        for (name, _) in std::env::vars_os() {
            if told.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                cargo.env_remove(name);
            }
        }
        // The features of the test build, so that the dependencies are built already.
        let built = cargo
            .args(["rustc", "--quiet", "--lib", "--features", "sim,ffi"])
            .args(["--crate-type", "staticlib", "--target-dir"])
            .arg(target)
            .current_dir(root())
            .status()
            .unwrap();
        assert!(built.success(), "the static library does not build");
        target.join("debug/libsubrosa.a")
    })
}

/// Compiles a C program.
fn compile(name: &str, sources: &[&str]) -> PathBuf {
    let program = folder().join(name);
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = Command::new(compiler)
        .args(["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
        .arg("-Iinclude")
        .args(sources)
        .arg(library())
        .args(["-lpthread", "-ldl", "-lm", "-o"])
        .arg(&program)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

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
        let name = Ia5String::try_from("localhost").unwrap();
        params.subject_alt_names = vec![SanType::DnsName(name)];
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

/// A Rust phone that takes and makes secure calls only.
fn rust_phone() -> (Phone, AccountId, u16) {
    let papers = papers();
    let mut config = Phone::config_trusting(TrustAnchors::from_pem(papers.ca.as_bytes()).unwrap());
    config.local_ip = [127, 0, 0, 1].into();
    let (chain, key) = (papers.certificate.as_bytes(), papers.key.as_bytes());
    config.identity = Some(TlsIdentity::from_pem(chain, key).unwrap());
    config.listen_tls = Some(([127, 0, 0, 1], 0).into());
    let phone = Phone::builder(config).dns(DnsConfig::new(vec![])).start().unwrap();
    let mut account = AccountConfig::new("sip:rust@localhost".parse().unwrap());
    account.register = false;
    account.policy = SecurityPolicy::Required;
    let account = phone.add_account(account).unwrap();
    let port = wait(&phone, |event| match event {
        Event::Listening { transport: Transport::Tls, local } => Some(local.port()),
        _ => None,
    });
    (phone, account, port)
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
    fn start(name: &str, arguments: &[&str]) -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let sources = ["examples/c/desk_phone.c", "examples/c/wav.c"];
        let program = PROGRAM.get_or_init(|| compile("desk_phone", &sources));
        let recording = folder().join(format!("{name}.wav"));
        let file = |name: &str| folder().join(name);
        let mut child = Command::new(program)
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
    assert!(text.starts_with("encrypted to your provider"), "{text}");
    assert_tone(&recorded, RUST_TONE, "the desk phone");
    assert_tone(&all(&heard), C_TONE, "the Rust phone");
}

#[test]
fn the_rust_phone_calls_the_desk_phone() {
    let (phone, account, _) = rust_phone();
    let mut desk = Desk::start("answers", &["--answer", "--seconds", "30"]);
    let address = desk.line("listening: tls 127.0.0.1:");
    let to = format!("sip:desk@localhost:{address};transport=tls").parse().unwrap();
    let (audio, heard) = audio();
    let call = phone.place_call(account, to, CallOptions::default(), audio).unwrap();
    wait(&phone, |event| matches!(event, Event::CallEstablished { .. }).then_some(()));
    desk.line("established");
    let deadline = Instant::now() + PATIENCE;
    while heard.len() < RATE as usize * 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(padlock(&phone, call), Padlock::EncryptedToProvider);
    phone.hang_up(call).unwrap();
    let (code, rest, recorded) = desk.finish();
    assert_eq!(code, Some(0), "{rest}");
    assert!(rest.contains("security: encrypted to your provider"), "{rest}");
    assert_tone(&recorded, RUST_TONE, "the desk phone");
    assert_tone(&all(&heard), C_TONE, "the Rust phone");
}

//! DTLS-SRTP against OpenSSL over loopback, both roles: the same keying material on both ends.
//! Run by hand (tests/interop/dtls.sh): `cargo test --test dtls_openssl -- --ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, clippy::print_stdout)]

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use subrosa::crypto::dtls::{
    DtlsFailure, DtlsIdentity, DtlsRole, DtlsSession, DtlsState, DtlsVersion, DtlsVersions,
    Fingerprint, FingerprintHash,
};
use subrosa::crypto::srtp::Suite;
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;

const PROFILES: [(&str, Suite); 3] = [
    ("SRTP_AEAD_AES_256_GCM", Suite::AeadAes256Gcm),
    ("SRTP_AEAD_AES_128_GCM", Suite::AeadAes128Gcm),
    ("SRTP_AES128_CM_SHA1_80", Suite::AesCm128HmacSha1_80),
];

fn openssl(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(directory).args(args);
    command
}

/// A certificate made by OpenSSL, with its fingerprint as OpenSSL computes it.
fn certificate(directory: &Path, curve: &str) -> Fingerprint {
    let elliptic = format!("ec_paramgen_curve:{curve}");
    let key: &[&str] = match curve {
        "rsa" => &["-newkey", "rsa:2048"],
        _ => &["-newkey", "ec", "-pkeyopt", &elliptic],
    };
    let made = openssl(directory, &["req", "-x509"])
        .args(key)
        .args(["-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2"])
        .args(["-subj", "/CN=peer"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let args = ["x509", "-in", "cert.pem", "-noout", "-fingerprint", "-sha256"];
    let shown = String::from_utf8(openssl(directory, &args).output().unwrap().stdout).unwrap();
    let hex = shown.trim().split_once('=').unwrap().1;
    Fingerprint::parse(&format!("sha-256 {hex}")).unwrap()
}

/// Runs our end over a socket until `done`.
fn drive(socket: &UdpSocket, session: &mut DtlsSession, done: impl Fn(&DtlsSession) -> bool) {
    let start = std::time::Instant::now();
    let now = || Instant::ZERO + start.elapsed();
    let mut buf = [0; 4_096];
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while !done(session) && start.elapsed() < Duration::from_secs(20) {
        while let Some(len) = session.poll_output(&mut buf) {
            let _ = socket.send(&buf[..len]);
        }
        if let Ok((len, from)) = socket.recv_from(&mut buf) {
            if socket.peer_addr().is_err() {
                socket.connect(from).unwrap();
            }
            session.handle_datagram(now(), &buf[..len]);
        }
        session.handle_timeout(now());
    }
    while let Some(len) = session.poll_output(&mut buf) {
        let _ = socket.send(&buf[..len]);
    }
}

/// What OpenSSL exported, once it says so.
fn exported(child: &mut Child) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(hex) = line.trim().strip_prefix("Keying material: ") {
                let _ = tell.send(hex.to_lowercase());
            }
        }
    });
    told
}

/// Our session, OpenSSL at the other end of its socket, and the fingerprint of its certificate.
struct Meeting {
    directory: PathBuf,
    socket: UdpSocket,
    child: Child,
    session: DtlsSession,
    identity: DtlsIdentity,
    theirs: Fingerprint,
}

fn arrange(
    role: DtlsRole,
    versions: DtlsVersions,
    curve: &str,
    profile: &str,
    len: usize,
) -> Meeting {
    let directory = std::env::temp_dir().join(format!(
        "subrosa-dtls-{}-{role:?}-{versions:?}-{curve}-{profile}",
        std::process::id()
    ));
    std::fs::create_dir_all(&directory).unwrap();
    let theirs = certificate(&directory, curve);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let len = len.to_string();
    let target = match role {
        DtlsRole::Passive => socket.local_addr().unwrap().to_string(),
        DtlsRole::Active => {
            let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            socket.connect(free).unwrap();
            free.to_string()
        }
    };
    let program: &[&str] = match role {
        DtlsRole::Passive => &["s_client", "-connect", &target],
        DtlsRole::Active => &["s_server", "-Verify", "1", "-accept", &target],
    };
    let child = openssl(&directory, program)
        .args(["-dtls1_2", "-cert", "cert.pem", "-key", "key.pem", "-use_srtp", profile])
        .args(["-keymatexport", "EXTRACTOR-dtls_srtp", "-keymatexportlen", &len])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut rng = SeededRng::new(1);
    let now = UnixTime::from_secs(1_800_000_000);
    let identity = DtlsIdentity::generate(now, &mut rng).unwrap();
    let expected = Some(theirs.into());
    let session = DtlsSession::new(role, versions, &identity, expected, Instant::ZERO, &mut rng);
    Meeting { directory, socket, child, session, identity, theirs }
}

fn meet(role: DtlsRole, versions: DtlsVersions, curve: &str, profile: &str, suite: Suite) {
    let Meeting { directory, socket, mut child, mut session, identity, theirs } =
        arrange(role, versions, curve, profile, 2 * suite.master_len());
    let material = exported(&mut child);
    drive(&socket, &mut session, |s| !matches!(s.state(), DtlsState::Handshaking));
    let DtlsState::Established { keys, fingerprint, version } = session.state().clone() else {
        let _ = child.kill();
        panic!("{role:?} {versions:?} {profile}: {session:?}");
    };
    let material = material.recv_timeout(Duration::from_secs(10)).expect("OpenSSL's keys");
    let (client, server) = match role {
        DtlsRole::Active => (keys.send(), keys.receive()),
        DtlsRole::Passive => (keys.receive(), keys.send()),
    };
    let (client, server) = (client.expose(), server.expose());
    let key = suite.key_len();
    let ours = [&client[..key], &server[..key], &client[key..], &server[key..]].concat();
    assert_eq!(hex::encode(ours), material);
    assert_eq!((keys.suite(), version, fingerprint), (suite, DtlsVersion::Dtls12, theirs));
    // OpenSSL says goodbye when its input ends.
    if role == DtlsRole::Passive {
        drop(child.stdin.take());
        drive(&socket, &mut session, |s| *s.state() == DtlsState::Closed);
        assert_eq!(*session.state(), DtlsState::Closed);
    }
    let _ = child.kill();
    let _ = child.wait();
    let _ = std::fs::remove_dir_all(&directory);
    let own = identity.fingerprint(FingerprintHash::Sha256);
    println!("{role:?} {versions:?} {curve} {profile}: same keying material; ours {own}");
}

#[test]
#[ignore = "needs openssl"]
fn the_keying_material_is_openssls() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        for versions in [DtlsVersions::All, DtlsVersions::Only12] {
            for (profile, suite) in PROFILES {
                meet(role, versions, "prime256v1", profile, suite);
            }
        }
    }
    // As a server, OpenSSL wants to see the curve among the key exchange groups, which it is not.
    let (profile, suite) = PROFILES[0];
    meet(DtlsRole::Passive, DtlsVersions::All, "secp384r1", profile, suite);
}

#[test]
#[ignore = "needs openssl"]
fn an_rsa_certificate_is_refused_within_seconds_and_named() {
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        for versions in [DtlsVersions::All, DtlsVersions::Only12] {
            let (profile, suite) = PROFILES[2];
            let len = 2 * suite.master_len();
            let mut met = arrange(role, versions, "rsa", profile, len);
            let start = std::time::Instant::now();
            let done = |s: &DtlsSession| !matches!(s.state(), DtlsState::Handshaking);
            // Nobody reads what OpenSSL prints.
            let _printed = exported(&mut met.child);
            drive(&met.socket, &mut met.session, done);
            let _ = met.child.kill();
            let _ = met.child.wait();
            let _ = std::fs::remove_dir_all(&met.directory);
            let failed = DtlsState::Failed(DtlsFailure::Unsupported);
            assert_eq!(*met.session.state(), failed, "{role:?} {versions:?} {:?}", met.session);
            println!("{role:?} {versions:?} RSA: refused after {:?}", start.elapsed());
        }
    }
}

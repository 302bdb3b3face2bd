//! A registrar on loopback, over UDP, TCP or TLS, that checks Digest (RFC 7616, MD5, qop=auth) for
//! itself and remembers what it was asked.
#![allow(unreachable_pub, dead_code)]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use md5::{Digest, Md5};

const REALM: &str = "example.com";
const NONCE: &str = "7f3a9b";

/// What a registration said, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    Challenged,
    Refused,
    Registered { contact: String },
    Unregistered,
}

pub struct Registrar {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone)]
struct Desk {
    user: String,
    password: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Registrar {
    /// `tls`: PEM of a certificate chain and of its key, for TLS; none for UDP and TCP.
    pub fn start(transport: &str, tls: Option<(&str, &str)>, user: &str, password: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let desk = Desk { user: user.into(), password: password.into(), seen: Arc::clone(&seen) };
        let port = match (transport, tls) {
            ("udp", _) => serve_udp(desk),
            ("tcp", _) => serve_tcp(desk, None),
            (_, Some((chain, key))) => serve_tcp(desk, Some(server_config(chain, key))),
            other => panic!("no registrar over {}", other.0),
        };
        Self { port, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn server_config(chain: &str, key: &str) -> Arc<rustls::ServerConfig> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(config.with_single_cert(chain, key).unwrap())
}

fn serve_udp(desk: Desk) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok((n, from)) = socket.recv_from(&mut buf) {
            let request = String::from_utf8_lossy(&buf[..n]).into_owned();
            if !request.trim().is_empty() {
                let _ = socket.send_to(desk.answer(&request).as_bytes(), from);
            }
        }
    });
    port
}

fn serve_tcp(desk: Desk, tls: Option<Arc<rustls::ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (desk, tls) = (desk.clone(), tls.clone());
            thread::spawn(move || match tls {
                None => desk.serve(stream),
                Some(config) => {
                    let session = rustls::ServerConnection::new(config).unwrap();
                    desk.serve(rustls::StreamOwned::new(session, stream));
                }
            });
        }
    });
    port
}

impl Desk {
    fn serve(&self, mut stream: impl Read + Write) {
        let (mut input, mut buf) = (String::new(), [0; 4096]);
        // A client that goes away ends the loop: by an error, or by nothing to read.
        while let Ok(n @ 1..) = stream.read(&mut buf) {
            input.push_str(&String::from_utf8_lossy(&buf[..n]));
            while let Some(end) = input.find("\r\n\r\n") {
                let request: String = input.drain(..end + 4).collect();
                let request = request.trim_start();
                if !request.is_empty() && stream.write_all(self.answer(request).as_bytes()).is_err()
                {
                    return;
                }
            }
        }
    }

    fn answer(&self, request: &str) -> String {
        let contact = field(request, "Contact").unwrap_or_default();
        let removes =
            field(request, "Expires").is_some_and(|e| e == "0") || contact.contains(";expires=0");
        let (status, more, seen) = match field(request, "Authorization") {
            None => ("401 Unauthorized", challenge(), Seen::Challenged),
            Some(digest) if !self.verifies(&digest) => {
                ("401 Unauthorized", challenge(), Seen::Refused)
            }
            Some(_) if removes => ("200 OK", String::new(), Seen::Unregistered),
            Some(_) => {
                let bare = contact.split(";expires").next().unwrap();
                let granted = format!("Contact: {bare};expires=300\r\n");
                ("200 OK", granted, Seen::Registered { contact })
            }
        };
        self.seen.lock().unwrap().push(seen);
        format!("SIP/2.0 {status}\r\n{}{more}Content-Length: 0\r\n\r\n", copied(request))
    }

    /// The response as RFC 7616 §3.4.1 computes it, from what only the two ends know.
    fn verifies(&self, digest: &str) -> bool {
        let part = |name: &str| parameter(digest, name);
        let a1 = hash(&format!("{}:{REALM}:{}", self.user, self.password));
        let a2 = hash(&format!("REGISTER:{}", part("uri")));
        let (nc, cnonce) = (part("nc"), part("cnonce"));
        let expected = hash(&format!("{a1}:{NONCE}:{nc}:{cnonce}:auth:{a2}"));
        part("username") == self.user && part("nonce") == NONCE && part("response") == expected
    }
}

fn challenge() -> String {
    format!(
        "WWW-Authenticate: Digest realm=\"{REALM}\", nonce=\"{NONCE}\", qop=\"auth\", algorithm=MD5\r\n"
    )
}

fn hash(text: &str) -> String {
    hex::encode(Md5::digest(text.as_bytes()))
}

fn field(message: &str, name: &str) -> Option<String> {
    message.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn parameter(digest: &str, name: &str) -> String {
    let parts = digest.trim_start_matches("Digest").split(',');
    let found = parts.filter_map(|part| part.trim().split_once('='));
    let mut values = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    values.next().map(|(_, value)| value.trim_matches('"').to_owned()).unwrap_or_default()
}

/// Header fields that a response copies from its request.
pub fn copied(request: &str) -> String {
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

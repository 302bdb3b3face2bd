//! A registrar that challenges with Digest and checks it by its own arithmetic (RFC 7616 §3.4).
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::Digest as _;
use subrosa::wire::sip::{HeaderName, Message, Method};

use crate::peer::{Peer, Turn};

/// What became of a REGISTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    Challenged,
    Stale,
    Refused,
    TooBrief,
    Bound(u32),
    Removed,
}

/// A REGISTER, and what the server made of it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub user: String,
    pub algorithm: String,
    pub qop: String,
    pub nonce_count: String,
    pub contacts: Vec<String>,
    pub call_id: String,
    pub verdict: Verdict,
}

pub struct Server {
    pub realm: String,
    pub users: BTreeMap<String, String>,
    /// Algorithm and qop of each challenge, in the order of the header fields. None: no Digest.
    pub challenges: Vec<(&'static str, &'static str)>,
    pub min_expires: u32,
    /// Uses that a nonce has before it is stale.
    pub uses: u32,
    /// `received` and `rport` to put into responses, as a NAT would have it.
    pub seen_as: Option<(String, u16)>,
    pub log: Vec<Seen>,
    nonce: u32,
    used: u32,
}

/// A handle to a server inside a peer.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Server>>);

impl Shared {
    pub fn new(
        realm: &str,
        users: &[(&str, &str)],
        challenges: &[(&'static str, &'static str)],
    ) -> Self {
        let users = users.iter().map(|(u, p)| ((*u).to_string(), (*p).to_string())).collect();
        Self(Arc::new(Mutex::new(Server {
            realm: realm.to_string(),
            users,
            challenges: challenges.to_vec(),
            min_expires: 0,
            uses: u32::MAX,
            seen_as: None,
            log: vec![],
            nonce: 1,
            used: 0,
        })))
    }

    pub fn get(&self) -> MutexGuard<'_, Server> {
        self.0.lock().unwrap()
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.get().log.iter().map(|seen| seen.verdict.clone()).collect()
    }

    pub fn of(&self, user: &str) -> Vec<Seen> {
        self.get().log.iter().filter(|seen| seen.user == user).cloned().collect()
    }

    /// A host that is this server.
    pub fn peer(&self, udp: bool, tcp: bool) -> Peer {
        let server = self.clone();
        Peer::new(udp, tcp, move |turn, message| {
            if message.is_request() {
                server.get().request(turn, message);
            }
        })
    }
}

fn hash(algorithm: &str, text: &str) -> String {
    match algorithm.trim_end_matches("-sess") {
        "MD5" => hex::encode(md5::Md5::digest(text.as_bytes())),
        "SHA-256" => hex::encode(sha2::Sha256::digest(text.as_bytes())),
        "SHA-512-256" => hex::encode(sha2::Sha512_256::digest(text.as_bytes())),
        other => panic!("{other}"),
    }
}

fn parameter(value: &str, name: &str) -> String {
    let parts = value.trim_start_matches("Digest").split(',');
    let mut found = parts.filter_map(|part| part.trim().split_once('='));
    let found = found.find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim_matches('"').to_string()).unwrap_or_default()
}

impl Server {
    fn request(&mut self, turn: &mut Turn<'_, '_>, request: &Message) {
        if *request.method() != Method::Register {
            if *request.method() != Method::Ack {
                self.send(turn, request.response(480, "Nobody").to_tag("s"));
            }
            return;
        }
        let given = request.header(HeaderName::Authorization).unwrap_or("").to_string();
        let asked: u32 = request.header(HeaderName::Expires).unwrap().parse().unwrap();
        let verdict = self.judge(&given, asked);
        let user = request.to().uri().user().unwrap_or("").to_string();
        self.log.push(Seen {
            user,
            algorithm: parameter(&given, "algorithm"),
            qop: parameter(&given, "qop"),
            nonce_count: parameter(&given, "nc"),
            contacts: request.headers(HeaderName::Contact).map(str::to_string).collect(),
            call_id: request.call_id().to_string(),
            verdict: verdict.clone(),
        });
        let response = match verdict {
            Verdict::Challenged | Verdict::Refused | Verdict::Stale => {
                if verdict == Verdict::Stale {
                    (self.nonce, self.used) = (self.nonce + 1, 0);
                }
                let stale = if verdict == Verdict::Stale { ", stale=true" } else { "" };
                let (realm, nonce) = (&self.realm, self.nonce);
                let mut response = request.response(401, "Unauthorized").to_tag("s");
                for (algorithm, qop) in &self.challenges {
                    response = response.header(
                        HeaderName::WwwAuthenticate,
                        format!(
                            "Digest realm=\"{realm}\", nonce=\"n{nonce}\", qop=\"{qop}\", \
                             algorithm={algorithm}{stale}"
                        ),
                    );
                }
                response
            }
            Verdict::TooBrief => {
                let response = request.response(423, "Interval Too Brief").to_tag("s");
                response.header(HeaderName::MinExpires, self.min_expires)
            }
            Verdict::Removed => request.response(200, "OK").to_tag("s"),
            Verdict::Bound(expires) => {
                let contact = request.contacts().next().unwrap().uri().as_str().to_string();
                let response = request.response(200, "OK").to_tag("s");
                response.header(HeaderName::Contact, format!("<{contact}>;expires={expires}"))
            }
        };
        self.send(turn, response);
    }

    fn send(&self, turn: &mut Turn<'_, '_>, response: subrosa::wire::sip::MessageBuilder) {
        turn.send(match &self.seen_as {
            None => response,
            Some((ip, port)) => response.map_first(HeaderName::Via, |via| {
                let via = via.replace(";rport", &format!(";rport={port}"));
                format!("{via};received={ip}")
            }),
        });
    }

    fn judge(&mut self, given: &str, asked: u32) -> Verdict {
        if !self.challenges.is_empty() {
            if given.is_empty() {
                return Verdict::Challenged;
            }
            if !self.verifies(given) {
                return Verdict::Refused;
            }
            if parameter(given, "nonce") != format!("n{}", self.nonce) || self.used >= self.uses {
                return Verdict::Stale;
            }
            self.used += 1;
        }
        match asked {
            0 => Verdict::Removed,
            brief if brief < self.min_expires => Verdict::TooBrief,
            enough => Verdict::Bound(enough),
        }
    }

    /// RFC 7616 §3.4.1 to §3.4.3.
    fn verifies(&self, given: &str) -> bool {
        let part = |name: &str| parameter(given, name);
        let (algorithm, nonce) = (part("algorithm"), part("nonce"));
        let Some(password) = self.users.get(&part("username")) else { return false };
        let h = |text: String| hash(&algorithm, &text);
        let mut a1 = h(format!("{}:{}:{password}", part("username"), self.realm));
        if algorithm.ends_with("-sess") {
            a1 = h(format!("{a1}:{nonce}:{}", part("cnonce")));
        }
        let a2 = match part("qop").as_str() {
            "auth-int" => h(format!("REGISTER:{}:{}", part("uri"), h(String::new()))),
            _ => h(format!("REGISTER:{}", part("uri"))),
        };
        let (nc, cnonce, qop) = (part("nc"), part("cnonce"), part("qop"));
        part("realm") == self.realm
            && part("response") == h(format!("{a1}:{nonce}:{nc}:{cnonce}:{qop}:{a2}"))
    }
}

//! Locating SIP servers (RFC 3263): from a URI to an ordered list of addresses to try.
//!
//! The machine asks the host's DNS one question after another (at most [`MAX_QUESTIONS`]) and
//! orders what comes back: NAPTR by order and preference, SRV by priority and weight, then
//! addresses.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::Transport;
use super::dns::{DnsAnswer, DnsRecord, RecordKind};
use crate::util::{Rng, RngExt};
use crate::wire::sip::{Host, Scheme, UriRef};

/// Questions asked for one URI at most.
pub const MAX_QUESTIONS: usize = 24;
/// Candidates found for one URI at most.
pub const MAX_CANDIDATES: usize = 16;

/// One place where the server may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// How to connect.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// A question for the DNS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The name, without a trailing dot.
    pub name: String,
    /// The record type.
    pub kind: RecordKind,
}

/// A server that cannot be located.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Not a SIP or SIPS URI.
    #[error("only sip and sips URIs lead to a server")]
    Scheme,
    /// The URI demands a transport that is not allowed.
    #[error("the URI demands a transport that the policy does not allow")]
    TransportForbidden,
}

/// What remains to be looked up, in the order of preference.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// NAPTR of the domain, then SRV of what it says or of every allowed transport.
    Naptr(String),
    Srv {
        name: String,
        transport: Transport,
        fallback: bool,
    },
    Host {
        name: String,
        kind: RecordKind,
        transport: Transport,
        port: u16,
    },
}

/// The search for the servers of one URI.
#[derive(Debug)]
pub struct Resolution {
    domain: String,
    allowed: Vec<Transport>,
    secure: bool,
    steps: VecDeque<Step>,
    asked: usize,
    found: Vec<Candidate>,
    failed: bool,
    srv_seen: bool,
}

impl Resolution {
    /// Starts the search. `allowed` are the transports in order of preference; a `sips` URI
    /// narrows them to TLS.
    pub fn new(uri: UriRef<'_>, allowed: &[Transport]) -> Result<Self, ResolveError> {
        let secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return Err(ResolveError::Scheme),
        };
        let wanted = uri.transport().and_then(|name| {
            [Transport::Udp, Transport::Tcp, Transport::Tls]
                .into_iter()
                .find(|t| t.as_str().eq_ignore_ascii_case(name))
        });
        let allowed: Vec<_> = allowed
            .iter()
            .copied()
            .filter(|t| !secure || t.is_secure())
            // A sips URI with transport=tcp means TLS over TCP (RFC 5630 §3.1.4).
            .filter(|t| secure || wanted.is_none_or(|w| w == *t))
            .collect();
        let Some(first) = allowed.first().copied() else {
            return Err(ResolveError::TransportForbidden);
        };
        let host = uri.params().get("maddr").and_then(|m| m.parse().ok().map(Host::Ip));
        let host = host.unwrap_or(uri.host());
        let mut this = Self {
            // Whoever wrote the URI may send us elsewhere, but not vouch for it (RFC 5922 §7.1).
            domain: uri.host().to_string().trim_end_matches('.').to_ascii_lowercase(),
            secure,
            steps: VecDeque::new(),
            asked: 0,
            found: Vec::new(),
            failed: false,
            srv_seen: false,
            allowed,
        };
        match (host, uri.port()) {
            (Host::Ip(ip), port) => this.numeric(ip, port),
            // §4.2: an explicit port means an address look-up with the first transport, and the
            // others after it.
            (Host::Name(_), Some(port)) => {
                for transport in this.allowed.clone() {
                    this.push_host(&this.domain.clone(), transport, port);
                }
            }
            (Host::Name(_), None) if wanted.is_some() && !secure => this.push_srv(first),
            (Host::Name(_), None) => this.steps.push_back(Step::Naptr(this.domain.clone())),
        }
        Ok(this)
    }

    /// The domain that was dialled: what a certificate must prove (RFC 5922 §4), never the name
    /// that the DNS gave.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What was dialled stands for this domain: nothing but an address is looked for under another
    /// name than before.
    pub(super) fn verify_as(&mut self, domain: &str) {
        self.domain = domain.trim_end_matches('.').to_ascii_lowercase();
    }

    fn numeric(&mut self, ip: IpAddr, port: Option<u16>) {
        for transport in &self.allowed {
            let port = port.unwrap_or(default_port(*transport));
            self.found
                .push(Candidate { transport: *transport, address: SocketAddr::new(ip, port) });
        }
    }

    fn push_srv(&mut self, transport: Transport) {
        let label = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        let name = format!("{label}.{}", self.domain);
        self.steps.push_back(Step::Srv { name, transport, fallback: true });
    }

    fn push_host(&mut self, name: &str, transport: Transport, port: u16) {
        for kind in [RecordKind::A, RecordKind::Aaaa] {
            self.steps.push_back(Step::Host { name: name.to_string(), kind, transport, port });
        }
    }

    /// The question to ask now; `None`: the search is over.
    pub fn question(&self) -> Option<Question> {
        if self.asked >= MAX_QUESTIONS || self.found.len() >= MAX_CANDIDATES {
            return None;
        }
        let (name, kind) = match self.steps.front()? {
            Step::Naptr(name) => (name, RecordKind::Naptr),
            Step::Srv { name, .. } => (name, RecordKind::Srv),
            Step::Host { name, kind, .. } => (name, *kind),
        };
        Some(Question { name: name.clone(), kind })
    }

    /// Takes the answer to the current question.
    pub fn handle_answer(&mut self, answer: &DnsAnswer, rng: &mut dyn Rng) {
        let Some(step) = self.steps.pop_front() else { return };
        self.asked = self.asked.saturating_add(1);
        let records: &[DnsRecord] = match answer {
            DnsAnswer::Records(records) => records.get(..records.len().min(64)).unwrap_or(&[]),
            DnsAnswer::NotFound => &[],
            DnsAnswer::Failed => {
                self.failed = true;
                &[]
            }
        };
        match step {
            Step::Naptr(_) => self.naptr(records),
            Step::Srv { transport, fallback, .. } => self.srv(records, transport, fallback, rng),
            Step::Host { transport, port, .. } => {
                for record in records {
                    let ip: IpAddr = match record {
                        DnsRecord::A(ip) => (*ip).into(),
                        DnsRecord::Aaaa(ip) => (*ip).into(),
                        _ => continue,
                    };
                    let candidate = Candidate { transport, address: SocketAddr::new(ip, port) };
                    if !self.found.contains(&candidate) && self.found.len() < MAX_CANDIDATES {
                        self.found.push(candidate);
                    }
                }
            }
        }
    }

    /// §4.1: services that we know and may use, by order and preference; the policy's preference
    /// decides where the domain leaves a choice, and always puts TLS first where it prefers it.
    fn naptr(&mut self, records: &[DnsRecord]) {
        let mut services: Vec<(u16, u16, Transport, &str)> = Vec::new();
        for record in records {
            let DnsRecord::Naptr { order, preference, flags, service, replacement } = record else {
                continue;
            };
            let transport = match service.to_ascii_uppercase().as_str() {
                "SIPS+D2T" => Transport::Tls,
                "SIP+D2T" => Transport::Tcp,
                "SIP+D2U" => Transport::Udp,
                _ => continue,
            };
            if flags.eq_ignore_ascii_case("s") && self.allowed.contains(&transport) {
                services.push((*order, *preference, transport, replacement));
            }
        }
        if services.is_empty() {
            for transport in self.allowed.clone() {
                self.push_srv(transport);
            }
            return;
        }
        let tls_first = self.allowed.first() == Some(&Transport::Tls);
        services.sort_by_key(|(order, preference, transport, _)| {
            (tls_first && *transport != Transport::Tls, *order, *preference)
        });
        for (_, _, transport, name) in services {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            self.steps.push_back(Step::Srv { name, transport, fallback: false });
        }
    }

    fn srv(
        &mut self,
        records: &[DnsRecord],
        transport: Transport,
        fallback: bool,
        rng: &mut dyn Rng,
    ) {
        let mut servers: Vec<(u16, u16, u16, &str)> = records
            .iter()
            .filter_map(|record| match record {
                DnsRecord::Srv { priority, weight, port, target }
                    if !target.is_empty() && target != "." =>
                {
                    Some((*priority, *weight, *port, target.trim_end_matches('.')))
                }
                _ => None,
            })
            .collect();
        if servers.is_empty() {
            // §4.2: no SRV for any transport: the domain's own addresses, with default ports.
            let last = !self.steps.iter().any(|s| matches!(s, Step::Srv { .. }));
            if fallback && last && !self.srv_seen {
                for transport in self.allowed.clone() {
                    self.push_host(&self.domain.clone(), transport, default_port(transport));
                }
            }
            return;
        }
        self.srv_seen = true;
        servers.sort_by_key(|(priority, ..)| *priority);
        // The servers' addresses are looked up before what comes after them.
        let later = core::mem::take(&mut self.steps);
        while let Some(priority) = servers.first().map(|s| s.0) {
            let group = servers.iter().take_while(|s| s.0 == priority).count();
            let (_, _, port, target) = servers.remove(weighted(&servers, group, rng));
            self.push_host(&target.to_ascii_lowercase(), transport, port);
        }
        self.steps.extend(later);
    }

    /// The candidates found so far, best first. Complete when [`Resolution::question`] is `None`.
    pub fn candidates(&self) -> &[Candidate] {
        &self.found
    }

    /// True if some question was not answered, so that trying again may help.
    pub fn had_failure(&self) -> bool {
        self.failed
    }

    /// True for a sips URI: nothing but TLS at any hop.
    pub fn is_secure(&self) -> bool {
        self.secure
    }
}

/// RFC 2782: the next server among the first `group`, by weight.
fn weighted(servers: &[(u16, u16, u16, &str)], group: usize, rng: &mut dyn Rng) -> usize {
    let total: u32 = servers.iter().take(group).map(|s| u32::from(s.1)).sum();
    let mut pick = rng.below(total.saturating_add(1));
    for (i, server) in servers.iter().take(group).enumerate() {
        if pick <= u32::from(server.1) && (server.1 > 0 || pick == 0) {
            return i;
        }
        pick = pick.saturating_sub(u32::from(server.1));
    }
    0
}

/// The port where none is given (RFC 3261 §19.1.2).
pub const fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::SeededRng;
    use crate::wire::sip::Uri;

    const ALL: [Transport; 3] = [Transport::Tls, Transport::Tcp, Transport::Udp];

    fn naptr(order: u16, service: &str, replacement: &str) -> DnsRecord {
        DnsRecord::Naptr {
            order,
            preference: 10,
            flags: "s".into(),
            service: service.into(),
            replacement: replacement.into(),
        }
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> DnsRecord {
        DnsRecord::Srv { priority, weight, port, target: target.into() }
    }

    /// Runs a search against a zone; returns the questions and the candidates.
    fn search(
        uri: &str,
        allowed: &[Transport],
        zone: &[(&str, DnsRecord)],
    ) -> (Vec<String>, Vec<Candidate>) {
        let uri = Uri::parse(uri).unwrap();
        let mut resolution = Resolution::new(uri.as_ref(), allowed).unwrap();
        let mut rng = SeededRng::new(3);
        let mut asked = Vec::new();
        while let Some(q) = resolution.question() {
            let records: Vec<_> = zone
                .iter()
                .filter(|(name, record)| {
                    let kind = match record {
                        DnsRecord::Naptr { .. } => RecordKind::Naptr,
                        DnsRecord::Srv { .. } => RecordKind::Srv,
                        DnsRecord::A(_) => RecordKind::A,
                        DnsRecord::Aaaa(_) => RecordKind::Aaaa,
                    };
                    *name == q.name && kind == q.kind
                })
                .map(|(_, r)| r.clone())
                .collect();
            asked.push(format!("{:?} {}", q.kind, q.name));
            let answer =
                if records.is_empty() { DnsAnswer::NotFound } else { DnsAnswer::Records(records) };
            resolution.handle_answer(&answer, &mut rng);
        }
        (asked, resolution.candidates().to_vec())
    }

    #[test]
    fn the_domain_of_rfc_3263_4_leads_over_naptr_and_srv_to_addresses() {
        let zone = [
            ("example.com", naptr(50, "SIPS+D2T", "_sips._tcp.example.com.")),
            ("example.com", naptr(90, "SIP+D2T", "_sip._tcp.example.com")),
            ("example.com", naptr(100, "SIP+D2U", "_sip._udp.example.com")),
            ("_sips._tcp.example.com", srv(1, 1, 5061, "server2.example.com")),
            ("_sips._tcp.example.com", srv(0, 1, 5071, "server1.example.com.")),
            ("server1.example.com", DnsRecord::A([192, 0, 2, 1].into())),
            ("server2.example.com", DnsRecord::A([192, 0, 2, 2].into())),
        ];
        let (_, found) = search("sips:bob@example.com", &ALL, &zone);
        let found: Vec<_> = found.iter().map(|c| (c.transport, c.address.to_string())).collect();
        assert_eq!(
            found,
            [
                (Transport::Tls, "192.0.2.1:5071".to_string()),
                (Transport::Tls, "192.0.2.2:5061".to_string()),
            ]
        );
    }

    #[test]
    fn without_records_the_domains_own_addresses_are_tried_on_default_ports() {
        let zone = [("example.com", DnsRecord::A([192, 0, 2, 9].into()))];
        let (asked, found) = search("sip:bob@example.com", &ALL, &zone);
        assert_eq!(asked.first().map(String::as_str), Some("Naptr example.com"));
        let ports: Vec<_> = found.iter().map(|c| (c.transport, c.address.port())).collect();
        assert_eq!(ports, [(Transport::Tls, 5061), (Transport::Tcp, 5060), (Transport::Udp, 5060)]);
    }

    #[test]
    fn a_numeric_host_or_a_port_needs_no_service_look_up() {
        let (asked, found) = search("sip:10.0.0.1;transport=tcp", &ALL, &[]);
        assert!(asked.is_empty());
        assert_eq!(
            found,
            [Candidate { transport: Transport::Tcp, address: "10.0.0.1:5060".parse().unwrap() }]
        );
        let zone = [("h.test", DnsRecord::Aaaa("2001:db8::1".parse().unwrap()))];
        let (asked, found) = search("sip:h.test:5070;transport=udp", &ALL, &zone);
        assert_eq!(asked, ["A h.test", "Aaaa h.test"]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn sips_never_leaves_tls_and_a_forbidden_transport_is_an_error() {
        let uri = Uri::parse("sips:h.test").unwrap();
        let refused = Resolution::new(uri.as_ref(), &[Transport::Udp, Transport::Tcp]);
        assert_eq!(refused.err(), Some(ResolveError::TransportForbidden));
        let uri = Uri::parse("sip:h.test;transport=udp").unwrap();
        let refused = Resolution::new(uri.as_ref(), &[Transport::Tls]);
        assert_eq!(refused.err(), Some(ResolveError::TransportForbidden));
    }

    #[test]
    fn weights_share_the_load_and_a_hostile_zone_stays_bounded() {
        let servers = [(0, 10, 1, "a"), (0, 90, 1, "b"), (0, 0, 1, "c")];
        let mut rng = SeededRng::new(9);
        let picks = (0..1000).filter(|_| weighted(&servers, 3, &mut rng) == 1).count();
        assert!((850..950).contains(&picks), "{picks}");
        let zone: Vec<_> = (0..64)
            .map(|i| ("_sip._udp.x.test", srv(i, 0, 5060, "y.test")))
            .chain((0..64).map(|i| ("y.test", DnsRecord::A([10, 0, 0, i].into()))))
            .collect();
        let (asked, found) = search("sip:x.test;transport=udp", &ALL, &zone);
        assert!(asked.len() <= MAX_QUESTIONS && found.len() <= MAX_CANDIDATES);
    }
}

//! Where the resolver asks, and the names that it knows without asking.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::sip::dns::{DnsAnswer, DnsRecord, RecordKind};
use crate::time::Duration;

/// Files larger than this are not configuration.
const MAX_FILE: u64 = 1 << 20;
/// Servers that are used at most.
const MAX_SERVERS: usize = 8;
/// Entries of the hosts file that are kept at most.
const MAX_HOSTS: usize = 4096;

/// Where and how the resolver asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DnsConfig {
    /// The recursive servers, tried in turn.
    pub servers: Vec<SocketAddr>,
    /// Names known without asking.
    pub hosts: Hosts,
    /// How long one server may take for one answer.
    pub timeout: Duration,
    /// How often each server is asked.
    pub attempts: u32,
}

impl DnsConfig {
    /// These servers, an empty hosts table, 2 s and two attempts.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers, hosts: Hosts::default(), timeout: Duration::from_secs(2), attempts: 2 }
    }

    /// The platform's: `/etc/resolv.conf` and `/etc/hosts` (missing files count as empty ones).
    pub fn system() -> Self {
        let resolv_conf = read(Path::new("/etc/resolv.conf"));
        let mut config = Self::new(nameservers(&resolv_conf));
        config.hosts = Hosts::parse(&read(Path::new("/etc/hosts")));
        config
    }
}

/// The file's text, or nothing if it cannot be read or is absurdly large.
fn read(path: &Path) -> String {
    let small = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= MAX_FILE);
    let bytes = if small { fs::read(path).unwrap_or_default() } else { Vec::new() };
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The `nameserver` lines of a resolv.conf; without any, the local host, as resolv.conf(5) says.
fn nameservers(text: &str) -> Vec<SocketAddr> {
    let found: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let is_server = words.next() == Some("nameserver");
            words.next().filter(|_| is_server)?.parse::<IpAddr>().ok()
        })
        .map(|ip| SocketAddr::new(ip, 53))
        .take(MAX_SERVERS)
        .collect();
    if found.is_empty() { vec![(Ipv4Addr::LOCALHOST, 53).into()] } else { found }
}

/// A table of names and addresses, as in a hosts file.
#[derive(Clone, Default, Debug)]
pub struct Hosts {
    entries: Vec<(String, IpAddr)>,
}

impl Hosts {
    /// Reads the text of a hosts file; lines that are not understood are left out.
    pub fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let content = line.split('#').next().unwrap_or_default();
            let mut words = content.split_whitespace();
            let Some(ip) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                hosts.insert(name, ip);
            }
        }
        hosts
    }

    /// Adds a name; the table holds 4096 entries at most.
    pub fn insert(&mut self, name: &str, ip: IpAddr) {
        if self.entries.len() < MAX_HOSTS {
            self.entries.push((name.trim_end_matches('.').to_ascii_lowercase(), ip));
        }
    }

    /// True if the name has an address here.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry.eq_ignore_ascii_case(name))
    }

    /// What can be said without asking a server, if anything.
    pub(super) fn answer(&self, name: &str, kind: RecordKind) -> Option<DnsAnswer> {
        if let Ok(ip) = name.parse::<IpAddr>() {
            return Some(addresses(&[ip], kind));
        }
        let known: Vec<IpAddr> = self
            .entries
            .iter()
            .filter(|(entry, _)| entry.eq_ignore_ascii_case(name))
            .map(|(_, ip)| *ip)
            .collect();
        if is_localhost(name) {
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Some(addresses(&loopback, kind));
        }
        let asks_address = matches!(kind, RecordKind::A | RecordKind::Aaaa);
        (asks_address && !known.is_empty()).then(|| addresses(&known, kind))
    }
}

/// `localhost` and every name below it (RFC 6761 §6.3): no server is asked for them.
fn is_localhost(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|label| label.eq_ignore_ascii_case("localhost"))
}

/// The addresses of the family that the question asks for.
fn addresses(ips: &[IpAddr], kind: RecordKind) -> DnsAnswer {
    let records: Vec<DnsRecord> = ips
        .iter()
        .filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), RecordKind::A) => Some(DnsRecord::A(*ip)),
            (IpAddr::V6(ip), RecordKind::Aaaa) => Some(DnsRecord::Aaaa(*ip)),
            _ => None,
        })
        .collect();
    if records.is_empty() { DnsAnswer::NotFound } else { DnsAnswer::Records(records) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_names_the_servers_and_the_local_host_is_the_default() {
        let text = "# x\nsearch example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver bad\n";
        let expected: Vec<SocketAddr> =
            vec!["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
        assert_eq!(nameservers(text), expected);
        assert_eq!(nameservers("options ndots:1"), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn the_hosts_file_answers_by_family_and_ignores_case_and_comments() {
        let hosts = Hosts::parse("192.0.2.7 Phone.example pbx # comment name\nnonsense here\n");
        let v4 = DnsAnswer::Records(vec![DnsRecord::A([192, 0, 2, 7].into())]);
        assert_eq!(hosts.answer("phone.EXAMPLE", RecordKind::A), Some(v4.clone()));
        assert_eq!(hosts.answer("pbx", RecordKind::A), Some(v4));
        assert_eq!(hosts.answer("pbx", RecordKind::Aaaa), Some(DnsAnswer::NotFound));
        assert_eq!(hosts.answer("pbx", RecordKind::Srv), None);
        assert_eq!(hosts.answer("name", RecordKind::A), None);
    }

    #[test]
    fn localhost_is_never_asked_for() {
        let hosts = Hosts::default();
        let v6 = DnsAnswer::Records(vec![DnsRecord::Aaaa(Ipv6Addr::LOCALHOST)]);
        assert_eq!(hosts.answer("LocalHost", RecordKind::Aaaa), Some(v6));
        let service = hosts.answer("_sips._tcp.localhost", RecordKind::Srv);
        assert_eq!(service, Some(DnsAnswer::NotFound));
        assert_eq!(hosts.answer("localhost.example", RecordKind::A), None);
    }
}

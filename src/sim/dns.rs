//! The world's DNS: one zone that all hosts see.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::sip::dns::{DnsAnswer, DnsRecord, RecordKind};

/// Names and their records. Names are compared without regard to case.
#[derive(Debug, Default)]
pub struct Zone {
    records: BTreeMap<String, Vec<DnsRecord>>,
    down: bool,
}

impl Zone {
    /// Adds a record to a name.
    pub fn add(&mut self, name: &str, record: DnsRecord) -> &mut Self {
        self.records.entry(name.to_ascii_lowercase()).or_default().push(record);
        self
    }

    /// Adds an A or AAAA record.
    pub fn add_address(&mut self, name: &str, ip: IpAddr) -> &mut Self {
        self.add(
            name,
            match ip {
                IpAddr::V4(ip) => DnsRecord::A(ip),
                IpAddr::V6(ip) => DnsRecord::Aaaa(ip),
            },
        )
    }

    /// Adds an SRV record, for example for `_sips._tcp.example.com`.
    pub fn add_srv(&mut self, name: &str, priority: u16, port: u16, target: &str) -> &mut Self {
        let target = target.to_owned();
        self.add(name, DnsRecord::Srv { priority, weight: 1, port, target })
    }

    /// Removes all records of a name.
    pub fn remove(&mut self, name: &str) {
        self.records.remove(&name.to_ascii_lowercase());
    }

    /// Makes every question fail (`true`), or answers again (`false`).
    pub fn set_down(&mut self, down: bool) {
        self.down = down;
    }

    /// The answer to a question.
    pub fn answer(&self, name: &str, kind: RecordKind) -> DnsAnswer {
        if self.down {
            return DnsAnswer::Failed;
        }
        let records: Vec<DnsRecord> = self
            .records
            .get(&name.to_ascii_lowercase())
            .into_iter()
            .flatten()
            .filter(|record| kind_of(record) == kind)
            .cloned()
            .collect();
        if records.is_empty() { DnsAnswer::NotFound } else { DnsAnswer::Records(records) }
    }
}

fn kind_of(record: &DnsRecord) -> RecordKind {
    match record {
        DnsRecord::Naptr { .. } => RecordKind::Naptr,
        DnsRecord::Srv { .. } => RecordKind::Srv,
        DnsRecord::A(_) => RecordKind::A,
        DnsRecord::Aaaa(_) => RecordKind::Aaaa,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_by_kind_and_fails_when_down() {
        let mut zone = Zone::default();
        zone.add_address("Example.com", [10, 0, 0, 1].into());
        let a = DnsAnswer::Records(vec![DnsRecord::A([10, 0, 0, 1].into())]);
        assert_eq!(zone.answer("example.COM", RecordKind::A), a);
        assert_eq!(zone.answer("example.com", RecordKind::Srv), DnsAnswer::NotFound);
        zone.set_down(true);
        assert_eq!(zone.answer("example.com", RecordKind::A), DnsAnswer::Failed);
    }
}

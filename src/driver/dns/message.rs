//! Questions and answers as bytes (RFC 1035), by the `domain` crate. Answers are hostile until
//! the id and the question match, and bounded after that.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

use std::str::FromStr;

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::{A, Aaaa, Naptr, Srv};

use crate::sip::dns::{DnsAnswer, DnsRecord, RecordKind};

/// Records that an answer keeps at most.
const MAX_RECORDS: usize = 64;
/// What we say we take over UDP (EDNS, RFC 6891): fits any path, so nothing is fragmented.
const UDP_PAYLOAD: u16 = 1232;

/// What a message from a server means for a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    /// It does not answer this question: garbage, or somebody guesses.
    Mismatch,
    /// Ask again over TCP.
    Truncated,
    /// This server cannot answer; another may.
    ServerFailed,
    /// The answer.
    Answer(DnsAnswer),
}

fn rtype(kind: RecordKind) -> Rtype {
    match kind {
        RecordKind::Naptr => Rtype::NAPTR,
        RecordKind::Srv => Rtype::SRV,
        RecordKind::A => Rtype::A,
        RecordKind::Aaaa => Rtype::AAAA,
    }
}

/// The question as a message, or `None` if the name cannot be asked for.
pub(super) fn encode(id: u16, name: &str, kind: RecordKind) -> Option<Vec<u8>> {
    let name = Name::<Vec<u8>>::from_str(name).ok().filter(|name| !name.is_root())?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut question = builder.question();
    question.push((&name, rtype(kind))).ok()?;
    let mut additional = question.additional();
    additional
        .opt(|opt| {
            opt.set_udp_payload_size(UDP_PAYLOAD);
            Ok(())
        })
        .ok()?;
    Some(additional.finish())
}

/// Reads what a server sent as the reply to the question `id`, `name`, `kind`.
pub(super) fn decode(bytes: &[u8], id: u16, name: &str, kind: RecordKind) -> Reply {
    let Ok(message) = Message::from_octets(bytes) else { return Reply::Mismatch };
    let header = message.header();
    if header.id() != id || !header.qr() || !question_matches(&message, name, kind) {
        return Reply::Mismatch;
    }
    if header.tc() {
        return Reply::Truncated;
    }
    match header.rcode() {
        Rcode::NXDOMAIN => return Reply::Answer(DnsAnswer::NotFound),
        Rcode::NOERROR => {}
        _ => return Reply::ServerFailed,
    }
    match records(&message, kind) {
        None => Reply::ServerFailed,
        Some(records) if records.is_empty() => Reply::Answer(DnsAnswer::NotFound),
        Some(records) => Reply::Answer(DnsAnswer::Records(records)),
    }
}

fn question_matches(message: &Message<&[u8]>, name: &str, kind: RecordKind) -> bool {
    let Ok(asked) = Name::<Vec<u8>>::from_str(name) else { return false };
    message.sole_question().is_ok_and(|question| {
        // Names compare without regard to case (RFC 1035 §2.3.3).
        question.qname() == &asked && question.qtype() == rtype(kind)
    })
}

/// The records asked for, under the name that aliases lead to; `None` if they do not parse.
fn records(message: &Message<&[u8]>, kind: RecordKind) -> Option<Vec<DnsRecord>> {
    let owner = message.canonical_name()?;
    let mut found = Vec::new();
    for record in message.answer().ok()? {
        let record = record.ok()?;
        if found.len() >= MAX_RECORDS {
            break;
        }
        if record.rtype() != rtype(kind) || record.owner() != owner {
            continue;
        }
        found.push(match kind {
            RecordKind::A => DnsRecord::A(record.to_record::<A>().ok()??.data().addr()),
            RecordKind::Aaaa => DnsRecord::Aaaa(record.to_record::<Aaaa>().ok()??.data().addr()),
            RecordKind::Srv => {
                let record = record.to_record::<Srv<ParsedName<_>>>().ok()??;
                let srv = record.data();
                DnsRecord::Srv {
                    priority: srv.priority(),
                    weight: srv.weight(),
                    port: srv.port(),
                    target: text(srv.target()),
                }
            }
            RecordKind::Naptr => {
                let record = record.to_record::<Naptr<_, ParsedName<_>>>().ok()??;
                let naptr = record.data();
                DnsRecord::Naptr {
                    order: naptr.order(),
                    preference: naptr.preference(),
                    flags: ascii(naptr.flags().as_ref()).to_ascii_lowercase(),
                    service: ascii(naptr.services().as_ref()),
                    replacement: text(naptr.replacement()),
                }
            }
        });
    }
    Some(found)
}

/// A name without its trailing dot; empty for the root.
fn text(name: &impl std::string::ToString) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

/// A character string of a NAPTR record; what is not printable ASCII cannot match anything.
fn ascii(bytes: &[u8]) -> String {
    bytes.iter().filter(|b| b.is_ascii_graphic()).map(|b| char::from(*b)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use domain::base::iana::Class;
    use domain::rdata::Cname;

    fn name(text: &str) -> Name<Vec<u8>> {
        Name::from_str(text).unwrap()
    }

    /// A server's answer to `query`: `alias`, if any, is where the records really are.
    pub(in super::super) fn answer_a(query: &[u8], alias: Option<&str>, ip: [u8; 4]) -> Vec<u8> {
        let query = Message::from_octets(query).unwrap();
        let owner = query.sole_question().unwrap().qname().to_string();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        if let Some(alias) = alias {
            answer.push((name(&owner), Class::IN, 60, Cname::new(name(alias)))).unwrap();
        }
        let owner = name(alias.unwrap_or(&owner));
        answer.push((owner, Class::IN, 60, A::new(ip.into()))).unwrap();
        answer.push((name("unrelated.example"), Class::IN, 60, A::new([9; 4].into()))).unwrap();
        answer.finish()
    }

    /// A server's answer to a question for NAPTR or SRV: one that leads to `target`, and one of a
    /// name that was not asked for.
    pub(in super::super) fn answer_service(query: &[u8], target: &str) -> Vec<u8> {
        let query = Message::from_octets(query).unwrap();
        let question = query.sole_question().unwrap();
        let owner = name(&question.qname().to_string());
        let text = |s: &str| domain::base::CharStr::<Vec<u8>>::from_str(s).unwrap();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        for (owner, target) in [(name("unrelated.example"), "evil.example"), (owner, target)] {
            let target = name(target);
            if question.qtype() == Rtype::SRV {
                answer.push((owner, Class::IN, 60, Srv::new(1, 1, 5061, target))).unwrap();
            } else {
                let naptr = Naptr::new(1, 1, text("s"), text("SIPS+D2T"), text(""), target);
                answer.push((owner, Class::IN, 60, naptr)).unwrap();
            }
        }
        answer.finish()
    }

    /// A server's answer without records.
    pub(in super::super) fn empty_answer(query: &[u8], rcode: Rcode, truncated: bool) -> Vec<u8> {
        let query = Message::from_octets(query).unwrap();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, rcode).unwrap();
        answer.header_mut().set_tc(truncated);
        answer.finish()
    }

    #[test]
    fn an_address_is_found_directly_and_through_an_alias() {
        let query = encode(7, "Sip.Example.com", RecordKind::A).unwrap();
        for alias in [None, Some("real.example.net")] {
            let bytes = answer_a(&query, alias, [192, 0, 2, 1]);
            let expected = DnsAnswer::Records(vec![DnsRecord::A([192, 0, 2, 1].into())]);
            let reply = decode(&bytes, 7, "sip.example.COM", RecordKind::A);
            assert_eq!(reply, Reply::Answer(expected));
        }
    }

    #[test]
    fn services_and_pointers_are_read() {
        let query = encode(1, "_sips._tcp.example.com", RecordKind::Srv).unwrap();
        let query = Message::from_octets(query).unwrap();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        let srv = Srv::new(10, 60, 5061, name("sip1.example.com"));
        answer.push((name("_sips._tcp.example.com"), Class::IN, 60, srv)).unwrap();
        let expected = DnsRecord::Srv {
            priority: 10,
            weight: 60,
            port: 5061,
            target: "sip1.example.com".into(),
        };
        let reply = decode(&answer.finish(), 1, "_sips._tcp.example.com", RecordKind::Srv);
        assert_eq!(reply, Reply::Answer(DnsAnswer::Records(vec![expected])));

        let query = encode(2, "example.com", RecordKind::Naptr).unwrap();
        let query = Message::from_octets(query).unwrap();
        let mut answer = MessageBuilder::new_vec().start_answer(&query, Rcode::NOERROR).unwrap();
        let text = |s: &str| domain::base::CharStr::<Vec<u8>>::from_str(s).unwrap();
        let target = name("_sips._tcp.example.com");
        let naptr = Naptr::new(50, 51, text("S"), text("SIPS+D2T"), text(""), target);
        answer.push((name("example.com"), Class::IN, 60, naptr)).unwrap();
        let expected = DnsRecord::Naptr {
            order: 50,
            preference: 51,
            flags: "s".into(),
            service: "SIPS+D2T".into(),
            replacement: "_sips._tcp.example.com".into(),
        };
        let reply = decode(&answer.finish(), 2, "example.com", RecordKind::Naptr);
        assert_eq!(reply, Reply::Answer(DnsAnswer::Records(vec![expected])));
    }

    #[test]
    fn what_does_not_answer_the_question_is_not_an_answer() {
        let query = encode(7, "example.com", RecordKind::A).unwrap();
        let good = answer_a(&query, None, [192, 0, 2, 1]);
        assert_eq!(decode(&good, 8, "example.com", RecordKind::A), Reply::Mismatch);
        assert_eq!(decode(&good, 7, "example.net", RecordKind::A), Reply::Mismatch);
        assert_eq!(decode(&good, 7, "example.com", RecordKind::Aaaa), Reply::Mismatch);
        assert_eq!(decode(&query, 7, "example.com", RecordKind::A), Reply::Mismatch);
        for end in 0..good.len() {
            let cut = &good[..end];
            let reply = decode(cut, 7, "example.com", RecordKind::A);
            assert!(matches!(reply, Reply::Mismatch | Reply::ServerFailed | Reply::Answer(_)));
        }
    }

    #[test]
    fn codes_and_truncation_are_told_apart() {
        let query = encode(7, "example.com", RecordKind::A).unwrap();
        let decoded =
            |rcode, tc| decode(&empty_answer(&query, rcode, tc), 7, "example.com", RecordKind::A);
        assert_eq!(decoded(Rcode::NXDOMAIN, false), Reply::Answer(DnsAnswer::NotFound));
        assert_eq!(decoded(Rcode::NOERROR, false), Reply::Answer(DnsAnswer::NotFound));
        assert_eq!(decoded(Rcode::SERVFAIL, false), Reply::ServerFailed);
        assert_eq!(decoded(Rcode::NOERROR, true), Reply::Truncated);
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_is_refused() {
        assert_eq!(encode(1, "", RecordKind::A), None);
        assert_eq!(encode(1, &"a".repeat(64), RecordKind::A), None);
        assert_eq!(encode(1, &"abc.".repeat(80), RecordKind::A), None);
    }
}

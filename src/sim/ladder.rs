//! The SIP ladder: who sent what to whom, and when, as text.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::net::HostSlot;
use super::trace::{Fate, Record, Trace};
use super::wiretap::{Kind, Packet};
use crate::time::Instant;

/// Columns are this wide.
const WIDTH: usize = 30;
/// Width of the time before the first column.
const MARGIN: usize = 12;
/// More rows than this are cut out of the middle.
const ROWS: usize = 400;

/// Draws the ladder of a run.
pub(crate) fn draw(trace: &Trace, hosts: &[HostSlot], seed: u64) -> String {
    let mut ladder =
        Ladder { hosts, rows: Vec::new(), media: BTreeMap::new(), streams: BTreeMap::new() };
    for entry in trace.entries() {
        ladder.entry(entry.at, &entry.record, trace.payload(entry));
    }
    ladder.flush_media();
    let mut text = format!("seed {seed}, digest {}\n", trace.digest());
    text.push_str(&ladder.header());
    let cut = ladder.rows.len().saturating_sub(ROWS);
    for (i, row) in ladder.rows.iter().enumerate() {
        match i.checked_sub(ROWS / 2) {
            Some(0) if cut > 0 => text.push_str(&format!("{:MARGIN$}... {cut} rows ...\n", "")),
            Some(n) if n < cut => {}
            _ => {
                text.push_str(row.trim_end());
                text.push('\n');
            }
        }
    }
    if trace.dropped() > 0 {
        text.push_str(&format!("({} entries were not kept)\n", trace.dropped()));
    }
    text
}

struct Ladder<'a> {
    hosts: &'a [HostSlot],
    rows: Vec<String>,
    /// Media packets since the last other row: by direction and kind, count and first time.
    media: BTreeMap<(usize, usize, Kind), (Instant, u64)>,
    /// Bytes of each direction of each connection that do not make a whole message yet.
    streams: BTreeMap<(u64, SocketAddr), Vec<u8>>,
}

impl Ladder<'_> {
    fn header(&self) -> String {
        let mut names = " ".repeat(MARGIN);
        let mut addresses = names.clone();
        for host in self.hosts {
            names.push_str(&format!("{:<WIDTH$}", host.name));
            addresses.push_str(&format!("{:<WIDTH$}", host.ip));
        }
        format!("{}\n{}\n", names.trim_end(), addresses.trim_end())
    }

    fn column(&self, address: SocketAddr) -> Option<usize> {
        self.hosts.iter().position(|host| host.ip == address.ip())
    }

    fn entry(&mut self, at: Instant, record: &Record, payload: &[u8]) {
        match *record {
            Record::Datagram { from, to, fate } => self.datagram(at, from, to, fate, payload),
            Record::Segment { connection, from, to } => {
                let buffer = self.streams.entry((connection, from)).or_default();
                buffer.extend_from_slice(payload);
                let labels = take_labels(buffer);
                for label in labels {
                    self.arrow(at, from, to, &label, false);
                }
            }
            Record::Connect { connection, from, to } => {
                self.arrow(
                    at,
                    from,
                    to,
                    &format!("TCP connect #{connection} :{}", to.port()),
                    false,
                );
            }
            Record::Refused { connection } => {
                self.note(at, None, &format!("connection #{connection} refused"));
            }
            Record::Closed { connection, by } => {
                let column = self.column(by);
                self.note(at, column, &format!("connection #{connection} closed"));
            }
            Record::Note { host } => {
                let text = String::from_utf8_lossy(payload);
                self.note(at, host.map(|host| host.0), &text);
            }
        }
    }

    fn datagram(
        &mut self,
        at: Instant,
        from: SocketAddr,
        to: SocketAddr,
        fate: Fate,
        payload: &[u8],
    ) {
        let kind = Packet::new(payload).kind();
        let media = matches!(kind, Kind::Rtp | Kind::Rtcp | Kind::Srtp | Kind::Srtcp);
        if media && let (Some(a), Some(b)) = (self.column(from), self.column(to)) {
            let count = &mut self.media.entry((a, b, kind)).or_insert((at, 0)).1;
            *count = count.saturating_add(1);
            return;
        }
        let label = match kind {
            Kind::Sip => sip_label(payload),
            kind => format!("{kind} {} B", payload.len()),
        };
        self.arrow(at, from, to, &label, !matches!(fate, Fate::Sent(_)));
    }

    fn flush_media(&mut self) {
        for ((a, b, kind), (at, count)) in std::mem::take(&mut self.media) {
            self.draw_arrow(at, a, b, &format!("{count} x {kind}"), false);
        }
    }

    fn arrow(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, label: &str, lost: bool) {
        self.flush_media();
        match (self.column(from), self.column(to)) {
            (Some(a), Some(b)) if a != b => self.draw_arrow(at, a, b, label, lost),
            (a, _) => self.note(at, a, &format!("{label} -> {to}")),
        }
    }

    fn draw_arrow(&mut self, at: Instant, a: usize, b: usize, label: &str, lost: bool) {
        let mut row = self.lifelines(at);
        let (left, right) = (MARGIN + a.min(b) * WIDTH, MARGIN + a.max(b) * WIDTH);
        let room = right.saturating_sub(left + 5);
        let label: String = label.chars().take(room).collect();
        let start = left + 2 + room.saturating_sub(label.chars().count()) / 2;
        for cell in row.iter_mut().take(right).skip(left + 1) {
            *cell = '-';
        }
        for (cell, c) in row.iter_mut().skip(start).zip(format!(" {label} ").chars()) {
            *cell = c;
        }
        let head = match (a < b, lost) {
            (_, true) => 'x',
            (true, false) => '>',
            (false, false) => '<',
        };
        let place = if a < b { right.saturating_sub(1) } else { left + 1 };
        if let Some(cell) = row.get_mut(place) {
            *cell = head;
        }
        self.rows.push(row.into_iter().collect());
    }

    fn note(&mut self, at: Instant, column: Option<usize>, text: &str) {
        self.flush_media();
        let mut row = self.lifelines(at);
        row.truncate(column.map_or(MARGIN, |column| MARGIN + column * WIDTH));
        row.extend(
            "* ".chars().chain(text.chars().take(100)).map(|c| if c < ' ' { ' ' } else { c }),
        );
        self.rows.push(row.into_iter().collect());
    }

    fn lifelines(&self, at: Instant) -> Vec<char> {
        let time = at.as_micros();
        let time = format!("{:>4}.{:06} ", time / 1_000_000, time % 1_000_000);
        let mut row: Vec<char> = time.chars().take(MARGIN).collect();
        row.resize(MARGIN + self.hosts.len() * WIDTH, ' ');
        for column in 0..self.hosts.len() {
            if let Some(cell) = row.get_mut(MARGIN + column * WIDTH) {
                *cell = '|';
            }
        }
        row
    }
}

/// `INVITE (1 INVITE)`, `180 Ringing (1 INVITE)`, with a mark for a body.
fn sip_label(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let start = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => status,
        None => first.split(' ').next().unwrap_or_default(),
    };
    let cseq = lines
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix("CSeq:"))
        .map_or("", str::trim);
    let body = if text.contains("\r\n\r\nv=0") { " +SDP" } else { "" };
    format!("{start} ({cseq}){body}")
}

/// Takes whole SIP messages and TLS records off the front of a stream and names them.
fn take_labels(buffer: &mut Vec<u8>) -> Vec<String> {
    let mut labels = Vec::new();
    while let Some((len, label)) = first_unit(buffer) {
        buffer.drain(..len.min(buffer.len()));
        labels.push(label);
    }
    labels
}

fn first_unit(buffer: &[u8]) -> Option<(usize, String)> {
    match *buffer {
        [] => None,
        [b'\r' | b'\n', ..] => {
            let len = buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            Some((len, String::from("keep-alive")))
        }
        [kind @ 20..=23, 3, ..] => {
            let [_, _, _, high, low, ..] = *buffer else { return None };
            let len = usize::from(u16::from_be_bytes([high, low])).saturating_add(5);
            let name = match kind {
                20 => "TLS cipher change",
                21 => "TLS alert",
                22 => "TLS handshake",
                _ => "TLS data",
            };
            (buffer.len() >= len).then(|| (len, format!("{name} {} B", len.saturating_sub(5))))
        }
        _ => {
            let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")?.saturating_add(4);
            let text = String::from_utf8_lossy(buffer.get(..head)?).to_ascii_lowercase();
            let body = text
                .split("\r\n")
                .find_map(|line| line.strip_prefix("content-length:").or(line.strip_prefix("l:")))
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(0_usize);
            let len = head.saturating_add(body);
            Some((len, sip_label(buffer.get(..len)?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_cut_into_messages_and_records() {
        let message = b"BYE sip:b@c SIP/2.0\r\nCSeq: 2 BYE\r\nContent-Length: 3\r\n\r\nabc";
        let mut buffer = message.get(..20).unwrap().to_vec();
        assert!(take_labels(&mut buffer).is_empty());
        buffer.extend(&message[20..]);
        buffer.extend([22, 3, 3, 0, 2, 9, 9, 23, 3, 3, 0, 1, 7, 13, 10]);
        let labels = take_labels(&mut buffer);
        assert_eq!(labels, ["BYE (2 BYE)", "TLS handshake 2 B", "TLS data 1 B", "keep-alive"]);
        assert!(buffer.is_empty());
    }
}

//! The way in: which datagrams are taken, and what they change.

use super::config::COMFORT_NOISE_CLOCK;
use super::guard::Protocol;
use super::redundancy::Content;
use super::stats::{MediaStats, NoMediaReason};
use super::{Channel, MediaEvent, MediaSession, Remote, SourceLock};
use crate::crypto::srtp::UnprotectError;
use crate::media::jitter::Insert;
use crate::media::quality::FateHistory;
use crate::media::reception::{Reception, Sequence};
use crate::time::Instant;
use crate::util::RngExt;
use crate::wire::dtmf::TelephoneEvent;
use crate::wire::rtcp::{Compound, RtcpError};
use crate::wire::rtp::{PacketKind, RtpError, RtpHeader, RtpPacket, classify};
use core::net::SocketAddr;

/// A peer that collides more often than this does it on purpose.
const MAX_COLLISIONS: u8 = 2;

impl MediaSession {
    /// Takes a datagram from one of the two sockets; it is decrypted in place. Whatever is wrong
    /// with it is counted in [`stats`](Self::stats).
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        channel: Channel,
        datagram: &mut [u8],
        from: SocketAddr,
    ) {
        match (classify(datagram), channel) {
            (PacketKind::Rtp, Channel::Rtp) => self.handle_rtp(now, datagram, from),
            (PacketKind::Rtcp, Channel::Rtcp) => self.handle_rtcp(now, datagram, from),
            (PacketKind::Rtcp, Channel::Rtp) if self.path.mux => {
                self.handle_rtcp(now, datagram, from);
            }
            (
                PacketKind::Stun | PacketKind::Dtls | PacketKind::Zrtp | PacketKind::TurnChannel,
                _,
            ) => {
                self.counters.other_protocol = self.counters.other_protocol.saturating_add(1);
            }
            // What parses all the same has a payload type of RTCP, or is no report.
            (_, Channel::Rtp) => {
                let reason = RtpHeader::parse(datagram).err().unwrap_or(RtpError::PayloadType);
                self.counters.count_bad_rtp(reason);
            }
            (_, Channel::Rtcp) => {
                let reason = Compound::parse(datagram).err().unwrap_or(RtcpError::FirstPacket);
                self.counters.count_bad_rtcp(reason);
            }
        }
    }

    /// Takes an RTP (or SRTP) packet.
    pub fn handle_rtp(&mut self, now: Instant, packet: &mut [u8], from: SocketAddr) {
        if self.closed || !self.may_come_from(now, self.path.rtp, from) {
            self.counters.wrong_source =
                self.counters.wrong_source.saturating_add(u64::from(!self.closed));
            return;
        }
        let looks_plain = self.guard.is_srtp() && self.looks_like_plain_rtp(packet);
        let Some(plain) = self.open(Protocol::Rtp, packet, looks_plain) else { return };
        let rtp = match RtpPacket::parse(plain) {
            Ok(rtp) => rtp,
            Err(reason) => return self.counters.count_bad_rtp(reason),
        };
        let header = rtp.header;
        let Some(content) = self.unpack(&rtp) else { return };
        if same(self.path.signalled, from) {
            // Who is where the signalling says needs nobody to stand in: no other source latches
            // from now on, and one that has latched makes way.
            self.path.latch_until = None;
        }
        if header.ssrc == self.ssrc {
            self.collide(now);
        }
        let ahead = self.is_ahead(header.ssrc, header.sequence_number);
        let clock_rate = content.clock_rate.unwrap_or(8_000);
        if !self.follow(header.ssrc, header.sequence_number, clock_rate) {
            self.counters.out_of_sequence = self.counters.out_of_sequence.saturating_add(1);
            return;
        }
        self.accept(now, from, ahead);
        self.counters.packets_received = self.counters.packets_received.saturating_add(1);
        self.counters.bytes_received =
            self.counters.bytes_received.saturating_add(plain.len() as u64);
        self.take(now, header.sequence_number, header.timestamp, &content);
    }

    /// Takes what is in a packet of the peer.
    fn take(&mut self, now: Instant, sequence: u16, timestamp: u32, content: &Content<'_>) {
        if content.is_dtmf {
            self.note_fate(sequence, timestamp, None);
            let event = TelephoneEvent::parse(content.payload).ok();
            let digit = event.and_then(|e| self.dtmf.receive(timestamp, e));
            digit.into_iter().for_each(|d| {
                self.events.push(MediaEvent::Dtmf(d));
            });
            return;
        }
        if let (Some(remote), Some(clock_rate)) = (&mut self.remote, content.clock_rate) {
            remote.reception.set_clock_rate(clock_rate);
            remote.reception.arrived(now, timestamp);
        }
        if !self.direction.receives() {
            self.watch.pause_told = false;
            self.counters.while_held = self.counters.while_held.saturating_add(1);
            self.note_fate(sequence, timestamp, None);
            return;
        }
        let Content { payload_type, payload, .. } = *content;
        let insert = if content.is_noise {
            let of = (payload_type, COMFORT_NOISE_CLOCK);
            self.inbound.insert_pause(now, sequence, timestamp, of, payload)
        } else {
            self.inbound.insert(now, sequence, timestamp, payload_type, payload)
        };
        let told = u64::from(content.is_noise && insert.is_some());
        self.counters.comfort_noise_received =
            self.counters.comfort_noise_received.saturating_add(told);
        self.watch.pause_told = content.is_noise;
        self.note_fate(sequence, timestamp, insert);
        if insert.is_some() {
            self.recover(sequence, timestamp, content);
        }
    }

    /// What became of a packet, for the quality.
    fn note_fate(&mut self, sequence: u16, timestamp: u32, insert: Option<Insert>) {
        if let Some(remote) = &mut self.remote {
            remote.fates.arrived(sequence, timestamp, insert != Some(Insert::Late));
        }
    }

    /// Takes an RTCP (or SRTCP) packet.
    pub fn handle_rtcp(&mut self, now: Instant, packet: &mut [u8], from: SocketAddr) {
        if self.closed || !self.may_come_from(now, self.path.rtcp, from) {
            self.counters.wrong_source =
                self.counters.wrong_source.saturating_add(u64::from(!self.closed));
            return;
        }
        let looks_plain = self.guard.is_srtp() && Compound::parse(packet).is_ok();
        let Some(plain) = self.open(Protocol::Rtcp, packet, looks_plain) else { return };
        let compound = match Compound::parse(plain) {
            Ok(compound) => compound,
            Err(reason) => return self.counters.count_bad_rtcp(reason),
        };
        let known = self.remote.as_ref().map(|r| r.ssrc);
        let heard = self.control.handle(now, &compound, self.ssrc, known);
        if let Some(block) = heard.report {
            let loss = (u32::from(block.fraction_lost) * 100 / 256) as u8;
            self.outbound.hear_report(loss, self.control.rtt());
        }
        if !self.path.mux && self.guard.is_srtp() && self.path.lock != SourceLock::Signalled {
            self.path.rtcp = from;
        }
        // A peer that has told of a pause may say nothing else for as long as it likes.
        if self.watch.pause_told && !self.watch.reported {
            self.rewatch(now);
        }
        if self.breaker.has_recovered(now) && !self.closed {
            self.begin_sending(now);
            self.events.push(MediaEvent::SendingResumed);
        }
        if heard.report.is_some() {
            self.breaker.confirm();
        }
        if let Some(block) = heard.report.filter(|_| self.breaker_on) {
            let reason = self.breaker.report(now, &block, self.control.rtt());
            self.break_circuit(reason);
        }
        if heard.bye {
            self.guard.retire(known.unwrap_or(heard.ssrc));
            self.events.push(MediaEvent::RemoteBye);
        }
    }

    /// Before anything is decrypted: can a packet from there be taken at all?
    fn may_come_from(&self, now: Instant, expected: SocketAddr, from: SocketAddr) -> bool {
        if same(expected, from) {
            return true;
        }
        match self.path.lock {
            SourceLock::Signalled => false,
            SourceLock::Authenticated => self.guard.is_srtp(),
            SourceLock::LatchPlain(_) => {
                self.guard.is_srtp()
                    || same(self.path.signalled, from)
                    || self.path.latch_until.is_some_and(|until| now < until)
            }
        }
    }

    /// Authenticates and decrypts; counts what fails.
    fn open<'p>(
        &mut self,
        protocol: Protocol,
        packet: &'p mut [u8],
        looks_plain: bool,
    ) -> Option<&'p [u8]> {
        match self.guard.unprotect(protocol, packet) {
            Ok(len) => packet.get(..len),
            Err(reason) => {
                if let Some(count) = self.counters.refused.get_mut(reason.index()) {
                    *count = count.saturating_add(1);
                }
                let forged = matches!(reason, UnprotectError::AuthFailed)
                    || matches!(reason, UnprotectError::Unencrypted | UnprotectError::TooShort)
                    || reason == UnprotectError::UnknownMki;
                self.counters.plain_dropped =
                    self.counters.plain_dropped.saturating_add(u64::from(forged && looks_plain));
                None
            }
        }
    }

    /// A payload of whole 10 ms of audio, or of one event: SRTP would have a tag behind it.
    fn looks_like_plain_rtp(&self, packet: &[u8]) -> bool {
        RtpPacket::parse(packet).is_ok_and(|rtp| match rtp.payload.len() {
            TelephoneEvent::LEN => self.dtmf_receive.contains(&rtp.header.payload_type),
            n => n > 0 && n.is_multiple_of(80),
        })
    }

    /// Whether a packet is newer than all before of its source.
    fn is_ahead(&self, ssrc: u32, sequence: u16) -> bool {
        self.remote.as_ref().is_none_or(|r| {
            let highest = (r.reception.highest() & 0xffff) as u16;
            r.ssrc != ssrc || sequence.wrapping_sub(highest).cast_signed() > 0
        })
    }

    /// Keeps track of the peer's source; false if the packet is not to be believed yet.
    fn follow(&mut self, ssrc: u32, sequence: u16, clock_rate: u32) -> bool {
        if let Some(remote) = self.remote.as_mut().filter(|r| r.ssrc == ssrc) {
            let verdict = remote.reception.update(sequence);
            if verdict == Sequence::Restarted {
                self.inbound.reset();
            }
            return matches!(verdict, Sequence::Valid | Sequence::Restarted);
        }
        // Another source does not disturb the one that is heard until it is believed. An
        // authentic packet needs no probation.
        let min_sequential = if self.guard.is_srtp() { 1 } else { 2 };
        let candidate = match &mut self.candidate {
            Some(candidate) if candidate.ssrc == ssrc => candidate,
            other => other.insert(Remote {
                ssrc,
                reception: Reception::new(clock_rate, sequence, min_sequential),
                fates: FateHistory::new(clock_rate),
                lost_before: 0,
                heard_before: self.inbound.jitter().stats(),
            }),
        };
        if candidate.reception.update(sequence) != Sequence::Valid {
            return false;
        }
        let lost = self.remote.as_ref().map_or(0, Remote::lost);
        let heard_before = self.inbound.jitter().stats();
        let new = self.candidate.take();
        let new = new.map(|c| Remote { lost_before: lost, heard_before, ..c });
        if let Some(old) = core::mem::replace(&mut self.remote, new) {
            self.guard.retire(old.ssrc);
            self.inbound.reset();
            self.counters.ssrc_changes = self.counters.ssrc_changes.saturating_add(1);
            self.events.push(MediaEvent::SsrcChanged { old: old.ssrc, new: ssrc });
        }
        true
    }

    /// A packet of the peer is good: its source address is, too.
    fn accept(&mut self, now: Instant, from: SocketAddr, ahead: bool) {
        if ahead && !same(self.path.rtp, from) {
            let before = core::mem::replace(&mut self.path.rtp, from);
            if self.path.mux {
                self.path.rtcp = from;
            }
            self.events.push(MediaEvent::SourceChanged { from: before, to: from });
        }
        // The first one latches, the others cannot.
        self.path.latch_until = None;
        let first = self.counters.packets_received == 0;
        if let Some(remote) = self.remote.as_ref().filter(|_| first) {
            self.events.push(MediaEvent::FirstPacket { ssrc: remote.ssrc, from });
        }
        if self.watch.reported {
            self.events.push(MediaEvent::MediaResumed);
        }
        self.rewatch(now);
    }

    pub(super) fn rewatch(&mut self, now: Instant) {
        self.watch.reported = false;
        self.watch.deadline = now + self.watch.timeout;
        self.watch.before = self.counters;
    }

    /// The peer uses our SSRC: goodbye under the old one, and all counters of the sender reports
    /// start again under a new one (RFC 3550 §8.2).
    fn collide(&mut self, now: Instant) {
        if self.collisions >= MAX_COLLISIONS {
            return;
        }
        self.collisions = self.collisions.saturating_add(1);
        self.control.leave(self.sent());
        (self.sent_before, self.octets) = (self.counters.packets_sent, 0);
        self.ssrc = self.control.random().next_u32();
        if self.breaker.tripped().is_none() {
            self.begin_sending(now);
        }
        self.events.push(MediaEvent::SsrcCollision { new: self.ssrc });
    }

    /// What the packets that came instead of media were.
    pub(super) fn diagnose(&self) -> NoMediaReason {
        let (now, before) = (&self.counters, &self.watch.before);
        let more = |count: fn(&MediaStats) -> u64| count(now) > count(before);
        if more(|s| s.plain_dropped) {
            NoMediaReason::Plain
        } else if more(MediaStats::auth_failures) {
            NoMediaReason::WrongKeys
        } else if more(|s| s.wrong_source) {
            NoMediaReason::WrongSource
        } else if more(|s| s.unknown_payload_type) {
            NoMediaReason::WrongPayloadType
        } else if more(|s| s.malformed_rtp) || more(|s| s.out_of_sequence) {
            NoMediaReason::Malformed
        } else {
            NoMediaReason::Silence
        }
    }
}

/// The same address, whether or not IPv4 is written as IPv6.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

//! RTCP of one two-party session: when reports are due, what they say, what the peer's say
//! (RFC 3550 §6).

use crate::media::reception::Reception;
use crate::time::{Duration, Instant, UnixTime};
use crate::util::{RngExt, SeededRng};
use crate::wire::rtcp::{
    Compound, CompoundWriter, ReportBlock, RtcpPacket, RtcpWriteError, SenderInfo, VoipMetrics,
};

/// The minimum interval (RFC 3550 §6.2); with two parties the bandwidth never asks for more.
const INTERVAL_US: u64 = 5_000_000;
/// A round trip longer than this is nonsense.
const MAX_RTT: Duration = Duration::from_secs(60);

/// What the peer's RTCP told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The peer said goodbye.
    pub(super) bye: bool,
    /// The source that sent it.
    pub(super) ssrc: u32,
    /// What it reports about us.
    pub(super) report: Option<ReportBlock>,
}

#[derive(Debug)]
pub(super) struct Control {
    cname: String,
    rng: SeededRng,
    /// The wall clock at an instant.
    wall: (Instant, UnixTime),
    due: Instant,
    /// A report or goodbye waits to be written.
    pending: bool,
    /// The source that leaves, and what it sent in all.
    leaving: Option<Sent>,
    /// Middle of the NTP time of the peer's last report, and when it came.
    last_sr: Option<(u32, Instant)>,
    rtt: Option<Duration>,
    /// What the peer last said about us.
    remote: Option<ReportBlock>,
    /// How good we sound, as it last said.
    remote_voip: Option<VoipMetrics>,
    /// Packets sent at the time of the last two reports.
    sent_at_reports: [u64; 2],
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// What was sent under one SSRC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) ssrc: u32,
    pub(super) packets: u64,
    pub(super) octets: u64,
}

impl Control {
    pub(super) fn new(now: Instant, wall: UnixTime, cname: String, rng: SeededRng) -> Self {
        let mut control = Self {
            cname,
            rng,
            wall: (now, wall),
            due: now,
            pending: false,
            leaving: None,
            last_sr: None,
            rtt: None,
            remote: None,
            remote_voip: None,
            sent_at_reports: [0; 2],
            sent: 0,
            received: 0,
        };
        // The first report comes after half the interval.
        control.schedule(now, INTERVAL_US / 2);
        control
    }

    /// RFC 3550 §6.3.1: 0.5 to 1.5 times the interval at random, divided by e - 1.5.
    fn schedule(&mut self, now: Instant, interval_us: u64) {
        let half = interval_us / 2;
        let random = self.rng.below(u32::try_from(interval_us).unwrap_or(u32::MAX));
        let us = half.saturating_add(u64::from(random)).saturating_mul(100_000) / 121_828;
        self.due = now + Duration::from_micros(us);
    }

    pub(super) fn random(&mut self) -> &mut SeededRng {
        &mut self.rng
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    pub(super) fn remote(&self) -> Option<ReportBlock> {
        self.remote
    }

    pub(super) fn remote_voip(&self) -> Option<VoipMetrics> {
        self.remote_voip
    }

    pub(super) fn pending(&self) -> bool {
        self.pending
    }

    /// Nothing that waits is written any more.
    pub(super) fn fall_silent(&mut self) {
        self.pending = false;
    }

    /// The timer: a report becomes due.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if now >= self.due {
            self.pending = true;
            self.schedule(now, INTERVAL_US);
        }
    }

    /// A goodbye for this source leaves with the next packet.
    pub(super) fn leave(&mut self, source: Sent) {
        self.leaving = Some(source);
        self.pending = true;
    }

    fn ntp(&self, now: Instant) -> u64 {
        let (then, wall) = self.wall;
        (wall + (now - then)).to_ntp()
    }

    /// Writes the compound packet that waits, with the quality of what is received; returns its
    /// length.
    pub(super) fn write(
        &mut self,
        now: Instant,
        sent: Sent,
        timestamp: u32,
        received: Option<(u32, &mut Reception)>,
        voip: Option<VoipMetrics>,
        out: &mut [u8],
    ) -> Result<usize, RtcpWriteError> {
        self.pending = false;
        let block = received.map(|(ssrc, reception)| ReportBlock {
            ssrc,
            fraction_lost: reception.take_fraction_lost(),
            cumulative_lost: reception.lost(),
            highest_sequence: reception.highest(),
            jitter: reception.jitter(),
            last_sr: self.last_sr.map_or(0, |(mid, _)| mid),
            delay_since_last_sr: self.last_sr.map_or(0, |(_, at)| to_65536ths(now - at)),
        });
        let blocks = block.as_slice();
        let mut writer = CompoundWriter::new(out);
        let leaving = self.leaving.take();
        let current = sent.ssrc;
        let sent = leaving.unwrap_or(sent);
        let from = sent.ssrc;
        // RFC 3550 §6.4: a sender report if anything was sent since the second last report.
        let [_, second_last] = self.sent_at_reports;
        if sent.packets > second_last {
            let info = SenderInfo {
                ntp: self.ntp(now),
                rtp_timestamp: timestamp,
                // Both counters wrap, as the RFC says.
                packets: sent.packets as u32,
                octets: sent.octets as u32,
            };
            writer.sender_report(from, &info, blocks)?;
        } else {
            writer.receiver_report(from, blocks)?;
        }
        writer.cname(from, &self.cname)?;
        if let Some(voip) = voip {
            writer.voip_metrics(from, &[voip])?;
        }
        if leaving.is_some() {
            writer.goodbye(&[from], "")?;
        }
        let [last, _] = self.sent_at_reports;
        // A source that follows another one counts from 0 (RFC 3550 §6.4.1).
        self.sent_at_reports = if from == current { [sent.packets, last] } else { [0; 2] };
        self.sent = self.sent.saturating_add(1);
        writer.finish()
    }

    /// Takes a compound packet of the peer.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        compound: &Compound<'_>,
        local_ssrc: u32,
        remote_ssrc: Option<u32>,
    ) -> Heard {
        self.received = self.received.saturating_add(1);
        let mut heard = Heard { bye: false, ssrc: compound.sender_ssrc(), report: None };
        for packet in compound.iter() {
            match packet {
                RtcpPacket::SenderReport { ssrc, info, reports } => {
                    if remote_ssrc.is_none_or(|known| known == ssrc) {
                        self.last_sr = Some(((info.ntp >> 16) as u32, now));
                    }
                    heard.report = heard.report.or(reports.on(local_ssrc));
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    heard.report = heard.report.or(reports.on(local_ssrc));
                }
                RtcpPacket::ExtendedReport(report) => {
                    self.remote_voip = report.voip_metrics_on(local_ssrc).or(self.remote_voip);
                }
                RtcpPacket::Goodbye(goodbye) => {
                    let ours = |ssrc: u32| remote_ssrc.is_none_or(|known| known == ssrc);
                    heard.bye |= goodbye.ssrcs().any(ours);
                }
                _ => {}
            }
        }
        if let Some(block) = heard.report {
            self.report(now, block);
        }
        heard
    }

    fn report(&mut self, now: Instant, block: ReportBlock) {
        self.remote = Some(block);
        if block.last_sr == 0 {
            return;
        }
        // RFC 3550 §6.4.1: arrival minus LSR minus DLSR, in 65536ths of a second modulo 2^32.
        let mid = (self.ntp(now) >> 16) as u32;
        let trip = mid.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
        let us = u64::from(trip).saturating_mul(1_000_000) >> 16;
        // A difference just below zero comes from rounding.
        let trip = if trip > u32::MAX / 2 { Duration::ZERO } else { Duration::from_micros(us) };
        if trip < MAX_RTT {
            self.rtt = Some(trip);
        }
    }
}

fn to_65536ths(d: Duration) -> u32 {
    let units = d.as_micros().saturating_mul(65_536) / 1_000_000;
    u32::try_from(units).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(seed: u64) -> Control {
        let wall = UnixTime::from_secs(1_700_000_000);
        Control::new(Instant::from_millis(500), wall, "abc".into(), SeededRng::new(seed))
    }

    fn sent(packets: u64) -> Sent {
        Sent { ssrc: 7, packets, octets: packets.saturating_mul(160) }
    }

    #[test]
    fn intervals_are_randomised_within_their_bounds() {
        for seed in 0..50 {
            let mut c = control(seed);
            let first = c.due() - Instant::from_millis(500);
            assert!((1_026..=3_079).contains(&first.as_millis()), "{first:?}");
            let now = c.due();
            c.handle_timeout(now);
            assert!(c.pending());
            let next = c.due() - now;
            assert!((2_052..=6_157).contains(&next.as_millis()), "{next:?}");
        }
    }

    #[test]
    fn two_reports_measure_the_round_trip() {
        let (mut a, mut b) = (control(1), control(2));
        let mut buf = [0; 200];
        let t = |ms| Instant::from_millis(ms);
        let mut reception = Reception::new(8_000, 5, 1);
        reception.update(5);
        let n = a.write(t(1_000), sent(10), 99, None, None, &mut buf).unwrap();
        b.handle(t(1_040), &Compound::parse(&buf[..n]).unwrap(), 8, Some(7));
        let n = b.write(t(3_000), sent(0), 99, Some((7, &mut reception)), None, &mut buf).unwrap();
        a.handle(t(3_060), &Compound::parse(&buf[..n]).unwrap(), 7, Some(8));
        let rtt = a.rtt().unwrap().as_millis();
        assert!((99..=101).contains(&rtt), "{rtt}");
        assert_eq!(a.remote().unwrap().highest_sequence, 5);
    }

    #[test]
    fn who_stops_sending_reports_as_a_receiver_and_leaves_with_a_goodbye() {
        let mut c = control(1);
        let mut buf = [0; 200];
        let mut kind = |c: &mut Control| {
            let n = c.write(Instant::from_millis(900), sent(3), 99, None, None, &mut buf).unwrap();
            let compound = Compound::parse(&buf[..n]).unwrap();
            let bye = compound.iter().any(|p| matches!(p, RtcpPacket::Goodbye(_)));
            (matches!(compound.iter().next(), Some(RtcpPacket::SenderReport { .. })), bye)
        };
        assert_eq!([kind(&mut c), kind(&mut c)], [(true, false), (true, false)]);
        assert_eq!(kind(&mut c), (false, false));
        c.leave(sent(3));
        assert_eq!(kind(&mut c), (false, true));
        assert_eq!(kind(&mut c), (false, false));
    }
}

//! The circuit breakers of RFC 8083: a sender stops when it harms the network, or when nobody can
//! tell whether it does.
#![deny(clippy::arithmetic_side_effects)]

use crate::time::{Duration, Instant};
use crate::wire::rtcp::ReportBlock;

/// Td: the deterministic interval between RTCP packets of two parties (RFC 3550 §6.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// Without a report on us for three intervals, the sender stops (§4.1).
const RTCP_TIMEOUT: Duration = Duration::from_secs(15);
/// k of §4.2: reports in a row that show nothing new.
const MEDIA_REPORTS: u32 = 5;
/// Reports that are averaged at most.
const HISTORY: usize = 32;
/// Shorter intervals between reports than this say nothing of how often the peer reports.
const SHORTEST: Duration = Duration::from_millis(100);

/// Why a sender stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerReason {
    /// The peer reported before, and has not reported on what we send for 15 s (§4.1).
    #[error("the far end's reports fail to come")]
    RtcpTimeout,
    /// The peer reports again and again that nothing of what we send arrives (§4.2).
    #[error("nothing of what is sent arrives")]
    MediaTimeout,
    /// What we send is more than ten times what TCP would send over this path (§4.3).
    #[error("the network is congested")]
    Congestion,
}

/// One report on us.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    /// Share lost, in 256ths.
    fraction: u8,
    /// Time since the report before.
    interval: Duration,
}

/// Watches one stream that we send. It tells when to stop once; whoever sends does so.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    sending: bool,
    tripped: Option<(BreakerReason, Instant)>,
    /// When the watch began, or the last report on us came.
    heard: Instant,
    /// The peer has shown that it reports on us. Before, the RTCP timeout would stop calls to
    /// those who never report (RFC 8083 §4).
    confirmed: bool,
    /// Highest sequence number in the last report.
    highest: Option<u32>,
    /// Reports in a row that show nothing new, and how many of them are too many.
    silent: u32,
    patience: u32,
    reports: [Report; HISTORY],
    /// How many of them count, the newest first.
    filled: usize,
    /// Packets and bytes sent since the last report.
    sent: (u64, u64),
}

impl CircuitBreaker {
    /// A breaker for a stream that is not sent yet.
    pub const fn new(now: Instant) -> Self {
        Self {
            sending: false,
            tripped: None,
            heard: now,
            confirmed: false,
            highest: None,
            silent: 0,
            patience: MEDIA_REPORTS,
            reports: [Report { fraction: 0, interval: Duration::ZERO }; HISTORY],
            filled: 0,
            sent: (0, 0),
        }
    }

    /// Begins anew: sending begins or ends, under another source or over another path. A breaker
    /// that had stopped is closed again.
    pub fn restart(&mut self, now: Instant, sending: bool) {
        *self = Self { confirmed: self.confirmed, sending, ..Self::new(now) };
    }

    /// Why sending was stopped.
    pub fn tripped(&self) -> Option<BreakerReason> {
        self.tripped.map(|(reason, _)| reason)
    }

    /// Sending may be tried again over the same path: a stop lasts 15 s at least (§4.5).
    pub fn may_restart(&self, now: Instant) -> bool {
        self.tripped.is_none_or(|(_, at)| now - at >= RTCP_TIMEOUT)
    }

    /// The peer is heard from again after its reports had failed to come, and the stop has lasted for
    /// long enough: what was wrong with the path is over, as far as one can tell (§4.5).
    pub fn has_recovered(&self, now: Instant) -> bool {
        self.tripped() == Some(BreakerReason::RtcpTimeout) && self.may_restart(now)
    }

    /// A packet of so many bytes was sent.
    pub const fn sent(&mut self, bytes: usize) {
        let (packets, all) = self.sent;
        self.sent = (packets.saturating_add(1), all.saturating_add(bytes as u64));
    }

    /// The peer reports on us: from now on its silence means something.
    pub const fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// When [`handle_timeout`](Self::handle_timeout) has work.
    pub fn next_timeout(&self) -> Option<Instant> {
        let armed = self.sending && self.confirmed && self.tripped.is_none();
        armed.then(|| self.heard + RTCP_TIMEOUT)
    }

    /// Looks at the time; gives the reason to stop, once.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<BreakerReason> {
        self.next_timeout().filter(|at| now >= *at)?;
        self.trip(now, BreakerReason::RtcpTimeout)
    }

    fn trip(&mut self, now: Instant, reason: BreakerReason) -> Option<BreakerReason> {
        self.tripped = Some((reason, now));
        Some(reason)
    }

    /// The peer reports on what we send; gives the reason to stop, once.
    pub fn report(
        &mut self,
        now: Instant,
        block: &ReportBlock,
        round_trip: Option<Duration>,
    ) -> Option<BreakerReason> {
        self.confirmed = true;
        let interval = now - core::mem::replace(&mut self.heard, now);
        let (packets, bytes) = core::mem::take(&mut self.sent);
        if !self.sending || self.tripped.is_some() {
            return None;
        }
        let before = self.highest.replace(block.highest_sequence);
        // Nothing was sent that could have arrived: the report says nothing of the path.
        if packets == 0 {
            return None;
        }
        let peer = self.peer_interval(interval);
        let between = interval.checked_div(u32::try_from(packets).unwrap_or(u32::MAX));
        let between = between.unwrap_or(Duration::ZERO);
        let trip = round_trip.unwrap_or(Duration::ZERO);
        if before.is_none_or(|before| advanced(before, block.highest_sequence)) {
            (self.silent, self.patience) = (0, media_timeout(between, trip, peer));
        } else {
            self.silent = self.silent.saturating_add(1);
            self.patience = self.patience.max(media_timeout(between, trip, peer));
            if self.silent >= self.patience {
                return self.trip(now, BreakerReason::MediaTimeout);
            }
        }
        self.remember(Report { fraction: block.fraction_lost, interval });
        if interval.is_zero() || between > peer.max(trip) {
            return None;
        }
        let rate = bytes as f64 / interval.as_secs_f64();
        let size = bytes as f64 / packets as f64;
        let reports = cb_interval(between, trip, peer);
        let lost = self.average_loss(reports)?;
        // Without a round trip there is no estimate of what TCP would do.
        let allowed = tcp_throughput(size, round_trip?, lost)?;
        if rate > 10.0 * allowed { self.trip(now, BreakerReason::Congestion) } else { None }
    }

    /// Tdr: how often the peer reports, at most every 5 s.
    fn peer_interval(&self, last: Duration) -> Duration {
        let known = self.reports.iter().take(self.filled).map(|r| r.interval);
        let (sum, n) = known.chain([last]).fold((Duration::ZERO, 0u32), |(sum, n), interval| {
            (sum.saturating_add(interval), n.saturating_add(1))
        });
        sum.checked_div(n).unwrap_or(INTERVAL).clamp(SHORTEST, INTERVAL)
    }

    fn remember(&mut self, report: Report) {
        self.reports.rotate_right(1);
        if let Some(first) = self.reports.first_mut() {
            *first = report;
        }
        self.filled = self.filled.saturating_add(1).min(HISTORY);
    }

    /// The share lost over the last so many intervals, weighted by their lengths; `None` before
    /// more reports than that have come.
    fn average_loss(&self, reports: usize) -> Option<f64> {
        if self.filled <= reports {
            return None;
        }
        let last = || self.reports.iter().take(reports);
        let whole: f64 = last().map(|r| r.interval.as_secs_f64()).sum();
        let lost: f64 =
            last().map(|r| f64::from(r.fraction) / 256.0 * r.interval.as_secs_f64()).sum();
        (whole > 0.0).then(|| lost / whole)
    }
}

/// The highest sequence number has moved on.
fn advanced(before: u32, now: u32) -> bool {
    now.wrapping_sub(before).cast_signed() > 0
}

/// How many times `b` goes into `a`, rounded up.
fn ceil_of(a: Duration, b: Duration) -> u32 {
    let times = a.as_micros().div_ceil(b.as_micros().max(1));
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// MEDIA_TIMEOUT of §4.2, in reports.
fn media_timeout(between: Duration, round_trip: Duration, peer: Duration) -> u32 {
    ceil_of(between.max(round_trip).max(peer).saturating_mul(MEDIA_REPORTS), peer)
}

/// CB_INTERVAL of §4.3, in reports; a frame is a group of its own (G = 1).
fn cb_interval(between: Duration, round_trip: Duration, peer: Duration) -> usize {
    let slow = between.max(round_trip).saturating_mul(10).max(peer.saturating_mul(3));
    let limit = Duration::from_secs(15).max(INTERVAL.saturating_mul(3));
    let reports = ceil_of(slow.min(limit), peer);
    usize::try_from(reports).unwrap_or(usize::MAX).min(HISTORY.saturating_sub(1))
}

/// What TCP would send with packets of `size` bytes, in bytes per second: the simplified equation
/// of §4.3, with b = 1. `None` if nothing limits it.
fn tcp_throughput(size: f64, round_trip: Duration, lost: f64) -> Option<f64> {
    let slowness = round_trip.as_secs_f64() * (2.0 * lost / 3.0).sqrt();
    (slowness > 0.0).then(|| size / slowness)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)] // overflow fails the test
mod tests {
    use super::*;

    fn t(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn block(highest: u32, fraction_lost: u8) -> ReportBlock {
        ReportBlock { highest_sequence: highest, fraction_lost, ..ReportBlock::default() }
    }

    /// Sends 50 packets of 200 bytes a second; reports come at this distance, each advancing
    /// by `step`. Gives the reason and the number of the report that stopped it.
    fn run(every_ms: u64, step: u32, lost: u8, round_trip_ms: u64) -> Option<(BreakerReason, u32)> {
        let mut breaker = CircuitBreaker::new(t(0));
        breaker.restart(t(0), true);
        (1..=40u32).find_map(|n| {
            (0..every_ms / 20).for_each(|_| breaker.sent(200));
            let now = t(u64::from(n) * every_ms);
            assert_eq!(breaker.handle_timeout(now), None);
            let rtt = Some(Duration::from_millis(round_trip_ms));
            breaker.report(now, &block(n.saturating_mul(step), lost), rtt).map(|why| (why, n))
        })
    }

    #[test]
    fn without_reports_for_15_s_it_stops_once_and_only_if_the_peer_knows_rtcp() {
        let mut breaker = CircuitBreaker::new(t(0));
        breaker.restart(t(0), true);
        assert_eq!((breaker.next_timeout(), breaker.handle_timeout(t(3_000))), (None, None));
        breaker.sent(200);
        assert_eq!(breaker.report(t(4_000), &block(1, 0), None), None);
        assert_eq!(breaker.handle_timeout(t(18_999)), None);
        assert_eq!(breaker.handle_timeout(t(19_000)), Some(BreakerReason::RtcpTimeout));
        assert_eq!(breaker.tripped(), Some(BreakerReason::RtcpTimeout));
        assert_eq!((breaker.next_timeout(), breaker.handle_timeout(t(60_000))), (None, None));
        assert!(!breaker.may_restart(t(33_999)) && breaker.may_restart(t(34_000)));
        assert!(!breaker.has_recovered(t(33_999)) && breaker.has_recovered(t(34_000)));
        breaker.restart(t(60_000), true);
        assert!(!breaker.has_recovered(t(60_000)));
        assert_eq!((breaker.tripped(), breaker.next_timeout()), (None, Some(t(75_000))));
        // Who does not send is not watched.
        breaker.restart(t(61_000), false);
        assert_eq!(breaker.next_timeout(), None);
    }

    #[test]
    fn five_reports_in_a_row_without_progress_stop_it() {
        // The first report has nothing to be compared with.
        assert_eq!(run(5_000, 0, 0, 50), Some((BreakerReason::MediaTimeout, 6)));
        assert_eq!(run(1_000, 0, 0, 50), Some((BreakerReason::MediaTimeout, 6)));
        // A round trip longer than the interval of the reports gives it more time.
        assert_eq!(run(1_000, 0, 0, 3_000), Some((BreakerReason::MediaTimeout, 16)));
        assert_eq!(run(5_000, 250, 0, 50), None);
    }

    #[test]
    fn ten_times_what_tcp_would_send_is_too_much() {
        // 10 % lost: TCP would send s / (Tr * sqrt(0.2 / 3)) = 3.87 / Tr packets a second, and a
        // tenth of 50 is reached at Tr = 0.775 s.
        assert_eq!(run(5_000, 200, 26, 700), None);
        assert_eq!(run(5_000, 200, 26, 850), Some((BreakerReason::Congestion, 4)));
        // Half of it lost: at 0.346 s.
        assert_eq!(run(5_000, 100, 128, 330), None);
        assert_eq!(run(5_000, 100, 128, 360), Some((BreakerReason::Congestion, 4)));
        // A peer that reports often waits for ten round trips.
        assert_eq!(run(500, 10, 128, 360), Some((BreakerReason::Congestion, 9)));
        // Voice over an ordinary path may lose a lot.
        assert_eq!(run(5_000, 100, 128, 100), None);
    }

    #[test]
    fn what_was_not_sent_cannot_arrive() {
        let mut breaker = CircuitBreaker::new(t(0));
        breaker.restart(t(0), true);
        for n in 1..20 {
            assert_eq!(breaker.report(t(n * 5_000), &block(7, 255), None), None);
        }
        assert!(advanced(u32::MAX, 3) && !advanced(3, 3) && !advanced(3, u32::MAX));
    }
}

//! dimpl's settings, its instances and its time.
#![allow(clippy::disallowed_types)]

use std::sync::Arc;

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output};

use super::provider::provider;
use super::{DtlsRole, DtlsVersions, records};
use crate::time::{Duration, Instant};

/// What dimpl takes for time.
pub(super) type DimplTime = std::time::Instant;

/// The largest datagram that we send: fits through any tunnel.
const MTU: usize = 1_200;
/// The first retransmission, doubled each time. RFC 6347 §4.2.4.1 has 1 s; a media path is
/// interactive, and RFC 9147 §5.8.2 allows less for such.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(150);
/// The longest pause between two retransmissions: doubling without end would leave a lossy path
/// too few tries. dimpl has no such limit, see [`Clock::skip_to`].
const LONGEST_PAUSE: Duration = Duration::from_millis(1_600);
/// Retransmissions of one flight: enough for [`HANDSHAKE_TIMEOUT`] to decide.
const RETRANSMISSIONS: usize = 25;
/// The longest handshake, from the first ClientHello (passive: from the returned cookie).
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// dimpl's own limit, which we do not use.
const NO_TIMEOUT: Duration = Duration::from_secs(3_650 * 24 * 3600);
/// Records that wait for a missing one, and datagrams that wait to be polled.
const QUEUE: usize = 30;
/// dimpl says "in ten years" where it has no timer; no session lives for half of this.
const NO_TIMER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The settings of one session; to be called while a generator and a key are lent, because
/// dimpl tries the provider out.
pub(super) fn settings(seed: u64) -> Result<Arc<Config>, Error> {
    let config = Config::builder()
        .with_crypto_provider(provider())
        .dangerously_set_rng_seed(seed)
        .mtu(MTU)
        .max_queue_rx(QUEUE)
        .max_queue_tx(QUEUE)
        .flight_start_rto(FIRST_RETRANSMISSION)
        .flight_retries(RETRANSMISSIONS)
        .handshake_timeout(NO_TIMEOUT)
        .build()?;
    Ok(Arc::new(config))
}

/// Makes an instance of dimpl; to be called while a generator and a key are lent.
pub(super) fn instance(
    config: &Arc<Config>,
    role: DtlsRole,
    versions: DtlsVersions,
    certificate: &[u8],
    now: DimplTime,
) -> Dtls {
    let certificate =
        DtlsCertificate { certificate: certificate.to_vec(), private_key: b"lent".to_vec() };
    let new = match versions {
        DtlsVersions::All => Dtls::new_auto,
        DtlsVersions::Only12 => Dtls::new_12,
        DtlsVersions::Only13 => Dtls::new_13,
    };
    let mut dtls = new(config.clone(), certificate, now);
    dtls.set_active(role == DtlsRole::Active);
    dtls
}

/// What the hello of a DTLS 1.2 client that is made at this instant says of the time; to be called
/// while a generator and a key are lent.
pub(super) fn written_time(
    config: &Arc<Config>,
    certificate: &[u8],
    at: DimplTime,
    buffer: &mut [u8],
) -> Option<u32> {
    let mut dtls = instance(config, DtlsRole::Active, DtlsVersions::Only12, certificate, at);
    dtls.handle_timeout(at).ok()?;
    let Output::Packet(hello) = dtls.poll_output(buffer) else { return None };
    let random = records::client_hello_random(hello)?;
    random.first_chunk().map(|seconds| u32::from_be_bytes(*seconds))
}

/// The engine's time in dimpl's type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: DimplTime,
    start: Instant,
    skipped: Duration,
}

impl Clock {
    /// A clock that shows `start`. `std::time::Instant` has no other constructor than the
    /// operating system's clock; what it showed never matters.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn new(start: Instant) -> Self {
        Self { origin: DimplTime::now(), start, skipped: Duration::ZERO }
    }

    /// Moves the origin to where dimpl writes `seconds` for the wall clock's seconds, at their
    /// beginning. It derives what it writes into the hellos of DTLS 1.2 from an instant by a
    /// constant that it keeps to itself; `written` tries an instant out. Unchanged if that fails.
    pub(super) fn align(
        &mut self,
        seconds: u32,
        mut written: impl FnMut(DimplTime) -> Option<u32>,
    ) -> Option<()> {
        let first = written(self.origin)?;
        // The next second begins behind `low`, and at `high` at the latest. Our time has whole
        // microseconds, so that a smaller error shows nowhere.
        let (mut low, mut high) = (Duration::ZERO, Duration::from_secs(1));
        while high.saturating_sub(low) > Duration::from_nanos(400) {
            let middle = low.saturating_add(high).checked_div(2)?;
            match written(self.origin.checked_add(middle)?)? == first {
                true => low = middle,
                false => high = middle,
            }
        }
        // The seconds wrap; the way ahead is always open, the one back might not be.
        let ahead = seconds.wrapping_sub(first.wrapping_add(1));
        let ahead = high.saturating_add(Duration::from_secs(ahead.into()));
        self.origin = self.origin.checked_add(ahead)?;
        Some(())
    }

    pub(super) fn to_std(self, now: Instant) -> DimplTime {
        let elapsed = now.duration_since(self.start).saturating_add(self.skipped).min(NO_TIMER);
        self.origin.checked_add(elapsed).unwrap_or(self.origin)
    }

    /// When to wake dimpl up that asks for `at`: then, or after the longest pause; `None` if it
    /// means "never". Called when dimpl has the time: what is due even so, dimpl does not act on,
    /// and waking it up at once would never end.
    pub(super) fn timer(self, at: DimplTime, now: Instant) -> Option<Instant> {
        let after = at.saturating_duration_since(self.to_std(now));
        // Up to the next whole microsecond.
        let pause = match after {
            Duration::ZERO => LONGEST_PAUSE,
            _ => after.saturating_add(Duration::from_micros(1)).min(LONGEST_PAUSE),
        };
        (after < NO_TIMER / 2).then_some(now + pause)
    }

    /// Lets dimpl believe that it is `at` already.
    pub(super) fn skip_to(&mut self, at: DimplTime, now: Instant) {
        let ahead = at.saturating_duration_since(self.to_std(now));
        self.skipped = self.skipped.saturating_add(ahead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_finds_the_beginning_of_the_second_that_is_asked_for() {
        let start = Instant::from_millis(500);
        for (offset, seconds) in [(0, 7), (1, 0), (999_999_999, u32::MAX), (123_456_789, 1)] {
            let mut clock = Clock::new(start);
            let zero = clock.origin - Duration::from_nanos(offset);
            let written = |at: DimplTime| u32::try_from((at - zero).as_secs() & 0xffff_ffff).ok();
            clock.align(seconds, written).unwrap();
            let shown = |micros| written(clock.to_std(Instant::from_micros(micros)));
            assert_eq!(shown(500_000), Some(seconds));
            assert_eq!(shown(1_499_999), Some(seconds));
            assert_eq!(shown(1_500_000), Some(seconds.wrapping_add(1)));
            let again = clock.origin;
            assert_eq!(clock.align(9, |_| None), None);
            assert_eq!(clock.origin, again);
        }
    }

    #[test]
    fn pauses_are_cut_short_and_never_is_none() {
        let (start, later) = (Instant::from_millis(500), Instant::from_millis(1_500));
        let mut clock = Clock::new(start);
        let at = |millis| clock.origin + Duration::from_millis(millis);
        let (soon, late, never) = (at(1_100), at(9_000), at(0) + NO_TIMEOUT);
        assert_eq!(clock.to_std(later), at(1_000));
        assert_eq!(clock.timer(soon, later), Some(Instant::from_micros(1_600_001)));
        assert_eq!(clock.timer(late, later), Some(Instant::from_millis(3_100)));
        assert_eq!(clock.timer(never, later), None);
        assert_eq!(clock.timer(at(1_000), later), Some(Instant::from_millis(3_100)));
        clock.skip_to(late, Instant::from_millis(3_100));
        assert_eq!(clock.to_std(Instant::from_millis(3_100)), late);
        clock.skip_to(soon, Instant::from_millis(3_100));
        assert_eq!(clock.to_std(Instant::from_millis(3_100)), late);
    }
}

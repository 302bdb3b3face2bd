//! dimpl's settings, and its instances.

use std::sync::Arc;
use std::time;

use dimpl::{Config, Dtls, DtlsCertificate, Error};

use super::provider::provider;
use super::{DtlsRole, DtlsVersions};
use crate::time::{Duration, Instant};

/// The largest datagram that we send: fits through any tunnel.
const MTU: usize = 1_200;
/// The first retransmission, doubled each time. RFC 6347 §4.2.4.1 has 1 s; a media path is
/// interactive, and RFC 9147 §5.8.2 allows less for such.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(200);
/// Retransmissions of one flight: the last one 25 s after the first transmission.
const RETRANSMISSIONS: usize = 7;
/// The longest handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Records that wait for a missing one, and datagrams that wait to be polled.
const QUEUE: usize = 30;
/// dimpl says "in ten years" where it has no timer.
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
        .handshake_timeout(HANDSHAKE_TIMEOUT)
        .build()?;
    Ok(Arc::new(config))
}

/// Makes an instance of dimpl; to be called while a generator and a key are lent.
pub(super) fn instance(
    config: &Arc<Config>,
    role: DtlsRole,
    versions: DtlsVersions,
    certificate: &[u8],
    now: time::Instant,
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

/// The engine's time in dimpl's type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: time::Instant,
    start: Instant,
}

impl Clock {
    /// A clock that shows `start`. `std::time::Instant` has no other constructor than the
    /// operating system's clock; what it showed never matters.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn new(start: Instant) -> Self {
        Self { origin: time::Instant::now(), start }
    }

    pub(super) fn to_std(self, now: Instant) -> time::Instant {
        let elapsed = now.duration_since(self.start).min(NO_TIMER);
        self.origin.checked_add(elapsed).unwrap_or(self.origin)
    }

    /// A timer of dimpl's, rounded up to the next microsecond; `None` if it means "never".
    pub(super) fn timer(self, at: time::Instant, now: Instant) -> Option<Instant> {
        let after = at.saturating_duration_since(self.origin);
        let at = self.start + after + Duration::from_micros(1);
        (at.duration_since(now) < NO_TIMER).then_some(at)
    }
}

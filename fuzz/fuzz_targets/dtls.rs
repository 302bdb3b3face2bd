//! Two DTLS-SRTP sessions whose datagrams are dropped, repeated, damaged or joined by forged ones,
//! as the input says: no panic, no keys that differ, no keys for a certificate that was not
//! announced; then the parsers of what signalling and the host give.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use subrosa::crypto::dtls::{
    DtlsIdentity, DtlsRole, DtlsSession, DtlsState, DtlsVersions, Fingerprint, FingerprintHash,
    Fingerprints,
};
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;

static IDENTITIES: LazyLock<[DtlsIdentity; 2]> = LazyLock::new(|| {
    [1, 2].map(|seed| {
        let now = UnixTime::from_secs(1_800_000_000);
        DtlsIdentity::generate(now, &mut SeededRng::new(seed)).expect("an identity")
    })
});

fn end(role: DtlsRole, versions: DtlsVersions, own: usize, wrong: bool) -> DtlsSession {
    let peer = if wrong { own } else { 1 - own };
    let expected: Fingerprints = IDENTITIES[peer].fingerprint(FingerprintHash::Sha256).into();
    let mut rng = SeededRng::new(own as u64);
    DtlsSession::new(role, versions, &IDENTITIES[own], Some(expected), Instant::ZERO, &mut rng)
}

fuzz_target!(|data: &[u8]| {
    let Some((&[first, kind], mut rest)) = data.split_first_chunk::<2>() else { return };
    if let Ok(text) = core::str::from_utf8(rest) {
        if let Ok(fingerprint) = Fingerprint::parse(text) {
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Ok(fingerprint));
        }
        let _ = Fingerprints::parse_all(text.lines());
    }
    let _ = DtlsIdentity::import(rest);
    let _ = DtlsIdentity::import(&[b"SRDI\x01", rest].concat());

    let versions =
        [DtlsVersions::All, DtlsVersions::Only12, DtlsVersions::Only13][usize::from(first % 3)];
    let wrong = kind & 1 == 1;
    let mut ends = [
        end(DtlsRole::Active, versions, 0, wrong),
        end(DtlsRole::Passive, if kind & 2 == 0 { DtlsVersions::All } else { versions }, 1, false),
    ];
    let mut now = Instant::ZERO;
    let mut buf = [0; 1_200];
    for _ in 0..40 {
        now += Duration::from_millis(20);
        for from in 0..2 {
            while let Some(len) = ends[from].poll_output(&mut buf) {
                let (&action, after) = rest.split_first().unwrap_or((&0, &[]));
                rest = after;
                let to = &mut ends[1 - from];
                let mut datagram = buf[..len].to_vec();
                match action % 8 {
                    0..=2 => {}
                    3 => continue,
                    4 => to.handle_datagram(now, &datagram),
                    5 => {
                        let take = rest.len().min(usize::from(action) * 2);
                        let (forged, after) = rest.split_at(take);
                        rest = after;
                        to.handle_datagram(now, forged);
                    }
                    action => {
                        if let Some((&[hi, lo, with], after)) = rest.split_first_chunk::<3>() {
                            rest = after;
                            let at = usize::from(u16::from_be_bytes([hi, lo])) % datagram.len();
                            let mut damaged = datagram.clone();
                            damaged[at] ^= with;
                            if action == 6 {
                                datagram = damaged;
                            } else {
                                to.handle_datagram(now, &damaged);
                            }
                        }
                    }
                }
                to.handle_datagram(now, &datagram);
            }
        }
        if rest.is_empty() && ends.iter().all(|end| end.next_timeout().is_none()) {
            break;
        }
        ends.iter_mut().for_each(|end| end.handle_timeout(now));
    }
    if let [DtlsState::Established { keys: a, .. }, DtlsState::Established { keys: b, .. }] =
        [ends[0].state(), ends[1].state()]
    {
        assert_eq!((a.send(), a.receive()), (b.receive(), b.send()));
    }
    assert!(!(wrong && matches!(ends[0].state(), DtlsState::Established { .. })));
});

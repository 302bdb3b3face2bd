//! The memory of peers from bytes: no panic, bounded, and what is taken is exactly an export; then
//! calls with peers whose addresses the input chooses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::crypto::dtls::{Fingerprint, FingerprintHash};
use subrosa::engine::{PeerMemory, SecurityLevel};
use subrosa::time::UnixTime;

fuzz_target!(|data: &[u8]| {
    let imported = PeerMemory::import(data);
    if let Ok(memory) = &imported {
        assert_eq!(memory.export(), data);
    }
    let mut memory = imported.unwrap_or_default();
    let text = String::from_utf8_lossy(data);
    for (line, secs) in text.lines().zip(0..) {
        let (now, shown) =
            (UnixTime::from_secs(secs), Fingerprint::of(FingerprintHash::Sha256, line.as_bytes()));
        let was = memory.is_confirmed(line, &shown);
        let verdict = memory.note(line, SecurityLevel::EncryptedUnauthenticated, Some(&shown), now);
        assert_eq!(verdict.verified, was);
        if secs % 2 == 0 {
            assert!(memory.confirm(line, &shown, now));
            assert!(memory.is_confirmed(line, &shown));
        }
        assert!(memory.len() <= PeerMemory::MAX);
    }
    assert_eq!(PeerMemory::import(&memory.export()), Ok(memory));
});

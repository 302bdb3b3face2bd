//! Arbitrary bytes at a receiver: never accepted, no source appears. Then the same bytes as the
//! payload of an authentic packet: they come out as they went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::RtpHeaderFields;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let suite = Suite::ALL[usize::from(*choice) % Suite::ALL.len()];
    let key = MasterKey::generate(suite, &mut SeededRng::new(1));
    let mut receiver = SrtpReceiver::new(&key).expect("a key");
    receiver.accept_unencrypted_rtcp(*choice & 0x80 != 0);
    assert!(receiver.unprotect_rtp(&mut data.to_vec()).is_err());
    assert!(receiver.unprotect_rtcp(&mut data.to_vec()).is_err());
    assert_eq!(receiver.live_ssrcs().count(), 0);

    let mut buffer = vec![0; data.len() + 64];
    let Ok(len) = RtpHeaderFields::default().write_packet(data, 0, &mut buffer) else { return };
    let clear = buffer[..len].to_vec();
    let mut sender = SrtpSender::new(&key).expect("a key");
    if let Ok(egress) = sender.protect_rtp(&mut buffer, len) {
        let mut wire = egress.bytes().to_vec();
        assert_eq!(receiver.unprotect_rtp(&mut wire).expect("authentic"), clear);
    }
});

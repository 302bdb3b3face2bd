//! Protecting and unprotecting a packet allocates nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/counting.rs"]
mod counting;

use counting::allocations;
use subrosa::crypto::srtp::{
    KeyInfo, KeySet, MasterKey, MasterKeyId, SrtpReceiver, SrtpSender, Suite,
};
use subrosa::util::SeededRng;
use subrosa::wire::{rtcp::CompoundWriter, rtp::RtpHeaderFields};

#[test]
fn packets_allocate_nothing_not_even_the_first_of_a_source() {
    for suite in Suite::ALL {
        let key = MasterKey::generate(suite, &mut SeededRng::new(3));
        let mut sender = SrtpSender::new(&key).unwrap();
        let mut receiver = SrtpReceiver::new(&key).unwrap();
        let mut buffer = [0; 300];
        let before = allocations();
        for sequence_number in 0..100 {
            for ssrc in 1..=4 {
                let header = RtpHeaderFields { ssrc, sequence_number, ..Default::default() };
                let len = header.write_packet(&[0x55; 160], 0, &mut buffer).unwrap();
                let end = sender.protect_rtp(&mut buffer, len).unwrap().bytes().len();
                assert_eq!(receiver.unprotect_rtp(&mut buffer[..end]).unwrap().len(), len);
                assert!(receiver.unprotect_rtp(&mut buffer[..end]).is_err());
                let mut writer = CompoundWriter::new(&mut buffer);
                writer.receiver_report(ssrc, &[]).unwrap();
                writer.cname(ssrc, "nobody").unwrap();
                let len = writer.finish().unwrap();
                let end = sender.protect_rtcp(&mut buffer, len).unwrap().bytes().len();
                assert_eq!(receiver.unprotect_rtcp(&mut buffer[..end]).unwrap().len(), len);
            }
        }
        assert_eq!(allocations() - before, 0, "{suite}");
    }
    let before = allocations();
    drop(std::hint::black_box(vec![1u8; 10]));
    assert_eq!(allocations() - before, 1, "the counter counts");
}

#[test]
fn nor_do_the_packets_of_an_overlap_of_keys_nor_its_end() {
    let set = |suite, seed| -> KeySet {
        let key = MasterKey::generate(suite, &mut SeededRng::new(seed));
        KeyInfo::new(key).with_mki(MasterKeyId::from_number(seed, 4).unwrap()).into()
    };
    for suite in Suite::ALL {
        let mut old = SrtpSender::with_keys(&set(suite, 1)).unwrap();
        let mut new = SrtpSender::with_keys(&set(suite, 2)).unwrap();
        let mut receiver = SrtpReceiver::with_keys(&set(suite, 1)).unwrap();
        let mut buffer = [0; 300];
        receiver.rekey(&set(suite, 2)).unwrap();
        let before = allocations();
        for sequence_number in 0..300 {
            for sender in [&mut old, &mut new] {
                let header = RtpHeaderFields { ssrc: 1, sequence_number, ..Default::default() };
                let len = header.write_packet(&[0x55; 160], 0, &mut buffer).unwrap();
                let end = sender.protect_rtp(&mut buffer, len).unwrap().bytes().len();
                let taken = receiver.unprotect_rtp(&mut buffer[..end]).is_ok();
                assert_eq!(taken, sender.mki() == receiver.mki() || sequence_number < 256);
            }
        }
        assert!(!receiver.is_overlapping());
        assert_eq!(allocations() - before, 0, "{suite}");
    }
}

//! A stream over a lossy, reordering, duplicating network against a model of what must arrive.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use std::collections::HashSet;
use subrosa::crypto::srtp::{
    Egress, MasterKey, REPLAY_WINDOW, SrtpReceiver, SrtpSender, Suite, UnprotectError,
};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::RtpHeaderFields;

/// The packet with index `index`, as it leaves; and in clear.
fn sent(sender: &mut SrtpSender, index: u64, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let sequence_number = (index & 0xffff) as u16;
    let header = RtpHeaderFields { ssrc: 9, sequence_number, ..Default::default() };
    let mut buffer = vec![0; 400];
    let len = header.write_packet(payload, 0, &mut buffer).unwrap();
    let clear = buffer[..len].to_vec();
    let wire = sender.protect_rtp(&mut buffer, len).map(Egress::bytes).unwrap().to_vec();
    (wire, clear)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_arrives_is_what_was_sent_once(
        suite in prop::sample::select(&Suite::ALL[..]),
        start in prop_oneof![0..100u64, 32_700..32_800u64, 65_400..65_600u64, 131_000..131_100u64],
        // Per packet: the gap to the next, how late it arrives, and how often.
        packets in prop::collection::vec((1..40u64, 0..200u64, 0..3usize), 1..150),
        corrupt in any::<prop::sample::Index>(),
    ) {
        let key = MasterKey::generate(suite, &mut SeededRng::new(start));
        let mut sender = SrtpSender::new(&key).unwrap();
        let mut receiver = SrtpReceiver::new(&key).unwrap();
        let roll_over = (start >> 16) as u32;
        sender.start_at(9, roll_over, 0).unwrap();
        receiver.start_at(9, roll_over).unwrap();
        let (mut index, mut arrivals) = (start, Vec::new());
        for (at, (gap, late, copies)) in packets.into_iter().enumerate() {
            let (wire, clear) = sent(&mut sender, index, &[at as u8; 160][..at]);
            // The first packet arrives first: it tells the receiver where the stream is.
            let when = if at == 0 { 0 } else { index - start + 1 + late };
            for _ in 0..copies.max(usize::from(at == 0)) {
                arrivals.push((when, index, wire.clone(), clear.clone()));
            }
            index += gap;
        }
        arrivals.sort_by_key(|a| a.0);
        let (mut seen, mut highest) = (HashSet::new(), 0);
        for (_, index, wire, clear) in arrivals {
            let mut forged = wire.clone();
            *corrupt.get_mut(&mut forged) ^= 0x04;
            prop_assert!(receiver.unprotect_rtp(&mut forged).is_err());
            let expected = if index + REPLAY_WINDOW <= highest {
                Err(UnprotectError::TooOld)
            } else if !seen.insert(index) {
                Err(UnprotectError::Replayed)
            } else {
                highest = highest.max(index);
                Ok(clear)
            };
            let mut wire = wire;
            prop_assert_eq!(receiver.unprotect_rtp(&mut wire).map(|p| p.to_vec()), expected);
            prop_assert_eq!(receiver.roll_over_counter(9), Some((highest >> 16) as u32));
        }
    }
}

use super::*;
use crate::util::{RngExt, SeededRng};

const PAYLOAD: [u8; 160] = [7; 160];

fn packet(n: u32) -> Packet<'static> {
    Packet {
        sequence: (65_500 + n) as u16,
        timestamp: 4_294_960_000u32.wrapping_add(n * 160),
        payload_type: 0,
        ticks: 160,
        payload: &PAYLOAD,
    }
}

fn at(n: u32) -> Instant {
    Instant::from_millis(10_000 + u64::from(n) * 20)
}

fn buffer() -> JitterBuffer {
    JitterBuffer::new(JitterConfig::new(8_000))
}

fn is_frame(p: Playout<'_>) -> bool {
    matches!(p, Playout::Frame { .. })
}

#[test]
fn a_steady_stream_plays_after_the_initial_delay_across_the_wraps() {
    let mut b = buffer();
    let mut frames = 0;
    for n in 0..200 {
        assert_eq!(b.insert(at(n), packet(n)), Insert::Stored);
        match b.pop(at(n)) {
            Playout::Frame { adjust, payload, .. } => {
                frames += 1;
                assert_eq!(adjust, Adjust::Keep);
                assert_eq!(payload, PAYLOAD);
            }
            Playout::Waiting { ticks } => assert_eq!((n, ticks), (0, 160)),
            Playout::Missing { .. } => panic!("nothing was lost"),
        }
    }
    assert_eq!((frames, b.stats().concealed_frames), (199, 0));
    assert_eq!(b.level(), Duration::from_millis(20));
}

#[test]
fn a_lost_packet_is_concealed_once_and_its_late_copy_refused() {
    let mut b = buffer();
    for n in 0..10 {
        if n != 5 {
            b.insert(at(n), packet(n));
        }
        let played = b.pop(at(n));
        match n {
            0 => assert_eq!(played, Playout::Waiting { ticks: 160 }),
            6 => assert_eq!(
                played,
                Playout::Missing { ticks: 160, next: Some((0, PAYLOAD.as_slice())) }
            ),
            _ => assert!(is_frame(played), "{n}"),
        }
    }
    assert_eq!(b.insert(at(10), packet(5)), Insert::Late);
    assert_eq!(b.insert(at(10), packet(9)), Insert::Duplicate);
    assert_eq!(b.insert(at(10), packet(8)), Insert::Late);
    let stats = b.stats();
    assert_eq!((stats.concealed_frames, stats.late, stats.duplicate), (1, 2, 1));
}

#[test]
fn a_packet_that_was_held_back_until_the_buffer_ran_empty_is_late_and_the_stream_goes_on() {
    let mut b = buffer();
    for n in 1..10 {
        b.insert(at(n), packet(n));
        b.pop(at(n));
    }
    for n in 10..60 {
        assert!(!is_frame(b.pop(at(n))) || n == 10, "{n}");
    }
    // The first of all, and one that was played.
    for n in [0, 5] {
        assert_eq!(b.insert(at(60), packet(n)), Insert::Late);
    }
    for n in 60..70 {
        assert_eq!(b.insert(at(n), packet(n)), Insert::Stored);
        assert_eq!(is_frame(b.pop(at(n))), n > 60, "{n}");
    }
    b.reset();
    assert_eq!(b.insert(at(80), packet(0)), Insert::Stored, "another stream");
}

#[test]
fn reordered_packets_play_in_order() {
    let mut b = buffer();
    for n in [1, 0, 3, 2] {
        assert_eq!(b.insert(at(3), packet(n)), Insert::Stored);
    }
    assert_eq!(b.stats().reordered, 2);
    for _ in 0..4 {
        assert!(is_frame(b.pop(at(3))));
    }
    assert_eq!(b.stats().concealed_frames, 0);
}

#[test]
fn a_stall_grows_the_delay_and_quiet_times_shrink_it_again() {
    let mut b = buffer();
    for n in 0..50 {
        b.insert(at(n), packet(n));
        b.pop(at(n));
    }
    // 100 ms without a packet, then all at once: nothing is lost, all plays later.
    for n in 50..55 {
        b.pop(at(n));
    }
    for n in 50..55 {
        assert_eq!(b.insert(at(55), packet(n)), Insert::Stored);
    }
    let concealed = b.stats().concealed_frames;
    assert!((3..=5).contains(&concealed), "{concealed}");
    let mut shrunk = Duration::ZERO;
    for n in 55..700 {
        b.insert(at(n), packet(n));
        match b.pop(at(n)) {
            Playout::Frame { adjust: Adjust::Shrink(by), .. } => {
                shrunk = by;
                break;
            }
            Playout::Frame { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(shrunk > SHRINK_HYSTERESIS, "{shrunk:?}");
}

#[test]
fn jitter_beyond_the_delay_asks_for_growth() {
    let mut b = buffer();
    let mut grown = false;
    for n in 0..150 {
        // Every fifth packet is 70 ms late in its arrival time, yet inserted in order.
        let late = if n % 5 == 0 { 70 } else { 0 };
        b.insert(at(n) + Duration::from_millis(late), packet(n));
        let played = b.pop(at(n) + Duration::from_millis(1));
        grown |= matches!(played, Playout::Frame { adjust: Adjust::Grow(_), .. });
    }
    assert!(grown);
    assert_eq!(b.target(), Duration::from_millis(75));
}

#[test]
fn jumps_of_sequence_or_timestamp_go_on_with_the_new_audio() {
    let mut b = buffer();
    for n in 0..10 {
        b.insert(at(n), packet(n));
        b.pop(at(n));
    }
    for n in 10..20 {
        let mut p = packet(n);
        p.sequence = p.sequence.wrapping_add(3_000);
        p.timestamp = p.timestamp.wrapping_add(900_000_000);
        assert_eq!(b.insert(at(n), p), Insert::Stored);
        let _ = b.pop(at(n));
    }
    assert!(is_frame(b.pop(at(20))) || b.level() < Duration::from_millis(40));
    assert!(b.stats().jumps >= 1 && b.stats().concealed_frames < 4, "{:?}", b.stats());
}

#[test]
fn nothing_that_comes_in_breaks_it() {
    let mut rng = SeededRng::new(11);
    let mut b = buffer();
    let big = [0u8; 4_000];
    for i in 0..200_000u64 {
        let len = rng.below(1_500) as usize;
        let near = rng.below(4) > 0;
        let p = Packet {
            sequence: if near {
                (i as u16).wrapping_add(rng.next_u16() % 90)
            } else {
                rng.next_u16()
            },
            timestamp: if near { (i as u32).wrapping_mul(160) } else { rng.next_u32() },
            payload_type: 0,
            ticks: rng.below(3) * rng.below(2_000),
            payload: &big[..len],
        };
        let now = Instant::from_micros(u64::from(rng.next_u32()) * 100);
        b.insert(now, p);
        for _ in 0..rng.below(3) {
            match b.pop(now) {
                Playout::Missing { ticks, .. } | Playout::Waiting { ticks } => assert!(ticks > 0),
                Playout::Frame { .. } => {}
            }
        }
        assert!(b.slots.count() <= MAX_PACKETS);
    }
}

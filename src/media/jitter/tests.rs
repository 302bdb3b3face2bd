use super::*;
use crate::time::Instant;
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
    let min_delay = Duration::from_millis(20);
    JitterBuffer::new(JitterConfig { min_delay, ..JitterConfig::new(8_000) })
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
fn what_was_played_is_counted_by_the_length_of_each_frame() {
    let mut b = buffer();
    let (mut sent, mut played) = (0u32, 0u64);
    for (n, ticks) in [160u32, 480, 80, 240].into_iter().cycle().take(100).enumerate() {
        sent += ticks;
        let packet = Packet { timestamp: sent - ticks, ticks, ..packet(n as u32) };
        // It is complete at its end, and the one before it is played then.
        let now = Instant::from_millis(10_000 + u64::from(sent) / 8);
        assert_eq!(b.insert(now, packet), Insert::Stored);
        if n > 0 {
            let before = b.slots.first(b.next_sequence).unwrap().ticks;
            assert!(is_frame(b.pop(now)));
            played += u64::from(before);
            assert_eq!((b.stats().played, b.stats().played_ticks), (n as u64, played));
        }
    }
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
        let mut played = 0;
        while played < 160 {
            played += match b.pop(at(n)) {
                Playout::Missing { ticks, .. } | Playout::Waiting { ticks } => ticks,
                Playout::Frame { .. } => 160,
            };
        }
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
    assert!(shrunk > Duration::from_millis(20), "{shrunk:?}");
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
    assert_eq!(b.target(), Duration::from_micros(72_500));
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

/// Plays 10 ms at once.
struct Listener {
    now: Instant,
    /// Ticks popped and not heard yet.
    ahead: u32,
}

impl Listener {
    fn new() -> Self {
        Self { now: at(0), ahead: 0 }
    }

    /// Plays up to the time `until`; returns the ticks of concealment.
    fn play(&mut self, b: &mut JitterBuffer, until: Instant) -> u32 {
        let mut missing = 0;
        while self.now < until {
            while self.ahead < 80 {
                self.ahead += match b.pop(self.now) {
                    Playout::Frame { .. } => 160,
                    Playout::Missing { ticks, .. } => {
                        missing += ticks;
                        ticks
                    }
                    Playout::Waiting { ticks } => ticks,
                };
            }
            self.ahead -= 80;
            self.now += Duration::from_millis(10);
        }
        missing
    }
}

#[test]
fn a_pause_of_the_peer_is_no_loss_and_its_next_talkspurt_begins_at_the_target() {
    for pause in [1, 5, 20, 200] {
        let mut b = JitterBuffer::new(JitterConfig::new(8_000));
        let mut listener = Listener::new();
        // Every fourth packet comes 45 ms late, and what follows behind it.
        let mut newest = at(0);
        let mut talk = |b: &mut JitterBuffer, frames: core::ops::Range<u32>, skipped: u32| {
            for n in frames {
                let mut p = packet(n);
                p.timestamp = p.timestamp.wrapping_add(skipped * 160);
                let late = if n % 4 == 3 { 45 } else { 0 };
                newest = newest.max(at(n + skipped) + Duration::from_millis(late));
                listener.play(b, newest);
                assert_eq!(b.insert(newest, p), Insert::Stored);
            }
            b.stats()
        };
        let before = talk(&mut b, 0..300, 0);
        assert_eq!(b.target(), Duration::from_micros(47_500));
        let after = talk(&mut b, 300..400, pause);
        assert_eq!(after.concealed_ticks, before.concealed_ticks, "{pause}");
        assert_eq!(after.concealment_events, before.concealment_events);
        if pause < 10 {
            assert_eq!(after.pauses, 1, "{pause}");
        }
        let mean = (after.delay_us - before.delay_us) / (after.played - before.played) / 1_000;
        assert!((47..=62).contains(&mean), "{mean} ms after a pause of {pause}");
    }
}

#[test]
fn what_was_lost_before_a_pause_is_concealed_and_the_pause_is_not() {
    let (mut b, mut listener) = (buffer(), Listener::new());
    for n in 0..50 {
        b.insert(at(n), packet(n));
        listener.play(&mut b, at(n + 1));
    }
    // Two packets are lost, then the peer pauses for 20.
    let missing = listener.play(&mut b, at(72));
    for n in 72..100 {
        let mut p = packet(n - 20);
        p.timestamp = packet(n).timestamp;
        b.insert(at(n), p);
        listener.play(&mut b, at(n + 1));
    }
    assert!(missing >= 320);
    assert!((320..=2_000).contains(&b.stats().concealed_ticks), "{:?}", b.stats());
    assert_eq!(b.stats().concealment_events, 1, "{:?}", b.stats());
}

#[test]
fn after_a_minute_without_a_packet_the_stream_begins_anew_with_little_concealed() {
    let (mut b, mut listener) = (buffer(), Listener::new());
    for n in (0..100).chain(3_100..3_300) {
        b.insert(at(n), packet(n));
        let next = if n == 99 { 3_100 } else { n + 1 };
        listener.play(&mut b, at(next));
    }
    assert!(b.stats().concealed_ticks <= 240 * 8, "{:?}", b.stats());
    assert_eq!(b.stats().played, 299);
    assert!(b.stats().mean_delay() <= Duration::from_millis(22), "{:?}", b.stats().mean_delay());
}

#[test]
fn a_clock_that_is_set_back_and_one_that_is_set_forward_leave_the_delay_as_it_was() {
    for jump in [0u32.wrapping_sub(300 * 160), 300 * 160, 0u32.wrapping_sub(3 * 160)] {
        let (mut b, mut listener) = (buffer(), Listener::new());
        for n in 0..500 {
            let mut p = packet(n);
            if n >= 250 {
                p.timestamp = p.timestamp.wrapping_add(jump);
            }
            b.insert(at(n), p);
            listener.play(&mut b, at(n + 1));
        }
        let stats = b.stats();
        assert!(stats.played >= 498 && stats.concealed_ticks <= 320, "{stats:?}");
        assert!(stats.mean_delay() <= Duration::from_millis(25), "{:?}", stats.mean_delay());
        assert!(b.level() <= Duration::from_millis(40), "{:?}", b.level());
    }
}

#[test]
fn what_a_stalled_link_gives_up_at_once_is_left_out_but_for_the_end() {
    let (mut b, mut listener) = (buffer(), Listener::new());
    for n in 0..1_000 {
        b.insert(at(n), packet(n));
        listener.play(&mut b, at(n + 1));
    }
    listener.play(&mut b, at(1_040));
    (1_000..1_040).for_each(|n| {
        b.insert(at(1_040), packet(n));
    });
    for n in 1_040..1_060 {
        b.insert(at(n), packet(n));
        listener.play(&mut b, at(n + 1));
    }
    assert!(b.level() <= Duration::from_millis(400), "{:?}", b.level());
    assert!(b.stats().overflowed >= 19, "{:?}", b.stats());
}

#[test]
fn packets_that_all_claim_one_time_are_not_concealed_for_ever() {
    let mut b = buffer();
    for n in 0..20 {
        let timestamp = packet(0).timestamp;
        b.insert(at(0), Packet { timestamp, ticks: 960, ..packet(n) });
    }
    let ended = (0..200).any(|i| i > 5 && matches!(b.pop(at(0)), Playout::Waiting { .. }));
    assert!(ended, "it conceals for ever");
}

#[test]
fn copies_that_come_later_say_nothing_about_the_delay() {
    let (mut b, mut listener) = (buffer(), Listener::new());
    for n in 0..300 {
        b.insert(at(n), packet(n));
        if n >= 10 {
            assert!(matches!(b.insert(at(n), packet(n - 10)), Insert::Late | Insert::Duplicate));
        }
        listener.play(&mut b, at(n + 1));
    }
    assert_eq!(b.target(), Duration::from_millis(20));
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

#[test]
fn the_first_packets_after_a_pause_may_come_out_of_order() {
    // A long pause, and one that is over before playing would begin anew.
    for pause in [100, 6] {
        for order in [[50, 51, 52], [51, 50, 52], [52, 51, 50]] {
            let mut b = buffer();
            for n in 0..50 {
                b.insert(at(n), packet(n));
                b.pop(at(n));
            }
            for n in 50..50 + pause {
                b.pop(at(n));
                b.pop(at(n));
            }
            let back = 50 + pause;
            for n in order {
                let timestamp = packet(n).timestamp.wrapping_add(pause * 160);
                b.insert(at(back), Packet { timestamp, ..packet(n) });
            }
            for n in back..back + 20 {
                b.pop(at(n));
            }
            assert_eq!((b.stats().concealed_frames, b.stats().late), (0, 0), "{pause} {order:?}");
        }
    }
}

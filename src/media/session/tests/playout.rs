//! What is heard: lost frames are concealed, and the delay follows the network and the clocks. A
//! steady tone tells of each gap, click and change of pitch, however the receiver goes about it.

use super::*;
use crate::media::codec::{Encoder, G711, Law};

const TONE: f64 = 200.0;
const LEVEL: f64 = 8_000.0;
const US: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);

/// The packet of 20 ms of the tone with this number.
fn packet(number: u32) -> Vec<u8> {
    let phase = |i: u32| f64::from(number * 160 + i) / 8_000.0 * TONE * std::f64::consts::TAU;
    let pcm: Vec<_> = (0..160).map(|i| (phase(i).sin() * LEVEL) as i16).collect();
    let mut payload = [0; 160];
    G711::new(Law::Mu).encode(&pcm, &mut payload).unwrap();
    let fields = RtpHeaderFields {
        ssrc: 1,
        sequence_number: number as u16,
        timestamp: number * 160,
        ..Default::default()
    };
    let mut out = [0; 200];
    let n = fields.write_packet(&payload, 0, &mut out).unwrap();
    out[..n].to_vec()
}

/// Hears `ms` of a session that gets packets at these times.
fn listen(s: &mut MediaSession, arrivals: &[(Instant, u32)], ms: u32) -> (Vec<i16>, Vec<Duration>) {
    let (mut heard, mut levels, mut next) = (Vec::new(), Vec::new(), arrivals.iter().peekable());
    for tick in 0..ms / 10 {
        let now = Instant::from_millis(1_000) + US * (tick * 10_000);
        while let Some((at, number)) = next.next_if(|(at, _)| *at <= now) {
            s.handle_datagram(*at, Channel::Rtp, &mut packet(*number), addr(4_000));
        }
        let mut pcm = [0; 80];
        s.read_pcm(now, &mut pcm).unwrap();
        heard.extend(pcm);
        levels.push(s.stats().buffer_level);
    }
    (heard, levels)
}

/// A packet each so many microseconds, later by what `late` says.
fn stream(packets: u32, period_us: u32, late: impl Fn(u32) -> u32) -> Vec<(Instant, u32)> {
    let at = |n| Instant::from_millis(1_000) + US * (n * period_us + late(n));
    let mut arrivals: Vec<_> = (0..packets).map(|n| (at(n), n)).collect();
    arrivals.sort();
    arrivals
}

/// Of each 10 ms: its level as a part of the tone's, and how much of it is a tone of its pitch.
fn windows(heard: &[i16]) -> Vec<(f64, f64)> {
    let of = |window: &[i16]| {
        let w = |i: usize| (i as f64 / 8_000.0 * TONE * std::f64::consts::TAU).sin_cos();
        let (mut sin, mut cos, mut power) = (0.0, 0.0, 0.0);
        for (i, s) in window.iter().enumerate() {
            let s = f64::from(*s);
            sin += s * w(i).0;
            cos += s * w(i).1;
            power += s * s;
        }
        let n = window.len() as f64;
        let tonal = (sin * sin + cos * cos) * 2.0 / n;
        ((power / n).sqrt() / (LEVEL / 2.0_f64.sqrt()), tonal / power.max(1.0))
    };
    heard.chunks_exact(80).map(of).collect()
}

/// The mean of the last second.
fn settled(levels: &[Duration]) -> u128 {
    let last: Vec<_> = levels.iter().rev().take(100).map(Duration::as_millis).collect();
    last.iter().sum::<u128>() / last.len() as u128
}

#[test]
fn the_voice_goes_on_where_a_frame_was_lost() {
    let mut s = session(config());
    let arrivals: Vec<_> =
        stream(250, 20_000, |_| 0).into_iter().filter(|(_, n)| n % 25 != 24).collect();
    let (heard, _) = listen(&mut s, &arrivals, 4_900);
    assert_eq!(s.stats().lost, 9);
    assert!(s.stats().concealed_frames >= 9);
    for (n, (level, likeness)) in windows(&heard).into_iter().enumerate().skip(50) {
        assert!((0.5..1.3).contains(&level), "{n}: level {level}");
        assert!(likeness > 0.7, "{n}: {likeness} of a tone");
    }
}

#[test]
fn a_long_loss_falls_silent_instead_of_humming() {
    let mut s = session(config());
    let (heard, _) = listen(&mut s, &stream(100, 20_000, |_| 0), 4_000);
    let levels: Vec<_> = windows(&heard).into_iter().map(|(level, _)| level).collect();
    assert!(levels[100..195].iter().all(|level| *level > 0.9));
    assert!(levels[250..].iter().all(|level| *level < 0.05), "{:?}", &levels[240..]);
}

#[test]
fn the_delay_shrinks_without_a_gap_when_the_jitter_is_over() {
    let mut s = session(config());
    // 6 s of jitter up to 100 ms, 24 s of none.
    let late = |n: u32| if n < 300 { (n * 7_919 % 101) * 1_000 } else { 0 };
    let (heard, levels) = listen(&mut s, &stream(1_500, 20_000, late), 29_900);
    let (then, now) = (settled(&levels[..700]), settled(&levels));
    assert!(then > 80, "{then} ms");
    assert!(now < 60, "{now} ms, {then} ms before");
    for (n, (level, likeness)) in windows(&heard).into_iter().enumerate().skip(700) {
        assert!((0.5..1.3).contains(&level), "{n}: level {level}");
        assert!(likeness > 0.7, "{n}: {likeness} of a tone");
    }
}

#[test]
fn on_a_clean_path_the_time_axis_stays_whatever_the_blocks_of_the_host() {
    for (block, phase) in [(80, 0), (80, 4), (160, 0), (160, 7), (160, 16), (240, 11), (50, 3)] {
        let mut s = session(config());
        let arrivals = stream(500, 20_000, |n| phase * 1_000 + n * 37 % 1_100);
        let mut next = arrivals.iter().peekable();
        let mut settled = (Duration::ZERO, Duration::ZERO);
        for tick in 0..80_000 / block {
            let now = Instant::from_millis(1_000) + US * (tick * block * 125);
            while let Some((at, number)) = next.next_if(|(at, _)| *at <= now) {
                s.handle_datagram(*at, Channel::Rtp, &mut packet(*number), addr(4_000));
            }
            s.read_pcm(now, &mut vec![0; block as usize]).unwrap();
            let (stats, now) = (s.stats(), tick * block);
            if now < 16_000 {
                settled = (stats.shrunk, stats.stretched);
            }
            let scaled = (stats.shrunk, stats.stretched);
            assert_eq!(scaled, settled, "blocks of {block}, phase {phase}: {now}");
        }
        assert_eq!(s.stats().concealed_frames, 0, "blocks of {block}, phase {phase}");
    }
}

#[test]
fn a_peer_whose_clock_is_fast_is_played_faster_and_its_delay_stays() {
    let mut s = session(config());
    // Half a percent in 40 s: 200 ms too much.
    let (heard, levels) = listen(&mut s, &stream(2_000, 19_900, |_| 0), 39_700);
    let stats = s.stats();
    assert_eq!((stats.lost, stats.jitter_overflow), (0, 0));
    assert!(settled(&levels) < 120, "{} ms", settled(&levels));
    let shrunk = stats.shrunk.as_millis();
    assert!((100..=250).contains(&shrunk) && stats.stretched < MS * 60, "{stats:?}");
    for (n, (level, likeness)) in windows(&heard).into_iter().enumerate().skip(50) {
        assert!((0.5..1.3).contains(&level), "{n}: level {level}");
        assert!(likeness > 0.7, "{n}: {likeness} of a tone");
    }
}

#[test]
fn a_peer_whose_clock_is_slow_is_played_slower_and_seldom_runs_dry() {
    let mut s = session(config());
    // A tenth of a percent in 160 s, three times the worst of clocks: 160 ms too little, eight
    // frames.
    let (heard, _) = listen(&mut s, &stream(7_990, 20_020, |_| 0), 159_900);
    let stats = s.stats();
    assert!(stats.concealed_frames <= 2, "{}", stats.concealed_frames);
    let stretched = stats.stretched.as_millis();
    assert!((100..=250).contains(&stretched) && stats.shrunk < MS * 60, "{stats:?}");
    for (n, (level, likeness)) in windows(&heard).into_iter().enumerate().skip(50) {
        assert!((0.5..1.3).contains(&level), "{n}: level {level}");
        assert!(likeness > 0.7, "{n}: {likeness} of a tone");
    }
}

#[test]
fn each_fault_of_the_order_has_a_counter_of_its_own() {
    let mut s = session(config());
    let at = |ms: u64| Instant::from_millis(1_000 + ms);
    let take = |s: &mut MediaSession, ms: u64, numbers: &[u32]| {
        for n in numbers {
            s.handle_datagram(at(ms), Channel::Rtp, &mut packet(*n), addr(4_000));
        }
    };
    // 0 is on probation. 4 overtakes 3, 5 comes twice.
    take(&mut s, 0, &[0, 1, 2, 4, 3, 5, 5]);
    let stats = s.stats();
    assert_eq!((stats.reordered, stats.duplicate, stats.late), (1, 1, 0));
    assert_eq!((stats.lost, stats.packets_received, stats.out_of_sequence), (-1, 6, 1));
    let mut pcm = [0; 160];
    (0..20).for_each(|n| s.read_pcm(at(n * 20), &mut pcm).unwrap());
    // 7 comes in time; what was played is over.
    take(&mut s, 400, &[7, 2]);
    let stats = s.stats();
    assert_eq!((stats.reordered, stats.duplicate, stats.late), (1, 1, 1));
    assert_eq!((stats.lost, stats.packets_received), (-1, 8));
}

#[test]
fn a_peer_that_begins_its_numbers_anew_is_heard_again_at_once() {
    for begin in [5_000, 40_000] {
        let mut s = session(config());
        let first = stream(100, 20_000, |_| 0).into_iter().map(|(at, n)| (at, 20_000 + n));
        let anew = stream(300, 20_000, |_| 0).into_iter().skip(100);
        let arrivals: Vec<_> = first.chain(anew.map(|(at, n)| (at, begin + n))).collect();
        let (heard, _) = listen(&mut s, &arrivals, 5_900);
        for (n, (level, _)) in windows(&heard).into_iter().enumerate().skip(220) {
            assert!((0.9..1.1).contains(&level), "{n}: level {level} from {begin} on");
        }
        let stats = s.stats();
        assert!(stats.late == 0 && stats.lost < 5, "{stats:?}");
    }
}

#[test]
fn a_byte_too_much_in_l16_is_counted_and_costs_no_sound() {
    let l16 = Payload { payload_type: 113, codec: CodecId::L16Wideband };
    let mut config = config();
    (config.send, config.receive) = (l16, vec![l16]);
    (config.write_rate, config.read_rate) = (16_000, 16_000);
    let mut s = session(config);
    let mut heard = Vec::new();
    for n in 0..20_u16 {
        let now = Instant::from_millis(u64::from(n) * 20);
        let (ssrc, timestamp) = (1, u32::from(n) * 320);
        let fields = RtpHeaderFields {
            ssrc,
            timestamp,
            sequence_number: n,
            payload_type: 113,
            ..Default::default()
        };
        let payload = [0x12; 641];
        let len = if n == 10 { 641 } else { 640 };
        let mut out = [0; 700];
        let len = fields.write_packet(&payload[..len], 0, &mut out).unwrap();
        s.handle_datagram(now, Channel::Rtp, &mut out[..len], addr(4_000));
        let mut pcm = [0; 320];
        s.read_pcm(now, &mut pcm).unwrap();
        heard.extend(pcm);
    }
    let stats = s.stats();
    assert_eq!((stats.bad_payload, stats.concealed_frames, stats.late), (1, 0, 0), "{stats:?}");
    assert!(heard.iter().filter(|sample| **sample == 0x1212).count() > 320 * 15);
}

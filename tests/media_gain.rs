//! Gain and mute of a session: what is sent and heard, and that no change clicks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::session::{
    Channel, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;

const FRAME: usize = 320;

struct Pair {
    ends: [MediaSession; 2],
    now: Instant,
    phase: usize,
}

impl Pair {
    fn new() -> Self {
        let mut rng = SeededRng::new(3);
        let keys = [0, 1].map(|_| MasterKey::generate(Suite::AeadAes128Gcm, &mut rng));
        let addresses: [SocketAddr; 2] =
            ["192.0.2.1:4000".parse().unwrap(), "192.0.2.2:4000".parse().unwrap()];
        let ends = [0, 1].map(|end: usize| {
            let security = MediaSecurity::Srtp {
                sender: SrtpSender::new(&keys[end]).unwrap(),
                receiver: SrtpReceiver::new(&keys[1 - end]).unwrap(),
            };
            let payload = Payload { payload_type: 9, codec: CodecId::G722 };
            let config = MediaConfig::new(payload, addresses[1 - end], security);
            MediaSession::new(Instant::default(), config, &mut rng).unwrap()
        });
        let mut pair = Self { ends, now: Instant::default(), phase: 0 };
        pair.run(25);
        pair
    }

    /// A sine of 250 Hz and an amplitude of 4000 from one end, as the other one hears it.
    fn run(&mut self, frames: usize) -> Vec<i16> {
        let mut heard = Vec::new();
        for _ in 0..frames {
            self.now += Duration::from_millis(20);
            let sine: Vec<i16> = (self.phase..self.phase + FRAME)
                .map(|n| ((n as f64 / 64.0 * std::f64::consts::TAU).sin() * 4_000.0) as i16)
                .collect();
            self.phase += FRAME;
            self.ends[0].write_pcm(self.now, &sine).unwrap();
            let mut buf = [0; MAX_TRANSMIT];
            while let Some(t) = self.ends[0].poll_transmit(self.now, &mut buf).unwrap() {
                let mut bytes = t.packet.bytes().to_vec();
                let from = "192.0.2.1:4000".parse().unwrap();
                self.ends[1].handle_datagram(self.now, Channel::Rtp, &mut bytes, from);
            }
            let mut pcm = [0; FRAME];
            self.ends[1].read_pcm(self.now, &mut pcm).unwrap();
            heard.extend_from_slice(&pcm);
        }
        heard
    }
}

fn peak(pcm: &[i16]) -> i32 {
    pcm.iter().map(|s| i32::from(s.unsigned_abs())).max().unwrap()
}

fn rms(pcm: &[i16]) -> f64 {
    (pcm.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt()
}

/// The greatest second difference: 39 for the sine alone, thousands for a click.
fn roughness(pcm: &[i16]) -> i32 {
    let second = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs();
    pcm.windows(3).map(second).max().unwrap()
}

#[test]
fn mute_fades_out_and_in_without_a_click() {
    let mut pair = Pair::new();
    let before = roughness(&pair.run(25));
    pair.ends[0].set_muted(true);
    assert!(pair.ends[0].is_muted());
    let muting = pair.run(25);
    assert!(peak(&muting[FRAME * 8..]) <= 4, "{}", peak(&muting[FRAME * 8..]));
    pair.ends[0].set_muted(false);
    let back = pair.run(25);
    assert!((rms(&back[FRAME * 10..]) - 2_828.0).abs() < 60.0);
    for pcm in [muting, back] {
        assert!(roughness(&pcm) < before + 120, "{} after {before}", roughness(&pcm));
    }
}

#[test]
fn gains_in_db_hold_both_ways_and_change_softly() {
    let mut pair = Pair::new();
    let [plain, before] = [rms(&pair.run(25)), f64::from(roughness(&pair.run(25)))];
    pair.ends[0].set_send_gain(6.0206);
    let louder = pair.run(25);
    assert!((rms(&louder[FRAME * 10..]) / plain - 2.0).abs() < 0.03);
    assert!(f64::from(roughness(&louder)) < 2.0 * before + 150.0, "{}", roughness(&louder));
    pair.ends[1].set_receive_gain(-12.0412);
    let softer = pair.run(25);
    assert!((rms(&softer[FRAME * 2..]) / plain - 0.5).abs() < 0.01);
    assert!(f64::from(roughness(&softer)) < 2.0 * before + 150.0, "{}", roughness(&softer));
    assert_eq!((pair.ends[0].send_gain(), pair.ends[1].receive_gain()), (6.0206, -12.0412));
    // It takes 10 ms: 160 samples.
    pair.ends[1].set_receive_gain(-90.0);
    let gone = pair.run(2);
    assert!(gone[160..].iter().all(|s| *s == 0) && peak(&gone[..120]) > 100);
    // What is too loud saturates; nothing wraps.
    pair.ends[1].set_receive_gain(24.0);
    let loud = pair.run(25);
    assert!(peak(&loud) >= 32_767 && roughness(&loud) < 30_000, "{}", roughness(&loud));
}

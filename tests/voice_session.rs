//! Voice processing within calls: what a session does with it, and how it is switched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;
#[path = "support/voice.rs"]
mod voice;

use pair::{Pair, USUAL};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::dsp::{ProcessingConfig, ProcessingStats, Processor};
use subrosa::media::resample::UnsupportedRate;
use subrosa::media::session::{
    MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, MediaUpdate, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use voice::*;

/// Two sessions at 16 kHz, in memory.
struct Line {
    now: Instant,
    ends: [MediaSession; 2],
    addresses: [SocketAddr; 2],
}

impl Line {
    fn new(processing: ProcessingConfig) -> Self {
        let suite = Suite::AeadAes128Gcm;
        let mut rng = SeededRng::new(1);
        let keys = [MasterKey::generate(suite, &mut rng), MasterKey::generate(suite, &mut rng)];
        let now = Instant::from_millis(1);
        let addresses = ["192.0.2.1:4000", "192.0.2.2:4000"].map(|a| a.parse().unwrap());
        let payload = Payload { payload_type: 9, codec: CodecId::G722 };
        let mut end = |side: usize, processing| {
            let security = MediaSecurity::Srtp {
                sender: SrtpSender::new(&keys[side]).unwrap(),
                receiver: SrtpReceiver::new(&keys[1 - side]).unwrap(),
            };
            let mut config = MediaConfig::new(payload, addresses[1 - side], security);
            config.processing = processing;
            MediaSession::new(now, config, &mut rng).unwrap()
        };
        let ends = [end(0, processing), end(1, ProcessingConfig::OFF)];
        Self { now, ends, addresses }
    }

    /// 20 ms: each end says its part and hears the other.
    fn tick(&mut self, said: [&[i16]; 2]) -> [Vec<i16>; 2] {
        let (mut buffer, mut packet) = ([0; MAX_TRANSMIT], [0; MAX_TRANSMIT]);
        for (side, said) in said.into_iter().enumerate() {
            self.ends[side].write_pcm(self.now, said).unwrap();
            self.ends[side].handle_timeout(self.now);
            while let Some(t) = self.ends[side].poll_transmit(self.now, &mut buffer).unwrap() {
                let bytes = &mut packet[..t.packet.bytes().len()];
                bytes.copy_from_slice(t.packet.bytes());
                let from = self.addresses[side];
                self.ends[1 - side].handle_datagram(self.now, t.channel, bytes, from);
            }
        }
        let heard = [0, 1].map(|side: usize| {
            let mut pcm = vec![0; 320];
            self.ends[side].read_pcm(self.now, &mut pcm).unwrap();
            pcm
        });
        self.now += Duration::from_millis(20);
        heard
    }

    /// The far end speaks; what the near end hears comes back into its microphone 40 ms later.
    /// Gives what the far end hears of itself.
    fn echo(&mut self, far: &[f32]) -> Vec<f32> {
        let far = to_pcm(far);
        let mut room = std::collections::VecDeque::from(vec![vec![0i16; 320]; 2]);
        let mut back = Vec::new();
        for said in far.chunks_exact(320) {
            let mic = room.pop_front().unwrap();
            let [near, far] = self.tick([&mic, said]);
            room.push_back(near.iter().map(|s| s / 2).collect());
            back.extend(far);
        }
        to_float(&back)
    }
}

#[test]
fn the_far_end_does_not_hear_itself_once_echo_cancellation_is_on() {
    let far = at_level(&speech(&[880, 930], 6.0), -23.0);
    let off = Line::new(ProcessingConfig::OFF).echo(&far);
    let mut line = Line::new(ProcessingConfig::OFF);
    assert_eq!(line.ends[0].processing_stats(), None);
    // By an update, as in a renegotiation.
    let on = ProcessingConfig { echo_cancellation: true, ..ProcessingConfig::OFF };
    line.ends[0].handle_update(line.now, MediaUpdate::new().processing(on)).unwrap();
    assert_eq!(line.ends[0].processing(), on);
    let out = line.echo(&far);
    let gone = erle(&off, &out, 3.0, 6.0);
    assert!(gone > 25.0, "{gone:.1} dB");
    let stats = line.ends[0].processing_stats().unwrap();
    assert!(stats.erle_db > 20.0, "{stats:?}");
}

#[test]
fn without_processing_every_sample_is_sent_as_it_was_written() {
    let said = to_pcm(&speech(&[930], 1.0));
    let packets = |touch: bool| {
        let mut line = Line::new(ProcessingConfig::OFF);
        if touch {
            line.ends[0].set_processing(ProcessingConfig::OFF);
        }
        said.chunks_exact(320)
            .flat_map(|s| line.tick([s, &[0; 320]])[1].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(packets(false), packets(true));
}

/// A phone's hardware: halves the microphone's signal and keeps count.
#[derive(Debug, Default)]
struct Hardware(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    rates: Option<(u32, u32)>,
    config: ProcessingConfig,
    render: usize,
    capture: usize,
}

impl Processor for Hardware {
    fn process_render(&mut self, pcm: &[i16]) {
        self.0.lock().unwrap().render += pcm.len();
    }

    fn process_capture(&mut self, pcm: &mut [i16]) {
        assert_eq!(pcm.len(), 160);
        pcm.iter_mut().for_each(|s| *s /= 2);
        self.0.lock().unwrap().capture += pcm.len();
    }

    fn configure(&mut self, config: ProcessingConfig) {
        self.0.lock().unwrap().config = config;
    }

    fn stats(&self) -> ProcessingStats {
        ProcessingStats::default()
    }

    fn set_rates(&mut self, capture_rate: u32, render_rate: u32) -> Result<(), UnsupportedRate> {
        if capture_rate != 16_000 {
            return Err(UnsupportedRate(capture_rate));
        }
        self.0.lock().unwrap().rates = Some((capture_rate, render_rate));
        Ok(())
    }
}

#[test]
fn a_phone_with_hardware_of_its_own_uses_that() {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let mut line = Line::new(ProcessingConfig::OFF);
    line.ends[0].set_processor(Box::new(Hardware(Arc::clone(&counts)))).unwrap();
    line.ends[0].set_processing(ProcessingConfig::VOICE);
    let mut plain = Line::new(ProcessingConfig::OFF);
    let said = to_pcm(&at_level(&speech(&[930], 2.0), -20.0));
    let (mut halved, mut whole) = (Vec::new(), Vec::new());
    for s in said.chunks_exact(320) {
        halved.extend(line.tick([s, &[0; 320]])[1].clone());
        whole.extend(plain.tick([s, &[0; 320]])[1].clone());
    }
    let lower = db(power(&to_float(&whole)) / power(&to_float(&halved)));
    assert!((5.5..6.5).contains(&lower), "{lower:.2}");
    let c = counts.lock().unwrap();
    assert_eq!((c.rates, c.config), (Some((16_000, 16_000)), ProcessingConfig::VOICE));
    assert_eq!((c.render, c.capture), (said.len(), said.len()));
    drop(c);
    // A codec at a rate that it does not have: nothing is processed any more.
    let pcmu = Payload { payload_type: 0, codec: CodecId::Pcmu };
    line.ends[0].handle_update(line.now, MediaUpdate::new().send(pcmu)).unwrap();
    assert_eq!(line.ends[0].processing_stats(), None);
    let wrong = line.ends[0].set_processor(Box::new(Hardware::default()));
    assert_eq!(wrong, Err(UnsupportedRate(8_000)));
}

#[test]
fn what_is_at_work_stays_at_work_with_another_codec() {
    let mut line = Line::new(ProcessingConfig::VOICE);
    let said = to_pcm(&at_level(&speech(&[930], 4.0), -40.0));
    let speak = |line: &mut Line| {
        said.chunks_exact(320).for_each(|s| drop(line.tick([s, &[0; 320]])));
        line.ends[0].processing_stats().unwrap().gain_db
    };
    let before = speak(&mut line);
    assert!(before > 4.0, "a quiet voice is raised: {before} dB");
    // Of the same rate: what was learned stays. Of another: it is learned again, by the same parts.
    for (payload_type, codec, kept) in
        [(113, CodecId::L16Wideband, true), (0, CodecId::Pcmu, false)]
    {
        let payload = Payload { payload_type, codec };
        let update = || MediaUpdate::new().send(payload).receive(vec![payload]);
        let now = line.now;
        line.ends.iter_mut().for_each(|end| end.handle_update(now, update()).unwrap());
        let gain = line.ends[0].processing_stats().unwrap().gain_db;
        assert_eq!(gain > 4.0, kept, "{codec:?}: {gain} dB");
        assert_eq!(line.ends[0].processing(), ProcessingConfig::VOICE);
        assert!(speak(&mut line) > 4.0, "{codec:?}");
    }
}

#[test]
fn a_call_begins_with_what_the_configuration_says_and_is_switched_at_any_time() {
    let mut pair = Pair::with(USUAL, |config| config.processing = ProcessingConfig::VOICE);
    let call = pair.call(USUAL);
    pair.world.run_for(Duration::from_secs(2));
    pair.world.command(pair.phones[0], |engine, now| {
        let mut call = engine.call(call).unwrap();
        let stats = call.processing_stats().unwrap();
        assert!(stats.delay_ms.is_none() && stats.gain_db <= 24.0, "{stats:?}");
        call.set_processing(now, ProcessingConfig::OFF).unwrap();
        // A steady state of no part at work: everything counts as speech.
        assert!(call.processing_stats().unwrap().voice_active);
    });
    assert!(pair.bob_hears());
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(call).unwrap().hang_up(now).unwrap();
    });
    pair.world.run_for(Duration::from_secs(2));
    let over = pair.world.command(pair.phones[0], |engine, now| {
        engine.call(call).map(|mut c| c.set_processing(now, ProcessingConfig::VOICE))
    });
    assert!(!matches!(over, Some(Ok(()))), "{over:?}");
}

#[test]
fn a_session_that_was_taken_is_switched_by_an_update() {
    let mut pair = Pair::new(USUAL);
    pair.world.act(pair.phones[0], |host, _| host.take_media(true));
    let call = pair.call(USUAL);
    pair.world.run_for(Duration::from_secs(1));
    pair.world.command(pair.phones[0], |engine, now| {
        engine.call(call).unwrap().set_processing(now, ProcessingConfig::VOICE).unwrap();
    });
    pair.world.run_for(Duration::from_secs(1));
    let at_work = pair.world.act(pair.phones[0], |host, _| host.taken(call).unwrap().processing());
    assert_eq!(at_work, ProcessingConfig::VOICE);
}

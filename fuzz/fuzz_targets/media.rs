//! A session that hears a peer which is authentic and hostile: audio, redundant audio, comfort noise and
//! telephone events of any content, order and timing. Nothing of it panics, what is refused is counted
//! once for its reason, and what waits stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::session::{
    Channel, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, Payload,
};
use subrosa::time::{Duration, Instant};
use subrosa::util::SeededRng;
use subrosa::wire::red::redundant_header;
use subrosa::wire::rtp::RtpHeaderFields;

/// Audio, comfort noise, redundant audio, telephone events, and a type that nobody agreed on.
const TYPES: [u8; 8] = [0, 9, 111, 13, 121, 63, 101, 77];

fn session(peer: SocketAddr) -> (MediaSession, SrtpSender) {
    let mut rng = SeededRng::new(1);
    let suite = Suite::AeadAes128Gcm;
    let keys = [MasterKey::generate(suite, &mut rng), MasterKey::generate(suite, &mut rng)];
    let sender = SrtpSender::new(&keys[0]).expect("a fresh key");
    let receiver = SrtpReceiver::new(&keys[1]).expect("a fresh key");
    let of = |payload_type, codec| Payload { payload_type, codec };
    let security = MediaSecurity::Srtp { sender, receiver };
    let mut config = MediaConfig::new(of(0, CodecId::Pcmu), peer, security);
    config.receive =
        vec![of(0, CodecId::Pcmu), of(9, CodecId::G722), of(111, CodecId::Opus)];
    config.red_receive = vec![121, 63];
    config.comfort_noise_receive = vec![13];
    config.dtmf_receive = vec![101];
    (config.write_rate, config.read_rate) = (16_000, 16_000);
    let session = MediaSession::new(Instant::ZERO, config, &mut rng).expect("it is right");
    (session, SrtpSender::new(&keys[1]).expect("a fresh key"))
}

fuzz_target!(|data: &[u8]| {
    let peer: SocketAddr = ([192, 0, 2, 1], 4_000).into();
    let (mut session, mut sender) = session(peer);
    let (mut rest, mut now) = (data, 1_000_000u64);
    let (mut sequence, mut timestamp) = (0u16, 0u32);
    // What, how much later, how long.
    while let Some((&[what, a, len], after)) = rest.split_first_chunk::<3>() {
        let (bytes, after) = after.split_at(usize::from(len).min(after.len()));
        rest = after;
        now += u64::from(a >> 4) * 5_000;
        let at = Instant::from_micros(now);
        (sequence, timestamp) = match what >> 3 & 3 {
            0 | 1 => (sequence.wrapping_add(1), timestamp.wrapping_add(160)),
            2 => (sequence.wrapping_add(1 + u16::from(a & 7)), timestamp.wrapping_add(160)),
            _ => (sequence.wrapping_add(1), timestamp.wrapping_add(u32::from(a) << 8)),
        };
        // Long enough for a frame, and with a copy that is nearly right.
        let mut payload = bytes.to_vec();
        if what & 0x20 != 0 {
            payload.resize(160, a);
        }
        if what & 0x40 != 0 {
            let offset = 160 * u16::from(a & 3) + u16::from(what >> 7);
            let copy = vec![a; 160];
            let mut red = redundant_header(0, offset, copy.len()).expect("it fits").to_vec();
            red.push(TYPES[usize::from(a & 7)]);
            red.extend(copy);
            red.extend(&payload);
            payload = red;
        }
        let fields = RtpHeaderFields {
            payload_type: TYPES[usize::from(what & 7)],
            sequence_number: sequence,
            timestamp,
            ssrc: 7,
            ..RtpHeaderFields::default()
        };
        let mut packet = [0; MAX_TRANSMIT];
        if let Ok(len) = fields.write_packet(&payload, 0, &mut packet)
            && let Ok(sealed) = sender.protect_rtp(&mut packet, len)
        {
            let len = sealed.bytes().len();
            session.handle_datagram(at, Channel::Rtp, &mut packet[..len], peer);
        }
        let mut pcm = [0; 160];
        session.read_pcm(at, &mut pcm).expect("it exchanges PCM");
        session.handle_timeout(at);
        while session.poll_event().is_some() {}
    }
    let stats = session.stats();
    assert_eq!(stats.red_refused_by.iter().sum::<u64>(), stats.red_refused);
    assert!(stats.buffer_level < Duration::from_secs(10));
});

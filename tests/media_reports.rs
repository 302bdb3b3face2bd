//! What a session's RTCP says (RFC 3550 §6.4, §6.5, §6.6), read with the keys of the call: one end
//! talks, the other one listens over a link of known delay and loss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::net::SocketAddr;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::media::codec::CodecId;
use subrosa::media::session::{
    Channel, Direction, MAX_TRANSMIT, MediaConfig, MediaSecurity, MediaSession, Payload,
};
use subrosa::time::{Duration, Instant, UnixTime};
use subrosa::util::SeededRng;
use subrosa::wire::rtcp::{Compound, ReportBlock, RtcpPacket, SenderInfo};
use subrosa::wire::rtp::{PacketKind, RtpPacket, classify};

const MS: Duration = Duration::from_millis(1);
const WALL: UnixTime = UnixTime::from_secs(1_800_000_000);
/// From the talker to the listener, and back.
const DELAYS: [u32; 2] = [30, 50];
const NAMES: [&str; 2] = ["talker", "listener"];

fn addresses() -> [SocketAddr; 2] {
    ["192.0.2.1:4000".parse().unwrap(), "192.0.2.2:5000".parse().unwrap()]
}

/// One compound packet as it left.
struct Report {
    at: Instant,
    sender: u32,
    info: Option<SenderInfo>,
    blocks: Vec<ReportBlock>,
    cname: Option<Vec<u8>>,
    left: Vec<u32>,
}

fn read(at: Instant, bytes: &[u8]) -> Report {
    let compound = Compound::parse(bytes).unwrap();
    let sender = compound.sender_ssrc();
    let (mut info, mut blocks, mut cname, mut left) = (None, vec![], None, vec![]);
    for packet in compound.iter() {
        match packet {
            RtcpPacket::SenderReport { info: i, reports, .. } => {
                (info, blocks) = (Some(i), reports.iter().collect());
            }
            RtcpPacket::ReceiverReport { reports, .. } => blocks = reports.iter().collect(),
            RtcpPacket::SourceDescription(d) => cname = d.cname(sender).map(<[u8]>::to_vec),
            RtcpPacket::Goodbye(goodbye) => left.extend(goodbye.ssrcs()),
            RtcpPacket::ExtendedReport(report) => assert_eq!(report.ssrc(), sender),
            _ => panic!("an unusual packet"),
        }
    }
    Report { at, sender, info, blocks, cname, left }
}

/// What crossed the link.
struct Talk {
    start: Instant,
    ends: [MediaSession; 2],
    ears: [SrtpReceiver; 2],
    wire: Vec<(Instant, usize, Channel, Vec<u8>)>,
    reports: [Vec<Report>; 2],
    /// Time, sequence number and timestamp of each packet of speech, and whether it was lost.
    speech: Vec<(Instant, u16, u32, bool)>,
}

impl Talk {
    fn new() -> Self {
        let mut rng = SeededRng::new(5);
        let keys = [0, 1].map(|_| MasterKey::generate(Suite::AeadAes256Gcm, &mut rng));
        let start = Instant::from_millis(5_000);
        let ends = [0, 1].map(|end: usize| {
            let security = MediaSecurity::Srtp {
                sender: SrtpSender::new(&keys[end]).unwrap(),
                receiver: SrtpReceiver::new(&keys[1 - end]).unwrap(),
            };
            let payload = Payload { payload_type: 0, codec: CodecId::Pcmu };
            let mut config = MediaConfig::new(payload, addresses()[1 - end], security);
            (config.write_rate, config.read_rate) = (8_000, 8_000);
            config.cname = NAMES[end].into();
            config.wall_clock = WALL;
            config.direction = [Direction::SendOnly, Direction::RecvOnly][end];
            MediaSession::new(start, config, &mut rng).unwrap()
        });
        let ears = [0, 1].map(|end: usize| SrtpReceiver::new(&keys[end]).unwrap());
        let (wire, reports) = (Vec::new(), [vec![], vec![]]);
        Self { start, ends, ears, wire, reports, speech: Vec::new() }
    }

    fn sent(&mut self, now: Instant, end: usize, channel: Channel, bytes: Vec<u8>) {
        let mut copy = bytes.clone();
        if classify(&bytes) == PacketKind::Rtcp {
            let plain = self.ears[end].unprotect_rtcp(&mut copy).unwrap();
            self.reports[end].push(read(now, plain));
        } else {
            let plain = self.ears[end].unprotect_rtp(&mut copy).unwrap();
            let header = RtpPacket::parse(plain).unwrap().header;
            // Every tenth packet is lost; every other one comes 8 ms later.
            let count = self.speech.len();
            let lost = (count + 1).is_multiple_of(10);
            self.speech.push((now, header.sequence_number, header.timestamp, lost));
            let late = MS * if count.is_multiple_of(2) { 0 } else { 8 };
            if !lost {
                self.wire.push((now + MS * DELAYS[end] + late, 1 - end, channel, bytes));
            }
            return;
        }
        self.wire.push((now + MS * DELAYS[end], 1 - end, channel, bytes));
    }

    /// A minute, in steps of a millisecond; a frame of speech each 20.
    fn run(&mut self, ms: std::ops::Range<u32>) {
        for ms in ms {
            let now = self.start + MS * ms;
            if ms.is_multiple_of(20) {
                self.ends[0].write_pcm(now, &[500; 160]).unwrap();
            }
            let due: Vec<_> = self.wire.extract_if(.., |(at, ..)| *at <= now).collect();
            for (at, to, channel, mut bytes) in due {
                let from = addresses()[1 - to];
                self.ends[to].handle_datagram(at, channel, &mut bytes, from);
            }
            for end in [0, 1] {
                if self.ends[end].next_timeout().is_some_and(|at| at <= now) {
                    self.ends[end].handle_timeout(now);
                }
                let mut buf = [0; MAX_TRANSMIT];
                while let Some(t) = self.ends[end].poll_transmit(now, &mut buf).unwrap() {
                    let (channel, bytes) = (t.channel, t.packet.bytes().to_vec());
                    self.sent(now, end, channel, bytes);
                }
            }
        }
    }

    fn call() -> Self {
        let mut talk = Self::new();
        talk.run(0..60_000);
        talk.ends.iter_mut().for_each(MediaSession::close);
        talk.run(60_000..60_010);
        talk
    }
}

#[test]
fn who_talks_sends_sender_reports_with_its_clocks_and_counts() {
    let talk = Talk::call();
    let (_, _, first, _) = talk.speech[0];
    assert!(talk.reports[0].len() > 5);
    for report in &talk.reports[0] {
        let info = report.info.expect("a sender report");
        assert_eq!(info.ntp, (WALL + report.at.duration_since(talk.start)).to_ntp());
        let sent = talk.speech.iter().filter(|(at, ..)| *at <= report.at).count() as u32;
        assert_eq!((info.packets, info.octets), (sent, sent * 160));
        // The two clocks of a report name the same moment.
        let ticks = report.at.duration_since(talk.start).as_micros() as u32 / 125;
        assert!(info.rtp_timestamp.wrapping_sub(first).abs_diff(ticks) <= 160, "{info:?}");
        assert!(report.blocks.is_empty(), "nothing was received");
    }
}

#[test]
fn who_listens_reports_loss_jitter_and_the_delay_since_the_last_sender_report() {
    let talk = Talk::call();
    let talker = talk.ends[0].local_ssrc();
    assert!(talk.reports[1].len() > 5);
    for report in &talk.reports[1] {
        assert_eq!(report.info, None, "it sent nothing");
        let [block] = report.blocks[..] else { panic!("one block about the one source") };
        let arrived = |packet: &&(Instant, u16, u32, bool)| {
            let late =
                MS * if talk.speech[0].1.wrapping_sub(packet.1).is_multiple_of(2) { 0 } else { 8 };
            packet.0 + MS * DELAYS[0] + late <= report.at && !packet.3
        };
        let last = talk.speech.iter().rposition(|packet| arrived(&packet)).unwrap();
        let lost = talk.speech[..last].iter().filter(|packet| packet.3).count();
        assert_eq!(block.ssrc, talker);
        assert_eq!(block.highest_sequence & 0xffff, u32::from(talk.speech[last].1));
        assert_eq!(block.cumulative_lost, lost as i32);
        assert!((20..=30).contains(&block.fraction_lost), "a tenth: {}", block.fraction_lost);
        // 8 ms are 64 ticks.
        assert!((45..=64).contains(&block.jitter) || report.at < talk.start + MS * 4_000);
        let heard = |sr: &&Report| sr.at + MS * DELAYS[0] <= report.at;
        match talk.reports[0].iter().rfind(heard) {
            None => assert_eq!((block.last_sr, block.delay_since_last_sr), (0, 0)),
            Some(sr) => {
                assert_eq!(block.last_sr, (sr.info.unwrap().ntp >> 16) as u32);
                let since = report.at.duration_since(sr.at + MS * DELAYS[0]).as_micros() as u64;
                let expected = since * 65_536 / 1_000_000;
                assert!(u64::from(block.delay_since_last_sr).abs_diff(expected) <= 1);
            }
        }
    }
    // From which the talker knows the round trip, and what was lost on the way.
    let stats = talk.ends[0].stats();
    let rtt = stats.rtt.unwrap();
    let expected = MS * (DELAYS[0] + DELAYS[1]);
    assert!(rtt.abs_diff(expected) <= MS, "{rtt:?}");
    assert!((270..=300).contains(&stats.remote_lost), "{}", stats.remote_lost);
}

#[test]
fn every_compound_names_its_source_and_the_last_one_says_goodbye() {
    let talk = Talk::call();
    for (end, reports) in talk.reports.iter().enumerate() {
        let ssrc = talk.ends[end].local_ssrc();
        for report in reports {
            assert_eq!(report.sender, ssrc);
            assert_eq!(report.cname.as_deref(), Some(NAMES[end].as_bytes()));
        }
        let (last, before) = reports.split_last().unwrap();
        assert_eq!(last.left, [ssrc]);
        assert!(before.iter().all(|report| report.left.is_empty()));
        // 5 s on average, between 0.5 and 1.5 times that, corrected (RFC 3550 §6.3.1, §A.7).
        let gaps = before.windows(2).map(|two| two[1].at.duration_since(two[0].at));
        assert!(gaps.into_iter().all(|gap| gap >= MS * 2_000 && gap <= MS * 6_200));
    }
}

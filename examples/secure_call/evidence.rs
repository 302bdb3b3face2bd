//! What was measured, and what it shows.

use std::error::Error;
use std::path::PathBuf;

use subrosa::crypto::tls::TlsVersion;
use subrosa::driver::{CallInfo, RecordedBytes, WireRecorder, read_wav};
use subrosa::engine::{Codec, EndReason, Padlock};

use crate::call::RATE;
use crate::compare::compare;
use crate::probe::Seen;
use crate::summary::Summary;
use crate::wire_check::{Needles, plain_packet};

/// The received speech must be at least this close to the sent, between 300 and 3400 Hz.
const MIN_CORRELATION: f64 = 0.95;
/// The listening quality that a call on loopback has at least, by the E-model.
const MIN_MOS: f64 = 4.0;
/// Packets that may be lost on loopback, of a thousand: a busy machine drops some.
const MAX_LOSS_PER_MILLE: u64 = 10;
/// From the microphone of one to the loudspeaker of the other, ms (ITU-T G.114: 150 is good).
const MAX_DELAY_MS: f64 = 150.0;
/// Bits of entropy per byte that encrypted packets may lack of what as many random bytes have.
const ENTROPY_LACK: f64 = 0.1;
/// What was found on the wire is named up to here, then counted.
const MAX_FOUND: usize = 5;

/// Everything that the verdict rests on.
#[derive(Clone)]
pub(crate) struct Evidence {
    pub(crate) caller: CallInfo,
    pub(crate) callee: CallInfo,
    /// The one that both ends were told to speak.
    pub(crate) codec: Codec,
    pub(crate) ends: Vec<EndReason>,
    pub(crate) speech: Vec<i16>,
    pub(crate) spoken: Seen,
    pub(crate) heard: Seen,
    pub(crate) recording: PathBuf,
    pub(crate) wires: [Wire; 2],
    pub(crate) names: Vec<String>,
    /// Whom alice dialled, and who called bob.
    pub(crate) domains: [String; 2],
}

/// What crossed the sockets of one phone.
#[derive(Clone)]
pub(crate) struct Wire {
    pub(crate) crossings: Vec<RecordedBytes>,
    /// Bytes that were not kept: of those a search proves nothing.
    pub(crate) dropped: u64,
}

impl Wire {
    pub(crate) fn of(recorder: &WireRecorder) -> Self {
        Self { crossings: recorder.crossings(), dropped: recorder.dropped() }
    }
}

/// The figures of one end's media.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) jitter_ms: f64,
    /// How good it sounds (listening quality, E-model), once it is known.
    pub(crate) mos: Option<f64>,
}

/// The figures, zero before there is media.
pub(crate) fn figures(info: &CallInfo) -> Figures {
    let Some(media) = &info.media else { return Figures::default() };
    Figures {
        sent: media.packets_sent,
        received: media.packets_received,
        lost: u64::try_from(media.lost).unwrap_or(0),
        jitter_ms: media.jitter.as_secs_f64() * 1_000.0,
        mos: media.quality.map(|quality| quality.mos_lq.into()),
    }
}

/// Holds each fact against its evidence.
pub(crate) fn judge(evidence: &Evidence) -> Result<Summary, Box<dyn Error>> {
    let mut summary = Summary::default();
    signalling(evidence, &mut summary);
    media(evidence, &mut summary);
    speech(evidence, &mut summary)?;
    wire(evidence, &mut summary);
    Ok(summary)
}

pub(crate) fn signalling(evidence: &Evidence, summary: &mut Summary) {
    let report = &evidence.caller.security;
    let leg = report.signalling.as_ref();
    let tls = leg.and_then(|leg| leg.tls.as_ref());
    let version = tls.map(|tls| tls.version);
    let shown = tls.map_or("no TLS at all".into(), |tls| {
        format!("{}, {}", tls.cipher_suite, tls.key_exchange.unwrap_or("no key exchange"))
    });
    summary.fact(version == Some(TlsVersion::V1_3), "signalling under TLS 1.3", shown);
    let [dialled, calling] = &evidence.domains;
    let verified = [
        ("the domain dialled is verified", &evidence.caller, dialled),
        ("the caller's domain is verified", &evidence.callee, calling),
    ];
    for (fact, info, domain) in verified {
        let leg = info.security.signalling.as_ref();
        let peer = leg.and_then(|leg| leg.tls.as_ref()).and_then(|tls| tls.peer.as_ref());
        let shown = peer.map_or("no certificate".into(), |peer| {
            format!("certificate for {} by {}", peer.domains.join(", "), peer.anchor)
        });
        let holds = leg.is_some_and(|leg| leg.peer_verified)
            && peer.is_some_and(|peer| peer.domains.contains(domain));
        summary.fact(holds, fact, shown);
    }
    for (who, info) in [("alice", &evidence.caller), ("bob", &evidence.callee)] {
        let padlock = info.security.padlock();
        let fact = format!("{who}'s padlock");
        summary.fact(padlock == Padlock::EncryptedToProvider, &fact, padlock.to_string());
    }
    let ended = evidence.ends == [EndReason::LocalHangUp, EndReason::RemoteHangUp];
    summary.fact(ended, "hung up by alice, in order", format!("{:?}", evidence.ends));
}

pub(crate) fn media(evidence: &Evidence, summary: &mut Summary) {
    let (caller, callee) = (&evidence.caller.security, &evidence.callee.security);
    let suite = callee.media_in.as_ref().and_then(|leg| leg.suite);
    let same = caller.is_media_encrypted()
        && callee.is_media_encrypted()
        && caller.media_out.as_ref().and_then(|leg| leg.suite) == suite
        && caller.media_in.as_ref().is_some_and(|leg| leg.suite.is_some());
    let name = suite.map_or("plain RTP", |suite| suite.sdp_name());
    let shown = format!(
        "{name}; {} packets authenticated by bob, {} failed, {} replayed, {} plain",
        callee.packets_authenticated,
        callee.auth_failures,
        callee.replays,
        callee.plain_dropped.saturating_add(caller.plain_dropped),
    );
    let clean = callee.auth_failures + callee.replays + callee.plain_dropped == 0;
    summary.fact(same && clean && callee.packets_authenticated > 0, "voice under SRTP", shown);
    let (sent, received) = (figures(&evidence.caller), figures(&evidence.callee));
    let seconds = evidence.speech.len() as u64 / u64::from(RATE);
    let enough = received.received >= seconds.saturating_mul(45);
    let lossless = received.lost * 1000 <= received.received * MAX_LOSS_PER_MILLE;
    let codec = evidence.callee.codec.map_or("no codec", |codec| codec.as_str());
    let shown = format!(
        "{codec}; sent {}, received {}, lost {}, jitter {:.2} ms",
        sent.sent, received.received, received.lost, received.jitter_ms
    );
    let as_told = evidence.callee.codec == Some(evidence.codec);
    summary.fact(enough && lossless && as_told, "packets arrive", shown);
    let shown = received.mos.map_or("unknown".into(), |mos| {
        format!("MOS {mos:.2} of 4.5 where bob listens, by the E-model (ITU-T G.107)")
    });
    let good = received.mos.is_some_and(|mos| mos >= MIN_MOS);
    summary.fact(good, "it sounds good", shown);
}

pub(crate) fn speech(evidence: &Evidence, summary: &mut Summary) -> Result<(), Box<dyn Error>> {
    let recorded = read_wav(&evidence.recording, RATE)?;
    let complete = recorded == evidence.heard.pcm && recorded.len() >= evidence.speech.len();
    let seconds = recorded.len() as f64 / f64::from(RATE);
    summary.fact(complete, "the recording is complete", format!("{seconds:.2} s, 16 kHz, mono"));
    let likeness = compare(&evidence.speech, &recorded);
    let shown = format!(
        "correlation {:.4} from 300 to 3400 Hz (each half second aligned by itself), {:.4} as a whole",
        likeness.pieces, likeness.whole
    );
    summary.fact(likeness.pieces >= MIN_CORRELATION, "the speech is what was spoken", shown);
    let delay = match (evidence.spoken.started, evidence.heard.started) {
        (Some(spoken), Some(heard)) => {
            let lag = likeness.lag as f64 / f64::from(RATE);
            let ahead = spoken.saturating_duration_since(heard).as_secs_f64();
            let late = heard.saturating_duration_since(spoken).as_secs_f64();
            Some((lag + late - ahead) * 1_000.0)
        }
        _ => None,
    };
    let shown = delay.map_or("unknown".into(), |ms| {
        format!("{ms:.1} ms from write_pcm to read_pcm (packet, jitter buffer, codec)")
    });
    let prompt = delay.is_some_and(|ms| (0.0..=MAX_DELAY_MS).contains(&ms));
    summary.fact(prompt, "one-way delay through the engine", shown);
    Ok(())
}

pub(crate) fn wire(evidence: &Evidence, summary: &mut Summary) {
    let names: Vec<&str> = evidence.names.iter().map(String::as_str).collect();
    let needles = Needles::new(&names, &evidence.speech);
    let able = needles.self_test(&plain_packet(evidence.codec, &evidence.speech));
    let codec = evidence.codec.as_str();
    let shown = format!(
        "an INVITE, a name and a packet of this speech in {codec}, as a control, are found"
    );
    summary.fact(able, "the wire search can find", shown);
    for (who, wire) in ["alice", "bob"].iter().zip(&evidence.wires) {
        let findings = needles.search(&wire.crossings);
        let shown = if findings.found.is_empty() {
            format!(
                "{} bytes in {} datagrams and {} stream directions: no SIP text, no name, no speech",
                findings.bytes, findings.datagrams, findings.streams
            )
        } else {
            let (first, rest) = findings.found.split_at(findings.found.len().min(MAX_FOUND));
            let more =
                if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("FOUND {}{more}", first.join(", "))
        };
        let searched = findings.bytes > 0 && findings.streams >= 2 && wire.dropped == 0;
        let fact = format!("{who}'s wire tells nothing");
        summary.fact(findings.found.is_empty() && searched, &fact, shown);
        let fact = format!("{who}'s packets look random");
        let shown = format!("{:.3} bits per byte behind the RTP header", findings.entropy);
        let least = random_entropy(findings.behind_headers) - ENTROPY_LACK;
        summary.fact(findings.entropy >= least, &fact, shown);
    }
}

/// The entropy per byte that is expected of so many random bytes: the fewer, the less.
fn random_entropy(bytes: usize) -> f64 {
    8.0 - 255.0 / (2.0 * std::f64::consts::LN_2 * bytes.max(1) as f64)
}

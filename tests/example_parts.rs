//! The parts of the examples that are worth a test of their own: what is on the screen, and what
//! the verdict of the secure call rests on: each fact, made false alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs, dead_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../examples/secure_call/call.rs"]
mod call;
#[path = "../examples/secure_call/certs.rs"]
mod certs;
#[path = "../examples/secure_call/compare.rs"]
mod compare;
#[path = "../examples/secure_call/display.rs"]
mod display;
#[path = "../examples/secure_call/evidence.rs"]
mod evidence;
#[path = "../examples/secure_call/probe.rs"]
mod probe;
#[path = "../examples/softphone/display.rs"]
mod softphone_display;
#[path = "../examples/softphone/failure.rs"]
mod softphone_failure;
#[path = "../examples/secure_call/summary.rs"]
mod summary;
#[path = "../examples/secure_call/wire_check.rs"]
mod wire_check;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use call::RATE;
use evidence::{Evidence, judge};
use subrosa::driver::{WireTransport, read_wav};
use subrosa::engine::{Codec, EndReason};
use subrosa::media::wav::Wav;
use summary::Summary;

/// Samples by which the speech is heard later than it was spoken: 10 ms.
const LAG: usize = 160;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn write(name: &str, samples: Vec<i16>) -> PathBuf {
    std::fs::write(file(name), Wav { sample_rate: RATE, samples }.to_bytes()).unwrap();
    file(name)
}

/// Evidence of a real call with a second of speech; what a busy machine may spoil is put in its
/// place, so that every fact holds.
fn good() -> Evidence {
    static SEEN: OnceLock<Evidence> = OnceLock::new();
    let seen = SEEN.get_or_init(|| {
        let clip = "assets/speech/sense_and_sensibility_01_austen_64kb-0880.wav";
        let clip = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(clip);
        let mut speech = read_wav(&clip, RATE).unwrap();
        speech.truncate(RATE as usize);
        let options = call::Options {
            plain: false,
            codec: Codec::G722,
            speech: vec![write("facts_speech.wav", speech)],
            record: file("facts_heard.wav"),
        };
        let mut seen = call::make(&options, &mut display::Display::new()).unwrap();
        let received = seen.callee.media.as_mut().unwrap();
        (received.packets_received, received.lost) = (100, 1);
        hear(&mut seen, "facts_good.wav", |_| {});
        seen.spoken.started = Some(Instant::now());
        seen.heard.started = seen.spoken.started;
        seen
    });
    seen.clone()
}

/// The speech as it was spoken arrives, but for a `change`, and is recorded.
fn hear(evidence: &mut Evidence, name: &str, change: impl Fn(&mut Vec<i16>)) {
    let mut pcm = vec![0; LAG];
    pcm.extend_from_slice(&evidence.speech);
    change(&mut pcm);
    evidence.recording = write(name, pcm.clone());
    evidence.heard.pcm = pcm;
}

/// A part of the judgement, which reads evidence that no other part reads.
type Part = fn(&Evidence, &mut Summary);

fn speech(evidence: &Evidence, summary: &mut Summary) {
    evidence::speech(evidence, summary).unwrap();
}

/// The facts of this part that do not hold once the evidence is like this; the verdict goes with
/// them.
fn broken(part: Part, doctor: impl FnOnce(&mut Evidence)) -> Vec<String> {
    let (mut evidence, mut summary) = (good(), Summary::default());
    doctor(&mut evidence);
    part(&evidence, &mut summary);
    let (facts, text) = (summary.facts(), summary.text(false));
    let broken: Vec<_> = facts.iter().filter(|(_, holds)| !holds).map(|(fact, _)| *fact).collect();
    assert_eq!(summary.holds(), broken.is_empty(), "{text}");
    assert_eq!(text.matches("  FAIL ").count(), broken.len(), "{text}");
    for fact in &broken {
        assert!(text.contains(&format!("  FAIL {fact}")), "{text}");
    }
    broken.into_iter().map(str::to_owned).collect()
}

type Doctor = fn(&mut Evidence);

fn each_breaks(part: Part, fact: &str, doctors: &[Doctor]) {
    for (n, doctor) in doctors.iter().enumerate() {
        assert_eq!(broken(part, doctor), [fact], "case {n}");
    }
}

#[test]
fn a_good_call_passes() {
    let summary = judge(&good()).unwrap();
    assert!(summary.holds(), "{}", summary.text(false));
    assert_eq!(summary.facts().len(), 17);
}

#[test]
fn a_call_that_did_not_end_in_order_does_not_pass() {
    each_breaks(
        evidence::signalling,
        "hung up by alice, in order",
        &[
            |e| e.ends.reverse(),
            |e| e.ends.truncate(1),
            |e| e.ends[1] = EndReason::LocalHangUp,
            |e| e.ends[0] = EndReason::Failed(subrosa::engine::FailureReason::ConnectionLost),
        ],
    );
}

#[test]
fn a_call_whose_packets_are_missing_does_not_pass() {
    each_breaks(
        evidence::media,
        "packets arrive",
        &[
            |e| e.callee.media.as_mut().unwrap().packets_received = 44,
            |e| e.callee.media.as_mut().unwrap().lost = 2,
            |e| e.callee.codec = Some(Codec::Pcmu),
            |e| e.callee.codec = None,
        ],
    );
    assert!(
        broken(evidence::media, |e| e.callee.media.as_mut().unwrap().packets_received = 100)
            .is_empty()
    );
}

#[test]
fn a_call_that_sounds_bad_does_not_pass() {
    each_breaks(
        evidence::media,
        "it sounds good",
        &[
            |e| e.callee.media.as_mut().unwrap().quality.as_mut().unwrap().mos_lq = 3.9,
            |e| e.callee.media.as_mut().unwrap().quality = None,
        ],
    );
}

#[test]
fn an_incomplete_recording_does_not_pass() {
    each_breaks(
        speech,
        "the recording is complete",
        &[
            // Something was heard and not written, or written otherwise.
            |e| e.heard.pcm.push(1),
            |e| e.heard.pcm[40] += 1,
            // The last word is cut off.
            |e| {
                let whole = e.speech.len();
                hear(e, "facts_cut.wav", |pcm| pcm.truncate(whole - 1));
            },
        ],
    );
}

#[test]
fn other_speech_than_was_spoken_does_not_pass() {
    each_breaks(
        speech,
        "the speech is what was spoken",
        &[|e| {
            // Every other packet is silent.
            hear(e, "facts_gaps.wav", |pcm| {
                pcm.chunks_mut(320).step_by(2).for_each(|packet| packet.fill(0));
            });
        }],
    );
}

#[test]
fn late_speech_does_not_pass() {
    each_breaks(
        speech,
        "one-way delay through the engine",
        &[
            |e| *e.heard.started.as_mut().unwrap() += Duration::from_millis(141),
            // Heard before it was spoken: nobody measured that.
            |e| *e.spoken.started.as_mut().unwrap() += Duration::from_millis(11),
            |e| e.heard.started = None,
            |e| e.spoken.started = None,
        ],
    );
    let in_time = |e: &mut Evidence| {
        *e.heard.started.as_mut().unwrap() += Duration::from_millis(139);
    };
    assert!(broken(speech, in_time).is_empty());
}

/// The bytes of what crossed a wire over this transport.
fn crossing(wire: &mut evidence::Wire, over: WireTransport, n: usize) -> &mut Vec<u8> {
    let mut of = wire.crossings.iter_mut().filter(|crossing| crossing.transport == over);
    &mut of.nth(n).unwrap().bytes
}

#[test]
fn a_wire_that_tells_something_does_not_pass() {
    for (side, fact) in
        ["alice's wire tells nothing", "bob's wire tells nothing"].iter().enumerate()
    {
        let told = |doctor: &dyn Fn(&mut evidence::Wire, &[i16])| {
            broken(evidence::wire, |e| {
                let speech = e.speech.clone();
                doctor(&mut e.wires[side], &speech);
            })
        };
        // SIP text, in a stream and in a datagram.
        for over in [WireTransport::Tcp, WireTransport::Udp] {
            let found = told(&|wire, _| crossing(wire, over, 0).extend(b"\r\nCSeq: 1 INVITE\r\n"));
            assert_eq!(found, [*fact], "{over:?}");
        }
        // The caller's name in any case, cut in two by the stream.
        let named = told(&|wire, _| {
            let piece = wire.crossings.iter().find(|c| c.transport == WireTransport::Tcp);
            let mut piece = piece.unwrap().clone();
            for half in [b"xxLid".to_vec(), b"DELLxx".to_vec()] {
                piece.bytes = half;
                wire.crossings.push(piece.clone());
            }
        });
        assert_eq!(named, [*fact]);
        // One packet of speech in the clear.
        let spoken = told(&|wire, speech| {
            *crossing(wire, WireTransport::Udp, 3) = wire_check::plain_packet(Codec::G722, speech);
        });
        assert_eq!(spoken, [*fact]);
        // A search of less than all proves nothing.
        assert_eq!(told(&|wire, _| wire.dropped = 1), [*fact]);
        let no_stream = told(&|wire, _| {
            wire.crossings.retain(|crossing| crossing.transport != WireTransport::Tcp);
        });
        assert_eq!(no_stream, [*fact]);
    }
}

#[test]
fn packets_that_are_not_random_do_not_pass() {
    for (side, fact) in
        ["alice's packets look random", "bob's packets look random"].iter().enumerate()
    {
        let found = broken(evidence::wire, |e| {
            for crossing in &mut e.wires[side].crossings {
                if crossing.transport == WireTransport::Udp {
                    crossing.bytes.iter_mut().skip(12).for_each(|byte| *byte &= 0x7f);
                }
            }
        });
        assert_eq!(found, [*fact]);
    }
}

#[test]
fn a_search_that_cannot_find_does_not_pass() {
    each_breaks(evidence::wire, "the wire search can find", &[|e| e.names.clear()]);
}

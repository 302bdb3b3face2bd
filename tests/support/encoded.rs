//! Calls between a phone whose DSP has the codec and one with PCM, and what became of their frames.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use super::dsp::{self, Dsp, Item};
use super::pair::{Pair, Setup, USUAL};
use super::sound::speech;
use subrosa::engine::{CallId, CallOptions, Codec, Engine, Event};
use subrosa::media::codec::{CodecId, MAX_FRAME_SAMPLES};
use subrosa::media::session::{FrameKind, MediaStats};
use subrosa::sim::{Link, Source};
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

pub const FRAME: Duration = Duration::from_millis(20);

/// Alice has a DSP, Bob hears and says PCM at `rate`. He reads aloud.
pub fn world(rate: u32, codecs: &[Codec], setup: Setup) -> Pair {
    let mut pair = Pair::with(setup, |config| config.codecs = codecs.to_vec());
    pair.world.act(pair.phones[1], |host, _| {
        host.set_sample_rate(rate);
        host.say(Source::Pcm(Arc::from(speech(rate))));
        host.react(move |turn, event| {
            if let Event::IncomingCall { call, .. } = *event {
                let mut options = CallOptions::default();
                options.sample_rate = rate;
                turn.engine.call(call).unwrap().accept(turn.now, options).unwrap();
            }
        });
    });
    pair
}

/// Alice's options.
pub fn encoded(rate: u32) -> CallOptions {
    let mut options = CallOptions::default();
    (options.encoded, options.sample_rate) = (true, rate);
    options
}

pub fn call(pair: &mut Pair, options: CallOptions) -> CallId {
    let account = pair.accounts[0];
    let id = pair.world.command(pair.phones[0], |engine, now| {
        let to = Uri::parse("sip:bob@bob.test").unwrap();
        engine.place_call(now, account, &to, options).unwrap()
    });
    // The DSP plays from the beginning: what waits for it would be too much, and left out.
    pair.world.run_for(Duration::from_millis(30));
    id
}

/// Both talk for a while.
pub fn talk(pair: &mut Pair, dsp: &mut Dsp, time: Duration) {
    for _ in 0..time.as_millis() / FRAME.as_millis() {
        pair.world.run_for(FRAME);
        pair.world.act(pair.phones[0], |host, net| {
            let now = net.now();
            match host.taken(dsp.call) {
                Some(session) => dsp.turn(now, session),
                None => {
                    let call = dsp.call;
                    dsp.turn(now, &mut (host.engine_mut(), call));
                }
            }
            host.drain(net);
        });
    }
}

pub fn on_engine<R>(pair: &mut Pair, f: impl FnOnce(&mut Engine) -> R) -> R {
    pair.world.command(pair.phones[0], |engine, _| f(engine))
}

/// Bob's call, and his statistics.
pub fn bob(pair: &mut Pair) -> (CallId, MediaStats) {
    pair.world.command(pair.phones[1], |engine, _| {
        let id = engine.call_ids()[0];
        (id, engine.call(id).unwrap().media_stats().unwrap())
    })
}

pub fn stats(pair: &mut Pair, call: CallId) -> MediaStats {
    on_engine(pair, |engine| engine.call(call).unwrap().media_stats().unwrap())
}

pub fn events(pair: &Pair, side: usize, wanted: impl Fn(&Event) -> bool) -> usize {
    pair.world.host(pair.phones[side]).events().iter().filter(|(_, e)| wanted(e)).count()
}

/// The payloads of what was received, in order.
pub fn payloads(items: &[Item]) -> Vec<Vec<u8>> {
    let audio = items.iter().filter(|item| item.kind == FrameKind::Audio);
    audio.map(|item| item.payload.clone()).collect()
}

/// All PCM of these payloads.
pub fn decoded(codec: CodecId, rate: u32, payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec.decoder_at(rate, None).unwrap();
    let (mut pcm, mut out) = (vec![0; MAX_FRAME_SAMPLES], Vec::new());
    for payload in payloads {
        let n = decoder.decode(payload, &mut pcm).unwrap();
        out.extend_from_slice(&pcm[..n]);
    }
    out
}

pub fn contains<T: PartialEq>(all: &[T], part: &[T]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}

/// Where the first of these frames is among those that were sent.
pub fn place(sent: &[Vec<u8>], got: &[Vec<u8>]) -> usize {
    let found = sent.windows(got.len().min(5)).position(|window| got.starts_with(window));
    found.expect("what came was never sent")
}

/// A call with G.711 over this link from Bob to Alice; what came, and which of Bob's frames each
/// item stands for.
pub fn over(link: Link) -> (Pair, Dsp, MediaStats) {
    let mut pair = world(8_000, &[Codec::Pcma], USUAL);
    let call = call(&mut pair, encoded(8_000));
    pair.world.set_one_way(pair.phones[1], pair.phones[0], link);
    let encoding = on_engine(&mut pair, |engine| engine.encoding(call).unwrap());
    let mut dsp = Dsp::new(call, encoding, 8_000, speech(8_000));
    talk(&mut pair, &mut dsp, Duration::from_secs(8));
    let stats = stats(&mut pair, call);
    (pair, dsp, stats)
}

/// The payload of each packet is what Bob said at the time of its timestamp, in this order.
pub fn assert_in_order(dsp: &Dsp) {
    let sent = dsp::encode(dsp.encoding, 8_000, &speech(8_000).repeat(5));
    let audio: Vec<_> = dsp.items.iter().filter(|item| item.kind == FrameKind::Audio).collect();
    let begin = place(&sent, &[audio[0].payload.clone()]);
    let at = |item: &Item| item.timestamp.wrapping_sub(audio[0].timestamp) as usize / 160;
    for items in audio.windows(2) {
        assert!(at(items[0]) < at(items[1]), "{:?} before {:?}", items[0], items[1]);
        assert_eq!(items[1].payload, sent[begin + at(items[1])]);
    }
}

//! Mute, gain and processing hold through a call, whatever becomes of its media, and are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use pair::{Pair, USUAL};
use subrosa::engine::{Call, CallError, CallId, CallState, Codec, Event};
use subrosa::media::dsp::ProcessingConfig;
use subrosa::sim::Source;
use subrosa::time::{Duration, Instant};

type Change = fn(&mut Call<'_>, Instant);

fn with<T>(
    pair: &mut Pair,
    side: usize,
    call: CallId,
    run: impl FnOnce(&mut Call<'_>, Instant) -> T,
) -> T {
    pair.world.command(pair.phones[side], |engine, now| run(&mut engine.call(call).unwrap(), now))
}

/// RMS of what a side heard in the last half second.
fn loudness(pair: &Pair, side: usize, call: CallId) -> f64 {
    let heard = pair.world.host(pair.phones[side]).heard(call);
    let last = &heard[heard.len() - 8_000..];
    (last.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / last.len() as f64).sqrt()
}

fn of_bob(pair: &mut Pair) -> CallId {
    pair.world.command(pair.phones[1], |engine, _| engine.call_ids()[0])
}

/// The mean loudness of a sine of 8000, and of one at half of it.
const LOUD: std::ops::Range<f64> = 5_000.0..6_500.0;
const HALF: std::ops::Range<f64> = 2_500.0..3_250.0;

#[test]
fn who_mutes_before_the_answer_is_not_heard_after_it() {
    let mut pair = Pair::new(USUAL);
    let ours = pair.dial(USUAL);
    with(&mut pair, 0, ours, |call, now| {
        assert_eq!((call.state(), call.is_muted()), (CallState::Dialing, false));
        call.mute(now, true).unwrap();
        assert!(call.is_muted());
    });
    pair.world.run_for(Duration::from_secs(2));
    let theirs = of_bob(&mut pair);
    assert_eq!(with(&mut pair, 0, ours, |call, _| call.state()), CallState::Established);
    // All of it but the first 10 ms, in which it fades.
    let heard = pair.world.host(pair.phones[1]).heard(theirs);
    let voiced = heard.iter().filter(|s| s.unsigned_abs() > 100).count();
    assert!(heard.len() > 16_000 && voiced <= 320, "{voiced} of {}", heard.len());
    with(&mut pair, 0, ours, |call, now| call.mute(now, false).unwrap());
    pair.world.run_for(Duration::from_secs(1));
    assert!(LOUD.contains(&loudness(&pair, 1, theirs)), "{}", loudness(&pair, 1, theirs));
}

#[test]
fn mute_and_gain_outlive_holds_and_changes_of_codec_and_keys() {
    let mut pair = Pair::with(USUAL, |config| config.codecs = vec![Codec::G722, Codec::Pcmu]);
    pair.world.act(pair.phones[1], |host, _| host.say(Source::Sine { hz: 500, peak: 8_000 }));
    let ours = pair.dial(USUAL);
    with(&mut pair, 0, ours, |call, now| {
        call.set_send_gain(now, -6.0206).unwrap();
        call.set_receive_gain(now, -6.0206).unwrap();
        assert_eq!((call.send_gain(), call.receive_gain()), (-6.0206, -6.0206));
    });
    pair.world.run_for(Duration::from_secs(2));
    let theirs = of_bob(&mut pair);
    let step = |pair: &mut Pair, what: &str, run: Change| {
        with(pair, 0, ours, run);
        pair.world.run_for(Duration::from_secs(2));
        let heard = loudness(pair, 0, ours);
        assert!(HALF.contains(&heard), "after {what} Alice hears {heard}");
        let heard = loudness(pair, 1, theirs);
        assert!(HALF.contains(&heard), "after {what} Bob hears {heard}");
        with(pair, 0, ours, |call, now| call.mute(now, true).unwrap());
        pair.world.run_for(Duration::from_secs(1));
        assert!(loudness(pair, 1, theirs) < 5.0, "after {what} mute is none");
    };
    let unmute = |call: &mut Call<'_>, now| call.mute(now, false).unwrap();
    step(&mut pair, "the answer", |_, _| {});
    step(&mut pair, "an end of the mute", unmute);
    // Muted all the while: what follows changes the stream under it.
    let changes: [(&str, Change); 3] = [
        ("another codec", |call, now| call.set_codecs(now, &[Codec::Pcmu]).unwrap()),
        ("new keys", |call, now| call.renew_keys(now).unwrap()),
        ("a hold", |call, now| call.hold(now).unwrap()),
    ];
    for (what, change) in changes {
        with(&mut pair, 0, ours, change);
        pair.world.run_for(Duration::from_secs(2));
        assert!(loudness(&pair, 1, theirs) < 5.0, "{what} ends the mute");
        if what == "a hold" {
            with(&mut pair, 0, ours, |call, now| call.resume(now).unwrap());
            pair.world.run_for(Duration::from_secs(2));
            assert!(loudness(&pair, 1, theirs) < 5.0, "the end of {what} ends the mute");
        }
        assert!(with(&mut pair, 0, ours, |call, _| call.is_muted()));
        step(&mut pair, what, unmute);
    }
}

#[test]
fn what_was_set_is_told_until_the_end_and_refused_after_it() {
    let high_pass = ProcessingConfig { high_pass: true, ..ProcessingConfig::OFF };
    let mut pair = Pair::with(USUAL, |config| config.processing = high_pass);
    let ours = pair.dial(USUAL);
    with(&mut pair, 0, ours, |call, now| {
        assert_eq!(call.processing(), high_pass);
        call.set_processing(now, ProcessingConfig::VOICE).unwrap();
        assert_eq!(call.processing(), ProcessingConfig::VOICE);
    });
    pair.world.run_for(Duration::from_secs(1));
    with(&mut pair, 0, ours, |call, now| {
        assert_eq!(call.processing(), ProcessingConfig::VOICE);
        assert!(call.processing_stats().is_some());
        call.hang_up(now).unwrap();
    });
    pair.world.run_for(Duration::from_secs(1));
    let host = pair.world.host(pair.phones[0]);
    assert!(host.events().iter().any(|(_, event)| matches!(event, Event::CallEnded { .. })));
    let over = with(&mut pair, 0, ours, |call, now| call.mute(now, true));
    assert!(matches!(over, Err(CallError::WrongState { .. })), "{over:?}");
}

//! The copy of `opus-pure` in `vendor/` makes the packets and the sound of the published crate, to
//! the last bit.

use subrosa_peers::opus::{Step, patched, published, sounds};

/// Streams of 150 frames; the seed of each draws its rate, its settings and its losses.
const SEEDS: u64 = 60;

#[test]
fn packets_and_sound_are_those_of_the_published_crate() {
    let sounds = sounds();
    let (mut modes, mut steps) = ([0; 3], 0);
    for seed in 0..SEEDS {
        let mut expected = Vec::new();
        published::walk(seed, 150, &sounds, |step| expected.push(step));
        let mut at = 0;
        patched::walk(seed, 150, &sounds, |step| {
            assert!(
                step == expected[at],
                "seed {seed}, step {at}: {step:?} is not {:?}",
                expected[at]
            );
            if let Step::Packet(packet, _) = &step {
                modes[usize::from(packet[0] >> 3 >= 12) + usize::from(packet[0] >> 3 >= 16)] += 1;
            }
            at += 1;
        });
        assert_eq!(at, expected.len(), "seed {seed}");
        steps += at;
    }
    println!("{steps} steps; packets of SILK, hybrid, CELT: {modes:?}");
    assert!(modes.iter().all(|packets| *packets > 100), "{modes:?}");
}

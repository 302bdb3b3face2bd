//! Comfort noise: whatever descriptions come, in whatever order, the noise stays within full scale and
//! falls silent when it is told to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::media::comfort_noise::{NoiseAnalyser, NoiseGenerator};
use subrosa::wire::comfort_noise::{ComfortNoise, MAX_LEN};

fuzz_target!(|data: &[u8]| {
    let mut generator = NoiseGenerator::new(8_000);
    let mut analyser = NoiseAnalyser::new();
    let mut pcm = [0i16; 160];
    // A length in front of each payload.
    let mut rest = data;
    while let Some((len, after)) = rest.split_first() {
        let (payload, after) = after.split_at(usize::from(len % 32).min(after.len()));
        rest = after;
        let Ok(noise) = ComfortNoise::parse(payload) else { continue };
        assert!(noise.reflection().all(|k| k.abs() < 1.0));
        let mut out = [0; MAX_LEN];
        let len = noise.write(&mut out).expect("there is room");
        assert_eq!(ComfortNoise::parse(&out[..len]), Ok(noise));
        if len % 2 == 0 {
            generator.begin();
        }
        generator.hear(&noise);
        for _ in 0..4 {
            assert!(generator.sample().is_finite());
        }
        generator.fill(&mut pcm);
        analyser.hear(&pcm);
        let again = analyser.describe();
        assert!(again.reflection().all(|k| k.abs() < 1.0));
    }
    generator.hear(&ComfortNoise::new(127, &[]));
    (0..200).for_each(|_| generator.fill(&mut pcm));
    assert_eq!(pcm, [0; 160]);
});

//! The C functions of the mixer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unsafe_code)]

use std::ptr::null_mut;
use subrosa::ffi::*;

#[test]
fn three_people_hear_each_other_in_c() {
    let mut mixer = null_mut();
    let (mut ids, mut delay, mut level, mut talker) = ([0u64; 3], 0usize, 0f32, 9u64);
    let mut pcm = [0i16; 160];
    // SAFETY: pointers to live locals.
    unsafe {
        assert_eq!(subrosa_mixer_new(8_000, 0, 3, &mut mixer), SUBROSA_ERR_INVALID);
        assert_eq!(subrosa_mixer_new(8_000, 160, 3, &mut mixer), SUBROSA_OK);
        for id in &mut ids {
            assert_eq!(subrosa_mixer_add(mixer, id), SUBROSA_OK);
        }
        let mut fourth = 0;
        assert_eq!(subrosa_mixer_add(mixer, &mut fourth), SUBROSA_ERR_WRONG_STATE);
        assert_eq!(subrosa_mixer_active_talker(mixer, &mut talker), SUBROSA_OK);
        assert_eq!(talker, 0);
        assert_eq!(subrosa_mixer_set_gain(mixer, ids[1], -6.0206), SUBROSA_OK);
        assert_eq!(subrosa_mixer_set_muted(mixer, ids[2], 1), SUBROSA_OK);
        for _ in 0..2 {
            for (id, sample) in ids.into_iter().zip([1_000i16, 200, 7]) {
                let pcm = [sample; 160];
                assert_eq!(subrosa_mixer_write(mixer, id, pcm.as_ptr(), 160), SUBROSA_OK);
            }
            assert_eq!(subrosa_mixer_mix(mixer), SUBROSA_OK);
        }
        let heard = ids.map(|id| {
            assert_eq!(subrosa_mixer_read(mixer, id, pcm.as_mut_ptr(), 160), SUBROSA_OK);
            pcm[159]
        });
        assert_eq!(heard, [100, 1_000, 1_100]);
        assert_eq!(subrosa_mixer_delay(mixer, &mut delay), SUBROSA_OK);
        assert_eq!(delay, 16);
        assert_eq!(subrosa_mixer_level(mixer, ids[0], &mut level), SUBROSA_OK);
        assert!((level + 30.3).abs() < 0.1, "{level}");
        assert_eq!(subrosa_mixer_active_talker(mixer, &mut talker), SUBROSA_OK);
        assert_eq!(talker, ids[0]);
        assert_eq!(subrosa_mixer_remove(mixer, ids[0]), SUBROSA_OK);
        assert_eq!(subrosa_mixer_remove(mixer, ids[0]), SUBROSA_ERR_INVALID);
        assert_eq!(subrosa_mixer_read(mixer, ids[1], pcm.as_mut_ptr(), 99), SUBROSA_ERR_INVALID);
        subrosa_mixer_free(mixer);
    }
}

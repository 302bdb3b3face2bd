//! The C functions for tones and for DTMF as sound.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unsafe_code)]

use std::ptr::null_mut;
use subrosa::ffi::*;

fn text(text: &str) -> subrosa_str {
    subrosa_str { ptr: text.as_ptr().cast(), len: text.len() }
}

#[test]
fn a_digit_that_is_played_is_heard() {
    let (mut player, mut detector) = (null_mut(), null_mut());
    let (mut digits, mut count, mut current, mut done) = ([0u8; 8], 0, -1, -1);
    let mut pcm = [0i16; 1_600];
    // SAFETY: pointers to live locals.
    unsafe {
        assert_eq!(subrosa_tone_player_dtmf(b'#', -9, -7, 80, 16_000, &mut player), SUBROSA_OK);
        assert_eq!(subrosa_dtmf_detector_new(16_000, &mut detector), SUBROSA_OK);
        assert_eq!(subrosa_tone_player_read(player, pcm.as_mut_ptr(), 960), SUBROSA_OK);
        let (places, room) = (digits.as_mut_ptr(), digits.len());
        let push = |from: &[i16], count: &mut usize| {
            subrosa_dtmf_detector_push(detector, from.as_ptr(), from.len(), places, room, count)
        };
        assert_eq!(push(&pcm[..960], &mut count), SUBROSA_OK);
        assert_eq!((count, digits[0]), (1, b'#'));
        assert_eq!(subrosa_dtmf_detector_current(detector, &mut current), SUBROSA_OK);
        assert_eq!(current, i32::from(b'#'));
        assert_eq!(subrosa_tone_player_read(player, pcm.as_mut_ptr(), 1_600), SUBROSA_OK);
        assert_eq!(push(&pcm, &mut count), SUBROSA_OK);
        assert_eq!(subrosa_dtmf_detector_current(detector, &mut current), SUBROSA_OK);
        assert_eq!((count, current), (0, 0));
        assert_eq!(subrosa_tone_player_is_finished(player, &mut done), SUBROSA_OK);
        assert_eq!(done, 1);
        assert_eq!(subrosa_dtmf_detector_reset(detector), SUBROSA_OK);
        subrosa_tone_player_free(player);
        subrosa_dtmf_detector_free(detector);
    }
}

#[test]
fn tones_are_named_by_country_and_kind_and_stop() {
    let (mut player, mut done) = (null_mut(), -1);
    let mut pcm = [0i16; 800];
    // SAFETY: pointers to live locals.
    unsafe {
        let mut new = |country: &str, tone, rate| {
            subrosa_tone_player_new(text(country), tone, rate, &mut player)
        };
        assert_eq!(new("JP", SUBROSA_TONE_SPECIAL_INFORMATION, 8_000), SUBROSA_ERR_NOT_SUPPORTED);
        assert_eq!(new("DE", 99, 8_000), SUBROSA_ERR_INVALID);
        assert_eq!(new("DE", SUBROSA_TONE_DIAL, 96_000), SUBROSA_ERR_INVALID);
        assert_eq!(new("nowhere", SUBROSA_TONE_DIAL, 8_000), SUBROSA_OK);
        assert_eq!(subrosa_tone_player_read(player, pcm.as_mut_ptr(), 800), SUBROSA_OK);
        // 425 Hz cross zero 85 times in a tenth of a second.
        let crossings = pcm.windows(2).filter(|w| (w[0] < 0) != (w[1] < 0)).count();
        assert!((83..=86).contains(&crossings), "{crossings}");
        assert_eq!(subrosa_tone_player_stop(player), SUBROSA_OK);
        assert_eq!(subrosa_tone_player_read(player, pcm.as_mut_ptr(), 800), SUBROSA_OK);
        assert!(pcm[40..].iter().all(|s| *s == 0));
        assert_eq!(subrosa_tone_player_is_finished(player, &mut done), SUBROSA_OK);
        assert_eq!(done, 1);
        subrosa_tone_player_free(player);
    }
}

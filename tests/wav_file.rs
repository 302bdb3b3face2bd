//! A WAV file as other programs read it: every byte of the header.
#![allow(missing_docs)]

use subrosa::media::wav::Wav;

#[test]
fn a_file_is_written_as_the_format_has_it() {
    let wav = Wav { sample_rate: 16_000, samples: vec![1, -2] };
    let expected: [&[u8]; 15] = [
        b"RIFF",
        &[40, 0, 0, 0],
        b"WAVE",
        b"fmt ",
        &[16, 0, 0, 0],
        &[1, 0],
        &[1, 0],
        &[0x80, 0x3e, 0, 0],
        // Bytes in a second: 32 000.
        &[0, 0x7d, 0, 0],
        &[2, 0],
        &[16, 0],
        b"data",
        &[4, 0, 0, 0],
        &[1, 0],
        &[0xfe, 0xff],
    ];
    assert_eq!(wav.to_bytes(), expected.concat());
}

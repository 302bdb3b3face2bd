//! AES-GCM does not depend on what the vector registers held before.
//!
//! `gcm_ghash_avx` of ring (x86-64) copies xmm1 to xmm4 and xmm2 to xmm5 before it wrote either, and
//! later takes the xor of each pair: 0, whatever they held. valgrind cannot know that. With constants
//! for all inputs and one register at a time reading undefined bytes, it calls the tag undefined for
//! these two registers and no other, and from there complains of the tag's comparison and of the
//! datagrams that carry it. tests/c/run.sh clears the two on the way in (tests/c/ghash.S), so that
//! nothing need be suppressed; here the outcome is shown to be the same.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unsafe_code)]

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Leaves these bytes in the vector registers.
#[inline(never)]
fn registers(from: &[u8; 128]) {
    if !std::arch::is_x86_feature_detected!("avx") {
        return;
    }
    // SAFETY: reads the 128 bytes and says which registers it changes; the processor has AVX.
    unsafe {
        std::arch::asm!(
            "vmovdqu ymm0, [{p}]", "vmovdqu ymm1, [{p} + 32]",
            "vmovdqu ymm2, [{p} + 64]", "vmovdqu ymm3, [{p} + 96]",
            "vmovdqu ymm4, [{p}]", "vmovdqu ymm5, [{p} + 32]",
            "vmovdqu ymm6, [{p} + 64]", "vmovdqu ymm7, [{p} + 96]",
            "vmovdqu ymm8, [{p}]", "vmovdqu ymm9, [{p} + 32]",
            "vmovdqu ymm10, [{p} + 64]", "vmovdqu ymm11, [{p} + 96]",
            "vmovdqu ymm12, [{p}]", "vmovdqu ymm13, [{p} + 32]",
            "vmovdqu ymm14, [{p} + 64]", "vmovdqu ymm15, [{p} + 96]",
            p = in(reg) from.as_ptr(),
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
            out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
        );
    }
}

#[test]
fn aes_gcm_gives_the_same_whatever_the_vector_registers_held() {
    let fills = [[0; 128], [0xff; 128], std::array::from_fn(|i| (i * 37 % 256) as u8)];
    let nonce = || Nonce::assume_unique_for_key([1; 12]);
    for algorithm in [&AES_128_GCM, &AES_256_GCM] {
        for len in 0..700 {
            let mut first: Option<Vec<u8>> = None;
            for fill in &fills {
                let bytes = vec![7; algorithm.key_len()];
                registers(fill);
                let key = LessSafeKey::new(UnboundKey::new(algorithm, &bytes).unwrap());
                let mut data = vec![9; len];
                registers(fill);
                key.seal_in_place_append_tag(nonce(), Aad::from([2; 12]), &mut data).unwrap();
                assert_eq!(&data, first.get_or_insert_with(|| data.clone()), "{len} bytes sealed");
                registers(fill);
                let opened = key.open_in_place(nonce(), Aad::from([2; 12]), &mut data).unwrap();
                assert!(opened.len() == len && opened.iter().all(|byte| *byte == 9), "{len} bytes");
            }
        }
    }
}

//! The SRTP suites by their names, as C code gives them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, missing_docs, unsafe_code)]

use std::ptr::null_mut;

use subrosa::crypto::srtp::Suite;
use subrosa::ffi::*;

#[test]
fn every_suite_has_its_name_in_the_header_and_is_taken_by_it() {
    let header = include_str!("../include/subrosa.h");
    let mut config = null_mut();
    let seed = [7; 32];
    unsafe {
        assert_eq!(subrosa_config_new(seed.as_ptr(), 32, 1_800_000_000_000_000, &mut config), 0);
        let set = |names: &str| {
            let names = subrosa_str { ptr: names.as_ptr().cast(), len: names.len() };
            subrosa_config_set_srtp_suites(config, names)
        };
        for suite in Suite::ALL {
            assert!(header.contains(suite.sdp_name()), "{suite}");
            assert_eq!(set(suite.sdp_name()), SUBROSA_OK, "{suite}");
        }
        let all = Suite::ALL.map(Suite::sdp_name).join(", ");
        assert_eq!((set(&all), set("")), (SUBROSA_OK, SUBROSA_OK));
        for wrong in ["F8_128_HMAC_SHA1_32", "AEAD_AES_256_GCM;AEAD_AES_128_GCM", "NULL"] {
            assert_eq!(set(wrong), SUBROSA_ERR_INVALID, "{wrong}");
        }
        subrosa_config_free(config);
    }
}

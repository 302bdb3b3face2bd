//! The report of a real call as JSON (feature `serde`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use pair::{Pair, Setup, USUAL};
use subrosa::engine::SecurityPolicy;

#[test]
fn a_real_calls_report_is_json_without_a_secret() {
    let required = Setup { policies: [SecurityPolicy::Required; 2], ..USUAL };
    for (setup, keying) in [(required, "sdes"), (Setup { mutual: false, ..required }, "dtls")] {
        let mut pair = Pair::new(setup);
        pair.call(setup);
        let (_, report) = pair.report(0).unwrap();
        let text = serde_json::to_string(&report).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["padlock"], "encrypted_to_provider");
        assert_eq!(json["sentence"], report.to_string());
        assert_eq!(json["policy"]["policy"], "required");
        assert_eq!(json["signalling"]["tls"]["version"], "1.3");
        assert_eq!(json["signalling"]["tls"]["peer"]["domains"][0], "bob.test");
        for way in ["media_out", "media_in"] {
            let leg = &json[way];
            assert_eq!((&leg["keying"], &leg["key_generation"]), (&keying.into(), &0.into()));
            assert_eq!(leg["fingerprint"]["verified"] == true, keying == "dtls");
        }
        assert_eq!(json["rtcp"]["encrypted_in"], true);
        assert!(json["packets_protected"].as_u64().unwrap() > 100);
        // Base64 as long as the shortest SRTP key is there in one place alone: the public key.
        let pin = json["signalling"]["tls"]["peer"]["key"].as_str().unwrap();
        let rest = text.replace(pin, "");
        let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let longest = rest.split(|c| !base64(c)).map(str::len).max().unwrap();
        assert!(longest < 40, "{longest} in {rest}");
    }
}

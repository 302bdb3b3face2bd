//! Provisioning documents: any text is read or refused, with lines that exist; what is read is
//! taken or refused by an engine, which then sees nothing new in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::engine::provisioning::{Format, Provisioning};
use subrosa::engine::{Config, Engine};
use subrosa::time::{Instant, UnixTime};
use subrosa::util::SeededRng;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let lines = text.lines().count() + 1;
    for format in [Format::Toml, Format::Json] {
        let files = |name: &str| (name.len() < 5).then(|| name.as_bytes().to_vec());
        let document = match Provisioning::parse_with_files(text, format, files) {
            Ok(document) => document,
            Err(error) => {
                assert!(!error.problems().is_empty());
                assert!(error.problems().iter().all(|p| (1..=lines).contains(&p.line)));
                continue;
            }
        };
        let now = Instant::ZERO;
        let rng = Box::new(SeededRng::new(1));
        let config = Config::new(rng, UnixTime::from_secs(1_800_000_000));
        let mut engine = Engine::new(config, now).expect("the default is valid");
        if let Ok(outcome) = engine.provision(now, &document) {
            assert_eq!(outcome.accounts.len(), document.accounts().len());
            let again = engine.provision(now, &document).expect("it was taken before");
            assert!(!again.is_change(), "{again:?}");
        }
    }
});

//! RED payloads: what parses has all its blocks, they are all of the payload, and what is written
//! again is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::wire::red::{MAX_REDUNDANT, Red, redundant_header};

fuzz_target!(|data: &[u8]| {
    let Ok(red) = Red::parse(data) else { return };
    let blocks: Vec<_> = red.redundant().collect();
    assert!(blocks.len() <= MAX_REDUNDANT);
    let mut again = Vec::new();
    for block in &blocks {
        let header = redundant_header(block.payload_type, block.offset, block.payload.len());
        again.extend(header.expect("it was read"));
    }
    again.push(red.primary().payload_type);
    blocks.iter().for_each(|block| again.extend(block.payload));
    again.extend(red.primary().payload);
    assert_eq!(again, data);
    assert_eq!(red.primary().offset, 0);
});

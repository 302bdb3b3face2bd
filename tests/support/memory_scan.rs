//! Looks for secrets in this process's own memory (Linux): every writable mapping, through
//! /proc/self/mem.
//!
//! ```ignore
//! #[path = "support/memory_scan.rs"]
//! mod memory_scan;
//! let needle = Needle::new("the key", &secret);
//! assert!(!find(&[needle.clone()]).is_empty()); // while it is in use
//! drop(secret);
//! assert_eq!(find(&[needle]), []);
//! ```
//! Let the code under test run inside [`deep`]: the scan's own stack frames then leave its frames
//! as they were.
#![allow(dead_code)] // not every test uses all of it

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use zeroize::Zeroize;

/// Needles are kept, and compared, under this mask, so that the scan does not find itself.
const MASK: u8 = 0xa5;
const CHUNK: usize = 1 << 20;

/// A secret to be looked for.
#[derive(Clone)]
pub(crate) struct Needle {
    name: String,
    masked: Vec<u8>,
}

impl Needle {
    /// Takes note of a secret of at least 8 bytes (fewer are found by chance) without a copy of it.
    pub(crate) fn new(name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= 8, "{name} is too short to be told from chance");
        Self { name: name.into(), masked: secret.iter().map(|byte| byte ^ MASK).collect() }
    }

    fn is_at(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.masked.len()
            && self.masked.iter().zip(bytes).all(|(masked, byte)| masked ^ byte == MASK)
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// The needle's name.
    pub(crate) name: String,
    /// The address.
    pub(crate) address: usize,
    /// The mapping's name as in /proc/self/maps: `[heap]`, `[stack]`, nothing.
    pub(crate) mapping: String,
}

/// The places of all needles, without the buffer of the scan itself.
#[allow(clippy::disallowed_methods)] // memory is searched here, and no grammar
pub(crate) fn find(needles: &[Needle]) -> Vec<Hit> {
    let memory = File::open("/proc/self/mem").unwrap();
    let longest = needles.iter().map(|n| n.masked.len()).max().unwrap();
    let mut buffer = vec![0; CHUNK + longest];
    let own = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
    let mut hits = Vec::new();
    for (start, end, name) in writable_mappings() {
        let mut at = start;
        while at < end {
            // The last bytes of each chunk are read again with the next one.
            let len = (end - at).min(buffer.len());
            if memory.read_exact_at(&mut buffer[..len], at as u64).is_ok() {
                for needle in needles {
                    let first = needle.masked[0] ^ MASK;
                    for offset in memchr::memchr_iter(first, &buffer[..len.min(CHUNK)]) {
                        let address = at + offset;
                        if needle.is_at(&buffer[offset..len]) && !own.contains(&address) {
                            let (name, mapping) = (needle.name.clone(), name.clone());
                            hits.push(Hit { name, address, mapping });
                        }
                    }
                }
            }
            at += CHUNK;
        }
    }
    // What was read must not be found by the next scan.
    buffer.zeroize();
    hits
}

fn writable_mappings() -> Vec<(usize, usize, String)> {
    let mut maps = String::new();
    File::open("/proc/self/maps").unwrap().read_to_string(&mut maps).unwrap();
    let mapping = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let writable = fields.next()?.starts_with("rw");
        let name = fields.nth(3).unwrap_or_default().to_string();
        let address = |text| usize::from_str_radix(text, 16).ok();
        writable.then_some((address(start)?, address(end)?, name))
    };
    maps.lines().filter_map(mapping).collect()
}

/// Runs `code` so far down the stack that later calls from here do not write over its frames.
#[inline(never)]
pub(crate) fn deep<T>(code: impl FnOnce() -> T) -> T {
    let room = std::hint::black_box([0_u8; 256 << 10]);
    let result = code();
    std::hint::black_box(&room);
    result
}

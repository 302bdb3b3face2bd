//! The key log: the secrets of a connection as lines that Wireshark reads, for debugging.

use core::fmt::Write as _;

use rustls::KeyLog;

use super::entropy;
use crate::util::Secret;

/// The most lines that wait in a stream: a handshake makes at most six.
pub(super) const MAX_LINES: usize = 16;

/// Notes each secret for the stream whose call runs. It exists only where the settings ask for
/// a key log.
#[derive(Debug)]
pub(super) struct NotedKeys;

impl KeyLog for NotedKeys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let digits = client_random.len().saturating_add(secret.len()).saturating_mul(2);
        // Room for all of it, so that no copy of a secret is left behind by growing.
        let mut line = Secret::new(String::with_capacity(
            label.len().saturating_add(digits).saturating_add(3),
        ));
        let text = line.expose_mut();
        text.push_str(label);
        for bytes in [client_random, secret] {
            text.push(' ');
            for byte in bytes {
                let _ = write!(text, "{byte:02x}"); // writing into a String does not fail
            }
        }
        entropy::note(|notes| {
            if notes.key_log.len() < MAX_LINES {
                notes.key_log.push(line);
            }
        });
    }
}

//! Messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).

use alloc::vec::Vec;

use zeroize::{Zeroize, Zeroizing};

use super::MAX_MESSAGE;
use super::error::{ParseError, ParseErrorKind};
use super::message::Message;
use super::parser::{BodyLength, Parsed, parse_head};
use crate::util::reserve_wiped;

/// What a stream held next.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// CRLFCRLF: the peer wants a CRLF back (RFC 5626 §3.5.1).
    KeepAlivePing,
    /// A CRLF alone: the answer to our ping. It may also turn out to be the first half of a ping
    /// that arrived in pieces, which is then reported as well.
    KeepAlivePong,
    /// A malformed message whose end is known: the stream goes on.
    Malformed(ParseError),
    /// A message whose end cannot be told. Nothing more will come out: close the connection, after
    /// the answer to [`rejectable`](ParseError::rejectable) if there is one.
    Broken(ParseError),
}

/// Cuts a byte stream into [`Frame`]s: [`push`](Self::push) bytes, then iterate until `None`. Its
/// work is linear in the bytes however they are cut; it holds at most one message (64 KiB) and
/// what was pushed last.
#[derive(Default)]
pub struct StreamFramer {
    /// It may hold keys (RFC 4568).
    buf: Zeroizing<Vec<u8>>,
    /// What was taken out of `buf` already.
    taken: usize,
    /// Up to where `buf` holds no end of a head.
    searched: usize,
    partial: Option<Partial>,
    after_crlf: bool,
    broken: bool,
}

/// A message whose head is complete.
struct Partial {
    parsed: Parsed,
    missing: usize,
}

impl core::fmt::Debug for Partial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Partial").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// No byte of the stream.
impl core::fmt::Debug for StreamFramer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("StreamFramer");
        shown
            .field("pending", &self.pending())
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

/// A buffer of an idle stream is kept up to this size.
const KEPT_CAPACITY: usize = 2048;

impl StreamFramer {
    /// At the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream. Iterate until `None` before you push more: that is
    /// what keeps memory bounded.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        if self.taken > 0 {
            self.buf.drain(..self.taken);
            self.searched = self.searched.saturating_sub(self.taken);
            self.taken = 0;
        }
        reserve_wiped(&mut self.buf, bytes.len());
        self.buf.extend_from_slice(bytes);
    }

    /// Whether framing is lost: nothing more will come out, close the connection.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes that wait for the rest of their message: if the stream ends now, it was cut off.
    pub fn pending(&self) -> usize {
        let begun = self.partial.as_ref().map_or(0, |p| p.parsed.message.as_bytes().len());
        begun.saturating_add(self.rest().len())
    }

    fn rest(&self) -> &[u8] {
        self.buf.get(self.taken..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) {
        self.taken = self.taken.saturating_add(count).min(self.buf.len());
        self.searched = self.taken;
        if self.taken == self.buf.len() {
            self.taken = 0;
            self.searched = 0;
            self.buf.zeroize();
            if self.buf.capacity() > KEPT_CAPACITY {
                self.buf = Zeroizing::default();
            }
        }
    }

    fn break_off(&mut self, error: ParseError) -> Frame {
        self.broken = true;
        self.buf = Zeroizing::default();
        self.taken = 0;
        self.searched = 0;
        Frame::Broken(error)
    }

    /// The CRLF just reported was the answer to a ping of ours, thus not half of a ping.
    pub fn was_pong(&mut self) {
        self.after_crlf = false;
    }

    /// A keep-alive at the front, if there is one.
    fn keep_alive(&mut self) -> Option<Frame> {
        let second_half = self.after_crlf;
        let rest = self.rest();
        if !rest.starts_with(b"\r\n") {
            self.after_crlf &= rest.len() < 2 && rest != b"\n";
            return None;
        }
        if second_half || rest.starts_with(b"\r\n\r\n") {
            self.take(if second_half { 2 } else { 4 });
            self.after_crlf = false;
            return Some(Frame::KeepAlivePing);
        }
        self.take(2);
        self.after_crlf = true;
        Some(Frame::KeepAlivePong)
    }

    /// The length of the head at the front, once it is complete.
    fn head_length(&mut self) -> Option<usize> {
        let from = self.searched.max(self.taken);
        let found = super::scan::find(self.buf.get(from..)?, b"\r\n\r\n");
        // The last three bytes may be the beginning of the end.
        self.searched = self.buf.len().saturating_sub(3).max(self.taken);
        let end = from.saturating_add(found?).saturating_add(4);
        Some(end.saturating_sub(self.taken))
    }

    /// Starts the message at the front once its head is there.
    fn begin(&mut self) -> Option<Frame> {
        let Some(length) = self.head_length() else {
            return (self.rest().len() > MAX_MESSAGE)
                .then(|| self.break_off(ParseError::new(ParseErrorKind::TooLarge)));
        };
        let head = self.rest().get(..length).unwrap_or_default().to_vec();
        self.take(length);
        let mut parsed = match parse_head(head) {
            Ok(parsed) => parsed,
            Err(kind) => return Some(self.break_off(ParseError::new(kind))),
        };
        match parsed.length {
            BodyLength::Known(missing) if length.saturating_add(missing) <= MAX_MESSAGE => {
                parsed.message.buf.reserve_exact(missing.min(self.rest().len()));
                self.partial = Some(Partial { parsed, missing });
                return None;
            }
            BodyLength::Known(_) => parsed.note(ParseErrorKind::TooLarge),
            BodyLength::Absent => parsed.note(ParseErrorKind::MissingContentLength),
            BodyLength::Unknown => {}
        }
        let error = parsed.finish().err();
        let error = error.unwrap_or(ParseError::new(ParseErrorKind::ContentLength));
        Some(self.break_off(error))
    }

    /// Moves body bytes into the message that waits for them; the message once it is complete.
    fn complete(&mut self) -> Option<Frame> {
        let mut partial = self.partial.take()?;
        let count = partial.missing.min(self.rest().len());
        let body = self.rest().get(..count).unwrap_or_default();
        partial.parsed.message.buf.push(body);
        partial.missing = partial.missing.saturating_sub(count);
        self.take(count);
        if partial.missing > 0 {
            self.partial = Some(partial);
            return None;
        }
        Some(match partial.parsed.finish() {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Malformed(error),
        })
    }
}

/// Ends with `None` when more bytes are needed, and goes on after [`StreamFramer::push`].
impl Iterator for StreamFramer {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.broken {
            return None;
        }
        if self.partial.is_none() {
            if let Some(frame) = self.keep_alive() {
                return Some(frame);
            }
            // One byte may still become a keep-alive.
            if self.rest().len() < 2 {
                return None;
            }
            if let Some(frame) = self.begin() {
                return Some(frame);
            }
        }
        self.complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(body: &str) -> String {
        format!(
            "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKa\r\n\
             From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\n\
             CSeq: 1 OPTIONS\r\nl: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// What comes out, with a Pong that was half a ping left out.
    fn frames(stream: &[u8], step: usize) -> Vec<String> {
        let mut framer = StreamFramer::new();
        let mut out: Vec<String> = Vec::new();
        for chunk in stream.chunks(step) {
            framer.push(chunk);
            for frame in &mut framer {
                let text = match frame {
                    Frame::Message(m) => format!("message {}", m.body().len()),
                    Frame::KeepAlivePing => {
                        out.pop_if(|last| last == "pong");
                        "ping".into()
                    }
                    Frame::KeepAlivePong => "pong".into(),
                    Frame::Malformed(e) => format!("malformed {}", e.kind()),
                    Frame::Broken(e) => format!("broken {}", e.kind()),
                };
                out.push(text);
            }
        }
        assert_eq!(framer.is_broken(), out.last().is_some_and(|l| l.starts_with("broken")));
        if framer.pending() > 0 {
            out.push(format!("waiting {}", framer.pending()));
        }
        out
    }

    #[test]
    fn frames_do_not_depend_on_how_the_stream_is_cut() {
        let bad_from = options("xy").replace("<sip:a@", "<<sip:a@");
        let parts = ["\r\n\r\n", &options("hello"), "\r\n", &bad_from, "\r\n", &options(""), "OPT"];
        let stream = parts.concat();
        let want =
            ["ping", "message 5", "pong", "malformed from", "pong", "message 0", "waiting 3"];
        for step in [1, 2, 3, 7, 100, stream.len()] {
            assert_eq!(frames(stream.as_bytes(), step), want, "step {step}");
        }
    }

    #[test]
    fn lost_framing_ends_the_stream() {
        for (length, kind) in [
            ("-999", "content_length"),
            ("4294967301", "content_length"),
            ("18446744073709551621", "content_length"),
            ("5\r\nContent-Length: 6", "conflicting_content_length"),
            ("65500", "too_large"),
            ("x", "content_length"),
        ] {
            let stream = options("hello").replace("l: 5", &format!("l: {length}"));
            for step in [1, stream.len()] {
                let want = [format!("broken {kind}")];
                assert_eq!(frames(stream.as_bytes(), step), want, "{length}");
            }
        }
        let without = options("").replace("l: 0\r\n", "");
        assert_eq!(frames(without.as_bytes(), 1), ["broken missing_content_length"]);
        let twice = options("hello").replace("l: 5", "l: 5\r\nContent-Length: 5");
        assert_eq!(frames(twice.as_bytes(), 1), ["message 5"]);
    }

    #[test]
    fn no_byte_of_a_head_is_searched_twice() {
        let mut framer = StreamFramer::new();
        let stream = options("").replace("l: 0\r\n", &"X: y\r\n".repeat(40));
        for byte in stream.trim_end().bytes() {
            framer.push(&[byte]);
            assert!(framer.next().is_none());
            // All but what may be the beginning of the empty line.
            let left = framer.buf.len().saturating_sub(framer.searched);
            assert!(framer.buf.len() < 2 || left <= 3, "{left} bytes are searched again");
        }
    }

    #[test]
    fn a_head_without_end_is_cut_off_and_memory_given_back() {
        let mut framer = StreamFramer::new();
        let mut broken_at = None;
        for at in 0..MAX_MESSAGE + 10 {
            framer.push(b"a");
            if framer.next().is_some() {
                broken_at = Some(at);
            }
        }
        assert_eq!(broken_at, Some(MAX_MESSAGE));
        assert!(framer.is_broken() && framer.buf.capacity() == 0);
        let mut framer = StreamFramer::new();
        framer.push(options(&"x".repeat(60_000)).as_bytes());
        assert!(matches!(framer.next(), Some(Frame::Message(_))));
        assert!(framer.next().is_none() && framer.buf.capacity() <= KEPT_CAPACITY);
    }
}

//! Cutting a byte stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1).

use alloc::vec::Vec;

use super::error::{ParseError, ParseErrorKind as Kind};
use super::header::HeaderName;
use super::lex::trim;
use super::{MAX_MESSAGE, Message};

/// What a stream brought.
#[derive(Debug)]
pub enum Frame {
    /// A message.
    Message(Message),
    /// CRLF CRLF: the far end wants a CRLF back.
    KeepAlivePing,
    /// A single CRLF: the answer to our ping.
    KeepAlivePong,
    /// A message that is wrong but whose end is known: the stream goes on.
    Malformed(ParseError),
    /// The end of the message cannot be told: the stream is of no more use, close it.
    Broken(ParseError),
}

/// Memory that an empty framer keeps.
const KEEP: usize = 4096;

/// Collects bytes of one stream and cuts messages out of them. Holds at most one message of
/// 64 KiB and what came with it; each byte is looked at a bounded number of times.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buf: Vec<u8>,
    /// Bytes of `buf` that are consumed; they go when more are pushed, not frame by frame.
    start: usize,
    /// Bytes already searched for the end of the header.
    searched: usize,
    /// The length of the message at the front, once its header is complete.
    total: Option<usize>,
    broken: bool,
}

impl StreamFramer {
    /// An empty framer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes. Call [`StreamFramer::next`] until `None` after each.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.buf.drain(..self.start.min(self.buf.len()));
        self.start = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.rest().len()
    }

    fn rest(&self) -> &[u8] {
        self.buf.get(self.start..).unwrap_or(&[])
    }

    /// The next frame, if it is complete.
    #[allow(clippy::should_implement_trait)] // not an iterator: more bytes make it go on
    pub fn next(&mut self) -> Option<Frame> {
        if self.total.is_none()
            && let Some(frame) = self.keep_alive()
        {
            return Some(frame);
        }
        let total = match self.total {
            Some(total) => total,
            None => match self.header_complete()? {
                Ok(total) => total,
                Err(kind) => return Some(self.fail(kind)),
            },
        };
        self.total = Some(total);
        let message = self.rest().get(..total)?;
        let frame = match Message::parse(message) {
            Ok(message) => Frame::Message(message),
            Err(error) => Frame::Malformed(error),
        };
        self.consume(total);
        Some(frame)
    }

    fn keep_alive(&mut self) -> Option<Frame> {
        match self.rest() {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.consume(4);
                Some(Frame::KeepAlivePing)
            }
            [b'\r', b'\n', b'\r'] => None,
            [b'\r', b'\n', ..] => {
                self.consume(2);
                Some(Frame::KeepAlivePong)
            }
            [b'\n', ..] => {
                self.consume(1);
                Some(Frame::KeepAlivePong)
            }
            _ => None,
        }
    }

    fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n);
        if self.start >= self.buf.len() {
            self.start = 0;
            self.buf.clear();
            self.buf.shrink_to(KEEP);
        }
        self.searched = 0;
        self.total = None;
    }

    fn fail(&mut self, kind: Kind) -> Frame {
        self.broken = true;
        self.buf = Vec::new();
        self.start = 0;
        self.searched = 0;
        Frame::Broken(ParseError::new(kind))
    }

    /// The length of the first message, once its header is there.
    fn header_complete(&mut self) -> Option<Result<usize, Kind>> {
        if self.rest() == b"\r" {
            return None;
        }
        let from = self.searched.saturating_sub(3);
        let end = self.rest().get(from..).and_then(find_empty_line).map(|e| from.saturating_add(e));
        self.searched = self.rest().len();
        match end {
            None if self.rest().len() > MAX_MESSAGE => Some(Err(Kind::TooLong)),
            None => None,
            Some(end) => Some(self.content_length(end).and_then(|n| {
                let total = end.saturating_add(n);
                if total > MAX_MESSAGE { Err(Kind::TooLong) } else { Ok(total) }
            })),
        }
    }

    /// Content-Length, mandatory on a stream; all of them must agree.
    fn content_length(&self, head: usize) -> Result<usize, Kind> {
        let mut found: Option<usize> = None;
        let head = self.rest().get(..head).unwrap_or(&[]);
        for line in head.split(|b| *b == b'\n') {
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
            let name = core::str::from_utf8(name).map(trim).unwrap_or("");
            if HeaderName::parse(name) != HeaderName::ContentLength {
                continue;
            }
            let value =
                value.get(1..).and_then(|v| core::str::from_utf8(v).ok()).map(trim).unwrap_or("");
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let n = value.parse().ok().filter(|_| digits).ok_or(Kind::ContentLength)?;
            if found.is_some_and(|f| f != n) {
                return Err(Kind::ContentLength);
            }
            found = Some(n);
        }
        found.ok_or(Kind::ContentLength)
    }
}

/// Position after the first empty line.
fn find_empty_line(bytes: &[u8]) -> Option<usize> {
    let mut from = 0_usize;
    loop {
        let at = from.checked_add(memchr::memchr(b'\n', bytes.get(from..)?)?)?;
        from = at.checked_add(1)?;
        match bytes.get(from..)? {
            [b'\r', b'\n', ..] => return from.checked_add(2),
            [b'\n', ..] => return from.checked_add(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &str = "OPTIONS sip:b@h SIP/2.0\r\nv: SIP/2.0/TCP h;branch=z9hG4bK1\r\nf: <sip:a@h>;tag=1\r\n\
        t: <sip:b@h>\r\ni: 1\r\nCSeq: 1 OPTIONS\r\nl: 4\r\n\r\nbody";

    fn frames(bytes: &[u8], step: usize) -> Vec<Frame> {
        let mut framer = StreamFramer::new();
        let mut out = Vec::new();
        for chunk in bytes.chunks(step) {
            framer.push(chunk);
            while let Some(frame) = framer.next() {
                out.push(frame);
            }
        }
        out
    }

    #[test]
    fn any_cut_gives_the_same_frames() {
        let stream = alloc::format!("\r\n\r\n{PING}{PING}\r\n\r\n{PING}");
        for step in [1, 2, 3, 7, 100, 10_000] {
            let out = frames(stream.as_bytes(), step);
            let messages =
                out.iter().filter(|f| matches!(f, Frame::Message(m) if m.body() == b"body"));
            assert_eq!(messages.count(), 3, "step {step}");
        }
    }

    #[test]
    fn lengths_that_lie_break_the_stream() {
        for bad in ["-1", "4294967300", "99999999999999999999", "4\r\nl: 5", "", "0x4", "+4"] {
            let text = PING.replace("l: 4", &alloc::format!("l: {bad}"));
            let out = frames(text.as_bytes(), 1);
            assert!(matches!(out.as_slice(), [Frame::Broken(_)]), "{bad}: {out:?}");
        }
        let out = frames(PING.replace("l: 4\r\n", "").as_bytes(), 5);
        assert!(matches!(out.as_slice(), [Frame::Broken(_)]));
        let flood = frames(&alloc::vec![b'x'; 200_000], 1000);
        assert!(matches!(flood.as_slice(), [Frame::Broken(_)]));
    }
}

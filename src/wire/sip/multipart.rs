//! Multipart bodies (RFC 5621, RFC 2046 §5.1).

use alloc::vec::Vec;

use super::Message;
use super::media_type::MediaType;
use super::name::HeaderName;

/// Multiparts inside multiparts are opened up to this depth; deeper ones are handed out closed.
pub const MAX_NESTING: usize = 8;

/// The most body parts that are looked at; what follows them is left out.
pub const MAX_PARTS: usize = 64;

/// The longest boundary of RFC 2046 §5.1.1.
const MAX_BOUNDARY: usize = 70;

/// One part of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its Content-Type without parameters; `text/plain` if it has none (RFC 2046 §5.2).
    pub content_type: &'a str,
    /// Its own header fields as they came; empty for a whole body, and if they are not UTF-8.
    pub header: &'a str,
    /// Its body, byte for byte.
    pub body: &'a [u8],
}

/// The body parts of a message that are not multipart themselves, in their order, multiparts
/// opened up to [`MAX_NESTING`]; a body that is not multipart is its only part (RFC 5621). At most
/// [`MAX_PARTS`] of them.
pub fn parts(message: &Message) -> Vec<Part<'_>> {
    let content_type = message.header(HeaderName::ContentType).unwrap_or_default();
    Parts::new(content_type, message.body()).take(MAX_PARTS).collect()
}

/// The value of a header field in a part's own head; it may be folded.
fn header_value(head: &str, name: HeaderName) -> Option<&str> {
    let mut rest = head;
    while !rest.is_empty() {
        let (line, tail) = logical_line(rest);
        rest = tail;
        let Some((key, value)) = line.split_once(':') else { continue };
        if HeaderName::parse(key.trim_end_matches([' ', '\t'])) == name {
            return Some(value.trim());
        }
    }
    None
}

/// A media type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The first line of `text` with its continuation lines, and the rest.
fn logical_line(text: &str) -> (&str, &str) {
    for end in super::scan::memchr_iter(b'\n', text.as_bytes()) {
        let next = end.saturating_add(1);
        if !matches!(text.as_bytes().get(next), Some(b' ' | b'\t')) {
            return text.split_at_checked(next).unwrap_or((text, ""));
        }
    }
    (text, "")
}

/// See [`parts`]. A stack in place of recursion: the depth is the sender's choice.
struct Parts<'a> {
    whole: Option<Part<'a>>,
    open: Vec<Level<'a>>,
}

struct Level<'a> {
    boundary: Vec<u8>,
    /// From the end of the last delimiter on; `None` before the first one was looked for.
    rest: &'a [u8],
    started: bool,
}

impl<'a> Parts<'a> {
    fn new(content_type: &'a str, body: &'a [u8]) -> Self {
        let (mut whole, mut open) = (None, Vec::new());
        match Level::open(content_type, body) {
            Some(level) => open.push(level),
            None if body.is_empty() => {}
            None => {
                let content_type = essence(content_type);
                whole = Some(Part { content_type, header: "", body });
            }
        }
        Self { whole, open }
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        if let Some(whole) = self.whole.take() {
            return Some(whole);
        }
        loop {
            let depth = self.open.len();
            let Some((content_type, part)) = self.open.last_mut()?.next_part() else {
                self.open.pop();
                continue;
            };
            let inner =
                (depth < MAX_NESTING).then(|| Level::open(content_type, part.body)).flatten();
            match inner {
                Some(level) => self.open.push(level),
                None => return Some(part),
            }
        }
    }
}

impl<'a> Level<'a> {
    /// `None` unless the type is multipart with a usable boundary.
    fn open(content_type: &str, body: &'a [u8]) -> Option<Self> {
        let unfolded = content_type.replace(['\r', '\n'], " ");
        let media = MediaType::parse(&unfolded)?;
        let boundary = media.params().get_unquoted("boundary")?;
        let fits = !boundary.is_empty() && boundary.len() <= MAX_BOUNDARY;
        (media.main().eq_ignore_ascii_case("multipart") && fits).then(|| Self {
            boundary: boundary.as_bytes().to_vec(),
            rest: body,
            started: false,
        })
    }

    /// The next delimiter in `rest`: where the content before it ends, what follows it, and
    /// whether it closes the multipart.
    fn delimiter(&self) -> Option<(usize, &'a [u8], bool)> {
        let finder = super::scan::Finder::new(&self.boundary);
        let mut from = 0usize;
        loop {
            let hit = from.checked_add(finder.find(self.rest.get(from..)?)?)?;
            from = hit.checked_add(1)?;
            let before = self.rest.get(..hit)?;
            let Some(line) = before.strip_suffix(b"--") else { continue };
            if !line.is_empty() && !line.ends_with(b"\n") {
                continue;
            }
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            let after = self.rest.get(hit.checked_add(self.boundary.len())?..)?;
            let closes = after.starts_with(b"--");
            let line_end = super::scan::memchr(b'\n', after).and_then(|n| n.checked_add(1));
            let (rest_of_line, tail) =
                after.split_at_checked(line_end.unwrap_or(after.len())).unwrap_or((after, &[]));
            // A longer boundary that begins like this one is another one.
            if closes || rest_of_line.iter().all(u8::is_ascii_whitespace) {
                return Some((content.len(), tail, closes));
            }
        }
    }

    /// The next part, and its Content-Type with parameters.
    fn next_part(&mut self) -> Option<(&'a str, Part<'a>)> {
        if !self.started {
            self.started = true;
            let (_, rest, closes) = self.delimiter()?;
            self.rest = if closes { &[] } else { rest };
        }
        if self.rest.is_empty() {
            return None;
        }
        let (length, rest, closes) = self.delimiter().unwrap_or((self.rest.len(), &[], true));
        let content = self.rest.get(..length).unwrap_or_default();
        self.rest = if closes { &[] } else { rest };
        let (head, body) = match content.strip_prefix(b"\r\n") {
            Some(body) => (&[][..], body),
            None => {
                let end = super::scan::find(content, b"\r\n\r\n");
                let end = end.map_or(content.len(), |n| n.saturating_add(2));
                let (head, tail) = content.split_at_checked(end).unwrap_or((content, &[]));
                (head, tail.get(2..).unwrap_or_default())
            }
        };
        let header = core::str::from_utf8(head).unwrap_or_default();
        let full = header_value(header, HeaderName::ContentType).unwrap_or("text/plain");
        Some((full, Part { content_type: essence(full), header, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(content_type: &str, body: &str) -> Vec<(String, String)> {
        Parts::new(content_type, body.as_bytes())
            .map(|p| (p.content_type.to_string(), String::from_utf8_lossy(p.body).into_owned()))
            .collect()
    }

    #[test]
    fn parts_are_found_and_nested_ones_opened() {
        let body = "preamble --b\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b \r\n\
                    c:\r\n multipart/mixed;\r\n boundary=\"--b2\"\r\n\r\n----b2\r\n\r\nplain --b\r\n----b2--\r\n\
                    --bb\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno";
        let want = [("application/sdp", "v=0\r\n"), ("text/plain", "plain --b")];
        let want = want.map(|(t, b)| (t.to_string(), b.to_string()));
        assert_eq!(bodies("multipart/mixed; boundary=b", body), want);
    }

    #[test]
    fn a_plain_body_is_its_only_part() {
        let whole = [("application/sdp".to_string(), "v=0".to_string())];
        assert_eq!(bodies("application/sdp", "v=0"), whole);
        assert_eq!(bodies("application/sdp", ""), []);
        assert_eq!(bodies("multipart/mixed", "--b\r\n\r\nx").len(), 1);
        assert_eq!(bodies("multipart/mixed;boundary=b", "--b\r\n\r\nx\r\n--b").len(), 1);
        assert_eq!(bodies("multipart/mixed;boundary=b", "nothing").len(), 0);
        // A boundary of 71 characters is none (RFC 2046 §5.1.1): the body stays closed.
        for (length, kind) in [(70, "text/plain"), (71, "multipart/mixed")] {
            let boundary = "b".repeat(length);
            let found = bodies(
                &format!("multipart/mixed;boundary={boundary}"),
                &format!("--{boundary}\r\n\r\nx\r\n--{boundary}--"),
            );
            assert_eq!(found[0].0, kind, "{length}");
        }
    }

    #[test]
    fn nesting_ends_at_its_bound() {
        let mut body = String::from("leaf");
        for depth in (0..20).rev() {
            let inner = if depth == 19 {
                "text/plain".into()
            } else {
                format!("multipart/mixed;boundary=b{}x", depth + 1)
            };
            body = format!("--b{depth}x\r\nContent-Type: {inner}\r\n\r\n{body}\r\n--b{depth}x--");
        }
        let parts = bodies("multipart/mixed;boundary=b0x", &body);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].0, "multipart/mixed");
    }
}

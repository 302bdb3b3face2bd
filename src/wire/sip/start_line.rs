//! The first line of a message (RFC 3261 §7.1, §7.2).

use super::chars::{TOKEN, after, before, digits, place};
use super::error::ParseErrorKind as Kind;
use super::message::StartLine;
use super::method::Method;
use super::uri_parts::UriParts;

/// The start line that is all of `line`, and its defect if the rest of the message can be read all
/// the same.
pub(super) fn read_start_line(line: &[u8]) -> Result<(StartLine, Option<Kind>), Kind> {
    if let Some((version, rest)) = line.split_at_checked(8)
        && version.eq_ignore_ascii_case(b"SIP/2.0 ")
    {
        return Ok((read_status_line(line.len(), rest)?, None));
    }
    if line.get(..4).is_some_and(|l| l.eq_ignore_ascii_case(b"SIP/")) {
        return Err(Kind::Version);
    }
    let method_tail = after(line, TOKEN);
    let method = before(line, method_tail);
    let [b' ', rest @ ..] = method_tail else { return Err(Kind::StartLine) };
    if method.is_empty() {
        return Err(Kind::StartLine);
    }
    let uri_end = super::scan::memchr(b' ', rest).ok_or(Kind::StartLine)?;
    let (uri, uri_tail) = rest.split_at_checked(uri_end).ok_or(Kind::StartLine)?;
    let version = uri_tail.get(1..).unwrap_or_default();
    let mut parts = None;
    let mut defect = None;
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        if super::scan::find(rest, b"SIP/").is_none() {
            return Err(Kind::StartLine);
        }
        defect = Some(if is_version(version) { Kind::Version } else { Kind::StartLine });
    } else {
        parts = UriParts::scan(uri).ok();
        // A Request-URI has no headers (RFC 3261 §19.1.1).
        parts = parts.filter(|p| usize::from(p.headers) == uri.len());
        if parts.is_none() {
            defect = Some(Kind::RequestUri);
        }
    }
    let uri = (place(line.len(), rest), place(line.len(), uri_tail));
    Ok((StartLine::Request { method: Method::read(method), uri, parts }, defect))
}

/// `SIP/` and two numbers.
fn is_version(text: &[u8]) -> bool {
    let digits = |t: &[u8]| !t.is_empty() && t.iter().all(u8::is_ascii_digit);
    text.get(..4).is_some_and(|l| l.eq_ignore_ascii_case(b"SIP/"))
        && super::scan::memchr(b'.', text).is_some_and(|dot| {
            text.get(4..dot).is_some_and(digits)
                && text.get(dot.saturating_add(1)..).is_some_and(digits)
        })
}

/// What follows the version; a missing space before an empty reason phrase is tolerated.
fn read_status_line(length: usize, rest: &[u8]) -> Result<StartLine, Kind> {
    let (code, tail) = rest.split_at_checked(3).ok_or(Kind::StatusCode)?;
    let status =
        digits(code).filter(|(status, rest)| rest.is_empty() && (100..700).contains(status));
    let status = status.and_then(|(status, _)| u16::try_from(status).ok());
    let status = status.ok_or(Kind::StatusCode)?;
    let reason = match tail {
        [] => tail,
        [b' ', reason @ ..] => reason,
        _ => return Err(Kind::StatusCode),
    };
    Ok(StartLine::Response { status, reason: (place(length, reason), place(length, b"")) })
}

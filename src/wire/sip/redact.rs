//! A message for human eyes: what authenticates or decrypts is taken out, the rest stays.

use alloc::string::String;

/// What stands in the place of a secret.
const REDACTED: &str = "[redacted]";
/// Parameters of credentials that prove nothing by themselves. Any other one is taken out.
const PUBLIC: [&str; 11] = [
    "username",
    "realm",
    "nonce",
    "nextnonce",
    "uri",
    "algorithm",
    "qop",
    "nc",
    "opaque",
    "cnonce",
    "userhash",
];
/// Parts of the names of header fields that are taken out whole.
const PRIVATE: [&str; 5] = ["authoriz", "token", "cookie", "secret", "password"];

/// The text of a message (as [`Message::as_bytes`](super::Message::as_bytes) has it) for a trace:
/// without answers to challenges and other credentials, without the keys of `a=crypto`, `k=` and
/// `a=key-mgmt`, ICE passwords, passwords in URIs, and key presses. Control characters and bytes
/// that are no UTF-8 become U+FFFD, so that nothing steers a terminal.
pub fn redacted(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut out = String::with_capacity(text.len());
    let mut keys_pressed = false;
    for line in head.split("\r\n") {
        keys_pressed |= is_named(line, &["content-type", "c"]) && find(line, "dtmf").is_some();
        header(line, &mut out);
        out.push_str("\r\n");
    }
    out.push_str("\r\n");
    if keys_pressed && !body.is_empty() {
        out.push_str(REDACTED);
    } else {
        for line in body.split_inclusive(['\r', '\n']) {
            body_line(line, &mut out);
        }
    }
    let shown = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    out.chars().map(|c| if shown(c) { c } else { '\u{fffd}' }).collect()
}

fn is_named(line: &str, names: &[&str]) -> bool {
    let name = line.split_once(':').map_or("", |(name, _)| name.trim());
    names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
}

fn header(line: &str, out: &mut String) {
    let Some((name, value)) = line.split_once(':') else { return anywhere(line, out) };
    if is_named(line, &["authorization", "proxy-authorization"]) {
        let (scheme, rest) = value.trim_start().split_once([' ', '\t']).unwrap_or((value, ""));
        out.push_str(name);
        out.push_str(": ");
        match scheme.eq_ignore_ascii_case("digest") {
            true => {
                out.push_str("Digest ");
                parameters(rest, out);
            }
            false => out.push_str(REDACTED),
        }
    } else if is_named(line, &["authentication-info", "proxy-authentication-info"]) {
        out.push_str(name);
        out.push_str(": ");
        parameters(value, out);
    } else if PRIVATE.iter().any(|part| find(name, part).is_some()) {
        out.push_str(name);
        out.push_str(": ");
        out.push_str(REDACTED);
    } else {
        anywhere(line, out);
    }
}

/// Parameters between commas that stand outside quotes.
fn parameters(value: &str, out: &mut String) {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parameter(value.get(start..at).unwrap_or_default(), out);
                out.push_str(", ");
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parameter(value.get(start..).unwrap_or_default(), out);
}

fn parameter(text: &str, out: &mut String) {
    let (name, value) = text.split_once('=').unwrap_or(("", text));
    let (name, value) = (name.trim(), value.trim());
    let public = PUBLIC.iter().any(|public| name.eq_ignore_ascii_case(public));
    // Whatever is not one well-formed value may hide another parameter.
    let shown = if public && is_one_value(value) { value } else { REDACTED };
    let name = if name.chars().all(is_token) { name } else { "" };
    if !name.is_empty() {
        out.push_str(name);
        out.push('=');
    }
    out.push_str(shown);
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c)
}

/// One token, or one quoted string and nothing after it.
fn is_one_value(value: &str) -> bool {
    let Some(inner) = value.strip_prefix('"') else { return value.chars().all(is_token) };
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.and_then(|end| inner.get(end..)) == Some("\"")
}

/// A line of a body, which may be a session description.
fn body_line(line: &str, out: &mut String) {
    let text = line.trim();
    let starts = |start: &str| {
        text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    let whole = ["k=", "a=ice-pwd:", "a=key-mgmt:"].into_iter().find(|start| starts(start));
    let keyless = starts("a=crypto:") && find(text, "inline:").is_none();
    match whole.or(keyless.then_some("a=crypto:")) {
        Some(start) => {
            out.push_str(start);
            out.push_str(REDACTED);
            out.push_str(line.get(line.trim_end().len()..).unwrap_or_default());
        }
        None => anywhere(line, out),
    }
}

/// What is taken out wherever it stands: keys of `a=crypto`, credentials and passwords in URIs.
fn anywhere(line: &str, out: &mut String) {
    let ends_key = |c: char| c.is_whitespace() || "|;,\"".contains(c);
    let ends_field = |c: char| c.is_whitespace() || "&>\"".contains(c);
    let ends_uri = |c: char| c.is_whitespace() || "<>\"".contains(c);
    let mut rest = line;
    while let Some((at, mark)) = first_mark(rest) {
        let (before, after) = rest.split_at(at.saturating_add(mark.len()));
        out.push_str(before);
        let ends: &dyn Fn(char) -> bool = match mark {
            "inline:" => &ends_key,
            "authorization=" => &ends_field,
            _ => &ends_uri,
        };
        let end = after.find(ends).unwrap_or(after.len());
        let (found, left) = after.split_at(end);
        rest = left;
        match mark {
            "inline:" | "authorization=" => out.push_str(REDACTED),
            _ => uri(found, out),
        }
    }
    out.push_str(rest);
}

/// A SIP URI behind its scheme: `user:password@host` loses the password, and the headers that it
/// asks for lose theirs.
fn uri(text: &str, out: &mut String) {
    let (user, host) = text.split_once('@').map_or(("", text), |(user, host)| (user, host));
    if !user.is_empty() {
        match user.split_once(':') {
            Some((name, _)) => {
                out.push_str(name);
                out.push(':');
                out.push_str(REDACTED);
            }
            None => out.push_str(user),
        }
        out.push('@');
    }
    match find(host, "authorization=") {
        None => out.push_str(host),
        Some(at) => {
            let end = at.saturating_add("authorization=".len());
            out.push_str(host.get(..end).unwrap_or_default());
            out.push_str(REDACTED);
        }
    }
}

/// The first mark behind which something may have to be taken out. One pass: hostile lines have
/// thousands of them.
fn first_mark(text: &str) -> Option<(usize, &'static str)> {
    const MARKS: [&str; 4] = ["inline:", "authorization=", "sip:", "sips:"];
    (0..text.len()).find_map(|at| {
        let bytes = text.as_bytes().get(at..)?;
        let begins = |mark: &&str| {
            bytes.get(..mark.len()).is_some_and(|b| b.eq_ignore_ascii_case(mark.as_bytes()))
        };
        MARKS.into_iter().find(begins).map(|mark| (at, mark))
    })
}

/// Where a mark (lower case) stands, whatever the case of the text.
fn find(text: &str, mark: &str) -> Option<usize> {
    let same = |window: &[u8]| window.eq_ignore_ascii_case(mark.as_bytes());
    text.as_bytes().windows(mark.len()).position(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn head(line: &str) -> String {
        let text = redacted(format!("{line}\r\n\r\n").as_bytes());
        text.strip_suffix("\r\n\r\n").unwrap().into()
    }

    fn body(text: &str) -> String {
        redacted(format!("X: y\r\n\r\n{text}").as_bytes()).replacen("X: y\r\n\r\n", "", 1)
    }

    #[test]
    fn credentials_keep_what_is_public_alone() {
        for (line, expected) in [
            (
                "Authorization: Digest username=\"a\", realm=\"r, s\", nonce=\"n\", uri=\"sip:b\",\
                 response=\"5ecre7\",qop=auth , nc=00000001,cnonce=\"c\", x=5ecre7",
                "Authorization: Digest username=\"a\", realm=\"r, s\", nonce=\"n\", uri=\"sip:b\", \
                 response=[redacted], qop=auth, nc=00000001, cnonce=\"c\", x=[redacted]",
            ),
            (
                "proxy-authorization : digest RESPONSE=5ecre7",
                "proxy-authorization : Digest RESPONSE=[redacted]",
            ),
            ("Authorization: Basic 5ecre7", "Authorization: [redacted]"),
            ("Authorization:5ecre7", "Authorization: [redacted]"),
            ("Authorization: Digest 5ecre7", "Authorization: Digest [redacted]"),
            (
                "Authentication-Info: rspauth=\"5ecre7\", nc=1",
                "Authentication-Info: rspauth=[redacted], nc=1",
            ),
            ("X-Auth-Token: 5ecre7", "X-Auth-Token: [redacted]"),
            ("Cookie: 5ecre7", "Cookie: [redacted]"),
            // A public parameter that hides another one.
            (
                "Authorization: Digest nonce=\"n\" response=\"5ecre7\"",
                "Authorization: Digest nonce=[redacted]",
            ),
            (
                "Authorization: Digest username=\"a, response=\"5ecre7\"",
                "Authorization: Digest username=[redacted]",
            ),
            (
                "Authorization: Digest nonce=n response=5ecre7",
                "Authorization: Digest nonce=[redacted]",
            ),
            (
                "Authorization: Digest nonce=\"a\\\", response=5ecre7",
                "Authorization: Digest nonce=[redacted]",
            ),
            // A challenge is no secret.
            (
                "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"",
                "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"",
            ),
        ] {
            assert_eq!(head(line), expected);
        }
    }

    #[test]
    fn passwords_and_credentials_in_uris_are_taken_out() {
        for (line, expected) in [
            (
                "To: <sip:alice:5ecre7@example.com:5060>;tag=1",
                "To: <sip:alice:[redacted]@example.com:5060>;tag=1",
            ),
            ("INVITE SIPS:a:5ecre7@b SIP/2.0", "INVITE SIPS:a:[redacted]@b SIP/2.0"),
            ("Contact: sip:host:5060;transport=tls", "Contact: sip:host:5060;transport=tls"),
            (
                "Contact: <sip:alice@host:5060>, <sip:b:5ecre7@c>",
                "Contact: <sip:alice@host:5060>, <sip:b:[redacted]@c>",
            ),
            (
                "Refer-To: <sip:a@b?Proxy-Authorization=Digest%205ecre7&x=1>",
                "Refer-To: <sip:a@b?Proxy-Authorization=[redacted]>",
            ),
            ("X: authorization=5ecre7&y", "X: authorization=[redacted]&y"),
        ] {
            assert_eq!(head(line), expected);
        }
    }

    #[test]
    fn keys_in_descriptions_are_taken_out() {
        for (line, expected) in [
            (
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7+/=|2^20|1:4;inline:5ecre7|2:4 FEC_KEY=Inline:5ecre7\r\n",
                "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[redacted]|2^20|1:4;inline:[redacted]|2:4 FEC_KEY=Inline:[redacted]\r\n",
            ),
            ("a=crypto:1 X 5ecre7\r\n", "a=crypto:[redacted]\r\n"),
            ("k=base64:5ecre7\r\nk=clear:5ecre7", "k=[redacted]\r\nk=[redacted]"),
            ("a=ice-pwd:5ecre7\na=ice-ufrag:u\n", "a=ice-pwd:[redacted]\na=ice-ufrag:u\n"),
            ("a=key-mgmt:mikey 5ecre7\rv=0\r", "a=key-mgmt:[redacted]\rv=0\r"),
            ("a=fingerprint:sha-256 AB:CD\r\n", "a=fingerprint:sha-256 AB:CD\r\n"),
        ] {
            assert_eq!(body(line), expected);
        }
    }

    #[test]
    fn pressed_keys_are_taken_out_and_terminals_are_not_steered() {
        let info = b"INFO sip:a SIP/2.0\r\nc: application/DTMF-relay\r\n\r\nSignal=5";
        assert!(redacted(info).ends_with("\r\n\r\n[redacted]"));
        assert_eq!(body("a\u{1b}[2J\u{7}b\tc\r\n"), "a\u{fffd}[2J\u{fffd}b\tc\r\n");
        assert!(redacted(b"\xff\xfe").starts_with("\u{fffd}\u{fffd}"));
    }
}

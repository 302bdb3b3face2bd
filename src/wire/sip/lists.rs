//! Comma-separated lists (RFC 3261 §7.3.1).

/// The next value of `text`: what stands before the first comma outside quotes and angle brackets,
/// and the rest after that comma.
fn next_value(text: &str) -> (&str, Option<&str>) {
    let bytes = text.as_bytes();
    let mut at = 0usize;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(hit) =
            super::scan::memchr3(b',', b'"', b'<', rest).and_then(|n| n.checked_add(at))
        else {
            return (text, None);
        };
        let end = match bytes.get(hit) {
            Some(b'"') => bytes
                .get(hit..)
                .and_then(super::chars::after_quoted)
                .and_then(|tail| bytes.len().checked_sub(tail.len())),
            Some(b'<') => bytes
                .get(hit..)
                .and_then(|r| super::scan::memchr(b'>', r))
                .and_then(|n| n.checked_add(hit)),
            _ => {
                let rest = text.get(hit.saturating_add(1)..);
                return (text.get(..hit).unwrap_or_default(), rest);
            }
        };
        // A quote or bracket without its end: the rest is one value.
        let Some(end) = end else { return (text, None) };
        at = end;
    }
}

/// The values of a comma-separated list, blanks around each removed, empty ones left out. Commas
/// inside quoted strings and angle brackets do not separate.
pub(super) fn split_values(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        loop {
            let (value, tail) = next_value(rest?);
            rest = tail;
            let value = value.trim_matches([' ', '\t']);
            if !value.is_empty() {
                return Some(value);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_quotes_and_brackets_do_not_separate() {
        let text = "100rel, , \"a,\\\"b\" ;x , <sip:a,b@c>,timer,\"open, end";
        let values: Vec<_> = split_values(text).collect();
        assert_eq!(values, ["100rel", "\"a,\\\"b\" ;x", "<sip:a,b@c>", "timer", "\"open, end"]);
    }
}

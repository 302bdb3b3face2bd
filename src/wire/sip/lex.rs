//! Characters, tokens, quoted strings and parameters (RFC 3261 §25.1).

/// token characters.
pub(super) const fn is_token_char(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// True for a non-empty token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_char)
}

/// Trims SP, HTAB (and what unfolding left).
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Splits at the first `at` that stands outside quoted strings and angle brackets. The second
/// part starts after it. `None` if there is no such character.
pub(super) fn split_outside(text: &str, at: u8) -> Option<(&str, &str)> {
    let position = find_outside(text, |b| b == at)?;
    let (head, tail) = text.split_at_checked(position)?;
    Some((head, tail.get(1..).unwrap_or("")))
}

/// Position of the first byte that satisfies `wanted` outside quotes and angle brackets. The
/// result is always at an ASCII byte.
pub(super) fn find_outside(text: &str, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for (i, b) in text.bytes().enumerate() {
        if quoted {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if !angle && b.is_ascii() && wanted(b) {
            return Some(i);
        }
        match b {
            b'"' if !angle => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    None
}

/// True if quotes and angle brackets close.
pub(super) fn is_balanced(text: &str) -> bool {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for b in text.bytes() {
        if quoted {
            match b {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match b {
            b'"' if !angle => quoted = true,
            b'<' if angle => return false,
            b'<' => angle = true,
            b'>' if !angle => return false,
            b'>' => angle = false,
            _ => {}
        }
    }
    !quoted && !angle
}

/// The elements of a comma-separated list, trimmed; commas inside quotes and brackets do not
/// separate. Empty elements are passed over.
pub(super) fn list(mut text: &str) -> impl Iterator<Item = &str> {
    let mut done = false;
    core::iter::from_fn(move || {
        while !done {
            let item = match split_outside(text, b',') {
                Some((head, tail)) => {
                    text = tail;
                    head
                }
                None => {
                    done = true;
                    text
                }
            };
            let item = trim(item);
            if !item.is_empty() {
                return Some(item);
            }
        }
        None
    })
}

/// Header or URI parameters: `;name=value;flag` as they stand in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// `text` starts with `;` or is empty.
    pub(super) const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The parameters as text, starting with `;` unless empty.
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Names and values in order. Quoted values keep their quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            loop {
                rest = trim(rest).strip_prefix(';')?;
                let (item, tail) = match find_outside(rest, |b| b == b';') {
                    Some(i) => rest.split_at_checked(i)?,
                    None => (rest, ""),
                };
                rest = tail;
                let item = trim(item);
                if item.is_empty() {
                    continue;
                }
                return Some(match item.split_once('=') {
                    Some((name, value)) => (trim(name), Some(trim(value))),
                    None => (item, None),
                });
            }
        })
    }

    /// The value of a parameter (names compare without case); `Some("")` for a bare flag.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.unwrap_or(""))
    }

    /// True if the parameter is there, with or without a value.
    pub fn has(self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Grammar of generic-param: token names, values that are tokens, hosts or quoted strings.
    pub(super) fn is_valid(self) -> bool {
        let text = trim(self.0);
        (text.is_empty() || text.starts_with(';'))
            && !text.ends_with(';')
            && self.iter().all(|(name, value)| {
                is_token(name) && value.is_none_or(|v| !v.is_empty() && is_param_value(v))
            })
    }
}

fn is_param_value(value: &str) -> bool {
    if let Some(inner) = value.strip_prefix('"') {
        return inner.ends_with('"') && is_balanced(value);
    }
    value.bytes().all(|b| {
        is_token_char(b)
            || matches!(
                b,
                b'[' | b']'
                    | b':'
                    | b'/'
                    | b'@'
                    | b'<'
                    | b'>'
                    | b'='
                    | b'&'
                    | b'$'
                    | b'?'
                    | b'#'
                    | b'|'
                    | b'('
                    | b')'
                    | b'{'
                    | b'}'
            )
            || b >= 0x80
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn lists_and_params_respect_quotes_and_brackets() {
        let items: Vec<_> = list("\"a,\\\"b\" <sip:x,y@h>;q=1 , ,<sip:z@h>").collect();
        assert_eq!(items, ["\"a,\\\"b\" <sip:x,y@h>;q=1", "<sip:z@h>"]);
        let p = Params::new(";tag=1; Flag ;x=\"a;b\"");
        assert_eq!(p.get("TAG"), Some("1"));
        assert_eq!((p.get("flag"), p.get("x"), p.get("y")), (Some(""), Some("\"a;b\""), None));
        assert!(p.is_valid());
        assert!(!Params::new(";=a").is_valid() && !Params::new(";a=\"b").is_valid());
    }
}

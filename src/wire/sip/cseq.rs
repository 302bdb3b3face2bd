//! The CSeq header field (RFC 3261 §20.16).

use core::fmt;

use super::chars::{TOKEN, saturating_number, skip_blanks, span};
use super::method::Method;

/// A sequence number and the method that it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The sequence number. RFC 3261 wants it below 2^31; up to 2^32-1 is accepted.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// The CSeq that `text` spells, and whether its number fits; a larger one gives 2^32-1.
    pub(super) fn scan(text: &str) -> Option<(Self, bool)> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = saturating_number(text.get(..digits)?)?;
        let fits = number != u32::MAX || text.get(..digits)?.parse::<u32>().is_ok();
        let start = skip_blanks(text.as_bytes(), digits);
        let end = span(text.as_bytes(), start, TOKEN);
        if start == digits || end == start || end != text.len() {
            return None;
        }
        Some((Self { number, method: text.get(start..end)?.into() }, fits))
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_wrap() {
        let read = |t| CSeq::scan(t).map(|(c, fits)| (c.number, fits));
        assert_eq!(read("0009   INVITE"), Some((9, true)));
        assert_eq!(read("4294967295 INVITE"), Some((u32::MAX, true)));
        assert_eq!(read("4294967296 INVITE"), Some((u32::MAX, false)));
        assert_eq!(read("36893488147419103232 REGISTER"), Some((u32::MAX, false)));
        for bad in ["", "1", "1 ", "INVITE", "-1 INVITE", "+1 INVITE", "1INVITE", "1 A B", "1 A,B"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

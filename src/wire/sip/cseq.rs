//! The CSeq header field (RFC 3261 §20.16).

use core::fmt;

use super::chars::{TOKEN, after, before, digits, skip_blanks};
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
    /// The CSeq that `text` begins with, and what follows it. A number that does not fit gives
    /// 2^32-1, and false.
    pub(super) fn read(text: &[u8]) -> Option<(Self, bool, &[u8])> {
        let (number, number_tail) = digits(text)?;
        let method = skip_blanks(number_tail);
        let tail = after(method, TOKEN);
        if method.len() == number_tail.len() || tail.len() == method.len() {
            return None;
        }
        let fits = u32::try_from(number).ok();
        let method = Method::read(before(method, tail));
        Some((Self { number: fits.unwrap_or(u32::MAX), method }, fits.is_some(), tail))
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
        let read = |t: &str| {
            let (cseq, fits, tail) = CSeq::read(t.as_bytes())?;
            tail.is_empty().then_some((cseq.number, fits))
        };
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

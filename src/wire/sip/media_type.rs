//! Media types: Content-Type and its like (RFC 3261 §20.15).

use super::chars::{TOKEN, after, separator, skip_blanks, stretch};
use super::params::{Params, scan_params};

/// `type/subtype;parameters`.
#[derive(Clone, Copy, Debug)]
pub struct MediaType<'a> {
    main: &'a str,
    subtype: &'a str,
    params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// The media type that all of `text` is.
    pub fn parse(text: &'a str) -> Option<Self> {
        let main = skip_blanks(text.as_bytes());
        let main_tail = after(main, TOKEN);
        let subtype = separator(main_tail, b'/')?;
        let params = after(subtype, TOKEN);
        let scanned = scan_params(params, b"");
        if main_tail.len() == main.len() || params.len() == subtype.len() {
            return None;
        }
        scanned.next?.is_empty().then_some(Self {
            main: stretch(text, main, main_tail)?,
            subtype: stretch(text, subtype, params)?,
            params: Params::new(stretch(text, params, scanned.tail)?),
        })
    }

    /// The type, such as `application`, as written.
    pub fn main(&self) -> &'a str {
        self.main
    }

    /// The subtype, such as `sdp`, as written.
    pub fn subtype(&self) -> &'a str {
        self.subtype
    }

    /// Whether it is this one, compared without case.
    pub fn is(&self, main: &str, subtype: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// The parameters, such as `boundary`.
    pub fn params(&self) -> Params<'a> {
        self.params
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read() {
        let t = MediaType::parse("Application / SDP ; charset=\"utf-8\"").unwrap();
        assert!(t.is("application", "sdp"));
        assert_eq!(t.params().get_unquoted("charset").unwrap(), "utf-8");
        for bad in ["", "application", "application/", "/sdp", "a/b c", "a/b;;", "a/b, c/d"] {
            assert!(MediaType::parse(bad).is_none(), "{bad}");
        }
    }
}

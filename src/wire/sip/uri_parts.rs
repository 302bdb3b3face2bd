//! Where the parts of a URI stand in its text.

use super::chars::{HEADER, PARAM, PASSWORD, PHONE, URIC, USER, at, span};
use super::escape::escapes_are_valid;
use super::host::{HostKind, scan_host, scan_port};

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip` (RFC 3261 §19.1).
    Sip,
    /// `sips`: TLS on every hop (RFC 3261 §19.1, RFC 5630).
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// Any other; its URI is opaque.
    Other,
}

/// Why a text is not a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UriError {
    /// It does not begin with a scheme and a colon.
    #[error("a URI begins with a scheme and a colon, as in sip:alice@example.com")]
    Scheme,
    /// It is longer than a message may be.
    #[error("a URI of more than 64 KiB fits no message")]
    TooLong,
    /// The user part or the password is empty or holds a character that needs an escape.
    #[error("the user part of a URI is empty or holds a character that needs a %HH escape")]
    User,
    /// The host is neither a name nor an address; an IPv6 address needs brackets.
    #[error("the host of a URI is a name, an IPv4 address, or an IPv6 address in brackets")]
    Host,
    /// The port is not a number of 0 to 65535.
    #[error("the port of a URI is a number of 0 to 65535")]
    Port,
    /// A parameter is empty or holds a character that needs an escape.
    #[error("a URI parameter is empty or holds a character that needs a %HH escape")]
    Param,
    /// The header part is malformed.
    #[error("the header part of a URI is name=value pairs joined by &, special characters as %HH")]
    Header,
    /// A `%` is not followed by two hex digits.
    #[error("a % in a URI is followed by two hex digits")]
    Escape,
    /// The number of a tel URI is empty or holds something else than digits and separators.
    #[error("the number of a tel URI is digits and the separators - . ( )")]
    Number,
    /// A URI of another scheme holds a character that no URI may hold.
    #[error("a URI holds a character that no URI may hold")]
    Character,
    /// The operation needs a sip or sips URI.
    #[error("only sip and sips URIs have a user, a port and parameters to set")]
    NotSip,
}

/// Positions in the text of a URI; each part lies between two of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct UriParts {
    pub(super) scheme: Scheme,
    pub(super) host_kind: HostKind,
    pub(super) port: Option<u16>,
    /// The colon after the scheme.
    pub(super) colon: u16,
    /// The end of the user part; 0 without one.
    pub(super) user_end: u16,
    /// The end of the password; 0 without one.
    pub(super) password_end: u16,
    pub(super) host_start: u16,
    pub(super) host_end: u16,
    /// The first semicolon of the parameters.
    pub(super) params: u16,
    /// The question mark of the headers.
    pub(super) headers: u16,
}

impl UriParts {
    pub(super) const EMPTY: Self = Self {
        scheme: Scheme::Other,
        host_kind: HostKind::None,
        port: None,
        colon: 0,
        user_end: 0,
        password_end: 0,
        host_start: 0,
        host_end: 0,
        params: 0,
        headers: 0,
    };

    /// Of `sip:anonymous.invalid`.
    pub(super) const ANONYMOUS: Self = Self {
        scheme: Scheme::Sip,
        host_kind: HostKind::Domain,
        colon: 3,
        host_start: 4,
        host_end: 21,
        params: 21,
        headers: 21,
        ..Self::EMPTY
    };

    /// The parts of `text`, all of which must be one URI.
    pub(super) fn scan(text: &str) -> Result<Self, UriError> {
        let mut parts = Self::EMPTY;
        parts.read(text)?;
        Ok(parts)
    }

    /// As [`scan`](Self::scan), into parts that are empty: where they are to stay.
    #[inline]
    pub(super) fn read(&mut self, text: &str) -> Result<(), UriError> {
        let bytes = text.as_bytes();
        if bytes.len() > usize::from(u16::MAX) {
            return Err(UriError::TooLong);
        }
        // The sign after the user part, unless an escape comes first.
        let mut sign = memchr::memchr2(b'@', b'%', bytes);
        if let Some(first) = sign {
            if !escapes_are_valid(bytes.get(first..).unwrap_or_default()) {
                return Err(UriError::Escape);
            }
            if bytes.get(first) == Some(&b'%') {
                sign = memchr::memchr(b'@', bytes);
            }
        }
        match bytes {
            [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', ..] => {
                self.read_sip(bytes, Scheme::Sip, 3, sign)
            }
            [b's' | b'S', b'i' | b'I', b'p' | b'P', b's' | b'S', b':', ..] => {
                self.read_sip(bytes, Scheme::Sips, 4, sign)
            }
            [b't' | b'T', b'e' | b'E', b'l' | b'L', b':', ..] => self.read_tel(bytes),
            _ => self.read_other(bytes),
        }
    }

    #[inline]
    fn read_sip(
        &mut self,
        bytes: &[u8],
        scheme: Scheme,
        colon: usize,
        sign: Option<usize>,
    ) -> Result<(), UriError> {
        let start = colon.wrapping_add(1);
        self.scheme = scheme;
        self.colon = at(colon);
        let mut host_start = start;
        if let Some(sign) = sign {
            let user_end = span(bytes, start, USER);
            self.user_end = at(user_end);
            let has_password = user_end < sign && bytes.get(user_end) == Some(&b':');
            if has_password {
                self.password_end = at(sign);
            }
            let password = user_end.saturating_add(usize::from(user_end < sign));
            if user_end == start || span(bytes, password, PASSWORD) != sign && user_end != sign {
                return Err(UriError::User);
            }
            if user_end < sign && !has_password {
                return Err(UriError::User);
            }
            host_start = sign.saturating_add(1);
        }
        let (kind, host_end) = scan_host(bytes, host_start).ok_or(UriError::Host)?;
        let (port, end) = scan_port(bytes, host_end, false).ok_or(UriError::Port)?;
        self.host_kind = kind;
        self.host_start = at(host_start);
        self.host_end = at(host_end);
        self.port = port;
        self.read_tail(bytes, end)
    }

    /// Parameters and headers from `from` to the end.
    #[inline]
    fn read_tail(&mut self, bytes: &[u8], from: usize) -> Result<(), UriError> {
        self.params = at(from);
        let end = scan_pairs(bytes, from, b';', PARAM).ok_or(UriError::Param)?;
        self.headers = at(end);
        match bytes.get(end) {
            None => return Ok(()),
            Some(b'?') => {}
            // What neither the host, nor a port, nor a parameter may be followed by.
            Some(_) if end == from => return Err(UriError::Host),
            Some(_) => return Err(UriError::Param),
        }
        let mut next = end;
        loop {
            let name = next.saturating_add(1);
            let equals = span(bytes, name, HEADER);
            if equals == name || bytes.get(equals) != Some(&b'=') {
                return Err(UriError::Header);
            }
            next = span(bytes, equals.saturating_add(1), HEADER);
            match bytes.get(next) {
                None => return Ok(()),
                Some(b'&') => {}
                Some(_) => return Err(UriError::Header),
            }
        }
    }

    fn read_tel(&mut self, bytes: &[u8]) -> Result<(), UriError> {
        let end = span(bytes, 4, PHONE);
        let number = bytes.get(4..end).unwrap_or_default();
        let local = number.strip_prefix(b"+").unwrap_or(number);
        // Not separators alone, and a plus only in front.
        let dials = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#');
        if !local.iter().any(dials) || local.contains(&b'+') {
            return Err(UriError::Number);
        }
        self.scheme = Scheme::Tel;
        self.colon = 3;
        self.user_end = at(end);
        self.read_tail(bytes, end).map_err(|e| match e {
            UriError::Host => UriError::Number,
            other => other,
        })?;
        if usize::from(self.headers) != bytes.len() {
            return Err(UriError::Header);
        }
        Ok(())
    }

    fn read_other(&mut self, bytes: &[u8]) -> Result<(), UriError> {
        let colon = memchr::memchr(b':', bytes).ok_or(UriError::Scheme)?;
        let scheme = bytes.get(..colon).unwrap_or_default();
        let tail = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(tail) {
            return Err(UriError::Scheme);
        }
        let start = colon.saturating_add(1);
        if start == bytes.len() || span(bytes, start, URIC) != bytes.len() {
            return Err(UriError::Character);
        }
        self.colon = at(colon);
        self.params = at(bytes.len());
        self.headers = at(bytes.len());
        Ok(())
    }
}

/// The end of `;name[=value]` pairs at `from`; `None` for an empty name.
#[inline]
fn scan_pairs(bytes: &[u8], from: usize, separator: u8, class: u16) -> Option<usize> {
    let mut end = from;
    while bytes.get(end) == Some(&separator) {
        let name = end.checked_add(1)?;
        end = span(bytes, name, class);
        if end == name {
            return None;
        }
        if bytes.get(end) == Some(&b'=') {
            end = span(bytes, end.checked_add(1)?, class);
        }
    }
    Some(end)
}

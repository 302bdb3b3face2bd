//! Where the parts of a URI stand in its text.

use super::chars::{
    HEADER, HOST, PARAM, PASSWORD, PHONE, PLAIN_PARAM, PLAIN_USER, URIC, USER, after, before, place,
};
use super::escape::escapes_are_valid;
use super::host::{HostKind, scan_host, scan_host_run, scan_port};

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
    pub(super) fn scan(text: &[u8]) -> Result<Self, UriError> {
        if text.len() > usize::from(u16::MAX) {
            return Err(UriError::TooLong);
        }
        // The sign after the user part, unless an escape comes first.
        let mut sign = super::scan::memchr2(b'@', b'%', text);
        if let Some(first) = sign {
            let rest = text.get(first..).unwrap_or_default();
            if !escapes_are_valid(rest) {
                return Err(UriError::Escape);
            }
            if rest.first() == Some(&b'%') {
                sign = super::scan::memchr(b'@', text);
            }
        }
        match text {
            [b's' | b'S', b'i' | b'I', b'p' | b'P', b':', rest @ ..] => {
                Self { scheme: Scheme::Sip, colon: 3, ..Self::EMPTY }.read_sip(text, rest, sign)
            }
            [b's' | b'S', b'i' | b'I', b'p' | b'P', b's' | b'S', b':', rest @ ..] => {
                Self { scheme: Scheme::Sips, colon: 4, ..Self::EMPTY }.read_sip(text, rest, sign)
            }
            [b't' | b'T', b'e' | b'E', b'l' | b'L', b':', rest @ ..] => Self::read_tel(text, rest),
            _ => Self::read_other(text),
        }
    }

    /// The URI that `text` begins with, and what follows it, if it is of the kind that most are:
    /// sip or sips, without a password, headers and escapes. The same parts as [`scan`](Self::scan)
    /// gives for that URI alone.
    #[inline]
    pub(super) fn scan_plain(text: &[u8]) -> Option<(Self, &[u8])> {
        let (scheme, colon, rest) = match text {
            [b's', b'i', b'p', b':', rest @ ..] => (Scheme::Sip, 3, rest),
            [b's', b'i', b'p', b's', b':', rest @ ..] => (Scheme::Sips, 4, rest),
            _ => return None,
        };
        let length = text.len();
        // All that may stand in a host may stand in a user part.
        let run = after(rest, HOST);
        let user_tail = match run {
            [b':' | b';' | b'>' | b'@', ..] => run,
            _ => after(run, PLAIN_USER),
        };
        let (user_end, host, run) = match user_tail {
            [b'@', host @ ..] if user_tail.len() < rest.len() => {
                (place(length, user_tail), host, after(host, HOST))
            }
            _ => (0, rest, run),
        };
        let (host_kind, host_tail) = scan_host_run(host, run)?;
        let (port, params) = scan_port(host_tail, false)?;
        let tail = scan_pairs(params, b';', PLAIN_PARAM)?;
        let parts = Self {
            scheme,
            host_kind,
            port,
            colon,
            user_end,
            password_end: 0,
            host_start: place(length, host),
            host_end: place(length, host_tail),
            params: place(length, params),
            headers: place(length, tail),
        };
        Some((parts, tail))
    }

    fn read_sip(mut self, text: &[u8], rest: &[u8], sign: Option<usize>) -> Result<Self, UriError> {
        let mut host = rest;
        if let Some(sign) = sign {
            let (front, behind) = text.split_at_checked(sign).ok_or(UriError::User)?;
            let user = front.get(text.len().saturating_sub(rest.len())..).unwrap_or_default();
            let tail = after(user, USER);
            self.user_end = place(front.len(), tail);
            if let [b':', password @ ..] = tail {
                self.password_end = place(front.len(), b"");
                if !after(password, PASSWORD).is_empty() {
                    return Err(UriError::User);
                }
            } else if !tail.is_empty() {
                return Err(UriError::User);
            }
            if tail.len() == user.len() {
                return Err(UriError::User);
            }
            host = behind.get(1..).unwrap_or_default();
        }
        let (kind, host_tail) = scan_host(host).ok_or(UriError::Host)?;
        let (port, tail) = scan_port(host_tail, false).ok_or(UriError::Port)?;
        self.host_kind = kind;
        self.host_start = place(text.len(), host);
        self.host_end = place(text.len(), host_tail);
        self.port = port;
        self.read_tail(text, tail)
    }

    /// Parameters and headers: all that is left.
    fn read_tail(mut self, text: &[u8], params: &[u8]) -> Result<Self, UriError> {
        self.params = place(text.len(), params);
        let headers = scan_pairs(params, b';', PARAM).ok_or(UriError::Param)?;
        self.headers = place(text.len(), headers);
        let mut rest = match headers {
            [] => return Ok(self),
            [b'?', rest @ ..] => rest,
            // What neither the host, nor a port, nor a parameter may be followed by.
            _ if headers.len() == params.len() => return Err(UriError::Host),
            _ => return Err(UriError::Param),
        };
        loop {
            let equals = after(rest, HEADER);
            let [b'=', value @ ..] = equals else { return Err(UriError::Header) };
            if equals.len() == rest.len() {
                return Err(UriError::Header);
            }
            rest = match after(value, HEADER) {
                [] => return Ok(self),
                [b'&', next @ ..] => next,
                _ => return Err(UriError::Header),
            };
        }
    }

    fn read_tel(text: &[u8], rest: &[u8]) -> Result<Self, UriError> {
        let tail = after(rest, PHONE);
        let number = before(rest, tail);
        let local = number.strip_prefix(b"+").unwrap_or(number);
        // Not separators alone, and a plus only in front.
        let dials = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#');
        if !local.iter().any(dials) || local.contains(&b'+') {
            return Err(UriError::Number);
        }
        let user_end = place(text.len(), tail);
        let parts = Self { scheme: Scheme::Tel, colon: 3, user_end, ..Self::EMPTY };
        let parts = parts.read_tail(text, tail).map_err(|e| match e {
            UriError::Host => UriError::Number,
            other => other,
        })?;
        if usize::from(parts.headers) != text.len() {
            return Err(UriError::Header);
        }
        Ok(parts)
    }

    fn read_other(text: &[u8]) -> Result<Self, UriError> {
        let colon = super::scan::memchr(b':', text).ok_or(UriError::Scheme)?;
        let (scheme, rest) = text.split_at_checked(colon).ok_or(UriError::Scheme)?;
        let tail = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(tail) {
            return Err(UriError::Scheme);
        }
        let opaque = rest.get(1..).unwrap_or_default();
        if opaque.is_empty() || !after(opaque, URIC).is_empty() {
            return Err(UriError::Character);
        }
        let end = place(text.len(), b"");
        Ok(Self { colon: place(text.len(), rest), params: end, headers: end, ..Self::EMPTY })
    }
}

/// What follows the `;name[=value]` pairs that `text` begins with; `None` for an empty name.
#[inline]
fn scan_pairs(text: &[u8], separator: u8, class: u32) -> Option<&[u8]> {
    let mut rest = text;
    while let [first, name @ ..] = rest
        && *first == separator
    {
        rest = after(name, class);
        if rest.len() == name.len() {
            return None;
        }
        if let [b'=', value @ ..] = rest {
            rest = after(value, class);
        }
    }
    Some(rest)
}

//! Names of header fields (RFC 3261 §7.3.1, §7.3.3).

use core::fmt;

use super::chars::{TOKEN, after, before, separator};

macro_rules! header_names {
    ($($variant:ident $text:literal $($compact:literal)?,)*) => {
        /// The name of a header field that the crate knows; any other is `Other` and is found by
        /// its text ([`Message::headers_named`](super::Message::headers_named)).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(#[doc = $text] $variant,)*
            /// Any other header field.
            Other,
        }

        impl HeaderName {
            /// The long form, as messages are built with it; empty for `Other`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(HeaderName::$variant => $text,)*
                    HeaderName::Other => "",
                }
            }
        }

        /// Each spelling, long and compact, and what it names.
        static SPELLINGS: &[(&str, HeaderName)] =
            &[$(($text, HeaderName::$variant), $(($compact, HeaderName::$variant),)?)*];
    };
}

header_names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" "a",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    AnswerMode "Answer-Mode",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" "i",
    CallInfo "Call-Info",
    Contact "Contact" "m",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" "e",
    ContentId "Content-ID",
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" "l",
    ContentTransferEncoding "Content-Transfer-Encoding",
    ContentType "Content-Type" "c",
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" "o",
    Expires "Expires",
    FlowTimer "Flow-Timer",
    From "From" "f",
    Geolocation "Geolocation",
    HistoryInfo "History-Info",
    Identity "Identity" "y",
    InReplyTo "In-Reply-To",
    Join "Join",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAccessNetworkInfo "P-Access-Network-Info",
    PAssertedIdentity "P-Asserted-Identity",
    PAssociatedUri "P-Associated-URI",
    PCalledPartyId "P-Called-Party-ID",
    PEarlyMedia "P-Early-Media",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    RejectContact "Reject-Contact" "j",
    RemotePartyId "Remote-Party-ID",
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" "d",
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    RSeq "RSeq",
    SecurityClient "Security-Client",
    SecurityServer "Security-Server",
    SecurityVerify "Security-Verify",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" "x",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" "s",
    SubscriptionState "Subscription-State",
    Supported "Supported" "k",
    TargetDialog "Target-Dialog",
    Timestamp "Timestamp",
    To "To" "t",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    UserToUser "User-to-User",
    Via "Via" "v",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

impl HeaderName {
    /// The name that `text` spells, in any case, long or compact.
    pub fn parse(text: &str) -> Self {
        lookup(text.as_bytes())
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An open hash table of [`SPELLINGS`], filled by the compiler: index plus one, 0 for empty.
static SLOTS: [u8; 256] = slots();

/// Length, first and last character without case.
const fn hash(length: usize, first: u8, last: u8) -> u8 {
    ((first | 0x20).wrapping_mul(7))
        .wrapping_add((last | 0x20).wrapping_mul(29))
        .wrapping_add((length as u8).wrapping_mul(83))
}

// Evaluated by the compiler alone: a bad index would not build.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
const fn slots() -> [u8; 256] {
    let mut slots = [0; 256];
    let mut i = 0;
    while i < SPELLINGS.len() {
        let text = SPELLINGS[i].0.as_bytes();
        let mut slot = hash(text.len(), text[0], text[text.len() - 1]);
        while slots[slot as usize] != 0 {
            slot = slot.wrapping_add(1);
        }
        i += 1;
        slots[slot as usize] = i as u8;
    }
    slots
}

/// The name that `text` spells.
pub(super) fn lookup(text: &[u8]) -> HeaderName {
    find(text).unwrap_or(HeaderName::Other)
}

fn find(text: &[u8]) -> Option<HeaderName> {
    let mut slot = hash(text.len(), *text.first()?, *text.last()?);
    loop {
        let index = usize::from(*SLOTS.get(usize::from(slot))?).checked_sub(1)?;
        let (spelling, name) = SPELLINGS.get(index)?;
        if spelling.as_bytes().eq_ignore_ascii_case(text) {
            return Some(*name);
        }
        slot = slot.wrapping_add(1);
    }
}

/// The front of a header field.
pub(super) struct NameLine<'a> {
    pub(super) name_id: HeaderName,
    /// What follows the name.
    pub(super) name_tail: &'a [u8],
    /// What follows the colon and the blanks after it.
    pub(super) value: &'a [u8],
}

/// The header field that `line` begins with; `None` if it is none.
#[inline]
pub(super) fn read_name(line: &[u8]) -> Option<NameLine<'_>> {
    let (name_id, name_tail) = match common(line) {
        Some((name_id, length)) => (name_id, line.get(length..)?),
        None => other(line)?,
    };
    let value = separator(name_tail, b':')?;
    Some(NameLine { name_id, name_tail, value })
}

#[inline(never)]
fn other(line: &[u8]) -> Option<(HeaderName, &[u8])> {
    let tail = after(line, TOKEN);
    let name = before(line, tail);
    (!name.is_empty()).then(|| (lookup(name), tail))
}

/// The name at the front of `line`, and its length, if it is one of those that fill most messages,
/// as it is nearly always written.
#[inline]
fn common(line: &[u8]) -> Option<(HeaderName, usize)> {
    use HeaderName as Name;
    let is = |found: bool, name: HeaderName| found.then_some((name, name.as_str().len()));
    match line {
        [b'V', b'i', b'a', b':', ..] => is(true, Name::Via),
        [b'R', b'e', rest @ ..] => is(rest.starts_with(b"cord-Route:"), Name::RecordRoute),
        [b'R', rest @ ..] => is(rest.starts_with(b"oute:"), Name::Route),
        [b'F', rest @ ..] => is(rest.starts_with(b"rom:"), Name::From),
        [b'T', rest @ ..] => is(rest.starts_with(b"o:"), Name::To),
        [b'M', rest @ ..] => is(rest.starts_with(b"ax-Forwards:"), Name::MaxForwards),
        [b'C', b'a', rest @ ..] => is(rest.starts_with(b"ll-ID:"), Name::CallId),
        [b'C', b'S', rest @ ..] => is(rest.starts_with(b"eq:"), Name::CSeq),
        [b'C', b'o', b'n', b't', rest @ ..] => match rest {
            [b'a', rest @ ..] => is(rest.starts_with(b"ct:"), Name::Contact),
            [b'e', b'n', b't', b'-', b'T', rest @ ..] => {
                is(rest.starts_with(b"ype:"), Name::ContentType)
            }
            _ => is(rest.starts_with(b"ent-Length:"), Name::ContentLength),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_in_any_case() {
        for (text, name) in SPELLINGS {
            let line = format!("{text} : x");
            let read = read_name(line.as_bytes()).unwrap();
            assert_eq!((read.name_id, read.value), (*name, &b"x"[..]), "{text}");
            let line = format!("{text}:x");
            let read = read_name(line.as_bytes()).unwrap();
            assert_eq!((read.name_id, read.name_tail), (*name, &b":x"[..]), "{text}");
            for spelling in [text.to_string(), text.to_uppercase(), text.to_lowercase()] {
                assert_eq!(lookup(spelling.as_bytes()), *name, "{spelling}");
            }
        }
        for other in ["", "z", "Contac", "Contact2", "C%6Fntact", "X-Via"] {
            assert_eq!(lookup(other.as_bytes()), HeaderName::Other, "{other}");
        }
        assert_eq!(HeaderName::parse("V"), HeaderName::Via);
    }
}

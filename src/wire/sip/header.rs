//! Header field names and their compact forms (RFC 3261 §7.3.3, §20).

macro_rules! header_names {
    ($($variant:ident $text:literal $doc:literal),* $(,)?) => {
        /// A header field that the engine knows by name; any other is `Other` and is found by its
        /// text.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(#[doc = $doc] $variant,)*
            /// Any other header field.
            Other,
        }

        impl HeaderName {
            /// The canonical spelling; empty for `Other`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::Other => "" }
            }

            /// The name of this field name, in any case, long or compact.
            pub fn parse(name: &str) -> Self {
                if name.len() == 1 {
                    return Self::from_compact(name.as_bytes().first().copied().unwrap_or(0));
                }
                let Some(first) = name.bytes().next() else { return Self::Other };
                $(
                    if name.len() == $text.len()
                        && first | 0x20 == FIRST_LETTER($text)
                        && name.eq_ignore_ascii_case($text) { return Self::$variant; }
                )*
                Self::Other
            }
        }
    };
}

#[allow(non_snake_case)]
const fn FIRST_LETTER(text: &str) -> u8 {
    match text.as_bytes().first() {
        Some(b) => *b | 0x20,
        None => 0,
    }
}

header_names! {
    Via "Via" "Via", MaxForwards "Max-Forwards" "Max-Forwards", From "From" "From", To "To" "To",
    CallId "Call-ID" "Call-ID", CSeq "CSeq" "CSeq", Contact "Contact" "Contact",
    RecordRoute "Record-Route" "Record-Route", Route "Route" "Route",
    ContentType "Content-Type" "Content-Type", ContentLength "Content-Length" "Content-Length",
    Accept "Accept" "Accept", AcceptEncoding "Accept-Encoding" "Accept-Encoding",
    AcceptLanguage "Accept-Language" "Accept-Language", AlertInfo "Alert-Info" "Alert-Info",
    Allow "Allow" "Allow", AllowEvents "Allow-Events" "Allow-Events (RFC 6665)",
    AuthenticationInfo "Authentication-Info" "Authentication-Info",
    Authorization "Authorization" "Authorization", CallInfo "Call-Info" "Call-Info",
    ContentDisposition "Content-Disposition" "Content-Disposition",
    ContentEncoding "Content-Encoding" "Content-Encoding",
    ContentLanguage "Content-Language" "Content-Language", Date "Date" "Date",
    ErrorInfo "Error-Info" "Error-Info", Event "Event" "Event (RFC 6665)",
    Expires "Expires" "Expires", InReplyTo "In-Reply-To" "In-Reply-To",
    MimeVersion "MIME-Version" "MIME-Version", MinExpires "Min-Expires" "Min-Expires",
    MinSe "Min-SE" "Min-SE (RFC 4028)", Organization "Organization" "Organization",
    Path "Path" "Path (RFC 3327)", Priority "Priority" "Priority",
    ProxyAuthenticate "Proxy-Authenticate" "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization" "Proxy-Authorization",
    ProxyRequire "Proxy-Require" "Proxy-Require", RAck "RAck" "RAck (RFC 3262)",
    Reason "Reason" "Reason (RFC 3326)", ReferTo "Refer-To" "Refer-To (RFC 3515)",
    ReferredBy "Referred-By" "Referred-By (RFC 3892)", Replaces "Replaces" "Replaces (RFC 3891)",
    ReplyTo "Reply-To" "Reply-To", Require "Require" "Require",
    RetryAfter "Retry-After" "Retry-After", RSeq "RSeq" "RSeq (RFC 3262)",
    Server "Server" "Server", ServiceRoute "Service-Route" "Service-Route (RFC 3608)",
    SessionExpires "Session-Expires" "Session-Expires (RFC 4028)", Subject "Subject" "Subject",
    SubscriptionState "Subscription-State" "Subscription-State (RFC 6665)",
    Supported "Supported" "Supported", Timestamp "Timestamp" "Timestamp",
    Unsupported "Unsupported" "Unsupported", UserAgent "User-Agent" "User-Agent",
    Warning "Warning" "Warning", WwwAuthenticate "WWW-Authenticate" "WWW-Authenticate",
}

impl HeaderName {
    const fn from_compact(letter: u8) -> Self {
        match letter | 0x20 {
            b'v' => Self::Via,
            b'f' => Self::From,
            b't' => Self::To,
            b'i' => Self::CallId,
            b'm' => Self::Contact,
            b'c' => Self::ContentType,
            b'l' => Self::ContentLength,
            b'e' => Self::ContentEncoding,
            b'k' => Self::Supported,
            b's' => Self::Subject,
            b'o' => Self::Event,
            b'u' => Self::AllowEvents,
            b'r' => Self::ReferTo,
            b'b' => Self::ReferredBy,
            b'x' => Self::SessionExpires,
            _ => Self::Other,
        }
    }
}

impl core::fmt::Display for HeaderName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

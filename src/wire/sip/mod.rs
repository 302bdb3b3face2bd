//! SIP messages (RFC 3261 §7, §25): URIs, header fields, messages, framing.
//!
//! [`Message`] is one copied buffer and a table of spans: header fields are read as borrowed views
//! ([`ViaRef`], [`NameAddrRef`], [`UriRef`], [`Params`]) without an allocation each. What routing,
//! matching and answering need (start line, Via, From, To, Call-ID, CSeq, Contact, Route,
//! Record-Route, Max-Forwards, Content-Length) is checked once, by [`Message::parse`]; everything
//! else is kept byte for byte. Folded lines are unfolded in the copy (their CRLF becomes two
//! spaces, RFC 3261 §7.3.1), so a value is always one slice.
//!
//! Messages are made by [`MessageBuilder`] and taken from a byte stream by [`StreamFramer`].
//!
//! Every cost is linear in the input: no recursion, no backtracking.
//!
//! ```
//! use subrosa::wire::sip::{Message, Method};
//! let bytes = b"OPTIONS sip:bob@example.com SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK776\r\n\
//!     f: <sip:alice@example.com>;tag=1\r\nt: sip:bob@example.com\r\n\
//!     i: a84b4c76e66710\r\nCSeq: 1 OPTIONS\r\n\r\n";
//! let message = Message::parse(bytes)?;
//! assert_eq!(message.method(), &Method::Options);
//! assert_eq!(message.from().tag(), Some("1"));
//! # Ok::<(), subrosa::wire::sip::ParseError>(())
//! ```
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod builder;
mod chars;
mod check;
#[cfg(test)]
mod cost_tests;
mod cseq;
mod error;
mod escape;
mod fields;
mod framer;
mod head;
mod host;
mod lists;
mod media_type;
mod message;
mod method;
mod multipart;
mod name;
mod name_addr;
mod params;
mod parser;
mod redact;
mod reply;
mod scan;
mod start_line;
mod uri;
mod uri_compare;
mod uri_parts;
mod via;

pub use builder::{BuildError, MessageBuilder};
pub use cseq::CSeq;
pub use error::{ParseError, ParseErrorKind};
pub use escape::{percent_decode, quote, unquote};
pub use framer::{Frame, StreamFramer};
pub use host::Host;
pub use media_type::MediaType;
pub use message::Message;
pub use method::Method;
pub use multipart::{MAX_NESTING, MAX_PARTS, Part, parts};
pub use name::HeaderName;
pub use name_addr::{NameAddr, NameAddrRef};
pub use params::{Params, UriParams};
pub use redact::redacted;
pub use uri::{Uri, UriRef};
pub use uri_parts::{Scheme, UriError};
pub use via::ViaRef;

/// The largest message, in bytes, that is parsed, framed or built.
pub const MAX_MESSAGE: usize = 65_536;

/// The largest number of header fields of a message.
pub const MAX_HEADERS: usize = 256;

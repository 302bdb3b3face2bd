//! SIP messages (RFC 3261 §7, §25): parsed once into spans over one buffer, read through borrowed
//! typed views, written by a builder that cannot be made to inject a line.
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
#![deny(clippy::arithmetic_side_effects)]

mod builder;
mod error;
mod framer;
mod header;
mod lex;
mod message;
mod method;
mod multipart;
mod parser;
mod uri;
mod values;

pub use builder::{BuildError, MessageBuilder};
pub use error::{ParseError, ParseErrorKind};
pub use framer::{Frame, StreamFramer};
pub use header::HeaderName;
pub use lex::Params;
pub use message::Message;
pub use method::Method;
pub use multipart::{Part, parts};
pub use uri::{Host, Scheme, Uri, UriError, UriRef};
pub use values::{CSeq, NameAddr, NameAddrRef, ViaRef};

/// Longest message taken, bytes.
pub const MAX_MESSAGE: usize = 65_536;
/// Most header fields taken in one message.
pub const MAX_HEADERS: usize = 256;

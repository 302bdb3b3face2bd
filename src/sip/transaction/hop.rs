//! The two requests that the transaction layer makes by itself: they go the way of the INVITE
//! they belong to, hop by hop.

use crate::wire::sip::{BuildError, CSeq, HeaderName, Message, MessageBuilder, Method};

/// The ACK that answers a final response other than 2xx (RFC 3261 §17.1.1.3).
pub(super) fn ack(invite: &Message, response: &Message) -> Result<Message, BuildError> {
    let to = response.header(HeaderName::To).unwrap_or_default();
    alike(invite, Method::Ack, to)
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
pub(super) fn cancel(invite: &Message) -> Result<Message, BuildError> {
    alike(invite, Method::Cancel, invite.header(HeaderName::To).unwrap_or_default())
}

fn alike(invite: &Message, method: Method, to: &str) -> Result<Message, BuildError> {
    let (number, from) = (invite.cseq().number, invite.header(HeaderName::From));
    let mut builder = match invite.request_uri() {
        Some(uri) => MessageBuilder::request(&method, &uri.to_uri()),
        None => return Err(BuildError::BadName),
    };
    if let Some(via) = invite.list(HeaderName::Via).next() {
        builder = builder.header(HeaderName::Via, via);
    }
    for route in invite.headers(HeaderName::Route) {
        builder = builder.header(HeaderName::Route, route);
    }
    builder
        .header(HeaderName::MaxForwards, 70)
        .header(HeaderName::From, from.unwrap_or_default())
        .header(HeaderName::To, to)
        .header(HeaderName::CallId, invite.call_id())
        .header(HeaderName::CSeq, CSeq { number, method })
        .finish()
}

//! How messages are matched to transactions (RFC 3261 §17.1.3, §17.2.3).

use alloc::boxed::Box;
use alloc::string::String;

use crate::wire::sip::{HeaderName, Message, Method};

/// A client transaction: the branch of its top Via and the method of its CSeq.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ClientKey {
    branch: Box<str>,
    method: Box<str>,
}

impl ClientKey {
    /// The key of a request to be sent or of a response; `None` without a branch.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let branch = message.top_via()?.branch()?;
        Some(Self { branch: branch.into(), method: message.cseq().method.as_str().into() })
    }
}

/// A server transaction. The methods of ACK and CANCEL are replaced by that of the request which
/// they belong to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum ServerKey {
    /// RFC 3261: branch with the magic cookie, sent-by, method.
    Branch { branch: Box<str>, sent_by: String, method: Box<str> },
    /// RFC 2543: everything that a retransmission repeats. To's tag is last, so that the key
    /// without it is the first of its kind in a map.
    Legacy {
        call_id: Box<str>,
        cseq: u32,
        method: Box<str>,
        via: Box<str>,
        from_tag: Box<str>,
        uri: Box<str>,
        to_tag: Option<Box<str>>,
    },
}

impl ServerKey {
    /// The key of a request, as if its method were `method`; `None` without a Via.
    pub(super) fn of(request: &Message, method: &Method) -> Option<Self> {
        let via = request.top_via()?;
        let method: Box<str> = method.as_str().into();
        if let Some(branch) = via.branch().filter(|_| via.has_cookie()) {
            let sent_by = via.sent_by().to_ascii_lowercase();
            return Some(Self::Branch { branch: branch.into(), sent_by, method });
        }
        Some(Self::Legacy {
            call_id: request.call_id().into(),
            cseq: request.cseq().number,
            method,
            via: request.list(HeaderName::Via).next()?.into(),
            from_tag: request.from().tag().unwrap_or("").into(),
            uri: request.request_uri()?.as_str().into(),
            to_tag: request.to().tag().map(Into::into),
        })
    }

    /// The same without To's tag: what an old client's INVITE had, of which this is the ACK.
    pub(super) fn without_to_tag(mut self) -> Self {
        if let Self::Legacy { to_tag, .. } = &mut self {
            *to_tag = None;
        }
        self
    }

    /// True for a key by the rules of RFC 2543.
    pub(super) const fn is_legacy(&self) -> bool {
        matches!(self, Self::Legacy { .. })
    }
}

/// What two copies of a forked request have in common (RFC 3261 §8.2.2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct MergeKey {
    call_id: Box<str>,
    from_tag: Box<str>,
    cseq: u32,
    method: Box<str>,
}

impl MergeKey {
    /// The key of a request outside a dialog.
    pub(super) fn of(request: &Message) -> Option<Self> {
        if request.to().tag().is_some() {
            return None;
        }
        Some(Self {
            call_id: request.call_id().into(),
            from_tag: request.from().tag()?.into(),
            cseq: request.cseq().number,
            method: request.method().as_str().into(),
        })
    }
}

//! Messages from messages: copies to change, responses to requests.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::builder::{BuildField, BuildStart, MessageBuilder};
use super::message::{Message, StartLine};
use super::method::Method;
use super::name::HeaderName;

impl Message {
    /// A builder that holds a copy of this message.
    pub fn edit(&self) -> MessageBuilder {
        let text = |span| self.buf.text(span).unwrap_or_default().into();
        let start = match &self.start {
            StartLine::Request { method, uri, .. } => {
                BuildStart::Request { method: method.clone(), uri: text(*uri) }
            }
            StartLine::Response { status, reason } => {
                BuildStart::Response { status: *status, reason: text(*reason) }
            }
        };
        let mut builder = MessageBuilder::new(start);
        builder.text = self.head().to_vec();
        builder.fields = self.copied(|_| true);
        builder.body = Zeroizing::new(self.body().to_vec());
        builder.defective = self.defective;
        builder
    }

    /// A response to this request (RFC 3261 §8.2.6): all Via, From, To, Call-ID and CSeq as they
    /// came; Timestamp in a 100; Record-Route in a 101 to 299 that can form a dialog (§12.1.1,
    /// RFC 6665 §4.1.2.4). A tag for To is yours to add ([`MessageBuilder::to_tag`]).
    pub fn response(&self, status: u16, reason: &str) -> MessageBuilder {
        let forms_dialog = (101..300).contains(&status)
            && matches!(
                self.method(),
                Method::Invite | Method::Subscribe | Method::Notify | Method::Refer
            );
        let mut builder = MessageBuilder::response(status, reason);
        builder.text = self.head().to_vec();
        builder.fields = self.copied(|name| match name {
            HeaderName::Via
            | HeaderName::From
            | HeaderName::To
            | HeaderName::CallId
            | HeaderName::CSeq => true,
            HeaderName::Timestamp => status == 100,
            HeaderName::RecordRoute => forms_dialog,
            _ => false,
        });
        builder.defective = self.defective;
        builder
    }

    /// The fields that `wanted` chooses, as positions in this message's own bytes.
    fn copied(&self, wanted: impl Fn(HeaderName) -> bool) -> Vec<BuildField> {
        let place = |(start, end): (u16, u16)| (usize::from(start), usize::from(end));
        let kept = self.fields.iter().filter(|f| wanted(f.name_id));
        kept.map(|f| BuildField { name_id: f.name_id, name: place(f.name), value: place(f.value) })
            .collect()
    }
}

//! Dialogs (RFC 3261 §12): who talks to whom, by which route, with which sequence numbers.
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod ack_cache;
mod forks;
mod glare;
mod reliable_2xx;
#[cfg(test)]
mod testing;

pub use ack_cache::AckCache;
pub use forks::{ForkDecision, Forks};
pub use glare::{Glare, GlareOutcome, GlareRefusal, OfferPending};
pub use reliable_2xx::{Reliable2xx, Reliable2xxAction};

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::wire::sip::{
    CSeq, HeaderName, Message, MessageBuilder, Method, NameAddr, NameAddrRef, Scheme, Uri,
};

/// Routes kept of one Record-Route set.
const MAX_ROUTES: usize = 32;

/// What identifies a dialog at this end (RFC 3261 §12).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialogId {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// Their tag; empty for an RFC 2543 peer.
    pub remote_tag: String,
}

impl DialogId {
    /// The dialog that a received request belongs to; `None` if it is outside any dialog.
    pub fn of_request(request: &Message) -> Option<Self> {
        Some(Self {
            call_id: request.call_id().to_string(),
            local_tag: request.to().tag()?.to_string(),
            remote_tag: request.from().tag().unwrap_or("").to_string(),
        })
    }

    /// The dialog that a received response belongs to or creates; `None` without a To tag.
    pub fn of_response(response: &Message) -> Option<Self> {
        Some(Self {
            call_id: response.call_id().to_string(),
            local_tag: response.from().tag().unwrap_or("").to_string(),
            remote_tag: response.to().tag()?.to_string(),
        })
    }
}

/// Whether a dialog is confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialogState {
    /// Made by a provisional response.
    Early,
    /// Made or confirmed by a 2xx.
    Confirmed,
}

/// A message that cannot make a dialog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialogError {
    /// No usable Contact.
    #[error("no usable Contact")]
    NoContact,
    /// No tag.
    #[error("no tag")]
    NoTag,
}

/// A dialog.
#[derive(Clone, Debug)]
pub struct Dialog {
    id: DialogId,
    state: DialogState,
    local: NameAddr,
    remote: NameAddr,
    target: Uri,
    routes: Vec<Uri>,
    local_seq: u32,
    remote_seq: Option<u32>,
    secure: bool,
}

impl Dialog {
    /// The caller's dialog, from the request sent and a 101–299 response to it (§12.1.2).
    pub fn uac(request: &Message, response: &Message) -> Result<Self, DialogError> {
        let mut routes = route_set(response);
        routes.reverse();
        let target = response.contacts().next().ok_or(DialogError::NoContact)?;
        let mut dialog = Self {
            id: DialogId::of_response(response).ok_or(DialogError::NoTag)?,
            state: DialogState::Early,
            local: request.from().to_name_addr(),
            remote: response.to().to_name_addr(),
            target: usable(target).ok_or(DialogError::NoContact)?,
            routes,
            local_seq: request.cseq().number,
            remote_seq: None,
            secure: request.request_uri().is_some_and(|u| u.scheme() == Scheme::Sips),
        };
        dialog.confirm_if_final(response);
        Ok(dialog)
    }

    /// The callee's dialog, from the request received and the tag that the response gives it
    /// (§12.1.1).
    pub fn uas(request: &Message, local_tag: &str) -> Result<Self, DialogError> {
        // RFC 2543 let callers do without a Contact: then From is where requests go.
        let target = match request.header_bytes(HeaderName::Contact) {
            Some(_) => request.contacts().next().ok_or(DialogError::NoContact)?,
            None => request.from(),
        };
        let local = request.to().to_name_addr();
        Ok(Self {
            id: DialogId {
                call_id: request.call_id().to_string(),
                local_tag: local_tag.to_string(),
                remote_tag: request.from().tag().unwrap_or("").to_string(),
            },
            state: DialogState::Early,
            local: local.with_param("tag", Some(local_tag)).map_err(|_| DialogError::NoTag)?,
            remote: request.from().to_name_addr(),
            target: usable(target).ok_or(DialogError::NoContact)?,
            routes: route_set(request),
            local_seq: 0,
            remote_seq: Some(request.cseq().number),
            secure: request.request_uri().is_some_and(|u| u.scheme() == Scheme::Sips),
        })
    }

    /// What identifies it.
    pub const fn id(&self) -> &DialogId {
        &self.id
    }
    /// Early or confirmed.
    pub const fn state(&self) -> DialogState {
        self.state
    }
    /// Where requests go in the end: the far end's Contact.
    pub const fn target(&self) -> &Uri {
        &self.target
    }
    /// The far end.
    pub const fn remote(&self) -> &NameAddr {
        &self.remote
    }
    /// True if it was made by a sips request: every request of it needs TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }
    /// The URI of the next hop: the first route, else the target.
    pub fn next_hop(&self) -> &Uri {
        self.routes.first().unwrap_or(&self.target)
    }

    /// A 2xx confirms; for the caller it also recomputes the route set (§13.2.2.4).
    pub fn handle_success(&mut self, response: &Message) {
        if self.state == DialogState::Early {
            let mut routes = route_set(response);
            routes.reverse();
            self.routes = routes;
        }
        self.refresh_target(response);
        self.confirm_if_final(response);
    }

    /// The callee sent its 2xx.
    pub fn confirm(&mut self) {
        self.state = DialogState::Confirmed;
    }

    fn confirm_if_final(&mut self, response: &Message) {
        if response.status().is_some_and(|s| (200..300).contains(&s)) {
            self.state = DialogState::Confirmed;
        }
    }

    /// A target refresh (re-INVITE, UPDATE or a 2xx to one) may move the far end (§12.2).
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = message.contacts().next().and_then(usable) {
            // A sips dialog is not moved to a plain target.
            if !self.secure || target.as_ref().scheme() == Scheme::Sips {
                self.target = target;
            }
        }
    }

    /// Checks the sequence number of a request in this dialog (§12.2.2); the status to refuse it
    /// with otherwise. ACK and CANCEL carry the number of their INVITE.
    pub fn check_request(&mut self, request: &Message) -> Result<(), u16> {
        let number = request.cseq().number;
        if matches!(request.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        if self.remote_seq.is_some_and(|last| number <= last) {
            return Err(500);
        }
        self.remote_seq = Some(number);
        Ok(())
    }

    /// A request in this dialog, with the next sequence number (§12.2.1.1). Via, Contact and body
    /// are the caller's to add.
    pub fn request(&mut self, method: &Method) -> MessageBuilder {
        self.local_seq = self.local_seq.saturating_add(1);
        self.build(method, self.local_seq)
    }

    /// The ACK to a 2xx of the INVITE with this sequence number (§13.2.2.4).
    pub fn ack(&self, invite: &CSeq) -> MessageBuilder {
        self.build(&Method::Ack, invite.number)
    }

    /// The number of the last request sent.
    pub const fn local_seq(&self) -> u32 {
        self.local_seq
    }

    /// The digest client repeated a request with the next number.
    pub fn set_local_seq(&mut self, number: u32) {
        self.local_seq = self.local_seq.max(number);
    }

    fn build(&self, method: &Method, number: u32) -> MessageBuilder {
        let strict = self.routes.first().filter(|r| !r.as_ref().is_loose());
        let mut routes: Vec<&Uri> = self.routes.iter().collect();
        let uri = match strict {
            // A strict router takes the Request-URI; the target goes to the end of the routes.
            Some(first) => {
                routes.remove(0);
                routes.push(&self.target);
                first
            }
            None => &self.target,
        };
        let mut builder = MessageBuilder::request(method, uri)
            .header(HeaderName::MaxForwards, 70)
            .header(HeaderName::From, &self.local)
            .header(HeaderName::To, &self.remote)
            .header(HeaderName::CallId, &self.id.call_id)
            .header(HeaderName::CSeq, CSeq { number, method: method.clone() });
        for route in routes {
            builder = builder.header(HeaderName::Route, alloc::format!("<{route}>"));
        }
        builder
    }
}

/// The URI of a Contact or Record-Route, fit for a Request-URI: without the header part that a
/// hostile one may hold (§19.1.1, table 1).
fn usable(address: NameAddrRef<'_>) -> Option<Uri> {
    let uri = address.uri();
    if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
        return None;
    }
    Uri::parse(uri.as_str().strip_suffix(uri.headers())?).ok()
}

fn route_set(message: &Message) -> Vec<Uri> {
    message.record_routes().take(MAX_ROUTES).filter_map(usable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Message {
        Message::parse(
            b"INVITE sip:bob@biloxi.example SIP/2.0\r\nVia: SIP/2.0/TCP a.example;branch=z9hG4bK1\r\n\
              From: Alice <sip:alice@atlanta.example>;tag=a1\r\nTo: <sip:bob@biloxi.example>\r\n\
              Call-ID: c1\r\nCSeq: 5 INVITE\r\nMax-Forwards: 70\r\n\
              Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr>\r\n\
              Contact: <sip:alice@pc.example>\r\n\r\n",
        )
        .unwrap()
    }

    fn ok(request: &Message) -> Message {
        request
            .response(200, "OK")
            .to_tag("b1")
            .header(HeaderName::Contact, "<sip:bob@phone.example>")
            .finish()
            .unwrap()
    }

    fn text(builder: MessageBuilder) -> Message {
        builder.header(HeaderName::Via, "SIP/2.0/TCP x;branch=z9hG4bKx").finish().unwrap()
    }

    #[test]
    fn both_ends_agree_and_routes_run_both_ways() {
        let invite = invite();
        let ok = ok(&invite);
        let mut uac = Dialog::uac(&invite, &ok).unwrap();
        let mut uas = Dialog::uas(&invite, "b1").unwrap();
        assert_eq!(uac.state(), DialogState::Confirmed);
        let bye = text(uac.request(&Method::Bye));
        assert_eq!(DialogId::of_request(&bye).as_ref(), Some(uas.id()));
        assert_eq!(bye.request_uri().unwrap().as_str(), "sip:bob@phone.example");
        let routes: Vec<_> = bye.routes().map(|r| r.uri().as_str().to_string()).collect();
        assert_eq!(routes, ["sip:p1.example;lr", "sip:p2.example;lr"]);
        assert_eq!((bye.cseq().number, uas.check_request(&bye)), (6, Ok(())));
        assert_eq!(uas.check_request(&bye), Err(500));
        let back = text(uas.request(&Method::Bye));
        let routes: Vec<_> = back.routes().map(|r| r.uri().as_str().to_string()).collect();
        assert_eq!(routes, ["sip:p2.example;lr", "sip:p1.example;lr"]);
        let ack = text(uac.ack(invite.cseq()));
        assert_eq!((ack.cseq().number, ack.method()), (5, &Method::Ack));
    }

    #[test]
    fn a_strict_router_takes_the_request_uri() {
        let invite = invite();
        let strict = ok(&invite)
            .edit()
            .replace(HeaderName::RecordRoute, "<sip:p2.example;lr>, <sip:p1.example>")
            .finish()
            .unwrap();
        let mut uac = Dialog::uac(&invite, &strict).unwrap();
        let bye = text(uac.request(&Method::Bye));
        assert_eq!(bye.request_uri().unwrap().as_str(), "sip:p1.example");
        let routes: Vec<_> = bye.routes().map(|r| r.uri().as_str().to_string()).collect();
        assert_eq!(routes, ["sip:p2.example;lr", "sip:bob@phone.example"]);
    }

    #[test]
    fn a_response_without_contact_or_tag_makes_no_dialog() {
        let invite = invite();
        let bare = invite.response(200, "OK").finish().unwrap();
        assert_eq!(Dialog::uac(&invite, &bare).err(), Some(DialogError::NoContact));
        let mut dialog = Dialog::uac(&invite, &ok(&invite)).unwrap();
        let other = ok(&invite).edit().replace(HeaderName::Contact, "<sip:bob@new.example>");
        dialog.refresh_target(&other.finish().unwrap());
        assert_eq!(dialog.target().as_str(), "sip:bob@new.example");
        let sly = "<sip:bob@sly.example?Route=%3Csip:evil%3E>";
        let sly = ok(&invite).edit().replace(HeaderName::Contact, sly).finish().unwrap();
        dialog.refresh_target(&sly);
        assert_eq!(dialog.target().as_str(), "sip:bob@sly.example");
    }

    fn with(request: &Message, name: HeaderName, value: &str) -> Message {
        request.edit().replace(name, value).finish().unwrap()
    }

    #[test]
    fn the_2xx_decides_about_routes_and_target_of_an_early_dialog() {
        let invite = invite();
        let ringing = invite
            .response(180, "Ringing")
            .to_tag("b1")
            .header(HeaderName::Contact, "<sip:bob@ringing.example>")
            .finish()
            .unwrap();
        let mut dialog = Dialog::uac(&invite, &ringing).unwrap();
        assert_eq!(dialog.state(), DialogState::Early);
        assert_eq!(dialog.next_hop().as_str(), "sip:p1.example;lr");
        let ok = with(&ok(&invite), HeaderName::RecordRoute, "<sip:p9.example;lr>");
        dialog.handle_success(&ok);
        assert_eq!(dialog.state(), DialogState::Confirmed);
        assert_eq!(dialog.next_hop().as_str(), "sip:p9.example;lr");
        assert_eq!(dialog.target().as_str(), "sip:bob@phone.example");
        // Once confirmed, a re-INVITE moves the target and never the routes (§12.2.1.2).
        let moved = with(&ok, HeaderName::RecordRoute, "<sip:evil.example;lr>");
        dialog.handle_success(&with(&moved, HeaderName::Contact, "<sip:bob@moved.example>"));
        assert_eq!(dialog.next_hop().as_str(), "sip:p9.example;lr");
        assert_eq!(dialog.target().as_str(), "sip:bob@moved.example");
    }

    #[test]
    fn a_sips_dialog_stays_one() {
        let text = invite().to_string().replace("INVITE sip:", "INVITE sips:");
        let invite = Message::parse(text.as_bytes()).unwrap();
        let secure = with(&ok(&invite), HeaderName::Contact, "<sips:bob@phone.example>");
        let mut dialog = Dialog::uac(&invite, &secure).unwrap();
        assert!(dialog.is_secure() && Dialog::uas(&invite, "b1").unwrap().is_secure());
        dialog.refresh_target(&with(&secure, HeaderName::Contact, "<sip:bob@clear.example>"));
        assert_eq!(dialog.target().as_str(), "sips:bob@phone.example");
        dialog.refresh_target(&with(&secure, HeaderName::Contact, "<sips:bob@new.example>"));
        assert_eq!(dialog.target().as_str(), "sips:bob@new.example");
    }

    #[test]
    fn ack_and_cancel_carry_the_number_of_their_invite_and_routes_are_bounded() {
        let invite = invite();
        let mut uas = Dialog::uas(&invite, "b1").unwrap();
        let uac = Dialog::uac(&invite, &ok(&invite)).unwrap();
        for _ in 0..2 {
            let ack = text(uac.ack(invite.cseq()));
            assert_eq!((ack.cseq().number, uas.check_request(&ack)), (5, Ok(())));
        }
        let many = "<sip:p.example;lr>,".repeat(100) + "<sip:last.example;lr>";
        let long = with(&invite, HeaderName::RecordRoute, &many);
        let bye = text(Dialog::uas(&long, "b1").unwrap().request(&Method::Bye));
        assert_eq!(bye.routes().count(), MAX_ROUTES);
    }

    #[test]
    fn a_caller_without_contact_is_reached_at_its_from() {
        let old = invite().edit().remove(HeaderName::Contact).finish().unwrap();
        let dialog = Dialog::uas(&old, "b1").unwrap();
        assert_eq!(dialog.target().as_str(), "sip:alice@atlanta.example");
        let star = with(&invite(), HeaderName::Contact, "*");
        assert_eq!(Dialog::uas(&star, "b1").err(), Some(DialogError::NoContact));
    }
}

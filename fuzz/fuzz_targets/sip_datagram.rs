//! SIP datagrams: what parses is read to its end, printed the same and copied; what does not but
//! can be answered is answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use subrosa::wire::sip::{HeaderName, Message, parts};

fn read_all(message: &Message) {
    for via in message.vias() {
        let _ =
            (via.host(), via.branch(), via.received(), via.rport(), via.params().iter().count());
    }
    let addresses = message.contacts().chain(message.routes()).chain(message.record_routes());
    for address in addresses.chain([message.from(), message.to()]) {
        let _ = (address.display(), address.tag(), address.params().iter().count());
        let uri = address.uri();
        assert!(uri.equivalent(uri));
        let _ = (uri.host(), uri.user_unescaped(), uri.password(), uri.transport());
        let owned = address.to_name_addr();
        let again =
            subrosa::wire::sip::NameAddr::parse(&owned.to_string()).expect("it was printed");
        assert_eq!(again.tag(), owned.tag());
    }
    let _ = (message.expires(), message.retry_after(), message.media_type(), message.reason());
    let _ = (message.list(HeaderName::Accept).count(), message.all_headers().count());
    assert!(parts(message).iter().all(|p| p.body.len() <= message.body().len()));
}

fuzz_target!(|data: &[u8]| {
    match Message::parse(data) {
        Ok(message) => {
            read_all(&message);
            let again = Message::parse(message.as_bytes()).expect("it was parsed");
            assert_eq!(again, message);
            let copy = message.edit().finish();
            // A copy may grow by its Content-Length, beyond what is allowed.
            assert!(copy.is_ok() || data.len() > 60_000, "{copy:?}");
            if message.is_request() {
                let answer = message.response(200, "OK").to_tag("x").finish();
                assert!(answer.is_ok() || data.len() > 60_000, "{answer:?}");
            }
        }
        Err(error) => {
            if let Some(request) = error.rejectable() {
                read_all(request);
                let answer = request.response(error.status(), "no").to_tag("x").finish();
                assert!(answer.is_ok() || data.len() > 60_000, "{answer:?}");
            }
        }
    }
});

//! Phones on loopback with real sockets: made, waited for, called.
#![allow(dead_code, unreachable_pub)]

use std::time::{Duration, Instant};

use subrosa::driver::{CallAudio, DnsConfig, Phone, WireRecorder};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, EndReason, Event, SecurityPolicy,
};
use subrosa::sip::Transport;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Party {
    pub phone: Phone,
    pub account: AccountId,
    pub port: u16,
}

/// A phone on loopback that talks in the clear over UDP.
pub fn phone(user: &str, tap: Option<&WireRecorder>) -> Party {
    let mut config = Phone::config();
    config.local_ip = [127, 0, 0, 1].into();
    let mut builder = Phone::builder(config).dns(DnsConfig::new(vec![]));
    if let Some(tap) = tap {
        builder = builder.wire_tap(tap.clone());
    }
    let phone = builder.start().unwrap();
    let uri = format!("sip:{user}@localhost").parse().unwrap();
    let mut account = AccountConfig::new(uri);
    account.register = false;
    account.policy = SecurityPolicy::Off;
    let account = phone.add_account(account).unwrap();
    let port = wait(&phone, |event| match event {
        Event::Listening { transport: Transport::Udp, local } => Some(local.port()),
        _ => None,
    });
    Party { phone, account, port }
}

/// The first event that `want` picks.
pub fn wait<T>(phone: &Phone, want: impl Fn(&Event) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while let Some(event) = phone.next_event(deadline.saturating_duration_since(Instant::now())) {
        if let Some(wanted) = want(&event) {
            return wanted;
        }
        seen.push(event);
    }
    panic!("it did not happen; instead: {seen:?}");
}

pub fn incoming(phone: &Phone) -> CallId {
    wait(phone, |event| match event {
        Event::IncomingCall { call, .. } => Some(*call),
        _ => None,
    })
}

pub fn established(phone: &Phone) {
    wait(phone, |event| matches!(event, Event::CallEstablished { .. }).then_some(()));
}

pub fn ended(phone: &Phone) -> EndReason {
    wait(phone, |event| match event {
        Event::CallEnded { reason, .. } => Some(reason.clone()),
        _ => None,
    })
}

/// Calls bob at another phone.
pub fn dial(from: &Party, to: &Party, options: CallOptions, audio: CallAudio) -> CallId {
    let target = format!("sip:bob@127.0.0.1:{}", to.port).parse().unwrap();
    from.phone.place_call(from.account, target, options, audio).unwrap()
}

//! SDES keys of a scripted peer, from seeds, and a peer that answers with them.
#![allow(dead_code, unreachable_pub)]

use super::tls_peer::{Lab, description, response};
use subrosa::crypto::srtp::{KeyInfo, KeySet, MasterKey, MasterKeyId, Suite};
use subrosa::engine::{CallState, SecurityPolicy, SecurityReport};
use subrosa::media::session::MediaStats;
use subrosa::sdp::{CryptoAttribute, InlineKey, SdpFault, SessionDescription};
use subrosa::util::{Secret, SeededRng};
use subrosa::wire::sip::{Message, Method};

pub const GCM: Suite = Suite::AeadAes256Gcm;
pub const CM: Suite = Suite::AesCm128HmacSha1_80;

pub fn key(suite: Suite, seed: u64) -> MasterKey {
    MasterKey::generate(suite, &mut SeededRng::new(seed))
}

/// A key line of the peer's; `more` is lifetime and identifier.
pub fn line(tag: u32, suite: Suite, seed: u64, more: &str) -> String {
    let key = Secret::new(key(suite, seed).expose().to_vec());
    format!("{}{more}", CryptoAttribute::new(tag, suite.sdp_name(), key).to_value().as_str())
}

pub fn keys(suite: Suite, seed: u64) -> KeySet {
    key(suite, seed).into()
}

/// What our phone sends with under a line of its description.
pub fn keys_of(description: &SessionDescription, suite: Suite) -> KeySet {
    let lines = &description.media[0].crypto;
    let line = lines.iter().find(|line| line.suite == suite.sdp_name()).unwrap();
    let key = |key: &InlineKey| {
        let info = KeyInfo::new(MasterKey::new(suite, key.key_and_salt.expose()).unwrap());
        match key.mki {
            Some(mki) => info.with_mki(MasterKeyId::from_number(mki.value, mki.length).unwrap()),
            None => info,
        }
    };
    KeySet::new(line.keys.iter().map(key).collect()).unwrap()
}

pub fn is_invite(message: &Message) -> bool {
    message.is_request() && *message.method() == Method::Invite
}

pub fn tag_of(offer: &[u8], suite: Suite) -> u32 {
    let offer = SessionDescription::parse(offer).unwrap();
    let mut lines = offer.media[0].crypto.iter();
    lines.find(|line| line.suite == suite.sdp_name()).map_or(1, |line| line.tag)
}

/// A peer that answers every INVITE with a key of this suite and of this seed, counted up.
pub fn answering(suite: Suite, seed: u64, more: &'static str) -> Lab {
    answering_under(SecurityPolicy::Required, suite, seed, more)
}

pub fn answering_under(policy: SecurityPolicy, suite: Suite, seed: u64, more: &'static str) -> Lab {
    let mut seed = seed;
    Lab::under(
        policy,
        |_| {},
        move |m| {
            if !is_invite(m) {
                return vec![];
            }
            let line = line(tag_of(m.body(), suite), suite, seed, more);
            seed += 1;
            vec![response(m, 200, "bob", &description(4000, "RTP/SAVP", &[line]))]
        },
    )
}

pub fn report(lab: &mut Lab) -> (CallState, SecurityReport, MediaStats) {
    let id = lab.call;
    lab.world.command(lab.alice, |engine, _| {
        let call = engine.call(id).unwrap();
        (call.state(), call.security(), call.media_stats().unwrap())
    })
}

pub fn fault(lab: &mut Lab, fault: SdpFault) -> u64 {
    lab.world.command(lab.alice, |engine, _| engine.stats().sdp_refused_for(fault))
}

//! Attacks on the account's password: challenges in the name of others. Each test begins with what
//! the attacker does, what the engine does and what the person sees; docs/security.md is made of
//! these lines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/hop.rs"]
mod hop;
#[path = "support/lab.rs"]
mod lab;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/peer.rs"]
mod peer;
#[path = "support/provider.rs"]
mod provider;
#[path = "support/scene.rs"]
mod scene;

use lab::{Lab, their_invite};
use provider::{Provider, is_invite};
use subrosa::engine::{
    AccountConfig, CallState, EndReason, FailureReason, MediaOffer, SecurityPolicy,
};
use subrosa::wire::sip::{HeaderName, Message, Method};

use SecurityPolicy::{Off, Preferred, Required};

/// attacker: asks for the password (a digest challenge) in the name of a foreign realm
/// engine: computes no answer for a realm that is not the account's; nothing that could be
///   cracked leaves the phone
/// person: reads that the call failed over a challenge from a realm that the account does not
///   belong to
#[test]
fn digest_challenges_from_a_foreign_realm() {
    for policy in [Off, Preferred, Required] {
        for (realm, answered) in [("evil.test", false), ("bob.test", true)] {
            let challenge = move |m: &Message, _| match is_invite(m) {
                true => {
                    let value = format!("Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"");
                    let no = m.response(407, "Who").to_tag("hop");
                    vec![no.header(HeaderName::ProxyAuthenticate, value)]
                }
                false => vec![],
            };
            let change = |a: &mut AccountConfig| a.realm = Some("bob.test".to_string());
            let mut run = Provider::with(policy, change, challenge);
            let id = run.call(MediaOffer::Opportunistic);
            let heard = run.world.host(run.hop).heard("INVITE");
            let answers =
                heard.iter().filter(|m| m.header(HeaderName::ProxyAuthorization).is_some()).count();
            assert_eq!(answers > 0, answered, "{realm}: {}", run.world.ladder());
            let (state, _, end) = run.state(id);
            assert_eq!(state, CallState::Ended);
            if !answered {
                assert_eq!(heard.len(), 1, "one challenge, no second try");
                assert_eq!(end, Some(EndReason::Failed(FailureReason::ForeignRealm)));
                let words = "a challenge from a realm that the account does not belong to";
                assert_eq!(FailureReason::ForeignRealm.to_string(), words);
            }
            run.world.check().unwrap();
        }
    }
}

/// attacker: calls, waits for the person to hang up, and asks for the password in answer to that
/// engine: a caller is a stranger and gets no answer to a challenge; the call is over all the same
/// person: has hung up, and is told nothing more
#[test]
fn a_challenge_to_our_hanging_up() {
    let mut lab = Lab::new(|turn, m| {
        if m.is_request() && *m.method() == Method::Bye {
            let challenge = "Digest realm=\"peer.test\", nonce=\"n\"";
            turn.send(m.response(401, "Who").header(HeaderName::WwwAuthenticate, challenge));
        }
    });
    lab.send(&their_invite());
    lab.run(100);
    let id = lab.incoming();
    lab.accept(id);
    lab.run(100);
    lab.acknowledge();
    lab.run(100);
    lab.hang_up(id);
    lab.run(40_000);
    let byes = lab.heard("BYE");
    assert_eq!(byes.len(), 1, "challenged once, and not said again");
    assert!(byes[0].header(HeaderName::Authorization).is_none());
    assert_eq!(lab.ended(), Some(EndReason::LocalHangUp));
    lab.world.check().unwrap();
}

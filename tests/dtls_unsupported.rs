//! A far end without elliptic curves for DTLS, as one with an RSA certificate is: the call ends
//! within seconds, with that reason. What such an end says is put into the mouth of one that could.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/dtls_scene.rs"]
mod dtls_scene;
#[path = "support/pair.rs"]
mod pair;
#[path = "support/scene.rs"]
mod scene;

use dtls_scene::{kind, record, scene};
use scene::{Fate, Scene};
use subrosa::crypto::dtls::{DtlsVersions, is_dtls};
use subrosa::engine::{CallState, EndReason, FailureReason};

const CLIENT_HELLO: u8 = 1;
const CERTIFICATE: u8 = 11;

fn handshake_failure() -> Vec<u8> {
    record(21, &[2, 40])
}

/// The side's call goes on until `ms` after its begin, and ends not much later.
fn assert_refused(scene: &mut Scene, side: usize, ms: u64) {
    // The call was begun three seconds ago.
    scene.run(ms - 3_000);
    assert_eq!(scene.state(side), CallState::Established, "{}", scene.pair.world.ladder());
    scene.run(600);
    let unsupported = Some(EndReason::Failed(FailureReason::KeyingUnsupported));
    assert_eq!(scene.ended(side), unsupported, "{}", scene.pair.world.ladder());
    scene.run(3_000);
    assert_eq!(scene.ended(1 - side), Some(EndReason::RemoteHangUp));
    assert_eq!(scene.clear_voice(), 0);
    scene.check();
}

#[test]
fn a_server_that_refuses_our_hellos_by_alerts_ends_the_call_in_four_seconds() {
    for versions in [DtlsVersions::All, DtlsVersions::Only12] {
        let mut scene = scene(versions, |net, piece| {
            if kind(piece.bytes) == Some(CLIENT_HELLO) {
                net.send_from(piece.to, piece.from, &handshake_failure());
                return Fate::Drop;
            }
            Fate::Pass
        });
        assert_refused(&mut scene, 1, 4_000);
    }
}

#[test]
fn a_server_that_refuses_once_and_is_silent_then_ends_the_call_in_six() {
    for versions in [DtlsVersions::All, DtlsVersions::Only12] {
        let mut refused = false;
        let mut scene = scene(versions, move |net, piece| {
            if !is_dtls(piece.bytes) {
                return Fate::Pass;
            }
            if !std::mem::replace(&mut refused, true) {
                net.send_from(piece.to, piece.from, &handshake_failure());
            }
            Fate::Drop
        });
        assert_refused(&mut scene, 1, 6_000);
    }
}

#[test]
fn a_server_that_refuses_once_and_answers_later_is_talked_to() {
    let mut hellos = 0;
    let mut scene = scene(DtlsVersions::All, move |net, piece| {
        if kind(piece.bytes) != Some(CLIENT_HELLO) {
            return Fate::Pass;
        }
        hellos += 1;
        match hellos {
            1 => net.send_from(piece.to, piece.from, &handshake_failure()),
            // The next ones are lost, for about four seconds.
            2..6 => {}
            _ => return Fate::Pass,
        }
        Fate::Drop
    });
    scene.run(10_000);
    assert_eq!(scene.state(1), CallState::Established, "{}", scene.pair.world.ladder());
    assert!(scene.pair.bob_hears());
}

#[test]
fn a_client_that_has_no_certificate_for_us_ends_the_call_in_four_seconds() {
    let mut scene = scene(DtlsVersions::Only12, |_, piece| {
        if kind(piece.bytes) != Some(CERTIFICATE) {
            return Fate::Pass;
        }
        // Only the client's: the server's Certificate comes behind its ServerHello.
        let empty = [CERTIFICATE, 0, 0, 3, 0, piece.bytes[18], 0, 0, 0, 0, 0, 3, 0, 0, 0];
        *piece.bytes = record(22, &empty);
        Fate::Changed
    });
    assert_refused(&mut scene, 0, 4_000);
}

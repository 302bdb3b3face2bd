//! A call by UDP whose keys come from DTLS, somebody on the path, and what such a one may say.
#![allow(dead_code, unreachable_pub)]

use subrosa::crypto::dtls::{DtlsVersions, is_dtls};
use subrosa::sim::Net;
use subrosa::sip::Transport;

use crate::pair::{Setup, USUAL};
use crate::scene::{Fate, Piece, Scene};

pub const UDP: Setup = Setup { transport: Transport::Udp, ..USUAL };

/// A plaintext record of DTLS 1.2.
pub fn record(content_type: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content_type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 7, len[0], len[1]], body].concat()
}

/// The handshake message that a plaintext record begins with: 1 for a ClientHello, 2 for a
/// ServerHello, 3 for a HelloVerifyRequest.
pub fn kind(bytes: &[u8]) -> Option<u8> {
    (is_dtls(bytes) && bytes[0] == 22 && bytes[3..5] == [0, 0]).then(|| bytes[13])
}

/// The call, begun three seconds ago.
pub fn scene(
    versions: DtlsVersions,
    hand: impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send + 'static,
) -> Scene {
    let mut scene = Scene::configured(UDP, move |config| config.dtls_versions = versions, hand);
    scene.call();
    scene
}

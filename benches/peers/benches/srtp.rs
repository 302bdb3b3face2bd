//! SRTP protect and unprotect of a 160-byte payload: the bare cipher and tag, this crate, and
//! other implementations, interleaved in one run.
//!
//! Each figure is the median over rounds of nanoseconds per packet; each implementation gets the
//! same clear packets, copies each into its buffer (unprotect: copies before the clock starts), and
//! its receivers check for replay.
#![allow(missing_docs)]

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher};
use hmac::Mac;
use std::hint::black_box;
use std::time::Instant;
use subrosa::crypto::srtp::{MasterKey, SrtpReceiver, SrtpSender, Suite};
use subrosa::util::SeededRng;
use subrosa::wire::rtp::RtpHeaderFields;

const PAYLOAD: usize = 160;
const HEADER: usize = 12;
const CLEAR: usize = HEADER + PAYLOAD;
/// Packets per round; rounds of every implementation alternate.
const BATCH: usize = 2000;
const ROUNDS: usize = 151;

/// One implementation: protects the clear packet, or unprotects the protected one, in `buffer`.
trait Peer {
    fn name(&self) -> &'static str;
    fn protect(&mut self, buffer: &mut Vec<u8>);
    fn unprotect(&mut self, buffer: &mut Vec<u8>);
    /// Before the clock starts: makes a protected packet one that this peer can unprotect.
    fn prepare(&mut self, _wire: &mut Vec<u8>) {}
}

struct Ours(SrtpSender, SrtpReceiver);

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "subrosa"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        buffer.resize(CLEAR + self.0.suite().rtp_overhead(), 0);
        black_box(self.0.protect_rtp(buffer, CLEAR).unwrap());
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.1.unprotect_rtp(buffer).unwrap());
    }
}

/// The work that no implementation can avoid: one pass of the cipher, one tag.
struct BareCm<C>(C, hmac::Hmac<sha1::Sha1>);

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = aes::cipher::consts::U16>> BareCm<C> {
    fn cipher(&self, data: &mut [u8]) {
        let core =
            ctr::CtrCore::<&C, ctr::flavors::Ctr128BE>::inner_iv_init(&self.0, &[7; 16].into());
        aes::cipher::StreamCipherCoreWrapper::from_core(core).apply_keystream(data);
    }
    fn tag(&self, data: &[u8]) -> [u8; 20] {
        let mut mac = self.1.clone();
        mac.update(data);
        mac.update(&[0; 4]);
        mac.finalize().into_bytes().into()
    }
}

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = aes::cipher::consts::U16>> Peer
    for BareCm<C>
{
    fn name(&self) -> &'static str {
        "bare (RustCrypto)"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        self.cipher(&mut buffer[HEADER..]);
        let tag = self.tag(buffer);
        buffer.extend_from_slice(&tag[..10]);
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.tag(&buffer[..CLEAR])[..10] == buffer[CLEAR..]);
        self.cipher(&mut buffer[HEADER..CLEAR]);
    }
}

struct BareGcm(ring::aead::LessSafeKey);

impl BareGcm {
    fn nonce() -> ring::aead::Nonce {
        ring::aead::Nonce::assume_unique_for_key([7; 12])
    }
}

impl Peer for BareGcm {
    fn name(&self) -> &'static str {
        "bare (ring)"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        let (header, payload) = buffer.split_at_mut(HEADER);
        let aad = ring::aead::Aad::from(header);
        let tag = self.0.seal_in_place_separate_tag(Self::nonce(), aad, payload).unwrap();
        buffer.extend_from_slice(tag.as_ref());
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        let (header, payload) = buffer.split_at_mut(HEADER);
        let aad = ring::aead::Aad::from(header);
        black_box(self.0.open_in_place(Self::nonce(), aad, payload).unwrap());
    }
    fn prepare(&mut self, wire: &mut Vec<u8>) {
        wire.truncate(CLEAR);
        self.protect(wire);
    }
}

struct LibSrtp(srtp::Session, srtp::Session);

impl Peer for LibSrtp {
    fn name(&self) -> &'static str {
        "libsrtp 2.3 (OpenSSL)"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        self.0.protect(buffer).unwrap();
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        self.1.unprotect(buffer).unwrap();
    }
}

struct Rtc(rtc_srtp::context::Context, rtc_srtp::context::Context);

impl Peer for Rtc {
    fn name(&self) -> &'static str {
        "rtc-srtp (ring)"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.0.encrypt_rtp(buffer).unwrap());
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.1.decrypt_rtp(buffer).unwrap());
    }
}

struct Webrtc(webrtc_srtp::context::Context, webrtc_srtp::context::Context);

impl Peer for Webrtc {
    fn name(&self) -> &'static str {
        "webrtc-srtp"
    }
    fn protect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.0.encrypt_rtp(buffer).unwrap());
    }
    fn unprotect(&mut self, buffer: &mut Vec<u8>) {
        black_box(self.1.decrypt_rtp(buffer).unwrap());
    }
}

fn bare(suite: Suite) -> Box<dyn Peer> {
    let mac = <hmac::Hmac<sha1::Sha1> as KeyInit>::new_from_slice(&[2; 20]).unwrap();
    let gcm = |algorithm, key: &[u8]| {
        let key = ring::aead::UnboundKey::new(algorithm, key).unwrap();
        Box::new(BareGcm(ring::aead::LessSafeKey::new(key)))
    };
    match suite {
        Suite::AesCm128HmacSha1_80 => {
            Box::new(BareCm(aes::Aes128Enc::new_from_slice(&[1; 16]).unwrap(), mac))
        }
        Suite::AesCm256HmacSha1_80 => {
            Box::new(BareCm(aes::Aes256Enc::new_from_slice(&[1; 32]).unwrap(), mac))
        }
        Suite::AeadAes128Gcm => gcm(&ring::aead::AES_128_GCM, &[1; 16]),
        _ => gcm(&ring::aead::AES_256_GCM, &[1; 32]),
    }
}

fn libsrtp(suite: Suite, key: &MasterKey) -> Box<dyn Peer> {
    let policy = match suite {
        Suite::AesCm128HmacSha1_80 => srtp::CryptoPolicy::aes_cm_128_hmac_sha1_80(),
        Suite::AesCm256HmacSha1_80 => srtp::CryptoPolicy::aes_cm_256_hmac_sha1_80(),
        Suite::AeadAes128Gcm => srtp::CryptoPolicy::aes_gcm_128_16_auth(),
        _ => srtp::CryptoPolicy::aes_gcm_256_16_auth(),
    };
    let policy =
        srtp::StreamPolicy { rtp: policy, rtcp: policy, key: key.expose(), ..Default::default() };
    Box::new(LibSrtp(
        srtp::Session::with_outbound_template(policy).unwrap(),
        srtp::Session::with_inbound_template(policy).unwrap(),
    ))
}

fn rtc(suite: Suite, key: &MasterKey) -> Box<dyn Peer> {
    use rtc_crypto::RTCCryptoProvider;
    use rtc_srtp::protection_profile::ProtectionProfile as P;
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => P::Aes128CmHmacSha1_80,
        Suite::AesCm256HmacSha1_80 => P::Aes256CmHmacSha1_80,
        Suite::AeadAes128Gcm => P::AeadAes128Gcm,
        _ => P::AeadAes256Gcm,
    };
    let provider = rtc_crypto::providers::RingProvider::new();
    let (k, s) = key.expose().split_at(suite.key_len());
    let context = || {
        let window = Some(rtc_srtp::option::srtp_replay_protection(128));
        rtc_srtp::context::Context::new(k, s, profile, window, None, provider.crypto()).unwrap()
    };
    Box::new(Rtc(context(), context()))
}

fn webrtc(suite: Suite, key: &MasterKey) -> Box<dyn Peer> {
    use webrtc_srtp::protection_profile::ProtectionProfile as P;
    let profile = match suite {
        Suite::AesCm128HmacSha1_80 => P::Aes128CmHmacSha1_80,
        Suite::AesCm256HmacSha1_80 => P::Aes256CmHmacSha1_80,
        Suite::AeadAes128Gcm => P::AeadAes128Gcm,
        _ => P::AeadAes256Gcm,
    };
    let (k, s) = key.expose().split_at(suite.key_len());
    let context = || {
        let window = Some(webrtc_srtp::option::srtp_replay_protection(128));
        webrtc_srtp::context::Context::new(k, s, profile, window, None).unwrap()
    };
    Box::new(Webrtc(context(), context()))
}

fn clear(sequence_number: u16) -> Vec<u8> {
    let header = RtpHeaderFields { ssrc: 0xcafe_babe, sequence_number, ..Default::default() };
    let mut out = vec![0; CLEAR];
    header.write_packet(&[0x55; PAYLOAD], 0, &mut out).unwrap();
    out
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn run(suite: Suite) {
    let key = MasterKey::generate(suite, &mut SeededRng::new(5));
    let ours = Ours(SrtpSender::new(&key).unwrap(), SrtpReceiver::new(&key).unwrap());
    let mut peers: Vec<Box<dyn Peer>> = vec![
        bare(suite),
        Box::new(ours),
        libsrtp(suite, &key),
        rtc(suite, &key),
        webrtc(suite, &key),
    ];
    let mut source = SrtpSender::new(&key).unwrap();
    let mut times = vec![(Vec::new(), Vec::new()); peers.len()];
    let mut sequence = 1u16;
    for round in 0..ROUNDS {
        let clears: Vec<_> = (0..BATCH).map(|i| clear(sequence.wrapping_add(i as u16))).collect();
        sequence = sequence.wrapping_add(BATCH as u16);
        let wires: Vec<_> = clears
            .iter()
            .map(|clear| {
                let mut buffer = clear.clone();
                buffer.resize(CLEAR + suite.rtp_overhead(), 0);
                source.protect_rtp(&mut buffer, CLEAR).unwrap().bytes().to_vec()
            })
            .collect();
        for turn in 0..peers.len() {
            let at = (turn + round) % peers.len();
            let peer = &mut peers[at];
            let mut buffer = Vec::with_capacity(256);
            let start = Instant::now();
            for clear in &clears {
                buffer.clear();
                buffer.extend_from_slice(clear);
                peer.protect(&mut buffer);
            }
            times[at].0.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            let mut received = wires.clone();
            received.iter_mut().for_each(|wire| peer.prepare(wire));
            let start = Instant::now();
            for wire in &mut received {
                peer.unprotect(wire);
            }
            times[at].1.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
    }
    let medians: Vec<_> = times.into_iter().map(|(p, u)| (median(p), median(u))).collect();
    let ours = medians[1];
    println!("{suite}");
    println!(
        "  {:24} {:>11} {:>9}   {:>13} {:>9}",
        "", "protect ns", "/subrosa", "unprotect ns", "/subrosa"
    );
    for (peer, (p, u)) in peers.iter().zip(&medians) {
        println!("  {:24} {p:11.1} {:9.2}   {u:13.1} {:9.2}", peer.name(), p / ours.0, u / ours.1);
    }
    let bare = medians[0];
    println!(
        "  subrosa / bare: protect {:.2}, unprotect {:.2} (limit 1.25)",
        ours.0 / bare.0,
        ours.1 / bare.1
    );
}

fn main() {
    println!("RTP payload {PAYLOAD} bytes, median of {ROUNDS} rounds of {BATCH} packets");
    println!(
        "AES instructions {}, SHA instructions {}",
        if std::arch::is_x86_feature_detected!("aes") { "yes" } else { "no" },
        if std::arch::is_x86_feature_detected!("sha") { "yes" } else { "no" },
    );
    for suite in [
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm256HmacSha1_80,
        Suite::AeadAes128Gcm,
        Suite::AeadAes256Gcm,
    ] {
        run(suite);
    }
}

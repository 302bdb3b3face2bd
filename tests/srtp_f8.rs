//! AES in f8-mode: the vector of RFC 3711 appendix B.1, and whole packets against a second
//! implementation, written here from the formulas of §4.1.2 and §4.3 alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subrosa::crypto::srtp::{
    KeyInfo, KeySet, MasterKey, MasterKeyId, SrtpReceiver, SrtpSender, Suite, UnprotectError,
    hazmat,
};
use subrosa::util::{Rng, RngExt, SeededRng};
use subrosa::wire::rtp::{Extension, RtpHeaderFields};

const F8: Suite = Suite::F8_128HmacSha1_80;

type Block = [u8; 16];

fn e(key: &[u8], block: Block) -> Block {
    let mut block = block.into();
    Aes128Enc::new_from_slice(key).unwrap().encrypt_block(&mut block);
    block.into()
}

fn xor(a: Block, b: Block) -> Block {
    std::array::from_fn(|at| a[at] ^ b[at])
}

/// §4.1.2.1, step by step; `m` is the salt filled up with 0x55.
fn f8(key: &[u8], salt: &[u8], iv: Block, data: &mut [u8]) {
    let mut m = [0x55; 16];
    m[..salt.len()].copy_from_slice(salt);
    let masked = e(&xor(key.try_into().unwrap(), m), iv);
    let mut s = [0; 16];
    for (at, byte) in data.iter_mut().enumerate() {
        if at % 16 == 0 {
            let mut j = [0; 16];
            j[8..].copy_from_slice(&(at as u64 / 16).to_be_bytes());
            s = e(key, xor(xor(masked, j), s));
        }
        *byte ^= s[at % 16];
    }
}

/// The session key of a label (§4.3.1, §4.3.3): AES-CM on the master salt with the label in its
/// seventh byte from the end, counted up in the last two bytes that the shift by 16 bits adds.
fn derive(master: &MasterKey, label: u8, len: usize) -> Vec<u8> {
    let (key, salt) = master.expose().split_at(16);
    let mut block = [0; 16];
    block[..14].copy_from_slice(salt);
    block[7] ^= label;
    let mut out = vec![];
    for counter in 0_u16..(len as u16).div_ceil(16) {
        block[14..].copy_from_slice(&counter.to_be_bytes());
        out.extend(e(key, block));
    }
    out.truncate(len);
    out
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes()[..10].to_vec()
}

/// §4.1.2.2: IV = 0x00 || M || PT || SEQ || TS || SSRC || ROC.
fn protect_rtp(
    master: &MasterKey,
    plain: &[u8],
    header_len: usize,
    roc: u32,
    mki: &[u8],
) -> Vec<u8> {
    let (key, auth, salt) = (derive(master, 0, 16), derive(master, 1, 20), derive(master, 2, 14));
    let mut iv = [0; 16];
    iv[1..12].copy_from_slice(&plain[1..12]);
    iv[12..].copy_from_slice(&roc.to_be_bytes());
    let mut packet = plain.to_vec();
    f8(&key, &salt, iv, &mut packet[header_len..]);
    let tag = hmac(&auth, &[&packet, &roc.to_be_bytes()]);
    [packet, mki.to_vec(), tag].concat()
}

/// §4.1.2.3: IV = 0..0 || E || SRTCP index || V || P || RC || PT || length || SSRC.
fn protect_rtcp(master: &MasterKey, plain: &[u8], index: u32, mki: &[u8]) -> Vec<u8> {
    let (key, auth, salt) = (derive(master, 3, 16), derive(master, 4, 20), derive(master, 5, 14));
    let word = (0x8000_0000 | index).to_be_bytes();
    let mut iv = [0; 16];
    iv[4..8].copy_from_slice(&word);
    iv[8..].copy_from_slice(&plain[..8]);
    let mut packet = plain.to_vec();
    f8(&key, &salt, iv, &mut packet[8..]);
    packet.extend(word);
    let tag = hmac(&auth, &[&packet]);
    [packet, mki.to_vec(), tag].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn the_vector_of_rfc_3711_b_1() {
    let header = unhex("806e5cba50681de55c621599");
    let plain = b"pseudorandomness is the next best thing";
    let cipher =
        unhex("019ce7a26e7854014a6366aa95d4eefd1ad4172a14f9faf455b7f1d4b62bd08f562c0eef7c4802");
    let (key, salt) = (unhex("234829008467be186c3de14aae72d62c"), unhex("32f2870d"));
    let iv = [&[0], &header[1..], &unhex("d462564a")].concat();
    assert_eq!(iv, unhex("006e5cba50681de55c621599d462564a"));
    let iv: Block = iv.try_into().unwrap();
    let mut ours = plain.to_vec();
    hazmat::apply_f8_key_stream(&key, &salt, u128::from_be_bytes(iv), &mut ours).unwrap();
    assert_eq!(ours, cipher);
    // And the second implementation is right too.
    let mut naive = plain.to_vec();
    f8(&key, &salt, iv, &mut naive);
    assert_eq!(naive, cipher);
    // Other sizes of key and salt are refused.
    for (key, salt) in [(&[0; 16][..], &[0; 17][..]), (&[0; 15], &[0; 14]), (&[0; 24], &[0; 14])] {
        assert_eq!(hazmat::apply_f8_key_stream(key, salt, 0, &mut [0; 4]), None);
    }
}

/// A packet with all that its header may have.
fn rtp(rng: &mut SeededRng, ssrc: u32, sequence_number: u16) -> (Vec<u8>, usize) {
    let (mut payload, mut data) = ([0; 200], [0; 12]);
    rng.fill(&mut payload);
    rng.fill(&mut data);
    let csrc: Vec<u32> = (0..rng.below(16)).map(|_| rng.below(u32::MAX)).collect();
    let extension = Extension { profile: 0xbede, data: &data };
    let fields = RtpHeaderFields {
        marker: rng.below(2) == 1,
        payload_type: rng.below(64) as u8,
        sequence_number,
        timestamp: rng.below(u32::MAX),
        ssrc,
        csrc: &csrc,
        extension: (rng.below(2) == 1).then_some(extension),
    };
    let mut buffer = vec![0; 400];
    let payload = &payload[..rng.below(200) as usize];
    let padding = rng.below(5) as u8;
    let len = fields.write_packet(payload, padding, &mut buffer).unwrap();
    buffer.truncate(len);
    (buffer, len - payload.len() - usize::from(padding))
}

fn rtcp(rng: &mut SeededRng, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0; 8 + 4 * rng.below(30) as usize];
    rng.fill(&mut packet);
    packet[0] = 0x80 | (packet[0] & 0x1f);
    packet[1] = 200 + packet[1] % 5;
    packet[4..8].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

fn sent(sender: &mut SrtpSender, plain: &[u8], is_rtcp: bool) -> Vec<u8> {
    let mut buffer = [plain, &[0; 64]].concat();
    let egress = match is_rtcp {
        true => sender.protect_rtcp(&mut buffer, plain.len()),
        false => sender.protect_rtp(&mut buffer, plain.len()),
    };
    egress.unwrap().bytes().to_vec()
}

#[test]
fn whole_packets_are_those_of_the_formulas() {
    for seed in 0..20 {
        let rng = &mut SeededRng::new(seed);
        let master = MasterKey::generate(F8, rng);
        let mki = [&b""[..], b"\x01", b"name"][seed as usize % 3];
        let mut info = KeyInfo::new(master.clone());
        if !mki.is_empty() {
            info = info.with_mki(MasterKeyId::new(mki).unwrap());
        }
        let set = KeySet::from(info);
        let mut sender = SrtpSender::with_keys(&set).unwrap();
        let mut receiver = SrtpReceiver::with_keys(&set).unwrap();
        // Over a wrap, and with a roll-over counter that needs all its bits.
        let (ssrc, roll_over, rtcp_index) = (rng.below(u32::MAX), 0xd462_564a, 0x7fff_ff00);
        sender.start_at(ssrc, roll_over, rtcp_index).unwrap();
        receiver.start_at(ssrc, roll_over).unwrap();
        for at in 0..40_u32 {
            let index = 65_516 + at;
            let (plain, header_len) = rtp(rng, ssrc, (index & 0xffff) as u16);
            let expected = protect_rtp(&master, &plain, header_len, roll_over + (index >> 16), mki);
            let mut wire = sent(&mut sender, &plain, false);
            assert_eq!(wire, expected, "{seed} {at}");
            assert_eq!(receiver.unprotect_rtp(&mut wire).unwrap(), plain);
            let plain = rtcp(rng, ssrc);
            let expected = protect_rtcp(&master, &plain, rtcp_index + at, mki);
            let mut wire = sent(&mut sender, &plain, true);
            assert_eq!(wire, expected, "{seed} {at}");
            assert_eq!(receiver.unprotect_rtcp(&mut wire).unwrap(), plain);
        }
    }
}

#[test]
fn each_field_of_the_iv_changes_the_key_stream_and_no_other_does() {
    let master = MasterKey::generate(F8, &mut SeededRng::new(1));
    let encrypted = |change: &dyn Fn(&mut RtpHeaderFields<'_>), roll_over: u32| {
        let mut fields =
            RtpHeaderFields { ssrc: 9, sequence_number: 5, csrc: &[1], ..Default::default() };
        change(&mut fields);
        let mut buffer = [0; 100];
        let len = fields.write_packet(&[0; 32], 0, &mut buffer).unwrap();
        let mut sender = SrtpSender::new(&master).unwrap();
        sender.start_at(fields.ssrc, roll_over, 0).unwrap();
        sender.protect_rtp(&mut buffer, len).unwrap().bytes()[len - 32..len].to_vec()
    };
    let usual = encrypted(&|_| {}, 0);
    type Change<'c> = (&'c dyn Fn(&mut RtpHeaderFields<'_>), u32);
    let different: [Change<'_>; 6] = [
        (&|f| f.marker = true, 0),
        (&|f| f.payload_type = 8, 0),
        (&|f| f.sequence_number = 6, 0),
        (&|f| f.timestamp = 1, 0),
        (&|f| f.ssrc = 8, 0),
        (&|_| {}, 1),
    ];
    for (at, (change, roll_over)) in different.into_iter().enumerate() {
        assert_ne!(encrypted(change, roll_over), usual, "{at}");
    }
    assert_eq!(encrypted(&|f| f.csrc = &[2], 0), usual);
}

#[test]
fn what_was_changed_on_the_way_is_refused_and_left_as_it_was() {
    let rng = &mut SeededRng::new(3);
    let key = MasterKey::generate(F8, rng);
    let (mut sender, mut receiver) =
        (SrtpSender::new(&key).unwrap(), SrtpReceiver::new(&key).unwrap());
    let (plain, _) = rtp(rng, 9, 1);
    let report = rtcp(rng, 9);
    for (is_rtcp, plain) in [(false, &plain), (true, &report)] {
        let wire = sent(&mut sender, plain, is_rtcp);
        let mut open = |packet: &mut [u8]| match is_rtcp {
            true => receiver.unprotect_rtcp(packet).map(|p| p.to_vec()),
            false => receiver.unprotect_rtp(packet).map(|p| p.to_vec()),
        };
        for bit in 0..wire.len() * 8 {
            let mut forged = wire.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let before = forged.clone();
            assert!(open(&mut forged).is_err(), "{is_rtcp} {bit}");
            assert_eq!(forged, before, "checked first, decrypted then");
        }
        assert_eq!(open(&mut wire.clone()).unwrap(), *plain);
        assert_eq!(open(&mut wire.clone()), Err(UnprotectError::Replayed));
    }
    // Under counter mode the same bytes are another packet.
    let cm = MasterKey::new(Suite::AesCm128HmacSha1_80, key.expose()).unwrap();
    let mut other = sent(&mut SrtpSender::new(&cm).unwrap(), &plain, false);
    let ours = sent(&mut SrtpSender::new(&key).unwrap(), &plain, false);
    assert_ne!(other, ours);
    // The session keys are the same, so the tag holds, and what comes out is garbage.
    let mut receiver = SrtpReceiver::new(&key).unwrap();
    assert_ne!(receiver.unprotect_rtp(&mut other).unwrap(), plain);
}

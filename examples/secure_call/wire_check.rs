//! Looking at the wire as an eavesdropper would: is there any signalling text, any name, any
//! speech in what crossed the sockets?

use std::collections::{BTreeMap, HashSet};

use subrosa::driver::{RecordedBytes, WireTransport};
use subrosa::engine::Codec;
use subrosa::media::codec::{AudioBandwidth, CodecId, EncoderTuning};
use subrosa::media::resample::Resampler;

/// Texts that plain SIP and SDP are full of, and what only they could tell.
const TEXTS: [&str; 16] = [
    "SIP/2.0",
    "INVITE ",
    "REGISTER ",
    "CSeq:",
    "Call-ID",
    "Via: ",
    "From: ",
    "Contact:",
    "BYE sip",
    "ACK sip",
    "sip:alice",
    "sip:bob",
    "m=audio",
    "a=crypto",
    "a=rtpmap",
    "inline:",
];
/// Bytes of speech that must not be found in a row. Eight bytes cannot match by chance.
const WINDOW: usize = 8;
/// Windows with fewer different bytes are silence, which looks alike everywhere.
const MIN_DIFFERENT: usize = 6;

/// What an eavesdropper could look for.
pub(crate) struct Needles {
    texts: Vec<Vec<u8>>,
    speech: Vec<(&'static str, HashSet<[u8; WINDOW]>)>,
}

/// What was looked at, and found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Bytes that were searched.
    pub(crate) bytes: usize,
    /// Datagrams, and directions of connections.
    pub(crate) datagrams: usize,
    pub(crate) streams: usize,
    /// What was found, in words; what tells most comes first.
    pub(crate) found: Vec<String>,
    /// Bits of entropy per byte of the datagrams behind the RTP header: 8 for random bytes.
    pub(crate) entropy: f64,
    /// How many bytes these are.
    pub(crate) behind_headers: usize,
}

impl Needles {
    /// The texts, the caller's names, and the speech in every form that a phone could send it.
    pub(crate) fn new(names: &[&str], speech_16k: &[i16]) -> Self {
        let mut texts: Vec<Vec<u8>> = TEXTS.iter().map(|t| t.as_bytes().to_vec()).collect();
        texts.extend(names.iter().map(|name| name.to_ascii_lowercase().into_bytes()));
        let speech_8k: Vec<i16> = speech_16k.iter().step_by(2).copied().collect();
        let bytes = |pcm: &[i16], order: fn(i16) -> [u8; 2]| -> Vec<u8> {
            pcm.iter().flat_map(|s| order(*s)).collect()
        };
        let forms = [
            ("16 kHz PCM, little-endian", bytes(speech_16k, i16::to_le_bytes)),
            ("8 kHz PCM, little-endian", bytes(&speech_8k, i16::to_le_bytes)),
        ];
        let coded = Codec::ALL.map(|codec| (codec.as_str(), encode(codec, speech_16k).concat()));
        let forms = forms.into_iter().chain(coded);
        let speech = forms.map(|(name, bytes)| (name, windows(&bytes))).collect();
        Self { texts, speech }
    }

    /// Searches everything: datagrams one by one, streams put together again.
    pub(crate) fn search(&self, wire: &[RecordedBytes]) -> Findings {
        let mut findings = Findings::default();
        let mut streams: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        let mut histogram = [0_u64; 256];
        for crossing in wire {
            findings.bytes += crossing.bytes.len();
            if crossing.transport == WireTransport::Tcp {
                let sent = crossing.direction == subrosa::driver::WireDirection::Sent;
                let key = (crossing.local, crossing.remote, sent);
                streams.entry(key).or_default().extend_from_slice(&crossing.bytes);
            } else {
                findings.datagrams += 1;
                // SRTP leaves the RTP header readable.
                findings.behind_headers += crossing.bytes.len().saturating_sub(12);
                for byte in crossing.bytes.iter().skip(12) {
                    histogram.iter_mut().skip(usize::from(*byte)).take(1).for_each(|n| *n += 1);
                }
                self.search_bytes(&crossing.bytes, &mut findings.found);
            }
        }
        findings.streams = streams.len();
        streams.values().for_each(|bytes| self.search_bytes(bytes, &mut findings.found));
        findings.found.sort_by(|a, b| b.cmp(a));
        findings.found.dedup();
        findings.entropy = entropy(&histogram);
        findings
    }

    fn search_bytes(&self, bytes: &[u8], found: &mut Vec<String>) {
        let lower = bytes.to_ascii_lowercase();
        for text in &self.texts {
            let exact = bytes.windows(text.len()).any(|w| w == text.as_slice());
            // Names were given in lower case and are looked for in any.
            let name = text.iter().all(|b| !b.is_ascii_uppercase())
                && lower.windows(text.len()).any(|w| w == text.as_slice());
            if exact || name {
                found.push(format!("{:?}", String::from_utf8_lossy(text)));
            }
        }
        for (form, speech) in &self.speech {
            let there = bytes.windows(WINDOW).any(|window| {
                <[u8; WINDOW]>::try_from(window).is_ok_and(|window| speech.contains(&window))
            });
            if there {
                found.push(format!("speech as {form}"));
            }
        }
    }

    /// Proof that the search can find what it looks for: an INVITE and one packet of each form of
    /// the speech are all found.
    pub(crate) fn self_test(&self, packet: &[u8]) -> bool {
        let mut found = Vec::new();
        self.search_bytes(b"xxINVITE sip:bob@example.com SIP/2.0\r\nFrom: ALICE", &mut found);
        let texts = ["\"SIP/2.0\"", "\"INVITE \"", "\"From: \"", "\"sip:bob\"", "\"alice\""];
        let texts_found = texts.iter().all(|t| found.iter().any(|f| f.contains(t)));
        found.clear();
        self.search_bytes(packet, &mut found);
        let all_forms = self.speech.iter().all(|(form, speech)| {
            let Some(window) = speech.iter().next() else { return false };
            let mut found = Vec::new();
            self.search_bytes(&[&[0_u8; 12][..], &window[..], &[0_u8; 4]].concat(), &mut found);
            found.iter().any(|f| f.contains(form))
        });
        texts_found && all_forms && !found.is_empty()
    }
}

/// The plain packet that an unencrypted call would have sent of the loudest 20 ms: its payload under
/// an RTP header.
pub(crate) fn plain_packet(codec: Codec, speech_16k: &[i16]) -> Vec<u8> {
    let energy = |frame: &[i16]| frame.iter().map(|s| i64::from(*s).pow(2)).sum::<i64>();
    let frames = speech_16k.chunks_exact(320).map(energy).enumerate();
    let loudest = frames.max_by_key(|(_, energy)| *energy).map_or(0, |(n, _)| n);
    let mut packet = vec![0x80, 9, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    // Packets of 20 ms, or two of 10.
    let payloads = encode(codec, speech_16k);
    let at = loudest * (20 / CodecId::from(codec).packet_ms(20).max(1)) as usize;
    packet.extend(payloads.get(at).into_iter().flatten());
    packet
}

/// The payloads of packets of 20 ms, or of the longest that the codec has below that, as a call with
/// the default options would send them.
fn encode(codec: Codec, speech_16k: &[i16]) -> Vec<Vec<u8>> {
    let codec = CodecId::from(codec);
    let rate = codec.description_at(16_000).sample_rate;
    let Some(mut encoder) = codec.encoder_at(16_000, None) else { return Vec::new() };
    let mut pcm = Vec::new();
    if rate == 8_000 {
        pcm.extend(speech_16k.iter().step_by(2));
    } else if let Ok(mut resampler) = Resampler::new(16_000, rate) {
        resampler.process(speech_16k, |samples| pcm.extend_from_slice(samples));
    }
    let mut tuning = EncoderTuning::default();
    tuning.max_bandwidth = AudioBandwidth::Wideband;
    encoder.tune(&tuning);
    let mut payload = [0; 1_280];
    let frames = pcm.chunks_exact((rate / 1_000 * codec.packet_ms(20)) as usize);
    let mut encoded = |frame: &[i16]| {
        let len = encoder.encode(frame, &mut payload).unwrap_or(0);
        payload.iter().take(len).copied().collect()
    };
    frames.map(&mut encoded).collect()
}

fn windows(bytes: &[u8]) -> HashSet<[u8; WINDOW]> {
    let varied = |window: &&[u8]| window.iter().collect::<HashSet<_>>().len() >= MIN_DIFFERENT;
    bytes.windows(WINDOW).filter(varied).filter_map(|w| w.try_into().ok()).collect()
}

fn entropy(histogram: &[u64; 256]) -> f64 {
    let total: u64 = histogram.iter().sum();
    let share = |n: &u64| *n as f64 / total.max(1) as f64;
    -histogram.iter().map(share).filter(|p| *p > 0.0).map(|p| p * p.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something like speech: no two stretches are the same.
    fn speech(seed: u32) -> Vec<i16> {
        let mut state = seed;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 4
        };
        let mut level = 0_i32;
        (0..6_400)
            .map(|_| {
                level = (level * 3 + i32::from(noise())) / 4;
                level as i16
            })
            .collect()
    }

    #[test]
    fn plain_text_a_name_and_plain_speech_are_found_and_other_bytes_are_not() {
        let said = speech(1);
        let needles = Needles::new(&["liddell"], &said);
        let mut found = Vec::new();
        needles.search_bytes(b"xx From: \"LIDDELL\" yy", &mut found);
        assert_eq!(found, ["\"From: \"", "\"liddell\""]);
        for codec in Codec::ALL {
            found.clear();
            needles.search_bytes(&plain_packet(codec, &said), &mut found);
            assert_eq!(found, [format!("speech as {}", codec.as_str())]);
            found.clear();
            needles.search_bytes(&plain_packet(codec, &speech(2)), &mut found);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn a_search_that_finds_nothing_does_not_pass_its_own_test() {
        let said = speech(1);
        let packet = plain_packet(Codec::G722, &said);
        assert!(Needles::new(&["alice"], &said).self_test(&packet));
        assert!(!Needles::new(&["alice"], &[]).self_test(&packet), "no speech to look for");
        assert!(!Needles::new(&[], &said).self_test(&packet), "no name to look for");
        assert!(!Needles::new(&["alice"], &said).self_test(&[0; 172]), "the packet is not found");
    }
}

//! Opus packets in a file, to be compared with other implementations: `tests/interop/opus.py`.
//!
//! ```text
//! opus_packets backends
//! opus_packets encode IN.wav OUT.pkt KEY=VALUE...   rate backend ms bitrate cbr dtx loss complexity
//! opus_packets decode IN.pkt OUT.wav KEY=VALUE...   rate backend lose fec
//! ```
//!
//! Each packet stands behind its length, 32 bits, little endian; 0 is a packet that is not sent.
//! `loss` is the expected one in percent, from which error correction follows; of `lose` packets one
//! is lost, and recovered from the next one with `fec=1`.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::fs;

use subrosa::media::codec::{EncoderTuning, MAX_FRAME_SAMPLES, MAX_PAYLOAD, OpusBackend};
use subrosa::media::resample::Resampler;
use subrosa::media::wav::Wav;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the command line says beside the files.
struct Settings(HashMap<String, String>);

impl Settings {
    fn number(&self, key: &str, default: u32) -> Outcome<u32> {
        Ok(self.0.get(key).map_or(Ok(default), |value| value.parse())?)
    }

    fn backend(&self) -> Outcome<OpusBackend> {
        let wanted = self.0.get("backend").map_or("port", String::as_str);
        let found = OpusBackend::AVAILABLE.iter().find(|b| name(**b) == wanted);
        Ok(*found.ok_or("this build has no such backend")?)
    }
}

fn name(backend: OpusBackend) -> String {
    format!("{backend:?}").to_lowercase()
}

fn encode(from: &str, to: &str, settings: &Settings) -> Outcome<()> {
    let rate = settings.number("rate", 48_000)?;
    let wav = Wav::parse(&fs::read(from)?)?;
    let mut pcm = Vec::new();
    Resampler::new(wav.sample_rate, rate)?.process(&wav.samples, |s| pcm.extend_from_slice(s));
    let mut tuning = EncoderTuning::default();
    tuning.bitrate = settings.number("bitrate", tuning.bitrate)?;
    tuning.variable_bitrate = settings.number("cbr", 0)? == 0;
    tuning.dtx = settings.number("dtx", 0)? != 0;
    tuning.expected_loss_percent = u8::try_from(settings.number("loss", 0)?)?;
    tuning.complexity = u8::try_from(settings.number("complexity", 9)?)?;
    let mut encoder = settings.backend()?.encoder(rate).ok_or("Opus does not have this rate")?;
    encoder.tune(&tuning);
    let samples = usize::try_from(rate / 1_000 * settings.number("ms", 20)?)?;
    let (mut out, mut payload) = (Vec::new(), [0; MAX_PAYLOAD]);
    for frame in pcm.chunks_exact(samples) {
        let len = encoder.encode(frame, &mut payload)?;
        out.extend(u32::try_from(len)?.to_le_bytes());
        out.extend(payload.get(..len).unwrap_or_default());
    }
    Ok(fs::write(to, out)?)
}

fn packets(mut bytes: &[u8]) -> Outcome<Vec<&[u8]>> {
    let mut packets = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_le_bytes(*len))?;
        let (packet, rest) = rest.split_at_checked(len).ok_or("the file ends within a packet")?;
        packets.push(packet);
        bytes = rest;
    }
    Ok(packets)
}

fn decode(from: &str, to: &str, settings: &Settings) -> Outcome<()> {
    let rate = settings.number("rate", 48_000)?;
    let (lose, fec) = (settings.number("lose", 0)? as usize, settings.number("fec", 0)? != 0);
    let mut decoder = settings.backend()?.decoder(rate).ok_or("Opus does not have this rate")?;
    let file = fs::read(from)?;
    let packets = packets(&file)?;
    let (mut room, mut pcm, mut last) = (vec![0; MAX_FRAME_SAMPLES], Vec::new(), 0);
    for (n, packet) in packets.iter().enumerate() {
        let lost = packet.is_empty() || (lose > 0 && n % lose == lose - 1);
        if lost {
            let next = packets.get(n + 1).copied().filter(|next| fec && !next.is_empty());
            let gap = room.get_mut(..last).unwrap_or_default();
            decoder.conceal(next, gap);
            pcm.extend_from_slice(gap);
            continue;
        }
        last = decoder.decode(packet, &mut room)?;
        pcm.extend_from_slice(room.get(..last).unwrap_or_default());
    }
    Ok(fs::write(to, Wav { sample_rate: rate, samples: pcm }.to_bytes())?)
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let settings = arguments.iter().filter_map(|a| a.split_once('='));
    let settings = Settings(settings.map(|(k, v)| (k.into(), v.into())).collect());
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["backends"] => {
            for backend in OpusBackend::AVAILABLE {
                println!("{}", name(*backend));
            }
            Ok(())
        }
        ["encode", from, to, ..] => encode(from, to, &settings),
        ["decode", from, to, ..] => decode(from, to, &settings),
        _ => {
            Err("opus_packets backends | encode IN.wav OUT.pkt ... | decode IN.pkt OUT.wav ..."
                .into())
        }
    }
}

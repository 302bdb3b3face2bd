//! From the microphone to packets: resampling, framing, encoding, and a short queue; or from a host
//! that encodes by itself (`frames`).

mod frames;
mod rate;
mod ring;
mod tuning;

use super::config::{COMFORT_NOISE_CLOCK, MediaConfigError, Payload};
use super::dtmf::DtmfSender;
use super::pauses::{Frame, PauseKind, Pauses};
use super::processing::Voice;
use super::redundancy::CopySender;
use crate::media::codec::{
    CodecDescription, CodecId, Encoder, EncoderTuning, MAX_PAYLOAD, OpusBackend,
};
use crate::media::gain::Gain;
use crate::media::resample::Resampler;
use crate::time::{Duration, Instant};
use crate::wire::comfort_noise::ComfortNoise;
use rate::RateControl;
use ring::{PacketRing, Queued};

/// The longest payload of the codecs of 64 kbit/s: 60 ms.
const USUAL_PAYLOAD: usize = 480;
/// A pause of the host of more than this shows in the timestamps.
const PAUSE: Duration = Duration::from_millis(150);

/// What encodes, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    pub(super) tuning: EncoderTuning,
    pub(super) backend: Option<OpusBackend>,
    /// The host encodes.
    pub(super) encoded: bool,
}

/// The sending side of a session.
#[derive(Debug)]
pub(super) struct Outbound {
    payload: Payload,
    ptime_ms: u32,
    coding: Coding,
    /// Loss that the far end reports, in percent.
    reported_loss: u8,
    rate: RateControl,
    resampler: Resampler,
    pub(super) voice: Voice,
    framer: Framer,
    written: Option<Instant>,
}

#[derive(Debug)]
struct Framer {
    payload_type: u8,
    dtmf_payload_type: Option<u8>,
    /// `None`: the host encodes.
    encoder: Option<Box<dyn Encoder>>,
    frame: Vec<i16>,
    filled: usize,
    sample_rate: u32,
    ticks: u32,
    timestamp: u32,
    marker: bool,
    sending: bool,
    gain: Gain,
    level: f32,
    dtmf: DtmfSender,
    copies: CopySender,
    pauses: Pauses,
    /// What the processing knows of the voice in the frame that is filled.
    voiced: Option<bool>,
    ring: PacketRing,
}

impl Outbound {
    pub(super) fn new(
        payload: Payload,
        ptime_ms: u32,
        host_rate: u32,
        first_timestamp: u32,
        coding: Coding,
    ) -> Result<Self, MediaConfigError> {
        check_payload_type(payload.payload_type)?;
        let absent = MediaConfigError::NoAudio(payload.codec);
        if payload.codec == CodecId::TelephoneEvent {
            return Err(absent);
        }
        if payload.codec.packet_ms(ptime_ms) != ptime_ms {
            return Err(MediaConfigError::Ptime(ptime_ms));
        }
        // A host that encodes has no rate of its own here.
        let host_rate =
            if coding.encoded { payload.codec.description().sample_rate } else { host_rate };
        let description = payload.codec.description_at(host_rate);
        let mut encoder = None;
        if !coding.encoded {
            let own = payload.codec.encoder_at(host_rate, coding.backend);
            encoder.insert(own.ok_or(absent)?).tune(&coding.tuning);
        }
        Ok(Self {
            payload,
            ptime_ms,
            coding,
            reported_loss: 0,
            rate: RateControl::default(),
            resampler: Resampler::new(host_rate, description.sample_rate)?,
            voice: Voice::new(description.sample_rate),
            framer: Framer::new(payload, description, ptime_ms, encoder, first_timestamp),
            written: None,
        })
    }

    /// Another codec, packet length or tuning; the timestamps go on, what waits is still sent.
    pub(super) fn change(
        &mut self,
        payload: Payload,
        ptime_ms: u32,
        tuning: EncoderTuning,
    ) -> Result<(), MediaConfigError> {
        if (payload, ptime_ms) == (self.payload, self.ptime_ms) {
            if tuning != self.coding.tuning {
                self.coding.tuning = tuning;
                self.retune();
            }
            return Ok(());
        }
        let (host_rate, timestamp) = (self.resampler.input_rate(), self.framer.timestamp);
        let coding = Coding { tuning, ..self.coding };
        let mut new = Self::new(payload, ptime_ms, host_rate, timestamp, coding)?;
        let old = &mut self.framer;
        core::mem::swap(&mut new.framer.dtmf, &mut old.dtmf);
        core::mem::swap(&mut new.framer.ring, &mut old.ring);
        new.framer.ring.widen(old.ring.room);
        let clock_rate = |payload: Payload| payload.codec.description().clock_rate;
        new.framer.dtmf.change_clock(clock_rate(self.payload), clock_rate(payload));
        new.framer.dtmf_payload_type = old.dtmf_payload_type;
        new.framer.marker = old.marker;
        new.framer.sending = old.sending;
        new.framer.gain = old.gain.at_rate(new.framer.sample_rate);
        new.framer.level = old.level;
        if payload == self.payload {
            // The far end's decoder goes on; a coder of differences may not begin anew beside it.
            core::mem::swap(&mut new.framer.encoder, &mut old.encoder);
            core::mem::swap(&mut new.resampler, &mut self.resampler);
        }
        // What was said already and fills no packet yet is the beginning of the next one.
        let begun = old.frame.get(..old.filled).unwrap_or_default();
        if !begun.is_empty() {
            let mut bridge = Resampler::new(old.sample_rate, new.framer.sample_rate)?;
            bridge.process(begun, |block| new.framer.push(block, None));
        }
        new.written = self.written;
        core::mem::swap(&mut new.voice, &mut self.voice);
        new.voice.set_rate(new.framer.sample_rate);
        (new.reported_loss, new.rate) = (self.reported_loss, self.rate);
        new.set_red_payload_type(old.copies.payload_type());
        new.framer.pauses.go_on_from(&old.pauses);
        new.retune();
        *self = new;
        Ok(())
    }

    pub(super) fn payload(&self) -> Payload {
        self.payload
    }

    pub(super) fn ptime_ms(&self) -> u32 {
        self.ptime_ms
    }

    pub(super) fn set_dtmf_payload_type(&mut self, payload_type: Option<u8>) {
        self.framer.dtmf_payload_type = payload_type;
    }

    /// The payload type of redundant audio; `None`: none is sent.
    pub(super) fn set_red_payload_type(&mut self, payload_type: Option<u8>) {
        let before = self.framer.copies.payload_type();
        self.framer.copies.set_payload_type(payload_type);
        if payload_type.is_some() {
            let room = payload_room(self.payload.codec, self.framer.encoder.is_some());
            self.framer.ring.widen(room.saturating_add(CopySender::ROOM));
        }
        if payload_type != before {
            self.retune();
        }
    }

    /// The payload type of comfort noise; `None`: the peer takes none.
    pub(super) fn set_comfort_noise(&mut self, payload_type: Option<u8>) {
        self.framer.pauses.set_payload_type(payload_type);
        self.retune();
    }

    /// What is not sent in pauses.
    pub(super) fn pauses(&self) -> &Pauses {
        &self.framer.pauses
    }

    /// Pauses are looked for where they are wanted and the peer knows what to do in them.
    fn watch_pauses(&mut self) {
        let codec = self.payload.codec.description();
        let framer = &mut self.framer;
        let kind = match (self.payload.codec, framer.pauses.payload_type()) {
            (CodecId::Opus, _) => Some(PauseKind::Refreshed),
            (_, Some(_)) if codec.clock_rate == COMFORT_NOISE_CLOCK => Some(PauseKind::Told),
            _ => None,
        };
        let kind = kind.filter(|_| self.coding.tuning.dtx && framer.encoder.is_some());
        framer.pauses.watch(kind, framer.sample_rate, framer.frame.len());
    }

    pub(super) fn dtmf(&mut self) -> Option<&mut DtmfSender> {
        self.framer.dtmf_payload_type.map(|_| &mut self.framer.dtmf)
    }

    pub(super) fn set_sending(&mut self, sending: bool) {
        if sending && !self.framer.sending {
            self.framer.marker = true;
            self.framer.pauses.begin();
        }
        if !sending {
            self.framer.dtmf.clear();
            self.framer.ring.len = 0;
        }
        self.framer.sending = sending;
    }

    /// Gain and mute of what is sent.
    pub(super) fn gain(&self) -> &Gain {
        &self.framer.gain
    }

    /// Gain and mute of what is sent.
    pub(super) fn gain_mut(&mut self) -> &mut Gain {
        &mut self.framer.gain
    }

    /// Takes PCM at the host's rate.
    pub(super) fn write(&mut self, now: Instant, pcm: &[i16]) {
        let us = (pcm.len() as u64).saturating_mul(1_000_000);
        let us = us.checked_div(self.resampler.input_rate().into());
        self.note_written(now, Duration::from_micros(us.unwrap_or(0)));
        let Self { resampler, voice, framer, .. } = self;
        resampler
            .process(pcm, |block| voice.capture(block, |pcm, voiced| framer.push(pcm, voiced)));
    }

    /// The host writes audio of this length: what it left out before shows in the timestamps.
    fn note_written(&mut self, now: Instant, length: Duration) {
        let silent = self.written.map_or(Duration::ZERO, |at| now - at);
        if silent > PAUSE {
            self.framer.skip(silent, self.payload.codec.description().clock_rate);
        }
        // A host that writes in bursts is ahead of the clock for a while.
        let end = self.written.filter(|at| *at > now).unwrap_or(now) + length;
        self.written = Some(end.min(now + length + PAUSE));
    }

    /// The next packet to send.
    pub(super) fn pop(&mut self) -> Option<(Queued, &[u8])> {
        self.framer.ring.pop()
    }

    /// Packets that wait.
    pub(super) fn queued(&self) -> usize {
        self.framer.ring.len
    }

    /// Packets dropped because nobody polled.
    pub(super) fn dropped(&self) -> u64 {
        self.framer.ring.dropped
    }

    /// Mean amplitude of what is sent, decaying.
    pub(super) fn level(&self) -> f32 {
        self.framer.level
    }

    /// The RTP timestamp that is being recorded at `now`.
    pub(super) fn timestamp_at(&self, now: Instant) -> u32 {
        let since = self.written.map_or(Duration::ZERO, |at| now - at);
        let clock_rate = self.payload.codec.description().clock_rate;
        self.framer.timestamp.wrapping_add(crate::media::jitter::ticks(since, clock_rate))
    }
}

impl Framer {
    fn new(
        payload: Payload,
        description: CodecDescription,
        ptime_ms: u32,
        encoder: Option<Box<dyn Encoder>>,
        timestamp: u32,
    ) -> Self {
        let samples = description.samples_in_ms(ptime_ms);
        let encodes = encoder.is_some();
        Self {
            payload_type: payload.payload_type,
            dtmf_payload_type: None,
            encoder,
            frame: vec![0; if encodes { samples } else { 0 }],
            filled: 0,
            sample_rate: description.sample_rate,
            ticks: description.ticks(samples),
            timestamp,
            marker: true,
            sending: true,
            gain: Gain::new(description.sample_rate),
            level: 0.0,
            dtmf: DtmfSender::new(),
            copies: CopySender::default(),
            pauses: Pauses::default(),
            voiced: None,
            ring: PacketRing::new(payload_room(payload.codec, encodes)),
        }
    }

    fn push(&mut self, mut pcm: &[i16], voiced: Option<bool>) {
        self.voiced = match (self.voiced, voiced) {
            (Some(before), Some(now)) => Some(before || now),
            (before, now) => now.or(before),
        };
        while !pcm.is_empty() {
            let room = self.frame.get_mut(self.filled..).unwrap_or_default();
            let n = room.len().min(pcm.len());
            let (now, later) = pcm.split_at(n);
            room.iter_mut().zip(now).for_each(|(r, s)| *r = *s);
            pcm = later;
            self.filled = self.filled.saturating_add(n);
            if self.filled == self.frame.len() {
                self.filled = 0;
                self.emit();
            }
        }
    }

    /// The host wrote nothing for a while: time went on all the same.
    fn skip(&mut self, silent: Duration, clock_rate: u32) {
        let ticks = crate::media::jitter::ticks(silent, clock_rate);
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.marker = true;
        self.filled = 0;
        self.pauses.begin();
    }

    /// A frame is full: an event packet, audio packets, comfort noise, or nothing goes out.
    fn emit(&mut self) {
        let (timestamp, voiced) = (self.timestamp, self.voiced.take());
        self.timestamp = timestamp.wrapping_add(self.ticks);
        if !self.sending || self.emit_event(timestamp, self.ticks) {
            self.gain.settle();
            self.pauses.interrupt();
            return;
        }
        self.gain.apply(&mut self.frame);
        self.level = follow_level(self.level, &self.frame);
        let voiced = if self.gain.is_muted() { Some(false) } else { voiced };
        match self.pauses.judge(&self.frame, voiced) {
            Frame::Spoken { held } => {
                for back in (0..=held).rev() {
                    let before = self.ticks.wrapping_mul(back as u32);
                    self.speak(timestamp.wrapping_sub(before), back);
                }
            }
            Frame::Refresh => {
                self.marker = false;
                self.speak(timestamp, 0);
                self.marker = true;
            }
            Frame::Noise(noise, payload_type) => self.tell(timestamp, payload_type, &noise),
            Frame::Silent => self.marker = true,
        }
    }

    /// The frame that is full, or the one so many before it, goes out.
    fn speak(&mut self, timestamp: u32, back: usize) {
        let Self { ring, encoder, frame, copies, pauses, payload_type, ticks, .. } = self;
        let frame = if back == 0 { frame } else { pauses.held(back) };
        let (payload_type, marker) = (*payload_type, self.marker);
        let head = Queued { payload_type, marker, timestamp, len: 0 };
        // In silence the codec may have nothing to send: the next packet begins a talkspurt.
        self.marker =
            !queue(ring, copies, head, *ticks, |out| encoder.as_mut()?.encode(frame, out).ok());
    }

    /// Comfort noise goes out in place of audio (RFC 3389 §4: without the marker).
    fn tell(&mut self, timestamp: u32, payload_type: u8, noise: &ComfortNoise) {
        let head = Queued { payload_type, marker: false, timestamp, len: 0 };
        self.ring.push(head, |out| noise.write(out));
        self.marker = true;
    }

    /// An event packet goes out in place of audio. False if there is none.
    fn emit_event(&mut self, timestamp: u32, ticks: u32) -> bool {
        let event = self.dtmf_payload_type.zip(self.dtmf.next(timestamp, ticks));
        let Some((payload_type, event)) = event else { return false };
        let len = event.payload.len();
        let (marker, timestamp) = (event.marker, event.timestamp);
        self.ring.push(Queued { payload_type, marker, timestamp, len }, |out| {
            out.get_mut(..len)?.copy_from_slice(&event.payload);
            Some(len)
        });
        true
    }
}

/// Room for a payload of the codec, of our own encoder or of the host's.
fn payload_room(codec: CodecId, own: bool) -> usize {
    match codec {
        CodecId::Pcmu | CodecId::Pcma | CodecId::G722 if own => USUAL_PAYLOAD,
        _ => MAX_PAYLOAD,
    }
}

/// Queues what `encode` writes, in an envelope with a copy of the frame before it where the peer is
/// to have that. False if there is nothing to be sent.
fn queue(
    ring: &mut PacketRing,
    copies: &mut CopySender,
    head: Queued,
    ticks: u32,
    encode: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> bool {
    let envelope = copies.envelope();
    let outer = Queued { payload_type: envelope.unwrap_or(head.payload_type), ..head };
    ring.push(outer, |out| match envelope {
        Some(_) => copies.write(head.payload_type, head.timestamp, ticks, out, encode),
        None => encode(out),
    })
}

/// Rises at once to the mean amplitude of a frame, falls by a tenth of the difference.
pub(super) fn follow_level(level: f32, pcm: &[i16]) -> f32 {
    let sum: u64 = pcm.iter().map(|s| u64::from(s.unsigned_abs())).sum();
    let mean = sum as f32 / pcm.len().max(1) as f32;
    if mean > level { mean } else { level + (mean - level) * 0.1 }
}

/// Payload types that RTP with rtcp-mux can carry (RFC 5761 §4).
pub(super) fn check_payload_type(payload_type: u8) -> Result<(), MediaConfigError> {
    match payload_type {
        0..=63 | 96..=127 => Ok(()),
        other => Err(MediaConfigError::PayloadType(other)),
    }
}

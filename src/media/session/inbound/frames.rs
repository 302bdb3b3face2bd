//! Received frames in the order in which they are to be played, for a host that decodes by itself.

use super::super::config::Payload;
use super::super::encoded::{EncodedFrame, FrameKind};
use super::Inbound;
use super::sound::{lasts, part_with, samples_in};
use crate::media::codec::MAX_PAYLOAD;
use crate::media::jitter::{Adjust, MAX_PACKETS, Playout};
use crate::time::Instant;

/// What stands for a frame of a codec that nobody knows any more: 20 ms of the common clock.
const UNKNOWN: u32 = 960;

/// What is known of frames beside what the jitter buffer knows.
#[derive(Debug)]
pub(super) struct Frames {
    /// What the host was told to decode with.
    told: Option<Payload>,
    /// The RTP timestamps of the last packets, by their places on the common clock.
    stamps: [(u32, u32); MAX_PACKETS],
    /// The RTP timestamp where the last frame ended.
    next: u32,
    /// The payload of what is given now, or of `held`.
    bytes: Vec<u8>,
    /// A frame that waits for what comes before it to be played.
    held: Option<Head>,
}

/// A frame without its payload.
#[derive(Clone, Copy, Debug)]
struct Head {
    payload: Payload,
    timestamp: u32,
    samples: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            told: None,
            stamps: [(0, 0); MAX_PACKETS],
            next: 0,
            bytes: Vec::with_capacity(MAX_PAYLOAD),
            held: None,
        }
    }
}

impl Frames {
    /// A packet came that has this place on the common clock.
    pub(super) fn note(&mut self, sequence: u16, place: u32, timestamp: u32) {
        let at = usize::from(sequence) % MAX_PACKETS;
        if let Some(stamp) = self.stamps.get_mut(at) {
            *stamp = (place, timestamp);
        }
    }

    /// Another source, or a new beginning of this one: the host is told of its codec again.
    pub(super) fn reset(&mut self) {
        (self.told, self.held) = (None, None);
    }

    /// The RTP timestamp of what begins there on the common clock.
    fn stamp(&self, place: u32) -> u32 {
        let found = self.stamps.iter().find(|(at, _)| *at == place);
        found.map_or(self.next, |(_, timestamp)| *timestamp)
    }

    /// Keeps a payload. None that the jitter buffer takes is longer than the room for it.
    fn keep(&mut self, payload: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(payload.get(..MAX_PAYLOAD).unwrap_or(payload));
    }

    /// Something without a packet, of so many ticks of the common clock.
    fn filler(&self, kind: FrameKind, ticks: u32) -> Option<(FrameKind, Head)> {
        let payload = self.told?;
        let samples = samples_in(ticks, &payload.codec.description());
        Some((kind, Head { payload, timestamp: self.next, samples }))
    }
}

impl Inbound {
    /// What is to be played next; `None` if PCM is, or if nothing has come yet.
    pub(in crate::media::session) fn frame(&mut self, now: Instant) -> Option<EncodedFrame<'_>> {
        let (kind, head) = self.next_frame(now)?;
        let frames = self.frames.as_mut()?;
        let codec = head.payload.codec.description();
        if kind != FrameKind::NewCodec {
            frames.next = head.timestamp.wrapping_add(codec.ticks(head.samples));
        }
        Some(EncodedFrame {
            kind,
            codec: codec.id,
            payload_type: head.payload.payload_type,
            timestamp: head.timestamp,
            samples: head.samples,
            sample_rate: codec.sample_rate,
            payload: if frames.held.is_none() { &frames.bytes } else { &[] },
        })
    }

    fn next_frame(&mut self, now: Instant) -> Option<(FrameKind, Head)> {
        let Self { jitter, chains, current, frames, silence, shrunk, stretched, .. } = self;
        let frames = frames.as_mut()?;
        if let Some(head) = frames.held.take() {
            return Some((FrameKind::Audio, head));
        }
        frames.bytes.clear();
        let place =
            |payload_type| chains.iter().position(|c| c.payload.payload_type == payload_type);
        let length = |payload_type, payload: &[u8]| {
            let of = chains.get(place(payload_type)?)?;
            let samples = of.payload.codec.payload_samples(payload).ok()?;
            Some(lasts(samples, of.description.sample_rate))
        };
        let pause_ticks = jitter.pause_ticks();
        let mut playout = jitter.pop(now);
        // Nothing can be shortened here: where a whole frame is too much, that one is left out.
        if let Playout::Frame { payload_type, payload, adjust, .. } = playout
            && let Adjust::Shrink(by) | Adjust::ShrinkInQuiet(by) = adjust
            && let Some(length) = length(payload_type, payload).filter(|length| *length <= by)
        {
            *shrunk = shrunk.saturating_add(length);
            playout = jitter.pop(now);
        }
        match playout {
            Playout::Frame { payload_type, payload, .. } if silence.is_told_by(payload_type) => {
                frames.keep(payload);
                frames.filler(FrameKind::ComfortNoise, pause_ticks)
            }
            Playout::Frame { payload_type, payload, timestamp, adjust } => {
                // A type that was renegotiated away meanwhile is played by nobody.
                let Some(at) = place(payload_type) else {
                    return frames.filler(FrameKind::Missing, UNKNOWN);
                };
                let length = length(payload_type, payload)?;
                let of = chains.get(at)?.payload;
                let samples = of.codec.payload_samples(payload).unwrap_or(0);
                let head = Head { payload: of, timestamp: frames.stamp(timestamp), samples };
                frames.keep(payload);
                if at != *current {
                    *current = part_with(chains, *current, at);
                }
                if frames.told.replace(of) != Some(of) {
                    frames.held = Some(head);
                    return Some((FrameKind::NewCodec, Head { samples: 0, ..head }));
                }
                // Nothing can be stretched either: where a whole frame is lacking, one is made up.
                if matches!(adjust, Adjust::Grow(lack) if lack >= length) {
                    *stretched = stretched.saturating_add(length);
                    frames.held = Some(head);
                    return Some((FrameKind::Missing, head));
                }
                Some((FrameKind::Audio, head))
            }
            Playout::Missing { ticks, next } => {
                let own = frames.told.map(|told| told.payload_type);
                if let Some((_, payload)) = next.filter(|(of, _)| Some(*of) == own) {
                    frames.keep(payload);
                }
                frames.filler(FrameKind::Missing, ticks)
            }
            Playout::Waiting { ticks } => frames.filler(FrameKind::ComfortNoise, ticks),
        }
    }
}

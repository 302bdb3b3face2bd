//! Voice processing within a session: between the resampler and the frames of the codec, at the
//! codec's rate, with what the host reads as the reference.

use super::MediaSession;
use crate::media::dsp::{Processing, ProcessingConfig, ProcessingStats, Processor};
use crate::media::resample::UnsupportedRate;

/// The processing of what is sent. Nothing is there, and every sample stays as it is, until a part
/// is switched on or a processor is set.
#[derive(Debug)]
pub(super) struct Voice {
    config: ProcessingConfig,
    processor: Option<Box<dyn Processor>>,
    capture_rate: u32,
    render_rate: u32,
    /// A block of 10 ms.
    block: Vec<i16>,
    filled: usize,
}

impl Voice {
    /// For a codec at this rate.
    pub(super) fn new(capture_rate: u32) -> Self {
        Self {
            config: ProcessingConfig::OFF,
            processor: None,
            capture_rate,
            render_rate: capture_rate,
            block: vec![],
            filled: 0,
        }
    }

    /// The rate at which the host reads.
    pub(super) fn set_render_rate(&mut self, rate: u32) {
        self.render_rate = rate;
    }

    /// The codec's rate changed: a new beginning for our own processing.
    pub(super) fn set_rate(&mut self, capture_rate: u32) {
        if capture_rate == self.capture_rate {
            return;
        }
        self.capture_rate = capture_rate;
        (self.block, self.filled) = (vec![], 0);
        if let Some(mut processor) = self.processor.take() {
            self.processor =
                processor.set_rates(capture_rate, self.render_rate).is_ok().then_some(processor);
            self.room();
        }
    }

    fn room(&mut self) {
        self.block.resize((self.capture_rate / 100) as usize, 0);
    }

    /// Switches parts on and off.
    pub(super) fn configure(&mut self, config: ProcessingConfig) {
        self.config = config;
        if let Some(processor) = &mut self.processor {
            processor.configure(config);
        } else if config.is_on() {
            // Every rate of a codec is one of its rates.
            let own = Processing::new(self.capture_rate, self.render_rate, config);
            self.processor = own.ok().map(|own| Box::new(own) as Box<dyn Processor>);
            self.room();
        }
    }

    fn set_processor(&mut self, processor: Box<dyn Processor>) -> Result<(), UnsupportedRate> {
        let mut processor = processor;
        processor.set_rates(self.capture_rate, self.render_rate)?;
        processor.configure(self.config);
        self.processor = Some(processor);
        self.room();
        Ok(())
    }

    /// What the host hears.
    pub(super) fn render(&mut self, pcm: &[i16]) {
        if let Some(processor) = &mut self.processor {
            processor.process_render(pcm);
        }
    }

    /// What the microphone gave; whole blocks go to `sink`, with what the processing knows of the
    /// voice in them.
    pub(super) fn capture(&mut self, mut pcm: &[i16], mut sink: impl FnMut(&[i16], Option<bool>)) {
        let Some(processor) = &mut self.processor else { return sink(pcm, None) };
        while !pcm.is_empty() {
            let room = self.block.get_mut(self.filled..).unwrap_or_default();
            let n = room.len().min(pcm.len());
            let (now, later) = pcm.split_at(n);
            room.iter_mut().zip(now).for_each(|(r, s)| *r = *s);
            pcm = later;
            self.filled = self.filled.saturating_add(n);
            if self.filled >= self.block.len() {
                self.filled = 0;
                processor.process_capture(&mut self.block);
                let known = self.config.voice_activity.then(|| processor.stats().voice_active);
                sink(&self.block, known);
            }
        }
    }
}

impl MediaSession {
    /// Switches parts of the processing of what is sent on and off; [`read_pcm`](Self::read_pcm)
    /// is what the loudspeaker plays. The first part that is switched on adds 10 ms of delay; from
    /// then on changes are soft. Encoded frames are not processed.
    pub fn set_processing(&mut self, config: ProcessingConfig) {
        if self.is_encoded() {
            return;
        }
        self.outbound.voice.configure(config);
    }

    /// What parts are switched on.
    pub fn processing(&self) -> ProcessingConfig {
        self.outbound.voice.config
    }

    /// Another processor in place of this crate's own: that of a phone's hardware, say.
    ///
    /// # Errors
    /// [`UnsupportedRate`] if it does not have the codec's rate or that of
    /// [`read_pcm`](Self::read_pcm); the one before stays. If the codec changes later to a rate
    /// that it does not have, it is dropped and nothing is processed.
    pub fn set_processor(&mut self, processor: Box<dyn Processor>) -> Result<(), UnsupportedRate> {
        self.outbound.voice.set_processor(processor)
    }

    /// What the processing knows; `None` while there is none.
    pub fn processing_stats(&self) -> Option<ProcessingStats> {
        self.outbound.voice.processor.as_ref().map(|p| p.stats())
    }
}

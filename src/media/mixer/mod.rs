//! A conference at this end: each participant hears all the others (mix-minus), nobody himself.
//!
//! All streams have one rate and one block length. For each block: [`write`](Mixer::write) what
//! came from each participant, [`mix`](Mixer::mix) once, [`read`](Mixer::read) what each is to
//! hear. Sums that would be too loud are turned down by a limiter that looks 2 ms ahead: nothing
//! is clipped, and below 1 dB under full scale the sums are exact. Nothing is allocated after
//! construction.

mod limiter;
mod talker;

use super::gain::Gain;
use limiter::Limiter;
use talker::{Choice, Level};

/// Most participants of one mixer.
pub const MAX_PARTICIPANTS: usize = 64;
/// The longest block, in ms.
const MAX_BLOCK_MS: u32 = 60;

/// A participant. Stays unique: one that left does not come back under the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParticipantId {
    slot: u32,
    generation: u32,
}

impl ParticipantId {
    /// As a number, never 0.
    pub const fn to_raw(self) -> u64 {
        ((self.generation as u64) << 32) | self.slot as u64
    }

    /// From such a number.
    pub const fn from_raw(raw: u64) -> Self {
        Self { slot: raw as u32, generation: (raw >> 32) as u32 }
    }
}

/// Why a mixer refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MixerError {
    /// The rate is out of range.
    #[error("a sample rate of {0} Hz: give 8000 to 48000")]
    Rate(u32),
    /// The block is empty or too long.
    #[error("a block of {0} samples: give 1 sample to 60 ms")]
    Block(usize),
    /// Too many places.
    #[error("{0} participants: give 2 to 64")]
    Participants(usize),
    /// All places are taken.
    #[error("all places are taken: remove a participant first")]
    Full,
    /// The participant left, or is another mixer's.
    #[error("there is no such participant")]
    UnknownParticipant,
    /// Samples that are no block.
    #[error("{given} samples: each block of this mixer has {block}")]
    BlockLength {
        /// What was given.
        given: usize,
        /// What a block has.
        block: usize,
    },
}

/// One of the places.
#[derive(Clone, Debug)]
struct Place {
    generation: u32,
    taken: bool,
    gain: Gain,
    /// What the participant said in this block, with its gain.
    input: Vec<i32>,
    /// It was written for the block that is gathered.
    fresh: bool,
    output: Vec<i16>,
    limiter: Limiter,
    level: Level,
}

/// Mixes the voices of up to so many participants.
#[derive(Clone, Debug)]
pub struct Mixer {
    sample_rate: u32,
    block: usize,
    places: Vec<Place>,
    sum: Vec<i64>,
    choice: Choice<ParticipantId>,
}

impl Mixer {
    /// A mixer with room for `participants` (2 to 64), for blocks of `block` samples at
    /// `sample_rate` (Hz, 8000 to 48000).
    ///
    /// # Errors
    /// [`MixerError`] says what is out of range.
    pub fn new(sample_rate: u32, block: usize, participants: usize) -> Result<Self, MixerError> {
        if !(8_000..=48_000).contains(&sample_rate) {
            return Err(MixerError::Rate(sample_rate));
        }
        let longest = (sample_rate.saturating_mul(MAX_BLOCK_MS) / 1_000) as usize;
        if block == 0 || block > longest {
            return Err(MixerError::Block(block));
        }
        if !(2..=MAX_PARTICIPANTS).contains(&participants) {
            return Err(MixerError::Participants(participants));
        }
        let place = Place {
            generation: 0,
            taken: false,
            gain: Gain::new(sample_rate),
            input: vec![0; block],
            fresh: false,
            output: vec![0; block],
            limiter: Limiter::new(sample_rate),
            level: Level::default(),
        };
        let (places, sum) = (vec![place; participants], vec![0; block]);
        Ok(Self { sample_rate, block, places, sum, choice: Choice::new() })
    }

    /// Somebody joins, at 0 dB. What he is to hear begins with silence.
    ///
    /// # Errors
    /// [`MixerError::Full`].
    pub fn add(&mut self) -> Result<ParticipantId, MixerError> {
        let free = self.places.iter_mut().zip(0u32..).find(|(place, _)| !place.taken);
        let (place, slot) = free.ok_or(MixerError::Full)?;
        place.generation = place.generation.wrapping_add(1).max(1);
        place.taken = true;
        place.fresh = false;
        place.gain = Gain::new(self.sample_rate);
        place.input.fill(0);
        place.output.fill(0);
        place.limiter.reset();
        place.level = Level::default();
        Ok(ParticipantId { slot, generation: place.generation })
    }

    /// Somebody leaves. Mute him a block before, so that the others hear no click.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`].
    pub fn remove(&mut self, id: ParticipantId) -> Result<(), MixerError> {
        self.place(id)?.taken = false;
        self.choice.forget(id);
        Ok(())
    }

    fn place(&mut self, id: ParticipantId) -> Result<&mut Place, MixerError> {
        let place = self.places.get_mut(id.slot as usize);
        let here = |place: &&mut Place| place.taken && place.generation == id.generation;
        place.filter(here).ok_or(MixerError::UnknownParticipant)
    }

    /// How loud the others hear somebody, in dB: up to +24; -90 or less is silence. The change
    /// takes 10 ms.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`].
    pub fn set_gain(&mut self, id: ParticipantId, db: f32) -> Result<(), MixerError> {
        self.place(id)?.gain.set_db(db);
        Ok(())
    }

    /// Silences somebody for the others within 10 ms, or ends that.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`].
    pub fn set_muted(&mut self, id: ParticipantId, muted: bool) -> Result<(), MixerError> {
        self.place(id)?.gain.set_muted(muted);
        Ok(())
    }

    /// What came from somebody for this block. A second time replaces the first; who is not
    /// written is silent in this block.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`], [`MixerError::BlockLength`].
    pub fn write(&mut self, id: ParticipantId, pcm: &[i16]) -> Result<(), MixerError> {
        let block = self.block;
        let place = self.place(id)?;
        if pcm.len() != block {
            return Err(MixerError::BlockLength { given: pcm.len(), block });
        }
        place.input.iter_mut().zip(pcm).for_each(|(room, s)| *room = i32::from(*s));
        place.fresh = true;
        Ok(())
    }

    /// Mixes the block.
    pub fn mix(&mut self) {
        let Self { places, sum, choice, block, sample_rate } = self;
        let block_ms = *block as f32 * 1_000.0 / *sample_rate as f32;
        sum.fill(0);
        for place in places.iter_mut().filter(|place| place.taken) {
            if !core::mem::replace(&mut place.fresh, false) {
                place.input.fill(0);
            }
            for (sample, sum) in place.input.iter_mut().zip(sum.iter_mut()) {
                // It was written as 16 bits.
                *sample = place.gain.next(*sample as i16);
                *sum = sum.saturating_add(i64::from(*sample));
            }
            place.level.follow(place.input.iter().copied(), block_ms);
        }
        for place in places.iter_mut().filter(|place| place.taken) {
            let Place { input, output, limiter, .. } = place;
            for ((out, sum), own) in output.iter_mut().zip(sum.iter()).zip(input.iter()) {
                let others = sum.saturating_sub(i64::from(*own));
                let others = others.clamp(i32::MIN.into(), i32::MAX.into());
                *out = limiter.next(others as i32);
            }
        }
        let levels = places.iter().zip(0u32..).filter(|(place, _)| place.taken);
        let id = |place: &Place, slot| ParticipantId { slot, generation: place.generation };
        choice.follow(levels.map(|(place, slot)| (id(place, slot), place.level.db())), block_ms);
    }

    /// What somebody is to hear of this block: all the others, [`delay`](Self::delay) later.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`], [`MixerError::BlockLength`].
    pub fn read(&mut self, id: ParticipantId, pcm: &mut [i16]) -> Result<(), MixerError> {
        let block = self.block;
        let place = self.place(id)?;
        if pcm.len() != block {
            return Err(MixerError::BlockLength { given: pcm.len(), block });
        }
        pcm.copy_from_slice(&place.output);
        Ok(())
    }

    /// The delay of the limiter, in samples.
    pub fn delay(&self) -> usize {
        self.places.first().map_or(0, |place| place.limiter.delay())
    }

    /// How loud somebody is, with his gain, in dB of full scale (-127 to 0); rises at once and
    /// falls slowly.
    ///
    /// # Errors
    /// [`MixerError::UnknownParticipant`].
    pub fn level(&mut self, id: ParticipantId) -> Result<f32, MixerError> {
        Ok(self.place(id)?.level.db())
    }

    /// Who talks. Somebody else takes over when he is 6 dB louder for 300 ms; after 1.5 s of
    /// silence it is nobody.
    pub const fn active_talker(&self) -> Option<ParticipantId> {
        self.choice.active()
    }
}

//! The options of a call.

use super::account::{codec, policy, policy_number};
use super::audio_options::{audio_options, subrosa_audio_options};
use super::guard::{Failure, guard};
use super::pointer::{OutStruct, Versioned, read_struct};
use super::processing::{SUBROSA_PROCESSING_DEFAULT, bits, processing};
use super::status::{SUBROSA_ERR_PANIC, status_of, subrosa_status};
use crate::engine::{CallOptions, MediaOffer};
use crate::time::Duration;

/// RTP/AVP with keys beside (RFC 8643): one offer that every far end understands.
pub const SUBROSA_MEDIA_OFFER_OPPORTUNISTIC: i32 = 0;
/// A profile that demands SRTP first; plain RTP only after a refusal of that.
pub const SUBROSA_MEDIA_OFFER_SECURE_FIRST: i32 = 1;
/// Two media lines, a secure one and a plain one.
pub const SUBROSA_MEDIA_OFFER_DUAL: i32 = 2;

fn media_offer(number: i32) -> Result<MediaOffer, Failure> {
    match number {
        SUBROSA_MEDIA_OFFER_OPPORTUNISTIC => Ok(MediaOffer::Opportunistic),
        SUBROSA_MEDIA_OFFER_SECURE_FIRST => Ok(MediaOffer::SecureFirst),
        SUBROSA_MEDIA_OFFER_DUAL => Ok(MediaOffer::Dual),
        other => Err(Failure::invalid(format!("{other} is not a SUBROSA_MEDIA_OFFER_"))),
    }
}

pub(super) const fn media_offer_number(offer: MediaOffer) -> i32 {
    match offer {
        MediaOffer::Opportunistic => SUBROSA_MEDIA_OFFER_OPPORTUNISTIC,
        MediaOffer::SecureFirst => SUBROSA_MEDIA_OFFER_SECURE_FIRST,
        MediaOffer::Dual => SUBROSA_MEDIA_OFFER_DUAL,
    }
}

/// How many codecs subrosa_call_options can name.
pub const SUBROSA_MAX_CODECS: usize = 8;

/// Options of one call; NULL where one is asked for means the defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_call_options {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_POLICY_; may be stricter than the account's.
    pub policy: i32,
    /// Of the PCM written and read, Hz: 8000, 16000, 24000, 32000, 44100 or 48000.
    pub sample_rate: u32,
    /// Give up if nobody answers within this time.
    pub ring_timeout_ms: u32,
    /// How many of `codecs` count; 0 for the account's.
    pub codec_count: u32,
    /// SUBROSA_CODEC_ numbers in order of preference.
    pub codecs: [i32; SUBROSA_MAX_CODECS],
    /// How our offer asks for SRTP where the policy prefers it: a SUBROSA_MEDIA_OFFER_.
    pub media_offer: i32,
    /// What is done to the audio before it is sent: SUBROSA_PROCESSING_ bits;
    /// SUBROSA_PROCESSING_DEFAULT for what the configuration says.
    pub processing: u32,
    /// How they are used; NULL: as the account says. Copied.
    pub audio: *const subrosa_audio_options,
    /// 1: the program has the codecs (in a DSP, say) and exchanges encoded frames in place of PCM:
    /// subrosa_call_read_frame, subrosa_call_write_frame. `sample_rate` then only tells the far end
    /// how much of Opus is of use.
    pub encoded: i32,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_call_options {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl Default for subrosa_call_options {
    fn default() -> Self {
        let options = CallOptions::default();
        Self {
            size: size_of::<Self>() as u32,
            policy: policy_number(options.policy),
            sample_rate: options.sample_rate,
            ring_timeout_ms: u32::try_from(options.ring_timeout.as_millis()).unwrap_or(u32::MAX),
            codec_count: 0,
            codecs: [0; SUBROSA_MAX_CODECS],
            media_offer: media_offer_number(options.media_offer),
            processing: options.processing.map_or(SUBROSA_PROCESSING_DEFAULT, bits),
            audio: core::ptr::null(),
            encoded: options.encoded.into(),
        }
    }
}

/// The options that C gave.
pub(super) unsafe fn options(pointer: *const subrosa_call_options) -> Result<CallOptions, Failure> {
    let mut options = CallOptions::default();
    if pointer.is_null() {
        return Ok(options);
    }
    // SAFETY: the caller's promise.
    let given = unsafe { read_struct(pointer, subrosa_call_options::default())? };
    let codecs = given.codecs.get(..given.codec_count as usize);
    let codecs = codecs.ok_or_else(|| Failure::invalid("codec_count is above 8"))?;
    // SAFETY: the caller's promise.
    options.audio = unsafe { audio_options(given.audio)? };
    options.policy = policy(given.policy)?;
    options.media_offer = media_offer(given.media_offer)?;
    options.sample_rate = given.sample_rate;
    options.encoded = given.encoded != 0;
    options.processing = match given.processing {
        SUBROSA_PROCESSING_DEFAULT => None,
        parts => Some(processing(parts)?),
    };
    options.ring_timeout = Duration::from_millis(u64::from(given.ring_timeout_ms));
    options.codecs = codecs.iter().map(|number| codec(*number)).collect::<Result<_, _>>()?;
    Ok(options)
}

/// Fills in the default options. Set `size` to sizeof before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_options_init(
    out: *mut subrosa_call_options,
) -> subrosa_status {
    let init = || {
        // SAFETY: the caller's promise.
        unsafe { OutStruct::new(out)? }.write(subrosa_call_options::default());
        Ok(())
    };
    guard(|| status_of(init()), SUBROSA_ERR_PANIC)
}

#[cfg(test)]
mod tests {
    use super::super::processing::{
        SUBROSA_PROCESSING_GAIN_CONTROL, SUBROSA_PROCESSING_HIGH_PASS, SUBROSA_PROCESSING_OFF,
        SUBROSA_PROCESSING_VOICE,
    };
    use super::super::{SUBROSA_CODEC_G722, SUBROSA_CODEC_PCMA, SUBROSA_CODEC_PCMU};
    use super::super::{SUBROSA_POLICY_PREFERRED, SUBROSA_POLICY_REQUIRED};
    use super::*;
    use crate::engine::{Codec, SecurityPolicy};
    use crate::media::dsp::ProcessingConfig;

    #[test]
    fn options_are_checked_and_default_when_null() {
        // SAFETY: NULL, then a whole struct.
        let (null, given) = unsafe {
            let given = subrosa_call_options {
                policy: SUBROSA_POLICY_REQUIRED,
                ..subrosa_call_options::default()
            };
            (options(std::ptr::null()), options(&given))
        };
        assert_eq!(null.unwrap().policy, SecurityPolicy::Off);
        assert_eq!(given.unwrap().policy, SecurityPolicy::Required);
        let broken = subrosa_call_options { codec_count: 9, ..Default::default() };
        let short = subrosa_call_options { size: 3, ..Default::default() };
        let odd = subrosa_call_options { media_offer: 3, ..Default::default() };
        for bad in [broken, short, odd] {
            // SAFETY: whole structs.
            assert!(unsafe { options(&bad) }.is_err());
        }
        let dual =
            subrosa_call_options { media_offer: SUBROSA_MEDIA_OFFER_DUAL, ..Default::default() };
        // SAFETY: a whole struct.
        assert_eq!(unsafe { options(&dual) }.unwrap().media_offer, MediaOffer::Dual);
    }

    #[test]
    fn what_c_sets_is_what_the_call_gets() {
        let codecs = [SUBROSA_CODEC_PCMU, SUBROSA_CODEC_G722, SUBROSA_CODEC_PCMA, 0, 0, 0, 0, 0];
        let given = subrosa_call_options {
            policy: SUBROSA_POLICY_PREFERRED,
            sample_rate: 48_000,
            ring_timeout_ms: 1_234,
            codec_count: 2,
            codecs,
            media_offer: SUBROSA_MEDIA_OFFER_SECURE_FIRST,
            processing: SUBROSA_PROCESSING_GAIN_CONTROL | SUBROSA_PROCESSING_HIGH_PASS,
            encoded: 1,
            ..Default::default()
        };
        // SAFETY: a whole struct.
        let options = unsafe { options(&given) }.unwrap();
        assert_eq!(options.policy, SecurityPolicy::Preferred);
        assert_eq!((options.sample_rate, options.media_offer), (48_000, MediaOffer::SecureFirst));
        assert!(options.encoded && !CallOptions::default().encoded);
        assert_eq!(options.ring_timeout, Duration::from_millis(1_234));
        assert_eq!(options.codecs, [Codec::Pcmu, Codec::G722]);
        let config =
            ProcessingConfig { gain_control: true, high_pass: true, ..ProcessingConfig::OFF };
        assert_eq!(options.processing, Some(config));
    }

    #[test]
    fn processing_follows_the_configuration_unless_the_call_says_otherwise() {
        let with = |parts| {
            let given = subrosa_call_options { processing: parts, ..Default::default() };
            // SAFETY: a whole struct.
            unsafe { options(&given) }.map(|options| options.processing).ok()
        };
        assert_eq!(subrosa_call_options::default().processing, SUBROSA_PROCESSING_DEFAULT);
        assert_eq!(with(SUBROSA_PROCESSING_DEFAULT), Some(None));
        assert_eq!(with(SUBROSA_PROCESSING_OFF), Some(Some(ProcessingConfig::OFF)));
        assert_eq!(with(SUBROSA_PROCESSING_VOICE), Some(Some(ProcessingConfig::VOICE)));
        for bad in [32, SUBROSA_PROCESSING_DEFAULT | 1, u32::MAX] {
            assert_eq!(with(bad), None, "{bad:#x}");
        }
    }
}

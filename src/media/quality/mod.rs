//! How good a call sounds: the E-model of ITU-T G.107 (narrowband) and G.107.1 (wideband), fed with
//! what a receiver measures, and the bursts of loss of RFC 3611 §4.7.2.
//!
//! Everything is an estimate for planning, not a measurement of what somebody heard: the
//! microphones, rooms and loudspeakers at both ends are taken to be the standard's default ones.

mod concealed;
mod emodel;
mod gaps;
mod history;

pub use concealed::Concealed;
pub use emodel::{EModel, Impairment, WIDEBAND_R, loss_impairment, mos, wideband_r};
pub use gaps::{BurstMetrics, Fate, GMIN, GapCounter};
pub use history::FateHistory;

use crate::media::codec::CodecId;
use crate::time::Duration;

/// The quality of what is heard, since the peer's source began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Quality {
    /// Rating with the delay: 0 to 100 for narrowband codecs (G.107; 93 is the best), 0 to 129 for
    /// wideband ones (G.107.1).
    pub r_factor: f32,
    /// Listening quality: MOS 1 to 4.5, without the delay.
    pub mos_lq: f32,
    /// Conversational quality: MOS 1 to 4.5, with the delay.
    pub mos_cq: f32,
    /// Share of packets lost on the way, 0 to 1.
    pub loss_rate: f32,
    /// Share of packets that came too late to be played, 0 to 1.
    pub discard_rate: f32,
    /// How much longer the losses in a row are than random ones would be (BurstR of G.107): 1 or
    /// more.
    pub burst_ratio: f32,
    /// Share lost or discarded within bursts, 0 to 1.
    pub burst_density: f32,
    /// Share lost or discarded between bursts, 0 to 1.
    pub gap_density: f32,
    /// Mean length of a burst.
    pub burst_duration: Duration,
    /// Mean length of the time between bursts.
    pub gap_duration: Duration,
    /// One way, from mouth to ear, as far as it is known: half the round trip, and half of what
    /// both ends add.
    pub delay: Duration,
    /// The rating is on the wideband scale.
    pub wideband: bool,
}

impl Quality {
    /// The rating of a stream of `codec` with these losses and this one-way delay. What counts is
    /// what was heard: the audio that was `concealed`, if that is known, or else the packets that
    /// were lost and late. Of a link that stands still no packet need be lost, and the gap is heard.
    pub fn rate(
        codec: CodecId,
        losses: &BurstMetrics,
        concealed: Option<Concealed>,
        delay: Duration,
    ) -> Self {
        let impairment = Impairment::of(codec);
        let missing = concealed.unwrap_or(Concealed {
            percent: (losses.loss_rate + losses.discard_rate) * 100.0,
            burst_ratio: losses.burst_ratio,
        });
        let percent = missing.percent * hardship(missing.burst_ratio, impairment.wideband);
        let equipment = loss_impairment(impairment, percent, missing.burst_ratio);
        let delay_ms = delay.as_secs_f64() * 1_000.0;
        let (r, lq, cq) = if impairment.wideband {
            let (quick, real) = (wideband_r(0.0, equipment), wideband_r(delay_ms, equipment));
            (real, mos(quick / WIDEBAND_SCALE), mos(real / WIDEBAND_SCALE))
        } else {
            let model = EModel { equipment_impairment: equipment, ..EModel::default() };
            let (quick, real) = (model.r_factor(), model.with_delay(delay_ms).r_factor());
            (real, mos(quick), mos(real))
        };
        Self {
            r_factor: r as f32,
            mos_lq: lq as f32,
            mos_cq: cq as f32,
            loss_rate: losses.loss_rate as f32,
            discard_rate: losses.discard_rate as f32,
            burst_ratio: losses.burst_ratio as f32,
            burst_density: losses.burst_density as f32,
            gap_density: losses.gap_density as f32,
            burst_duration: losses.burst_duration,
            gap_duration: losses.gap_duration,
            delay,
            wideband: impairment.wideband,
        }
    }

    /// The rating on the scale of 0 to 100 whatever the codec, as RFC 3611 wants it.
    pub fn r_of_100(&self) -> f32 {
        let r = if self.wideband { self.r_factor / WIDEBAND_SCALE as f32 } else { self.r_factor };
        r.clamp(0.0, 100.0)
    }
}

/// By how much more each lost packet of long rows costs. G.107 has little of it: with 3 % lost in
/// stalls of 150 ms its formula finds a MOS of 3.2 with G.711 and 3.7 with Opus where PESQ finds
/// 2.5 and 2.3, since what fills three packets in a row fades after them and words are lost. On the
/// wideband scale, which is longer, it takes more to say so.
fn hardship(burst_ratio: f64, wideband: bool) -> f64 {
    let most = if wideband { 1.5 } else { 0.4 };
    1.0 + ((burst_ratio - BRIDGED) / BRIDGED).clamp(0.0, most)
}

/// Packets in a row that concealment bridges.
const BRIDGED: f64 = 3.0;

/// From the wideband scale to the one on which MOS is defined (G.107.1).
const WIDEBAND_SCALE: f64 = WIDEBAND_R / 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn rated(codec: CodecId, percent: f64, delay_ms: u64) -> Quality {
        let losses = BurstMetrics {
            loss_rate: percent / 100.0,
            burst_ratio: 1.0,
            ..BurstMetrics::default()
        };
        Quality::rate(codec, &losses, None, Duration::from_millis(delay_ms))
    }

    #[test]
    fn a_clean_call_has_the_default_rating_of_its_codec() {
        let pcma = rated(CodecId::Pcma, 0.0, 0);
        assert!((pcma.r_factor - 93.2).abs() < 0.05, "{pcma:?}");
        assert!((pcma.mos_lq - 4.41).abs() < 0.005 && pcma.mos_lq == pcma.mos_cq, "{pcma:?}");
        let g722 = rated(CodecId::G722, 0.0, 0);
        assert!(g722.wideband && (g722.r_factor - 116.0).abs() < 0.01, "{g722:?}");
        assert!((g722.r_of_100() - 89.9).abs() < 0.1);
    }

    #[test]
    fn packets_lost_in_long_rows_cost_more_than_single_ones() {
        let rated = |burst_ratio| {
            let losses = BurstMetrics { loss_rate: 0.03, burst_ratio, ..BurstMetrics::default() };
            Quality::rate(CodecId::Opus, &losses, None, Duration::ZERO).mos_lq
        };
        assert!(rated(1.0) - rated(3.0) < 0.2, "{} {}", rated(1.0), rated(3.0));
        assert!(rated(3.0) - rated(7.0) > 0.5, "{} {}", rated(3.0), rated(7.0));
        assert!(rated(60.0) > 1.0);
    }

    #[test]
    fn loss_costs_listening_and_delay_costs_talking() {
        for codec in [CodecId::Pcmu, CodecId::G722] {
            let (clean, lossy) = (rated(codec, 0.0, 50), rated(codec, 5.0, 50));
            assert!(lossy.mos_lq < clean.mos_lq - 0.2, "{lossy:?}");
            let slow = rated(codec, 0.0, 400);
            assert_eq!(slow.mos_lq, clean.mos_lq);
            assert!(slow.mos_cq < clean.mos_cq - 0.5, "{slow:?}");
            // Late packets are as silent as lost ones.
            let late = BurstMetrics { discard_rate: 0.05, burst_ratio: 1.0, ..Default::default() };
            let late = Quality::rate(codec, &late, None, Duration::from_millis(50));
            assert_eq!((late.mos_lq, late.r_factor), (lossy.mos_lq, lossy.r_factor));
        }
    }
}

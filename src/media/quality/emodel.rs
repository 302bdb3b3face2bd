//! The formulas of ITU-T G.107 (06/2015) and, for wideband, of G.107.1.

use crate::media::codec::CodecId;

/// The rating of an undisturbed wideband channel (Ro of G.107.1).
pub const WIDEBAND_R: f64 = 129.0;

/// What a codec costs (ITU-T G.113 Appendix I; wideband: Appendix IV).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impairment {
    /// Ie: without loss.
    pub equipment: f64,
    /// Bpl: how well it bears loss.
    pub robustness: f64,
    /// Both count on the wideband scale.
    pub wideband: bool,
}

impl Impairment {
    /// The values for a codec with our concealment. Ie is 0 for G.711 and for L16, 13 for G.722 at
    /// 64 kbit/s (G.113 Appendix I and IV); for Opus, which is not there, 5 is our assumption for
    /// speech at 24 kbit/s (AMR-WB has 1 to 8 at 18 to 24). Bpl is 10 for all: with it the rating
    /// tracks the PESQ of our receiver on speech over nine networks (r 0.92 to 0.98, and the MOS of
    /// G.711 with 1 and 5 % lost is 4.2 and 3.2 where PESQ finds 3.8 and 3.0). G.113 Appendix I has
    /// 25.1 for G.711 with another concealment and 4.3 without any; 25.1 rates ours too high (4.3
    /// and 3.9).
    pub const fn of(codec: CodecId) -> Self {
        match codec {
            CodecId::G722 => Self { equipment: 13.0, robustness: 10.0, wideband: true },
            CodecId::Opus => Self { equipment: 5.0, robustness: 10.0, wideband: true },
            CodecId::L16Wideband | CodecId::L16Fullband => {
                Self { equipment: 0.0, robustness: 10.0, wideband: true }
            }
            _ => Self { equipment: 0.0, robustness: 10.0, wideband: false },
        }
    }
}

/// Ie,eff: a codec's impairment with `percent` of the packets lost, whose losses in a row are
/// `burst_ratio` times as long as random ones (G.107 clause 7.5).
pub fn loss_impairment(codec: Impairment, percent: f64, burst_ratio: f64) -> f64 {
    let (percent, burst_ratio) = (percent.clamp(0.0, 100.0), burst_ratio.max(1.0));
    let Impairment { equipment, robustness, .. } = codec;
    equipment + (95.0 - equipment) * percent / (percent / burst_ratio + robustness)
}

/// MOS of a rating (G.107 Annex B): 1 to 4.5.
pub fn mos(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        // The polynomial dips below 1 for ratings under 6.5.
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

/// The rating on the wideband scale with all else at its default: 129 less what delay and codec
/// cost (G.107.1). Echo is not counted: both ends are taken to cancel theirs.
pub fn wideband_r(delay_ms: f64, equipment_impairment: f64) -> f64 {
    (WIDEBAND_R - delay_impairment(delay_ms) - equipment_impairment).max(0.0)
}

/// Idd: too long an absolute delay (G.107 clause 7.4, with the default sensitivity).
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0)
        + 2.0)
}

/// The parameters of the narrowband E-model. [`Default`] has the values of G.107 Table 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EModel {
    /// SLR: send loudness rating, dB.
    pub send_loudness: f64,
    /// RLR: receive loudness rating, dB.
    pub receive_loudness: f64,
    /// STMR: sidetone masking rating, dB.
    pub sidetone: f64,
    /// Ds: D-value of the telephone, send side.
    pub d_send: f64,
    /// Dr: D-value of the telephone, receive side.
    pub d_receive: f64,
    /// TELR: talker echo loudness rating, dB.
    pub talker_echo: f64,
    /// WEPL: weighted echo path loss, dB.
    pub echo_path_loss: f64,
    /// T: mean one-way delay of the echo path, ms.
    pub echo_delay: f64,
    /// Tr: round-trip delay in a four-wire loop, ms.
    pub loop_delay: f64,
    /// Ta: absolute delay, ms.
    pub absolute_delay: f64,
    /// qdu: number of quantization distortion units.
    pub quantization: f64,
    /// Ie,eff: see [`loss_impairment`].
    pub equipment_impairment: f64,
    /// Nc: circuit noise, dBm0p.
    pub circuit_noise: f64,
    /// Nfor: noise floor at the receive side, dBmp.
    pub noise_floor: f64,
    /// Ps: room noise at the send side, dB(A).
    pub room_send: f64,
    /// Pr: room noise at the receive side, dB(A).
    pub room_receive: f64,
    /// A: advantage factor, what people forgive for mobility.
    pub advantage: f64,
}

impl Default for EModel {
    fn default() -> Self {
        Self {
            send_loudness: 8.0,
            receive_loudness: 2.0,
            sidetone: 15.0,
            d_send: 3.0,
            d_receive: 3.0,
            talker_echo: 65.0,
            echo_path_loss: 110.0,
            echo_delay: 0.0,
            loop_delay: 0.0,
            absolute_delay: 0.0,
            quantization: 1.0,
            equipment_impairment: 0.0,
            circuit_noise: -70.0,
            noise_floor: -64.0,
            room_send: 35.0,
            room_receive: 35.0,
            advantage: 0.0,
        }
    }
}

impl EModel {
    /// The same with one delay (ms) wherever there is one: T = Ta = Tr / 2.
    pub fn with_delay(self, ms: f64) -> Self {
        Self { echo_delay: ms, absolute_delay: ms, loop_delay: 2.0 * ms, ..self }
    }

    /// R = Ro - Is - Id - Ie,eff + A, not below 0.
    pub fn r_factor(&self) -> f64 {
        let noise = self.noise();
        let basic = 15.0 - 1.5 * (self.send_loudness + noise);
        let simultaneous = self.simultaneous(basic, noise);
        let delayed = self.delayed(basic, noise);
        (basic - simultaneous - delayed - self.equipment_impairment + self.advantage).max(0.0)
    }

    /// No: all noise, as if at the 0 dBr point.
    fn noise(&self) -> f64 {
        let overall = self.send_loudness + self.receive_loudness;
        let room_send = self.room_send - self.send_loudness - self.d_send - 100.0
            + 0.004 * (self.room_send - overall - self.d_send - 14.0).powi(2);
        // LSTR: the sidetone of the listener.
        let listener = self.sidetone + self.d_receive;
        let effective = self.room_receive + db(1.0 + from_db(10.0 - listener));
        let room_receive =
            self.receive_loudness - 121.0 + effective + 0.008 * (effective - 35.0).powi(2);
        let floor = self.noise_floor + self.receive_loudness;
        db(from_db(self.circuit_noise)
            + from_db(room_send)
            + from_db(room_receive)
            + from_db(floor))
    }

    /// The sidetone with what the echo adds to it.
    fn sidetone_with_echo(&self) -> f64 {
        -db(from_db(-self.sidetone) + (-self.echo_delay / 4.0).exp() * from_db(-self.talker_echo))
    }

    /// Ist: too little or too much sidetone.
    fn sidetone_impairment(&self) -> f64 {
        let st = self.sidetone_with_echo();
        let part = |scale: f64, x: f64, power: i32| {
            scale * (1.0 + x.powi(power)).powf(1.0 / f64::from(power))
        };
        part(12.0, (st - 13.0) / 6.0, 8)
            - part(28.0, (st + 1.0) / 19.4, 35)
            - part(13.0, (st - 3.0) / 33.0, 13)
            + 29.0
    }

    /// Is: what happens along with the voice.
    fn simultaneous(&self, basic: f64, noise: f64) -> f64 {
        let overall = self.send_loudness + self.receive_loudness;
        let x = (overall + 0.2 * (64.0 + noise - self.receive_loudness)) / 8.0;
        let loudness = 20.0 * ((1.0 + x.powi(8)).powf(1.0 / 8.0) - x);
        let q = 37.0 - 15.0 * self.quantization.max(0.1).log10();
        let g = 1.07 + 0.258 * q + 0.0602 * q * q;
        let y = (basic - 100.0) / 15.0 + 46.0 / 8.4 - g / 9.0;
        let z = 46.0 / 30.0 - g / 40.0;
        let quantization = 15.0 * (1.0 + 10f64.powf(y) + 10f64.powf(z)).log10();
        loudness + self.sidetone_impairment() + quantization
    }

    /// Id: echo and delay.
    fn delayed(&self, basic: f64, noise: f64) -> f64 {
        let loops = 10.5 * (self.echo_path_loss + 7.0) * (self.loop_delay + 1.0).powf(-0.25);
        let listener = below(basic - loops, 169.0);
        self.talker(noise) + listener + delay_impairment(self.absolute_delay)
    }

    /// Idte: the talker's echo.
    fn talker(&self, noise: f64) -> f64 {
        let t = self.echo_delay;
        if t < 1.0 {
            return 0.0;
        }
        let mut telr = self.talker_echo - 40.0 * ((1.0 + t / 10.0) / (1.0 + t / 150.0)).log10()
            + 6.0 * (-0.3 * t * t).exp();
        let ist = self.sidetone_impairment();
        if self.sidetone < 9.0 {
            // A loud sidetone hides the echo.
            telr += ist / 2.0;
        }
        let echo = 80.0 + 2.5 * (telr - 14.0);
        let quiet = -1.5 * (noise - self.receive_loudness);
        let impairment = (below(quiet - echo, 100.0) - 1.0) * (1.0 - (-t).exp());
        if self.sidetone > 20.0 { impairment.hypot(ist) } else { impairment }
    }
}

/// Half of `x` plus the root of its square and `soft`: `x` where it is far above 0, else nearly 0.
fn below(x: f64, soft: f64) -> f64 {
    x / 2.0 + (x * x / 4.0 + soft).sqrt()
}

fn from_db(level: f64) -> f64 {
    10f64.powf(level / 10.0)
}

fn db(power: f64) -> f64 {
    10.0 * power.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, within: f64) {
        assert!((got - expected).abs() <= within, "{got} is not {expected}");
    }

    #[test]
    fn all_defaults_give_93_2_and_a_mos_of_4_41() {
        let r = EModel::default().r_factor();
        close(r, 93.2, 0.05);
        close(mos(r), 4.41, 0.005);
    }

    #[test]
    fn the_mos_scale_is_that_of_annex_b() {
        // Table B.1: the limits of the five classes of satisfaction (4.03 there is 4.024).
        for (r, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)]
        {
            close(mos(r), expected, 0.0065);
        }
        assert_eq!(
            [mos(-1.0), mos(0.0), mos(3.0), mos(100.0), mos(129.0)],
            [1.0, 1.0, 1.0, 4.5, 4.5]
        );
    }

    #[test]
    fn loss_counts_as_g113_says_and_more_in_bursts() {
        // G.711 with concealment: 2 % random loss costs 95 * 2 / (2 + 25.1).
        let g711 = Impairment { equipment: 0.0, robustness: 25.1, wideband: false };
        close(loss_impairment(g711, 2.0, 1.0), 7.01, 0.005);
        // Without concealment (Bpl 4.3): 30.2.
        let bare = Impairment { robustness: 4.3, ..g711 };
        close(loss_impairment(bare, 2.0, 1.0), 30.16, 0.005);
        // G.729A with VAD (Ie 11, Bpl 19) at 1 % and 4 %.
        let g729 = Impairment { equipment: 11.0, robustness: 19.0, wideband: false };
        close(loss_impairment(g729, 1.0, 1.0), 15.2, 0.05);
        close(loss_impairment(g729, 4.0, 1.0), 25.6, 0.05);
        close(loss_impairment(g711, 2.0, 2.0), 7.28, 0.005);
        close(loss_impairment(g711, 0.0, 1.0), 0.0, 0.0);
    }

    #[test]
    fn delay_costs_little_up_to_150_ms_and_much_beyond() {
        let r = |ms| EModel { absolute_delay: ms, ..EModel::default() }.r_factor();
        close(r(0.0) - r(100.0), 0.0, 1e-9);
        close(r(0.0) - r(150.0), 0.16, 0.01);
        close(r(0.0) - r(400.0), 24.1, 0.05);
        // With the echo of both ends well cancelled (TELR 65 dB) it is a little more.
        let all = |ms| EModel::default().with_delay(ms).r_factor();
        let falls: Vec<f64> = (0..50).map(|n| all(f64::from(n) * 10.0)).collect();
        assert!(falls.windows(2).all(|w| w[1] <= w[0] + 1e-9), "{falls:?}");
        close(all(0.0) - all(100.0), 2.0, 1.5);
        close(wideband_r(0.0, 0.0), 129.0, 0.0);
        close(wideband_r(400.0, 13.0), 129.0 - 13.0 - 24.1, 0.05);
    }

    #[test]
    fn a_bad_echo_and_a_noisy_room_cost_as_they_should() {
        let base = EModel::default();
        let echo = EModel { talker_echo: 35.0, ..base }.with_delay(100.0).r_factor();
        assert!(echo < base.with_delay(100.0).r_factor() - 30.0, "{echo}");
        let noisy = EModel { room_receive: 65.0, ..base }.r_factor();
        assert!(noisy < base.r_factor() - 5.0, "{noisy}");
        let quantized = EModel { quantization: 14.0, ..base }.r_factor();
        assert!((15.0..40.0).contains(&(base.r_factor() - quantized)), "{quantized}");
    }
}

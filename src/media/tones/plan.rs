//! The tones of countries, after ITU-T E.180 Supplement 2 and the national plans.
//!
//! Where a plan gives a range, its middle or usual value is taken; where it lets the special
//! information tone undefined, there is none. Levels are those of E.180, -10 dBm0 (two frequencies:
//! -13 each), and for the United States those of its precise tone plan.

/// A sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Nothing.
    Silence,
    /// One frequency, Hz.
    One(u16),
    /// The sum of two frequencies, Hz.
    Two(u16, u16),
    /// A frequency whose amplitude is modulated by the second one, Hz.
    Modulated(u16, u16),
}

impl Sound {
    /// Its frequencies, Hz; 0 for none.
    pub const fn frequencies(self) -> [u16; 2] {
        match self {
            Self::Silence => [0, 0],
            Self::One(hz) => [hz, 0],
            Self::Two(a, b) | Self::Modulated(a, b) => [a, b],
        }
    }
}

/// A part of a tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What sounds.
    pub sound: Sound,
    /// For how long, in ms; 0 is without end.
    pub ms: u16,
}

/// A tone: its parts in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tone {
    /// The parts.
    pub segments: &'static [Segment],
    /// After the last part the first one comes again.
    pub repeats: bool,
    /// Level of each frequency, dBm0.
    pub levels: [i8; 2],
}

/// What a tone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToneKind {
    /// Dial now.
    Dial,
    /// The far end rings.
    Ringback,
    /// The far end is busy.
    Busy,
    /// The call cannot be carried: congestion, reorder.
    Congestion,
    /// Somebody else calls meanwhile.
    CallWaiting,
    /// The number cannot be reached; an announcement may follow.
    SpecialInformation,
}

impl ToneKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Dial,
        Self::Ringback,
        Self::Busy,
        Self::Congestion,
        Self::CallWaiting,
        Self::SpecialInformation,
    ];
}

/// The tones of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TonePlan {
    /// ISO 3166 code, for example `DE`; empty for [`TonePlan::DEFAULT`].
    pub country: &'static str,
    /// Dial now.
    pub dial: Tone,
    /// The far end rings.
    pub ringback: Tone,
    /// The far end is busy.
    pub busy: Tone,
    /// The call cannot be carried.
    pub congestion: Tone,
    /// Somebody else calls meanwhile.
    pub call_waiting: Tone,
    /// The number cannot be reached; `None` where the country has no such tone.
    pub special_information: Option<Tone>,
}

const fn tone(level: i8, segments: &'static [Segment]) -> Tone {
    Tone { segments, repeats: true, levels: [level, level] }
}

const fn once(level: i8, segments: &'static [Segment]) -> Tone {
    Tone { segments, repeats: false, levels: [level, level] }
}

const fn silence(ms: u16) -> Segment {
    Segment { sound: Sound::Silence, ms }
}

const fn one(hz: u16, ms: u16) -> Segment {
    Segment { sound: Sound::One(hz), ms }
}

const fn two(a: u16, b: u16, ms: u16) -> Segment {
    Segment { sound: Sound::Two(a, b), ms }
}

const fn modulated(hz: u16, by: u16, ms: u16) -> Segment {
    Segment { sound: Sound::Modulated(hz, by), ms }
}

impl TonePlan {
    /// What E.180 recommends where nothing else is known.
    pub const DEFAULT: Self = Self {
        country: "",
        dial: tone(-10, &[one(425, 0)]),
        ringback: tone(-10, &[one(425, 1_000), silence(4_000)]),
        busy: tone(-10, &[one(425, 500), silence(500)]),
        congestion: tone(-10, &[one(425, 250), silence(250)]),
        call_waiting: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(5_000)]),
        special_information: Some(tone(
            -10,
            &[one(950, 330), one(1_400, 330), one(1_800, 330), silence(1_000)],
        )),
    };

    /// The plans, by country code.
    #[rustfmt::skip]
    pub const ALL: &'static [Self] = &[
        TonePlan {
            country: "AT",
            dial: tone(-10, &[one(420, 0)]),
            ringback: tone(-10, &[one(420, 1000), silence(5000)]),
            busy: tone(-10, &[one(420, 400), silence(400)]),
            congestion: tone(-10, &[one(420, 200), silence(200)]),
            call_waiting: tone(-10, &[one(420, 40), silence(1960)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1450, 330), one(1850, 330), silence(1000)])),
        },
        TonePlan {
            country: "AU",
            dial: tone(-13, &[two(413, 438, 0)]),
            ringback: tone(-13, &[two(413, 438, 400), silence(200), two(413, 438, 400), silence(2000)]),
            busy: tone(-10, &[one(425, 375), silence(375)]),
            congestion: tone(-10, &[one(425, 375), silence(375)]),
            call_waiting: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(4400)]),
            special_information: Some(tone(-10, &[one(425, 2500), silence(500)])),
        },
        TonePlan {
            country: "BE",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(3000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 167), silence(167)]),
            call_waiting: tone(-10, &[one(1400, 175), silence(175), one(1400, 175), silence(3500)]),
            special_information: Some(tone(-10, &[one(900, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "BR",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 250), silence(250)]),
            congestion: tone(-10, &[one(425, 250), silence(250), one(425, 750), silence(250)]),
            call_waiting: tone(-10, &[one(425, 50), silence(1000)]),
            special_information: None,
        },
        TonePlan {
            country: "CH",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(4000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "CN",
            dial: tone(-10, &[one(450, 0)]),
            ringback: tone(-10, &[one(450, 1000), silence(4000)]),
            busy: tone(-10, &[one(450, 350), silence(350)]),
            congestion: tone(-10, &[one(450, 700), silence(700)]),
            call_waiting: tone(-10, &[one(450, 400), silence(4000)]),
            special_information: None,
        },
        TonePlan {
            country: "CZ",
            dial: tone(-10, &[one(425, 330), silence(330), one(425, 660), silence(660)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 330), silence(330)]),
            congestion: tone(-10, &[one(425, 165), silence(165)]),
            call_waiting: tone(-10, &[one(425, 330), silence(9000)]),
            special_information: Some(tone(-10, &[one(950, 330), silence(30), one(1400, 330), silence(30), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "DE",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 480), silence(480)]),
            congestion: tone(-10, &[one(425, 240), silence(240)]),
            call_waiting: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(5000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "DK",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 200), silence(600), one(425, 200), silence(3000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "ES",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1500), silence(3000)]),
            busy: tone(-10, &[one(425, 200), silence(200)]),
            congestion: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(200), one(425, 200), silence(600)]),
            call_waiting: tone(-10, &[one(425, 175), silence(175), one(425, 175), silence(3500)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "FI",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 300), silence(300)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 150), silence(150), one(425, 150), silence(8000)]),
            special_information: None,
        },
        TonePlan {
            country: "FR",
            dial: tone(-10, &[one(440, 0)]),
            ringback: tone(-10, &[one(440, 1500), silence(3500)]),
            busy: tone(-10, &[one(440, 500), silence(500)]),
            congestion: tone(-10, &[one(440, 250), silence(250)]),
            call_waiting: tone(-10, &[one(440, 300), silence(10000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "GB",
            dial: tone(-13, &[two(350, 440, 0)]),
            ringback: tone(-13, &[two(400, 450, 400), silence(200), two(400, 450, 400), silence(2000)]),
            busy: tone(-10, &[one(400, 375), silence(375)]),
            congestion: tone(-10, &[one(400, 400), silence(350), one(400, 225), silence(525)]),
            call_waiting: tone(-10, &[one(400, 100), silence(4000)]),
            special_information: Some(tone(-10, &[one(950, 330), silence(15), one(1400, 330), silence(15), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "GR",
            dial: tone(-10, &[one(425, 200), silence(300), one(425, 700), silence(800)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 300), silence(300)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 150), silence(150), one(425, 150), silence(8000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "HU",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1250), silence(3750)]),
            busy: tone(-10, &[one(425, 300), silence(300)]),
            congestion: tone(-10, &[one(425, 300), silence(300)]),
            call_waiting: tone(-10, &[one(425, 40), silence(1960)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "IL",
            dial: tone(-10, &[one(414, 0)]),
            ringback: tone(-10, &[one(414, 1000), silence(3000)]),
            busy: tone(-10, &[one(414, 500), silence(500)]),
            congestion: tone(-10, &[one(414, 250), silence(250)]),
            call_waiting: tone(-10, &[one(414, 100), silence(100), one(414, 100), silence(100), one(414, 600), silence(3000)]),
            special_information: Some(tone(-10, &[one(1000, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "IN",
            dial: tone(-10, &[modulated(400, 25, 0)]),
            ringback: tone(-10, &[modulated(400, 25, 400), silence(200), modulated(400, 25, 400), silence(2000)]),
            busy: tone(-10, &[one(400, 750), silence(750)]),
            congestion: tone(-10, &[one(400, 250), silence(250)]),
            call_waiting: tone(-10, &[one(400, 200), silence(100), one(400, 200), silence(7500)]),
            special_information: None,
        },
        TonePlan {
            country: "IT",
            dial: tone(-10, &[one(425, 200), silence(200), one(425, 600), silence(1000)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 400), silence(100), one(425, 250), silence(100), one(425, 150), silence(14000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "JP",
            dial: tone(-10, &[one(400, 0)]),
            ringback: tone(-10, &[modulated(400, 16, 1000), silence(2000)]),
            busy: tone(-10, &[one(400, 500), silence(500)]),
            congestion: tone(-10, &[one(400, 500), silence(500)]),
            call_waiting: tone(-10, &[modulated(400, 16, 500), silence(8000)]),
            special_information: None,
        },
        TonePlan {
            country: "MX",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 250), silence(250)]),
            congestion: tone(-10, &[one(425, 250), silence(250)]),
            call_waiting: tone(-10, &[one(425, 200), silence(600), one(425, 200), silence(10000)]),
            special_information: Some(tone(-10, &[one(950, 330), silence(30), one(1400, 330), silence(30), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "NL",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 250), silence(250)]),
            call_waiting: tone(-10, &[one(425, 500), silence(9500)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "NO",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 200), silence(600), one(425, 200), silence(10000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "NZ",
            dial: tone(-10, &[one(400, 0)]),
            ringback: tone(-13, &[two(400, 450, 400), silence(200), two(400, 450, 400), silence(2000)]),
            busy: tone(-10, &[one(400, 500), silence(500)]),
            congestion: tone(-10, &[one(400, 250), silence(250)]),
            call_waiting: tone(-10, &[one(400, 200), silence(3000)]),
            special_information: Some(tone(-10, &[one(400, 750), silence(100), one(400, 750), silence(100), one(400, 750), silence(100), one(400, 750), silence(400)])),
        },
        TonePlan {
            country: "PL",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(4000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 500), silence(500)]),
            call_waiting: tone(-10, &[one(425, 150), silence(150), one(425, 150), silence(4000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "PT",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(5000)]),
            busy: tone(-10, &[one(425, 500), silence(500)]),
            congestion: tone(-10, &[one(425, 200), silence(200)]),
            call_waiting: tone(-10, &[one(425, 200), silence(200), one(425, 200), silence(5000)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(1000)])),
        },
        TonePlan {
            country: "SE",
            dial: tone(-10, &[one(425, 0)]),
            ringback: tone(-10, &[one(425, 1000), silence(5000)]),
            busy: tone(-10, &[one(425, 250), silence(250)]),
            congestion: tone(-10, &[one(425, 250), silence(750)]),
            call_waiting: tone(-10, &[one(425, 200), silence(500), one(425, 200), silence(9100)]),
            special_information: Some(tone(-10, &[one(950, 332), silence(24), one(1400, 332), silence(24), one(1800, 332), silence(2024)])),
        },
        TonePlan {
            country: "US",
            dial: tone(-13, &[two(350, 440, 0)]),
            ringback: tone(-19, &[two(440, 480, 2000), silence(4000)]),
            busy: tone(-24, &[two(480, 620, 500), silence(500)]),
            congestion: tone(-24, &[two(480, 620, 250), silence(250)]),
            call_waiting: tone(-13, &[one(440, 300), silence(10000)]),
            special_information: Some(once(-16, &[one(950, 330), one(1400, 330), one(1800, 330)])),
        },
        TonePlan {
            country: "ZA",
            dial: tone(-10, &[modulated(400, 33, 0)]),
            ringback: tone(-10, &[modulated(400, 33, 400), silence(200), modulated(400, 33, 400), silence(2000)]),
            busy: tone(-10, &[one(400, 500), silence(500)]),
            congestion: tone(-10, &[one(400, 250), silence(250)]),
            call_waiting: tone(-10, &[modulated(400, 33, 250), silence(250), modulated(400, 33, 250), silence(250), modulated(400, 33, 250), silence(250), modulated(400, 33, 250), silence(250)]),
            special_information: Some(tone(-10, &[one(950, 330), one(1400, 330), one(1800, 330), silence(330)])),
        },
    ];

    /// The plan of a country, by its ISO 3166 code in either case (`UK` is `GB`).
    pub fn of(country: &str) -> Option<&'static Self> {
        let code = if country.eq_ignore_ascii_case("UK") { "GB" } else { country };
        Self::ALL.iter().find(|plan| plan.country.eq_ignore_ascii_case(code))
    }

    /// One of the tones; `None` if the country does not have it.
    pub fn tone(&self, kind: ToneKind) -> Option<Tone> {
        Some(match kind {
            ToneKind::Dial => self.dial,
            ToneKind::Ringback => self.ringback,
            ToneKind::Busy => self.busy,
            ToneKind::Congestion => self.congestion,
            ToneKind::CallWaiting => self.call_waiting,
            ToneKind::SpecialInformation => return self.special_information,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_are_sorted_bounded_and_found_by_code() {
        assert!(TonePlan::ALL.len() >= 12);
        assert!(TonePlan::ALL.is_sorted_by_key(|plan| plan.country));
        for plan in TonePlan::ALL {
            assert_eq!(TonePlan::of(&plan.country.to_lowercase()), Some(plan));
            for tone in ToneKind::ALL.into_iter().filter_map(|kind| plan.tone(kind)) {
                let endless = tone.segments.iter().filter(|s| s.ms == 0).count();
                assert!(endless == 0 || tone.segments.len() == 1, "{}", plan.country);
                for segment in tone.segments {
                    assert!(segment.ms == 0 || segment.ms >= 15, "{}", plan.country);
                    let pitch = segment.sound.frequencies()[0];
                    assert!(pitch == 0 || (300..=2_000).contains(&pitch), "{}", plan.country);
                }
            }
        }
        assert_eq!(TonePlan::of("uk"), TonePlan::of("GB"));
        assert_eq!(TonePlan::of("XX"), None);
    }

    #[test]
    fn well_known_tones_are_as_everybody_knows_them() {
        let plan = |code| TonePlan::of(code).unwrap();
        assert_eq!(plan("US").ringback.segments, [two(440, 480, 2_000), silence(4_000)]);
        assert_eq!(plan("US").busy.segments, [two(480, 620, 500), silence(500)]);
        assert_eq!(plan("DE").ringback.segments, [one(425, 1_000), silence(4_000)]);
        assert_eq!(plan("FR").busy.segments, [one(440, 500), silence(500)]);
        assert_eq!(plan("GB").dial.segments, [two(350, 440, 0)]);
        assert_eq!(plan("IN").dial.segments, [modulated(400, 25, 0)]);
    }
}

//! For tests: the numbers that the header gives, by the names of Rust's variants.

use std::fmt::Debug;

const HEADER: &str = include_str!("../../include/subrosa.h");

/// The names and numbers of the constants that begin so.
pub(super) fn constants(prefix: &str) -> impl Iterator<Item = (&str, i32)> {
    HEADER.lines().filter_map(move |line| {
        let (name, number) =
            line.strip_prefix("#define ")?.strip_prefix(prefix)?.split_once(' ')?;
        Some((name, number.parse().ok()?))
    })
}

/// The number of a variant's constant: its name, as `Debug` tells it, in upper case.
pub(super) fn number(prefix: &str, variant: &impl Debug) -> i32 {
    let text = format!("{variant:?}");
    let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap();
    let mut upper = String::new();
    for (at, c) in name.char_indices() {
        if at > 0 && c.is_uppercase() {
            upper.push('_');
        }
        upper.extend(c.to_uppercase());
    }
    let found = constants(prefix).find(|(name, _)| *name == upper);
    found.unwrap_or_else(|| panic!("{prefix}{upper} is not in the header")).1
}

/// How many variants the header knows: its "none" and "other" are none.
pub(super) fn count(prefix: &str) -> usize {
    constants(prefix).filter(|(name, _)| !matches!(*name, "NONE" | "OTHER")).count()
}

/// The fields of a struct, as `Debug` tells them: those of structs in it are left out.
pub(super) fn fields(value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:#?}");
    let lines = text.lines().filter_map(|line| line.strip_prefix("    "));
    let pairs = lines.filter_map(|line| line.strip_suffix(',')?.split_once(": "));
    let pairs = pairs.filter(|(name, _)| !name.starts_with(' '));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A struct with a number of its own in each of these fields.
macro_rules! numbered {
    ($of:expr, $from:expr; $($field:ident),* $(,)?) => {{
        let (mut of, mut n) = ($of, $from);
        $( n += 1; of.$field = n as _; )*
        of
    }};
}
pub(super) use numbered;

/// Every number of Rust's struct is the field of that name in C's, where it has one.
pub(super) fn same(rust: &impl Debug, c: &impl Debug, renamed: &[(&str, &str)]) {
    let there = fields(c);
    let mut count = 0;
    for (name, value) in fields(rust).iter().filter(|(_, v)| v.parse::<f64>().is_ok()) {
        let other = renamed.iter().find(|(from, _)| from == name).map_or(&**name, |(_, to)| to);
        let (_, told) = there.iter().find(|(name, _)| name == other).expect(name);
        assert_eq!(told, value, "{name}");
        count += 1;
    }
    assert!(count > 4, "only {count} fields");
}

mod tests {
    use super::super::account::{
        codec, codec_number, policy, policy_number, source_number, transport_number,
    };
    use super::super::call::state_number;
    use super::super::call_options::media_offer_number;
    use super::super::dns::kind_number;
    use super::super::peers::level_number;
    use super::super::report::padlock_number;
    use super::super::tones::tone_number;
    use super::{count, number};
    use crate::engine::{
        CallState, Codec, MediaOffer, Padlock, PolicySource, SecurityLevel, SecurityPolicy,
    };
    use crate::media::tones::ToneKind;
    use crate::sip::Transport;
    use crate::sip::dns::RecordKind;

    /// Each variant of an enum, and what C is told of it.
    fn check<T: std::fmt::Debug + Copy>(prefix: &str, all: &[T], told: impl Fn(T) -> i32) {
        for variant in all {
            assert_eq!(told(*variant), number(prefix, variant), "{prefix}{variant:?}");
        }
    }

    #[test]
    fn each_variant_is_told_by_its_own_number() {
        let policies = [SecurityPolicy::Off, SecurityPolicy::Preferred, SecurityPolicy::Required];
        let codecs = [
            Codec::Opus,
            Codec::G722,
            Codec::Pcmu,
            Codec::Pcma,
            Codec::L16Narrowband,
            Codec::L16Wideband,
            Codec::L16Fullband,
        ];
        let states = [
            CallState::Dialing,
            CallState::Ringing,
            CallState::Incoming,
            CallState::Established,
            CallState::Ending,
            CallState::Ended,
        ];
        let sources = [
            PolicySource::Default,
            PolicySource::Domain,
            PolicySource::Account,
            PolicySource::Call,
        ];
        let locks = [
            Padlock::None,
            Padlock::SignallingOnly,
            Padlock::EncryptedToProvider,
            Padlock::VerifiedEndToEnd,
        ];
        let levels = [
            SecurityLevel::Plain,
            SecurityLevel::EncryptedUnauthenticated,
            SecurityLevel::EncryptedToProvider,
            SecurityLevel::VerifiedEndToEnd,
        ];
        let offers = [MediaOffer::Opportunistic, MediaOffer::SecureFirst, MediaOffer::Dual];
        let kinds = [RecordKind::Naptr, RecordKind::Srv, RecordKind::A, RecordKind::Aaaa];
        check("SUBROSA_POLICY_", &policies, policy_number);
        check("SUBROSA_POLICY_", &policies, |p| policy_number(policy(policy_number(p)).unwrap()));
        check("SUBROSA_CODEC_", &codecs, |c| codec_number(Some(c)));
        check("SUBROSA_CODEC_", &codecs, |c| {
            codec_number(Some(codec(codec_number(Some(c))).unwrap()))
        });
        check("SUBROSA_CALL_", &states, state_number);
        check("SUBROSA_POLICY_SOURCE_", &sources, source_number);
        check("SUBROSA_PADLOCK_", &locks, padlock_number);
        check("SUBROSA_LEVEL_", &levels, |level| level_number(Some(level)));
        check("SUBROSA_MEDIA_OFFER_", &offers, media_offer_number);
        check("SUBROSA_DNS_", &kinds, kind_number);
        let tones = [
            ToneKind::Dial,
            ToneKind::Ringback,
            ToneKind::Busy,
            ToneKind::Congestion,
            ToneKind::CallWaiting,
            ToneKind::SpecialInformation,
        ];
        check("SUBROSA_TONE_", &tones, |tone| tone_number(Some(tone)));
        let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
        check("SUBROSA_TRANSPORT_", &transports, transport_number);
        assert_eq!((count("SUBROSA_CODEC_"), count("SUBROSA_LEVEL_")), (7, 4));
    }
}

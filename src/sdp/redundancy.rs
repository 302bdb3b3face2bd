//! The parameters of redundant audio (RFC 2198 §4): which payload types its blocks have.

use super::CodecDescription;
use alloc::{format, string::String, vec::Vec};

/// Payload types of a list that are looked at.
const MAX_LIST: usize = 8;

/// The list of a `red` format for an answer: those offered types that the answer has, if the first
/// of them (that of the primary block) is one. An offer without a list means any.
fn answered(offered: &CodecDescription, accepted: &[CodecDescription]) -> Option<String> {
    let usable = |payload_type: u8| {
        accepted.iter().any(|c| {
            c.payload_type == payload_type
                && !c.is_auxiliary()
                && c.clock_rate == offered.clock_rate
        })
    };
    let Some(list) = &offered.fmtp else { return offered_list(offered, accepted) };
    let mut types = list.trim().split('/').map(|text| text.trim().parse().ok());
    let first = types.next().flatten().filter(|pt| usable(*pt))?;
    let others = types.take(MAX_LIST - 1).flatten().filter(|pt| usable(*pt));
    Some(others.fold(format!("{first}"), |list, pt| format!("{list}/{pt}")))
}

/// The list for an offer: the first codec with the same clock, once more for its copy.
fn offered_list(red: &CodecDescription, codecs: &[CodecDescription]) -> Option<String> {
    let same_clock = |c: &&CodecDescription| !c.is_auxiliary() && c.clock_rate == red.clock_rate;
    let payload_type = codecs.iter().find(same_clock)?.payload_type;
    Some(format!("{payload_type}/{payload_type}"))
}

/// Fills in the lists of an answer's `red` formats; what cannot be taken is left out.
pub(super) fn settle_answer(answer: &mut Vec<CodecDescription>, offer: &[CodecDescription]) {
    settle(answer, |red, all| {
        let offered = offer.iter().find(|c| c.is_red() && c.payload_type == red.payload_type)?;
        answered(offered, all)
    });
}

/// Fills in the lists of an offer's `red` formats.
pub(super) fn settle_offer(offer: &mut Vec<CodecDescription>) {
    settle(offer, offered_list);
}

fn settle(
    codecs: &mut Vec<CodecDescription>,
    list: impl Fn(&CodecDescription, &[CodecDescription]) -> Option<String>,
) {
    if !codecs.iter().any(CodecDescription::is_red) {
        return;
    }
    let all = codecs.clone();
    codecs.retain_mut(|codec| {
        if codec.is_red() {
            codec.fmtp = list(codec, &all);
        }
        !codec.is_red() || codec.fmtp.is_some()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn codec(payload_type: u8, name: &str, clock_rate: u32, fmtp: &str) -> CodecDescription {
        let fmtp = Some(fmtp.into()).filter(|f: &String| !f.is_empty());
        CodecDescription { fmtp, ..CodecDescription::new(payload_type, name, clock_rate) }
    }

    #[test]
    fn an_answer_lists_what_it_accepts_of_what_was_offered() {
        for (list, expected) in [
            ("0/0", Some("0/0")),
            ("0/8", Some("0/8")),
            (" 0 / 18 /8", Some("0/8")),
            ("18/0", None),
            ("", Some("8/8")),
            ("111/111", None),
            ("101/101", None),
            ("x", None),
            ("//", None),
        ] {
            let offer = vec![codec(8, "PCMA", 8_000, ""), codec(121, "red", 8_000, list)];
            let mut answer = vec![
                codec(8, "PCMA", 8_000, ""),
                codec(0, "PCMU", 8_000, ""),
                codec(111, "opus", 48_000, ""),
                codec(101, "telephone-event", 8_000, ""),
                codec(121, "red", 8_000, "any"),
            ];
            settle_answer(&mut answer, &offer);
            let red = answer.iter().find(|c| c.is_red());
            assert_eq!(red.map(|c| c.fmtp.as_deref().unwrap()), expected, "{list}");
            assert_eq!(answer.len(), 4 + usize::from(expected.is_some()));
        }
    }

    #[test]
    fn an_offer_lists_the_first_codec_of_the_clock() {
        let mut offer = vec![
            codec(111, "opus", 48_000, ""),
            codec(9, "G722", 8_000, ""),
            codec(63, "red", 48_000, ""),
            codec(121, "red", 8_000, ""),
            codec(122, "red", 16_000, ""),
        ];
        settle_offer(&mut offer);
        let lists: Vec<_> = offer.iter().filter_map(|c| c.fmtp.as_deref()).collect();
        assert_eq!(lists, ["111/111", "9/9"]);
        assert_eq!(offer.len(), 4);
    }
}

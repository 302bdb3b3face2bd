//! Reasons that counters are kept by, and their names.

use super::guard::{Failure, guard};
use super::pointer::{Out, subrosa_str};
use super::status::{SUBROSA_ERR_PANIC, status_of, subrosa_status};
use crate::crypto::srtp::UnprotectError;
use crate::media::session::RedFault;
use crate::sdp::SdpFault;
use crate::wire::rtcp::RtcpError;
use crate::wire::rtp::RtpError;
use crate::wire::sip::ParseErrorKind;

/// Room for counters by reason; those behind the last reason are 0.
pub const SUBROSA_MAX_REASONS: usize = 48;

/// Reasons of subrosa_engine_stats.malformed_by.
pub const SUBROSA_REASON_SIP: u32 = 0;
/// Reasons of subrosa_engine_stats.sdp_refused_by.
pub const SUBROSA_REASON_SDP: u32 = 1;
/// Reasons of subrosa_media_stats.refused_by.
pub const SUBROSA_REASON_SRTP: u32 = 2;
/// Reasons of subrosa_media_stats.malformed_rtp_by.
pub const SUBROSA_REASON_RTP: u32 = 3;
/// Reasons of subrosa_media_stats.malformed_rtcp_by.
pub const SUBROSA_REASON_RTCP: u32 = 4;
/// Reasons of subrosa_media_stats.red_refused_by.
pub const SUBROSA_REASON_RED: u32 = 5;

const _: () = assert!(ParseErrorKind::ALL.len() <= SUBROSA_MAX_REASONS);
const _: () = assert!(SdpFault::ALL.len() <= SUBROSA_MAX_REASONS);

/// Counters with room behind them.
pub(super) fn spread(counts: &[u64]) -> [u64; SUBROSA_MAX_REASONS] {
    let mut all = [0; SUBROSA_MAX_REASONS];
    for (to, from) in all.iter_mut().zip(counts) {
        *to = *from;
    }
    all
}

fn name(of: u32, reason: usize) -> Result<&'static str, Failure> {
    let name = match of {
        SUBROSA_REASON_SIP => ParseErrorKind::ALL.get(reason).map(|r| r.as_str()),
        SUBROSA_REASON_SDP => SdpFault::ALL.get(reason).map(|r| r.as_str()),
        SUBROSA_REASON_SRTP => UnprotectError::ALL.get(reason).map(|r| r.as_str()),
        SUBROSA_REASON_RTP => RtpError::ALL.get(reason).map(|r| r.as_str()),
        SUBROSA_REASON_RTCP => RtcpError::ALL.get(reason).map(|r| r.as_str()),
        SUBROSA_REASON_RED => RedFault::ALL.get(reason).map(|r| r.as_str()),
        other => return Err(Failure::invalid(format!("{other} is no SUBROSA_REASON_"))),
    };
    name.ok_or_else(|| Failure::invalid("there is no reason of this number"))
}

/// The name of a reason, such as "missing_via": `of` is one of SUBROSA_REASON_, `reason` its
/// place in the array. SUBROSA_ERR_INVALID behind the last one. Lives for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_reason_text(
    of: u32,
    reason: usize,
    out: *mut subrosa_str,
) -> subrosa_status {
    let text = || {
        // SAFETY: the caller's promise.
        let out = unsafe { Out::new(out)? };
        out.write(subrosa_str::borrowed(name(of, reason)?));
        Ok(())
    };
    guard(|| status_of(text()), SUBROSA_ERR_PANIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_named_at_its_own_place_and_none_behind_the_last() {
        let all: [(u32, Vec<&str>); 6] = [
            (SUBROSA_REASON_SIP, ParseErrorKind::ALL.iter().map(|r| r.as_str()).collect()),
            (SUBROSA_REASON_SDP, SdpFault::ALL.iter().map(|r| r.as_str()).collect()),
            (SUBROSA_REASON_SRTP, UnprotectError::ALL.iter().map(|r| r.as_str()).collect()),
            (SUBROSA_REASON_RTP, RtpError::ALL.iter().map(|r| r.as_str()).collect()),
            (SUBROSA_REASON_RTCP, RtcpError::ALL.iter().map(|r| r.as_str()).collect()),
            (SUBROSA_REASON_RED, RedFault::ALL.iter().map(|r| r.as_str()).collect()),
        ];
        for (of, names) in all {
            for (at, expected) in names.iter().enumerate() {
                assert_eq!(name(of, at).unwrap(), *expected, "{of} {at}");
            }
            assert!(name(of, names.len()).is_err(), "{of}");
        }
        assert_eq!(&spread(&[7, 8])[..3], [7, 8, 0]);
    }
}

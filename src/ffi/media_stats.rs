//! Statistics of a call's media.

use super::breaker::breaker_number;
use super::call::find;
use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::pointer::{OutStruct, Versioned};
use super::reason::{SUBROSA_MAX_REASONS, spread};
use super::status::{SUBROSA_ERR_NO_MEDIA, subrosa_status};
use crate::media::session::MediaStats;
use crate::wire::rtcp::UNAVAILABLE;

/// Statistics of a call's media. Set `size` to sizeof before asking.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_media_stats {
    /// sizeof this struct.
    pub size: u32,
    /// Level of what is sent, after processing, gain and mute: the mean amplitude (a sine of full scale
    /// has -4), dB of full scale, -127 to 0.
    pub level_sent: f32,
    /// Level of what is heard, after the gain, likewise.
    pub level_received: f32,
    /// Share of the far end's packets lost lately, 0 to 1.
    pub fraction_lost: f32,
    /// Share of what we sent that the far end lost lately, 0 to 1.
    pub remote_fraction_lost: f32,
    /// A SUBROSA_BREAKER_: why sending was stopped.
    pub circuit_breaker: i32,
    /// 1 if the far end was heard: the fields from `wideband` to `delay_us` count.
    pub has_quality: i32,
    /// 1 if the rating is on the wideband scale.
    pub wideband: i32,
    /// Rating with the delay: 0 to 100 (G.107), wideband 0 to 129 (G.107.1).
    pub r_factor: f32,
    /// Listening quality, MOS 1 to 4.5.
    pub mos_lq: f32,
    /// Conversational quality, MOS 1 to 4.5.
    pub mos_cq: f32,
    /// Share of packets lost on the way, 0 to 1.
    pub loss_rate: f32,
    /// Share of packets that came too late to be heard, 0 to 1.
    pub discard_rate: f32,
    /// How much longer losses in a row are than random ones: 1 or more.
    pub burst_ratio: f32,
    /// Share lost or discarded within bursts, 0 to 1.
    pub burst_density: f32,
    /// Share lost or discarded between bursts, 0 to 1.
    pub gap_density: f32,
    /// 1 if the far end told how good we sound (RFC 3611): the fields `remote_...` below count.
    pub has_remote_quality: i32,
    /// Rating as the far end hears us, 0 to 100; -1 if unknown.
    pub remote_r_factor: f32,
    /// Listening quality there, MOS; -1 if unknown.
    pub remote_mos_lq: f32,
    /// Conversational quality there, MOS; -1 if unknown.
    pub remote_mos_cq: f32,
    /// Share of our packets lost on the way, 0 to 1.
    pub remote_loss_rate: f32,
    /// Share of our packets that came too late there, 0 to 1.
    pub remote_discard_rate: f32,
    /// Mean length of a burst of loss.
    pub burst_duration_us: u64,
    /// Mean length of the time between bursts.
    pub gap_duration_us: u64,
    /// From mouth to ear, one way, as far as it is known.
    pub delay_us: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP bytes sent.
    pub bytes_sent: u64,
    /// RTP bytes accepted.
    pub bytes_received: u64,
    /// Packets of the far end that were lost; negative with duplicates.
    pub lost: i64,
    /// Of what we sent, lost as the far end reports.
    pub remote_lost: i64,
    /// Interarrival jitter.
    pub jitter_us: u64,
    /// Round-trip time by RTCP; 0 while unknown.
    pub rtt_us: u64,
    /// Audio that waits to be heard.
    pub buffer_level_us: u64,
    /// Packets that came too late to be heard.
    pub late: u64,
    /// Frames that were concealed.
    pub concealed_frames: u64,
    /// Packets that SRTP refused, for all reasons.
    pub refused: u64,
    /// The delay that the jitter buffer aims at.
    pub buffer_target_us: u64,
    /// RTCP compound packets sent.
    pub rtcp_sent: u64,
    /// RTCP compound packets accepted.
    pub rtcp_received: u64,
    /// Of those refused, packets that look like plain RTP or RTCP.
    pub plain_dropped: u64,
    /// Datagrams that are no RTP.
    pub malformed_rtp: u64,
    /// Datagrams that are no RTCP.
    pub malformed_rtcp: u64,
    /// Datagrams of other protocols (STUN, DTLS).
    pub other_protocol: u64,
    /// Packets from an address that is not the far end's.
    pub wrong_source: u64,
    /// Packets with a payload type that was not negotiated.
    pub unknown_payload_type: u64,
    /// Payloads that are no frame of their codec.
    pub bad_payload: u64,
    /// Packets whose sequence number is not believed.
    pub out_of_sequence: u64,
    /// Packets that came while we do not receive.
    pub while_held: u64,
    /// Packets that came twice.
    pub duplicate: u64,
    /// Packets that came out of order, yet in time.
    pub reordered: u64,
    /// Packets dropped because too many waited to be heard.
    pub jitter_overflow: u64,
    /// Packets dropped because nobody polled for them.
    pub send_overflow: u64,
    /// Packets that SRTP would not protect.
    pub protect_failures: u64,
    /// Changes of the far end's SSRC.
    pub ssrc_changes: u64,
    /// Events dropped because nobody polled for them.
    pub events_dropped: u64,
    /// Audio that was made up in place of frames that were missing.
    pub concealed_us: u64,
    /// Times that audio began to be missing.
    pub concealment_events: u64,
    /// Audio that was left out to shorten the delay.
    pub shrunk_us: u64,
    /// Audio that was repeated to lengthen the delay.
    pub stretched_us: u64,
    /// Mean delay that the jitter buffer added.
    pub buffer_delay_us: u64,
    /// Frames that were heard although their packet was lost: a later one carried a copy
    /// (RFC 2198).
    pub recovered: u64,
    /// Packets of redundant audio, and blocks in them, that were not taken.
    pub red_refused: u64,
    /// Packets of comfort noise that came (RFC 3389).
    pub comfort_noise_received: u64,
    /// Packets of comfort noise that were sent.
    pub comfort_noise_sent: u64,
    /// Frames that were not sent because nobody spoke.
    pub suppressed: u64,
    /// What `refused` counts, by reason: subrosa_reason_text names each.
    pub refused_by: [u64; SUBROSA_MAX_REASONS],
    /// What `malformed_rtp` counts, by reason.
    pub malformed_rtp_by: [u64; SUBROSA_MAX_REASONS],
    /// What `malformed_rtcp` counts, by reason.
    pub malformed_rtcp_by: [u64; SUBROSA_MAX_REASONS],
    /// What `red_refused` counts, by reason.
    pub red_refused_by: [u64; SUBROSA_MAX_REASONS],
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_media_stats {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

fn micros(duration: crate::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A value of RFC 3611, -1 if it is unknown.
fn known(value: u8) -> f32 {
    if value == UNAVAILABLE { -1.0 } else { f32::from(value) }
}

/// The same of an opinion, which is told in tenths.
fn opinion(value: u8) -> f32 {
    if value == UNAVAILABLE { -1.0 } else { f32::from(value) / 10.0 }
}

impl subrosa_media_stats {
    pub(super) fn of(stats: &MediaStats) -> Self {
        let quality = stats.quality.unwrap_or_default();
        let remote = stats.remote_quality.unwrap_or_default();
        Self {
            size: 0,
            level_sent: stats.level_sent,
            level_received: stats.level_received,
            fraction_lost: stats.fraction_lost,
            remote_fraction_lost: stats.remote_fraction_lost,
            circuit_breaker: breaker_number(stats.circuit_breaker),
            has_quality: i32::from(stats.quality.is_some()),
            wideband: i32::from(quality.wideband),
            r_factor: quality.r_factor,
            mos_lq: quality.mos_lq,
            mos_cq: quality.mos_cq,
            loss_rate: quality.loss_rate,
            discard_rate: quality.discard_rate,
            burst_ratio: quality.burst_ratio,
            burst_density: quality.burst_density,
            gap_density: quality.gap_density,
            has_remote_quality: i32::from(stats.remote_quality.is_some()),
            remote_r_factor: known(remote.r_factor),
            remote_mos_lq: opinion(remote.mos_lq),
            remote_mos_cq: opinion(remote.mos_cq),
            remote_loss_rate: f32::from(remote.loss_rate) / 256.0,
            remote_discard_rate: f32::from(remote.discard_rate) / 256.0,
            burst_duration_us: micros(quality.burst_duration),
            gap_duration_us: micros(quality.gap_duration),
            delay_us: micros(quality.delay),
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            lost: stats.lost,
            remote_lost: stats.remote_lost,
            jitter_us: micros(stats.jitter),
            rtt_us: stats.rtt.map_or(0, micros),
            buffer_level_us: micros(stats.buffer_level),
            late: stats.late,
            concealed_frames: stats.concealed_frames,
            refused: stats.refused.iter().sum(),
            buffer_target_us: micros(stats.buffer_target),
            rtcp_sent: stats.rtcp_sent,
            rtcp_received: stats.rtcp_received,
            plain_dropped: stats.plain_dropped,
            malformed_rtp: stats.malformed_rtp,
            malformed_rtcp: stats.malformed_rtcp,
            other_protocol: stats.other_protocol,
            wrong_source: stats.wrong_source,
            unknown_payload_type: stats.unknown_payload_type,
            bad_payload: stats.bad_payload,
            out_of_sequence: stats.out_of_sequence,
            while_held: stats.while_held,
            duplicate: stats.duplicate,
            reordered: stats.reordered,
            jitter_overflow: stats.jitter_overflow,
            send_overflow: stats.send_overflow,
            protect_failures: stats.protect_failures,
            ssrc_changes: stats.ssrc_changes,
            events_dropped: stats.events_dropped,
            concealed_us: micros(stats.concealed),
            concealment_events: stats.concealment_events,
            shrunk_us: micros(stats.shrunk),
            stretched_us: micros(stats.stretched),
            buffer_delay_us: micros(stats.buffer_delay),
            recovered: stats.recovered,
            red_refused: stats.red_refused,
            comfort_noise_received: stats.comfort_noise_received,
            comfort_noise_sent: stats.comfort_noise_sent,
            suppressed: stats.suppressed,
            refused_by: spread(&stats.refused),
            malformed_rtp_by: spread(&stats.malformed_rtp_by),
            malformed_rtcp_by: spread(&stats.malformed_rtcp_by),
            red_refused_by: spread(&stats.red_refused_by),
        }
    }
}

/// The call had no media yet.
pub(super) fn no_media() -> Failure {
    Failure::new(SUBROSA_ERR_NO_MEDIA, "the call had no media yet")
}

/// Statistics of a call's media, the last ones after its end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_call_media_stats(
    engine: *const subrosa_engine,
    call: u64,
    out: *mut subrosa_media_stats,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Read, |state, _| {
            let out = OutStruct::new(out)?;
            let stats = find(state, call)?.media_stats().ok_or_else(no_media)?;
            out.write(subrosa_media_stats::of(&stats));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::named::{fields, numbered, same};
    use super::*;
    use crate::media::breaker::BreakerReason;
    use crate::media::quality::Quality;
    use crate::time::Duration;
    use crate::wire::rtcp::VoipMetrics;

    #[test]
    fn media_statistics_are_the_same_in_c() {
        let mut stats = numbered!(MediaStats::default(), 0;
            packets_sent, bytes_sent, packets_received, bytes_received, rtcp_sent, rtcp_received,
            lost, fraction_lost, remote_lost, remote_fraction_lost, plain_dropped, malformed_rtp,
            malformed_rtcp, other_protocol, wrong_source, unknown_payload_type, bad_payload,
            out_of_sequence, while_held, late, duplicate, reordered, concealed_frames,
            jitter_overflow, send_overflow, protect_failures, ssrc_changes, events_dropped,
            level_sent, level_received, concealment_events, recovered, red_refused,
            comfort_noise_received, comfort_noise_sent, suppressed);
        stats.jitter = Duration::from_micros(101);
        stats.rtt = Some(Duration::from_micros(102));
        stats.buffer_level = Duration::from_micros(103);
        stats.buffer_target = Duration::from_micros(104);
        stats.concealed = Duration::from_micros(108);
        stats.shrunk = Duration::from_micros(109);
        stats.stretched = Duration::from_micros(110);
        stats.buffer_delay = Duration::from_micros(111);
        let mut quality = numbered!(Quality::default(), 40;
            r_factor, mos_lq, mos_cq, loss_rate, discard_rate, burst_ratio, burst_density,
            gap_density);
        quality.wideband = true;
        quality.burst_duration = Duration::from_micros(105);
        quality.gap_duration = Duration::from_micros(106);
        quality.delay = Duration::from_micros(107);
        let mut remote = VoipMetrics::default();
        (remote.r_factor, remote.mos_lq, remote.mos_cq) = (90, 41, UNAVAILABLE);
        (remote.loss_rate, remote.discard_rate) = (64, 32);
        (stats.quality, stats.remote_quality) = (Some(quality), Some(remote));
        stats.circuit_breaker = Some(BreakerReason::MediaTimeout);
        stats.refused[0] = 5;
        stats.refused[1] = 6;
        stats.malformed_rtp_by[1] = 7;
        stats.malformed_rtcp_by[2] = 8;
        stats.red_refused_by[3] = 9;
        let told = subrosa_media_stats::of(&stats);
        same(&stats, &told, &[]);
        let times = (told.jitter_us, told.rtt_us, told.buffer_level_us, told.buffer_target_us);
        assert_eq!(times, (101, 102, 103, 104));
        let times = (told.concealed_us, told.shrunk_us, told.stretched_us, told.buffer_delay_us);
        assert_eq!(times, (108, 109, 110, 111));
        same(&quality, &told, &[]);
        assert_eq!((told.has_quality, told.wideband, told.circuit_breaker), (1, 1, 2));
        let times = (told.burst_duration_us, told.gap_duration_us, told.delay_us);
        assert_eq!(times, (105, 106, 107));
        let opinions = (told.remote_r_factor, told.remote_mos_lq, told.remote_mos_cq);
        assert_eq!(opinions, (90.0, 4.1, -1.0));
        let rates = (told.remote_loss_rate, told.remote_discard_rate);
        assert_eq!((told.has_remote_quality, rates), (1, (0.25, 0.125)));
        assert_eq!((told.refused, &told.refused_by[..3]), (11, &[5, 6, 0][..]));
        assert_eq!((told.malformed_rtp_by[1], told.malformed_rtcp_by[2]), (7, 8));
        assert_eq!(told.red_refused_by[3], 9);
        // Every number has one of its own: none was left out above, or in C.
        let empty = ["size", "reserved"];
        let zero = fields(&told).into_iter().find(|(n, v)| {
            !empty.contains(&n.as_str()) && v.parse::<f64>().is_ok_and(|v| v == 0.0)
        });
        assert_eq!(zero, None);
    }
}

//! What the phone says about its account, its call and how secure that is.

use std::fmt::Write;

use subrosa::driver::{CallInfo, CallLevels, DriverStats};
use subrosa::engine::{
    AccountState, AccountStatus, CallState, Padlock, SipDirection, SipTraceRecord, StepOutcome,
};
use subrosa::media::quality::Quality;
use subrosa::media::session::MediaStats;
use subrosa::wire::rtcp::{UNAVAILABLE, VoipMetrics};

use crate::display::Paint;
use crate::meter;

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;

/// One line of figures.
pub(crate) fn figures(media: &MediaStats) -> String {
    format!(
        "packets sent {}, received {}, lost {}, jitter {:.1} ms",
        media.packets_sent,
        media.packets_received,
        media.lost,
        milliseconds(media.jitter)
    )
}

fn milliseconds(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn state(info: &CallInfo) -> &'static str {
    match (info.state, info.holds) {
        (CallState::Established, (true, true)) => "on hold at both ends",
        (CallState::Established, (true, false)) => "on hold",
        (CallState::Established, (false, true)) => "held by the far end",
        (CallState::Established, _) => "established",
        (CallState::Ended, _) => "ended",
        _ => "calling",
    }
}

/// The live line of a call: at most 80 columns.
pub(crate) fn live(
    info: &CallInfo,
    seconds: Option<u64>,
    muted: bool,
    levels: CallLevels,
    paint: Paint,
) -> String {
    let padlock = info.security.padlock();
    let color = match padlock {
        Padlock::EncryptedToProvider | Padlock::VerifiedEndToEnd => GREEN,
        Padlock::SignallingOnly => YELLOW,
        _ => RED,
    };
    let Some(seconds) = seconds else { return format!("{}, {}", state(info), info.remote) };
    let mut line = format!("{} ", paint.color(color, &format!("● {padlock}")));
    // Writing to a String cannot fail.
    let _ = write!(line, " {:02}:{:02}  {}", seconds / 60, seconds % 60, state(info));
    if muted {
        let _ = write!(line, ", {}", paint.color(YELLOW, "muted"));
    }
    if let (Some(media), Some(codec)) = (&info.media, info.codec) {
        let (we, they) = (meter::bar(levels.sent), meter::bar(levels.received));
        let _ = write!(line, "  {} we {we} they {they}  lost {}", codec.as_str(), media.lost);
        let _ = match media.quality {
            Some(quality) => write!(line, "  MOS {:.1}", quality.mos_cq),
            None => Ok(()),
        };
    }
    line
}

/// How loud both ends are.
pub(crate) fn levels(levels: CallLevels) -> String {
    let (we, they) = (meter::figures(levels.sent), meter::figures(levels.received));
    rows(&[("we", we), ("they", they)])
}

/// The account in one line.
pub(crate) fn account(account: &AccountStatus) -> String {
    let state = match account.state {
        AccountState::Registered { .. } => "registered",
        AccountState::Registering => "registering",
        AccountState::Failed => "not registered, the last attempt failed",
        _ => "not registered",
    };
    format!("{}: {state}, policy {}", account.aor, account.policy)
}

/// How the account's signalling travels, and what was tried before if that is not as wanted.
pub(crate) fn way(account: &AccountStatus) -> String {
    let Some(transport) = account.transport else { return "signalling: no way yet".to_owned() };
    if !account.fallback {
        return format!("signalling over {transport}");
    }
    let tried: Vec<String> = account
        .ladder
        .iter()
        .filter(|step| step.outcome != StepOutcome::Up)
        .map(|step| format!("{} {}", step.transport, step.outcome))
        .collect();
    format!("signalling over {transport}, not TLS: {}; tried again later", tried.join(", "))
}

/// The call in one line.
pub(crate) fn call(info: &CallInfo) -> String {
    format!("{}: {}, {}", info.remote, state(info), info.security)
}

/// All figures of the call, and what the driver had to drop.
pub(crate) fn stats(info: &CallInfo, driver: &DriverStats) -> String {
    let Some(media) = &info.media else { return "no media yet".to_owned() };
    let rtt =
        media.rtt.map_or("not known yet".into(), |rtt| format!("{:.1} ms", milliseconds(rtt)));
    let codec = info.codec.map_or("no codec", |codec| codec.as_str());
    rows(&[
        ("codec", codec.to_owned()),
        ("sent", format!("{} packets, {} bytes", media.packets_sent, media.bytes_sent)),
        ("received", format!("{} packets, {} bytes", media.packets_received, media.bytes_received)),
        ("lost", format!("{} here, {} at the far end", media.lost, media.remote_lost)),
        (
            "order",
            format!(
                "{} late, {} twice, {} out of order",
                media.late, media.duplicate, media.reordered
            ),
        ),
        ("jitter", format!("{:.1} ms", milliseconds(media.jitter))),
        ("round trip", rtt),
        ("quality here", media.quality.map_or("not known yet".into(), quality)),
        ("there", media.remote_quality.map_or("the far end does not say".into(), told)),
        (
            "garbage",
            format!(
                "{} refused by SRTP, {} no RTP, {} no RTCP, {} from elsewhere",
                media.refused.iter().sum::<u64>(),
                media.malformed_rtp,
                media.malformed_rtcp,
                media.wrong_source
            ),
        ),
        (
            "driver",
            format!(
                "{} ticks skipped, {} datagrams refused",
                driver.ticks_skipped, driver.datagrams_refused
            ),
        ),
    ])
}

/// How good the far end sounds.
fn quality(q: Quality) -> String {
    format!(
        "MOS {:.1} to listen, {:.1} to talk, R {:.0}; {:.1} % lost, {:.1} % too late; {:.0} ms delay",
        q.mos_lq,
        q.mos_cq,
        q.r_factor,
        q.loss_rate * 100.0,
        q.discard_rate * 100.0,
        milliseconds(q.delay)
    )
}

/// How good we sound there, as the far end says.
fn told(metrics: VoipMetrics) -> String {
    let tenths = |mos: u8| match mos {
        UNAVAILABLE => "unknown".to_owned(),
        mos => format!("{:.1}", f32::from(mos) / 10.0),
    };
    format!("MOS {} to listen, {} to talk", tenths(metrics.mos_lq), tenths(metrics.mos_cq))
}

/// How secure the call is, with the evidence.
pub(crate) fn security(info: &CallInfo) -> String {
    let report = &info.security;
    let mut lines = vec![("padlock", report.padlock().to_string()), ("", report.to_string())];
    lines.extend(report.evidence());
    rows(&lines)
}

/// A SIP message of the trace.
pub(crate) fn traced(record: &SipTraceRecord) -> String {
    let how = match record.direction {
        SipDirection::Sent => "sent to",
        SipDirection::Received => "received from",
    };
    let lines: Vec<String> = record.text.lines().map(|line| format!("  {line}")).collect();
    format!("SIP {how} {} ({})\n{}", record.remote, record.transport, lines.join("\n"))
}

fn rows(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("  {name:width$}  {value}")).collect();
    lines.join("\n")
}

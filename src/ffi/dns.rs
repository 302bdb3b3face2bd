//! DNS answers.

use super::engine::{subrosa_engine, with};
use super::guard::{Access, Failure};
use super::pointer::{slice, subrosa_str};
use super::status::subrosa_status;
use crate::engine::Input;
use crate::sip::dns::{DnsAnswer, DnsRecord, QueryId, RecordKind};
use crate::time::Instant;

/// NAPTR records.
pub const SUBROSA_DNS_NAPTR: i32 = 1;
/// SRV records.
pub const SUBROSA_DNS_SRV: i32 = 2;
/// A records.
pub const SUBROSA_DNS_A: i32 = 3;
/// AAAA records.
pub const SUBROSA_DNS_AAAA: i32 = 4;

/// There are records: those given.
pub const SUBROSA_DNS_RECORDS: i32 = 0;
/// There are no such records, or no such name.
pub const SUBROSA_DNS_NOT_FOUND: i32 = 1;
/// No server answered.
pub const SUBROSA_DNS_FAILED: i32 = 2;

/// One DNS record; which fields count depends on its kind.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_dns_record {
    /// A SUBROSA_DNS_ record kind.
    pub kind: i32,
    /// SRV: priority. NAPTR: order.
    pub priority: u16,
    /// SRV: weight. NAPTR: preference.
    pub weight: u16,
    /// SRV: port.
    pub port: u16,
    /// A: 4 bytes. AAAA: 16 bytes.
    pub ip: [u8; 16],
    /// SRV: target. NAPTR: replacement.
    pub target: subrosa_str,
    /// NAPTR: flags.
    pub flags: subrosa_str,
    /// NAPTR: service.
    pub service: subrosa_str,
}

pub(super) fn kind_number(kind: RecordKind) -> i32 {
    match kind {
        RecordKind::Naptr => SUBROSA_DNS_NAPTR,
        RecordKind::Srv => SUBROSA_DNS_SRV,
        RecordKind::A => SUBROSA_DNS_A,
        RecordKind::Aaaa => SUBROSA_DNS_AAAA,
    }
}

impl subrosa_dns_record {
    unsafe fn record(&self) -> Result<DnsRecord, Failure> {
        // SAFETY: the caller's promise.
        let text = |text: subrosa_str| unsafe { text.text() }.map(str::to_owned);
        let [a, b, c, d, ..] = self.ip;
        match self.kind {
            SUBROSA_DNS_A => Ok(DnsRecord::A([a, b, c, d].into())),
            SUBROSA_DNS_AAAA => Ok(DnsRecord::Aaaa(self.ip.into())),
            SUBROSA_DNS_SRV => Ok(DnsRecord::Srv {
                priority: self.priority,
                weight: self.weight,
                port: self.port,
                target: text(self.target)?,
            }),
            SUBROSA_DNS_NAPTR => Ok(DnsRecord::Naptr {
                order: self.priority,
                preference: self.weight,
                flags: text(self.flags)?,
                service: text(self.service)?,
                replacement: text(self.target)?,
            }),
            other => Err(Failure::invalid(format!("{other} is not a SUBROSA_DNS_ kind"))),
        }
    }
}

/// Answers a SUBROSA_OUTPUT_RESOLVE: `result` says whether there are records.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_handle_resolved(
    engine: *mut subrosa_engine,
    now_us: u64,
    query: u64,
    result: i32,
    records: *const subrosa_dns_record,
    count: usize,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, _| {
            let answer = match result {
                SUBROSA_DNS_RECORDS => {
                    let records = slice(records, count)?.iter().take(64);
                    DnsAnswer::Records(records.map(|r| r.record()).collect::<Result<_, _>>()?)
                }
                SUBROSA_DNS_NOT_FOUND => DnsAnswer::NotFound,
                SUBROSA_DNS_FAILED => DnsAnswer::Failed,
                other => return Err(Failure::invalid(format!("{other} is not a DNS result"))),
            };
            let input = Input::Resolved { query: QueryId::from_raw(query), answer };
            Ok(state.engine.handle_input(Instant::from_micros(now_us), input)?)
        })
    }
}

//! No packet index is used twice under one SRTP key.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{Fact, Rule};
use crate::crypto::srtp::Suite;
use crate::sim::host::HostId;
use crate::sim::wiretap::{Kind, Packet, Wiretap, srtcp_index};
use crate::time::Instant;

/// No SRTP or SRTCP packet index is used twice under one key and SSRC, and no ciphertext ever
/// repeats.
///
/// The wire shows sequence numbers and SRTCP indices. Keys and roll-over counters are told by
/// [`Fact::SrtpProgress`] before each packet; what is told must fit what the wire then shows.
/// Of a host that tells nothing, the wire alone is judged.
#[derive(Debug, Default)]
pub struct NoKeyReuse {
    /// Hosts that play foul: they replay what others sent.
    hostile: BTreeSet<HostId>,
    /// What was told of each source last.
    told: BTreeMap<(HostId, u32), Told>,
    /// The highest RTP index under each key.
    rtp: BTreeMap<(HostId, u32, u32), u64>,
    /// The highest SRTCP index under each key.
    rtcp: BTreeMap<(HostId, u32, u32), u32>,
    /// Per sender and SSRC that tells nothing: the highest extended sequence number.
    highest: BTreeMap<(HostId, SocketAddr, u32), u64>,
    ciphertexts: BTreeSet<u64>,
    wiretap: Wiretap,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    suite: Suite,
    mki_len: usize,
    generation: u32,
    index: Option<u64>,
}

impl Rule for NoKeyReuse {
    fn name(&self) -> &'static str {
        "no key is used twice with the same index"
    }

    fn observe(&mut self, fact: &Fact<'_>, _: Instant) -> Result<(), String> {
        let kind = self.wiretap.listen(fact);
        match *fact {
            Fact::Hostile { host } => _ = self.hostile.insert(host),
            Fact::SrtpProgress {
                host,
                ssrc,
                suite,
                mki_len,
                generation,
                roll_over,
                sequence,
                ..
            } => {
                let index = sequence.map(|s| (u64::from(roll_over) << 16) | u64::from(s));
                self.told.insert((host, ssrc), Told { suite, mki_len, generation, index });
            }
            Fact::Datagram { host, to, payload, .. } if !self.hostile.contains(&host) => {
                return self.packet(host, to, payload, kind);
            }
            _ => {}
        }
        Ok(())
    }
}

impl NoKeyReuse {
    fn packet(
        &mut self,
        host: HostId,
        to: SocketAddr,
        payload: &[u8],
        kind: Option<Kind>,
    ) -> Result<(), String> {
        let packet = Packet::new(payload);
        let body = match kind {
            Some(Kind::Srtp) => {
                self.srtp(host, to, &packet)?;
                payload.get(12..)
            }
            Some(Kind::Srtcp) => {
                self.srtcp(host, payload)?;
                payload.get(8..)
            }
            _ => None,
        };
        if let Some(body) = body
            && body.len() >= 16
            && !self.ciphertexts.insert(fingerprint(body))
        {
            return Err(format!("{host:?} sent the same ciphertext twice, to {to}"));
        }
        Ok(())
    }

    fn srtp(&mut self, host: HostId, to: SocketAddr, packet: &Packet<'_>) -> Result<(), String> {
        let (Some(ssrc), Some(sequence)) = (packet.ssrc(), packet.sequence()) else {
            return Ok(());
        };
        let told = self.told.get(&(host, ssrc)).and_then(|t| Some((t.generation, t.index?)));
        let Some((generation, index)) = told else { return self.advance(host, to, packet) };
        if index as u16 != sequence {
            return Err(format!("{host:?} tells index {index:#x} of the packet {sequence:#x}"));
        }
        let highest = self.rtp.insert((host, ssrc, generation), index);
        match highest.filter(|highest| index <= *highest) {
            Some(highest) => Err(format!(
                "{host:?} went from index {highest:#x} of SSRC {ssrc:08x} back to {index:#x} under \
                 its key number {generation}"
            )),
            None => Ok(()),
        }
    }

    /// A sender's sequence numbers rise by less than half their range from packet to packet.
    fn advance(&mut self, host: HostId, to: SocketAddr, packet: &Packet<'_>) -> Result<(), String> {
        let (Some(ssrc), Some(sequence)) = (packet.ssrc(), packet.sequence()) else {
            return Ok(());
        };
        let Some(highest) = self.highest.get_mut(&(host, to, ssrc)) else {
            self.highest.insert((host, to, ssrc), u64::from(sequence));
            return Ok(());
        };
        let step = sequence.wrapping_sub(*highest as u16);
        if step == 0 || step >= 0x8000 {
            return Err(format!(
                "{host:?} went from sequence number {} of SSRC {ssrc:08x} to {sequence}",
                *highest as u16
            ));
        }
        *highest = highest.saturating_add(u64::from(step));
        Ok(())
    }

    /// The index of SRTCP is on the wire; the suite tells where.
    fn srtcp(&mut self, host: HostId, packet: &[u8]) -> Result<(), String> {
        let ssrc = packet.get(4..8).and_then(|b| b.try_into().ok()).map(u32::from_be_bytes);
        let Some(ssrc) = ssrc else { return Ok(()) };
        let Some(told) = self.told.get(&(host, ssrc)) else { return Ok(()) };
        let Some(word) = srtcp_index(packet, told.suite, told.mki_len) else {
            return Err(format!("{host:?} sent SRTCP without an index"));
        };
        let (encrypted, index) = (word & (1 << 31) != 0, word & !(1 << 31));
        if !encrypted {
            return Err(format!("{host:?} sent SRTCP that is not encrypted"));
        }
        match self.rtcp.insert((host, ssrc, told.generation), index).filter(|h| index <= *h) {
            Some(highest) => Err(format!(
                "{host:?} went from SRTCP index {highest} of SSRC {ssrc:08x} to {index} under its \
                 key number {}",
                told.generation
            )),
            None => Ok(()),
        }
    }
}

/// FNV-1a, 64 bits: enough to tell apart the packets of a run.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

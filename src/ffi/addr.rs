//! Addresses without the platform's socket headers.

use std::ffi::c_char;
use std::net::{IpAddr, SocketAddr};

use super::guard::{Failure, guard};
use super::pointer::{Out, slice_mut, subrosa_str};
use super::status::{SUBROSA_ERR_LIMIT, SUBROSA_ERR_PANIC, status_of, subrosa_status};

/// An IP address and a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct subrosa_addr {
    /// The address in network order: the first 4 bytes, or all 16.
    pub ip: [u8; 16],
    /// The port, in the machine's own order.
    pub port: u16,
    /// 4 or 6.
    pub family: u8,
    /// 0.
    pub reserved: u8,
}

impl From<SocketAddr> for subrosa_addr {
    fn from(address: SocketAddr) -> Self {
        let mut ip = [0; 16];
        let family = match address.ip() {
            IpAddr::V4(v4) => {
                for (to, from) in ip.iter_mut().zip(v4.octets()) {
                    *to = from;
                }
                4
            }
            IpAddr::V6(v6) => {
                ip = v6.octets();
                6
            }
        };
        Self { ip, port: address.port(), family, reserved: 0 }
    }
}

impl subrosa_addr {
    pub(super) fn address(self) -> Result<SocketAddr, Failure> {
        let [a, b, c, d, ..] = self.ip;
        let ip = match self.family {
            4 => IpAddr::from([a, b, c, d]),
            6 => IpAddr::from(self.ip),
            other => return Err(Failure::invalid(format!("{other} is no family: give 4 or 6"))),
        };
        Ok(SocketAddr::new(ip, self.port))
    }
}

/// Reads an address such as `192.0.2.1:5060` or `[2001:db8::1]:5060`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_addr_parse(
    text: subrosa_str,
    out: *mut subrosa_addr,
) -> subrosa_status {
    let parse = || {
        // SAFETY: the caller's promise.
        let (text, out) = unsafe { (text.text()?, Out::new(out)?) };
        let address: SocketAddr =
            text.parse().map_err(|_| Failure::invalid("not an address with a port"))?;
        out.write(address.into());
        Ok(())
    };
    guard(|| status_of(parse()), SUBROSA_ERR_PANIC)
}

/// Writes an address as text, NUL-terminated; 64 bytes are always enough.
/// SUBROSA_ERR_LIMIT if they are not: nothing is written then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_addr_text(
    addr: subrosa_addr,
    buffer: *mut c_char,
    room: usize,
) -> subrosa_status {
    let write = || {
        // SAFETY: the caller's promise.
        let buffer = unsafe { slice_mut(buffer.cast::<u8>(), room)? };
        let text = addr.address()?.to_string();
        let place = buffer.get_mut(..=text.len());
        let place = place.ok_or_else(|| Failure::new(SUBROSA_ERR_LIMIT, "no room"))?;
        for (to, from) in place.iter_mut().zip(text.bytes().chain([0])) {
            *to = from;
        }
        Ok(())
    };
    guard(|| status_of(write()), SUBROSA_ERR_PANIC)
}

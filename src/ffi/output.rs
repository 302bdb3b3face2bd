//! What the engine wants done: one struct, filled by polling.

use super::addr::subrosa_addr;
use super::dns::kind_number;
use super::engine::{subrosa_engine, with};
use super::event::{SUBROSA_EVENT_OTHER, subrosa_event};
use super::guard::{Access, Texts};
use super::media_link::{subrosa_media_update, update_handle};
use super::pointer::{OutStruct, Versioned, slice_mut, subrosa_str};
use super::status::subrosa_status;
use crate::engine::Output;

/// Nothing more to do until `at_us` (if `has_at`), or until something comes in. Always the last.
pub const SUBROSA_OUTPUT_TIMEOUT: i32 = 0;
/// Send `data` from socket `id` to `addr`.
pub const SUBROSA_OUTPUT_DATAGRAM: i32 = 1;
/// Write `data` to stream `id`, all of it and in order.
pub const SUBROSA_OUTPUT_STREAM_DATA: i32 = 2;
/// Open a TCP connection to `addr`; it is stream `id`.
pub const SUBROSA_OUTPUT_CONNECT: i32 = 3;
/// Close stream `id` once what was written is sent.
pub const SUBROSA_OUTPUT_CLOSE_STREAM: i32 = 4;
/// Listen for TCP connections at `addr`; it is listener `id`.
pub const SUBROSA_OUTPUT_LISTEN: i32 = 5;
/// Bind a UDP socket to `addr`; it is socket `id`.
pub const SUBROSA_OUTPUT_BIND_UDP: i32 = 6;
/// Close UDP socket `id`.
pub const SUBROSA_OUTPUT_CLOSE_UDP: i32 = 7;
/// Ask the DNS for `name`, record kind `dns_kind`; it is query `id`.
pub const SUBROSA_OUTPUT_RESOLVE: i32 = 8;
/// `event` tells the application something.
pub const SUBROSA_OUTPUT_EVENT: i32 = 9;
/// The buffer cannot hold the next output: poll again with at least `needed` bytes.
pub const SUBROSA_OUTPUT_BUFFER_TOO_SMALL: i32 = 10;
/// Something that this version of the C interface does not know: go on polling.
pub const SUBROSA_OUTPUT_OTHER: i32 = 11;
/// Give `update` to the media session that was taken from call `id`: subrosa_media_handle_update,
/// each of them and in order. The update is the caller's from now on, to be freed with
/// subrosa_media_update_free. One that is never applied is bounded harm: the call's security is
/// shown as the weaker of before and after, its sockets stay open for two seconds after its end,
/// and if a later update is applied without it, the session is silent and the call ends.
pub const SUBROSA_OUTPUT_MEDIA: i32 = 12;

/// An output; which fields count depends on its kind, the others are 0 or empty.
/// Set `size` to sizeof before polling.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct subrosa_output {
    /// sizeof this struct.
    pub size: u32,
    /// A SUBROSA_OUTPUT_.
    pub kind: i32,
    /// Which socket, stream, listener, query or call.
    pub id: u64,
    /// Which address.
    pub addr: subrosa_addr,
    /// A SUBROSA_DNS_ record kind.
    pub dns_kind: i32,
    /// 1 if `at_us` counts.
    pub has_at: i32,
    /// The host's clock, microseconds.
    pub at_us: u64,
    /// Bytes to send: they lie in the buffer that was given.
    pub data: *const u8,
    /// How many.
    pub data_len: usize,
    /// Bytes that the buffer needs.
    pub needed: usize,
    /// A name to look up.
    pub name: subrosa_str,
    /// What happened.
    pub event: subrosa_event,
    /// A change of media: the caller frees it. NULL with every other kind.
    pub update: *mut subrosa_media_update,
}

// SAFETY: repr(C), Copy, the first field is the size.
unsafe impl Versioned for subrosa_output {
    const FIRST: usize = size_of::<Self>();
    fn set_size(&mut self, size: u32) {
        self.size = size;
    }
}

impl subrosa_output {
    pub(super) fn new(kind: i32, id: u64) -> Self {
        Self {
            size: 0,
            kind,
            id,
            addr: subrosa_addr::default(),
            dns_kind: 0,
            has_at: 0,
            at_us: 0,
            data: std::ptr::null(),
            data_len: 0,
            needed: 0,
            name: subrosa_str::borrowed(""),
            event: subrosa_event::new(SUBROSA_EVENT_OTHER),
            update: std::ptr::null_mut(),
        }
    }

    fn with_data(self, data: &[u8]) -> Self {
        Self { data: data.as_ptr(), data_len: data.len(), ..self }
    }

    fn from_output(output: &Output<'_>, texts: &mut Texts) -> Self {
        match output {
            Output::Datagram { socket, remote, payload } => Self {
                addr: (*remote).into(),
                ..Self::new(SUBROSA_OUTPUT_DATAGRAM, socket.to_raw()).with_data(payload)
            },
            Output::StreamData { stream, data } => {
                Self::new(SUBROSA_OUTPUT_STREAM_DATA, stream.to_raw()).with_data(data)
            }
            Output::Connect { stream, remote } => Self {
                addr: (*remote).into(),
                ..Self::new(SUBROSA_OUTPUT_CONNECT, stream.to_raw())
            },
            Output::CloseStream { stream } => {
                Self::new(SUBROSA_OUTPUT_CLOSE_STREAM, stream.to_raw())
            }
            Output::Listen { listener, local } => Self {
                addr: (*local).into(),
                ..Self::new(SUBROSA_OUTPUT_LISTEN, listener.to_raw())
            },
            Output::BindUdp { socket, local } => Self {
                addr: (*local).into(),
                ..Self::new(SUBROSA_OUTPUT_BIND_UDP, socket.to_raw())
            },
            Output::CloseUdp { socket } => Self::new(SUBROSA_OUTPUT_CLOSE_UDP, socket.to_raw()),
            Output::Resolve { query, name, kind } => Self {
                dns_kind: kind_number(*kind),
                name: texts.lend(name),
                ..Self::new(SUBROSA_OUTPUT_RESOLVE, query.to_raw())
            },
            Output::Event(event) => Self {
                event: subrosa_event::from_event(event, texts),
                ..Self::new(SUBROSA_OUTPUT_EVENT, 0)
            },
            Output::BufferTooSmall { needed } => {
                Self { needed: *needed, ..Self::new(SUBROSA_OUTPUT_BUFFER_TOO_SMALL, 0) }
            }
            Output::Timeout(at) => Self {
                has_at: i32::from(at.is_some()),
                at_us: at.map_or(0, |at| at.as_micros()),
                ..Self::new(SUBROSA_OUTPUT_TIMEOUT, 0)
            },
            #[allow(unreachable_patterns)]
            _ => Self::new(SUBROSA_OUTPUT_OTHER, 0),
        }
    }
}

/// The next thing to do. After every input and every command, poll and do what it says until
/// SUBROSA_OUTPUT_TIMEOUT. Bytes to send are written into `buffer`: 2048 bytes are a good size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn subrosa_engine_poll_output(
    engine: *mut subrosa_engine,
    buffer: *mut u8,
    room: usize,
    out: *mut subrosa_output,
) -> subrosa_status {
    // SAFETY: the caller's promise.
    unsafe {
        with(engine, Access::Change, |state, texts| {
            let (buffer, out) = (slice_mut(buffer, room)?, OutStruct::new(out)?);
            out.write(match state.engine.poll_output(buffer) {
                Output::Media { call, update } => subrosa_output {
                    update: update_handle(*update),
                    ..subrosa_output::new(SUBROSA_OUTPUT_MEDIA, call.to_raw())
                },
                output => subrosa_output::from_output(&output, texts),
            });
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::named::{count, number};
    use super::*;
    use crate::engine::Event;
    use crate::sip::dns::{QueryId, RecordKind};
    use crate::sip::{ListenerId, SocketId, StreamId};
    use crate::time::Instant;

    #[test]
    fn each_output_is_told_with_its_kind_and_all_that_it_asks_for() {
        let (remote, local) = (([192, 0, 2, 1], 5).into(), ([192, 0, 2, 2], 6).into());
        let name = "example.com".to_owned();
        // Its id, the port of its address, its bytes, the room it needs, its instant.
        let cases = [
            (
                Output::Datagram { socket: SocketId::from_raw(1), remote, payload: b"abc" },
                (1, 5, 3, 0, None),
            ),
            (Output::StreamData { stream: StreamId::from_raw(2), data: b"ab" }, (2, 0, 2, 0, None)),
            (Output::Connect { stream: StreamId::from_raw(3), remote }, (3, 5, 0, 0, None)),
            (Output::CloseStream { stream: StreamId::from_raw(4) }, (4, 0, 0, 0, None)),
            (Output::Listen { listener: ListenerId::from_raw(5), local }, (5, 6, 0, 0, None)),
            (Output::BindUdp { socket: SocketId::from_raw(6), local }, (6, 6, 0, 0, None)),
            (Output::CloseUdp { socket: SocketId::from_raw(7) }, (7, 0, 0, 0, None)),
            (
                Output::Resolve { query: QueryId::from_raw(8), name, kind: RecordKind::Srv },
                (8, 0, 0, 0, None),
            ),
            (
                Output::Event(Event::CallEstablished { call: crate::engine::CallId::from_raw(9) }),
                (0, 0, 0, 0, None),
            ),
            (Output::BufferTooSmall { needed: 1200 }, (0, 0, 0, 1200, None)),
            (Output::Timeout(None), (0, 0, 0, 0, None)),
            (Output::Timeout(Some(Instant::from_micros(0))), (0, 0, 0, 0, Some(0))),
            (Output::Timeout(Some(Instant::from_micros(10))), (0, 0, 0, 0, Some(10))),
        ];
        let mut kinds = std::collections::BTreeSet::new();
        for (output, expected) in cases {
            let mut texts = Texts::default();
            let out = subrosa_output::from_output(&output, &mut texts);
            let at = (out.has_at == 1).then_some(out.at_us);
            let told = (out.id, out.addr.port, out.data_len, out.needed, at);
            assert_eq!(told, expected, "{output:?}");
            assert_eq!(out.kind, number("SUBROSA_OUTPUT_", &output), "{output:?}");
            if let Output::Resolve { name, kind, .. } = &output {
                // SAFETY: lent by `texts`, which lives.
                assert_eq!(unsafe { out.name.text() }.unwrap(), name);
                assert_eq!(out.dns_kind, kind_number(*kind));
            }
            let call = if let Output::Event(_) = output { 9 } else { 0 };
            assert_eq!(out.event.call, call);
            kinds.insert(out.kind);
        }
        // Media is told where it is polled: its update is the caller's from then on.
        assert_eq!(kinds.len(), count("SUBROSA_OUTPUT_") - 1, "an output without a case here");
    }
}

//! One step: a command of the application's, an input from the network, or time.

use subrosa::engine::{AccountConfig, CallOptions, Codec, Input, SecurityPolicy};
use subrosa::sip::Transport;
use subrosa::sip::dns::{DnsAnswer, DnsRecord};
use subrosa::time::{Duration, UnixTime};
use subrosa::util::Secret;
use subrosa::wire::sip::{Message, Uri};

use crate::bytes::Bytes;
use crate::peer;
use crate::world::{World, address};

const TARGETS: [&str; 8] = [
    "sip:bob@192.0.2.9;transport=udp",
    "sip:bob@192.0.2.9:5070",
    "sip:bob@192.0.2.9;transport=tcp",
    "sips:bob@bob.test",
    "sip:bob@example.com",
    "sip:bob@example.com;transport=udp?Subject=x",
    "tel:+1234",
    "sip:bob@[2001:db8::9]",
];
const DOMAINS: [&str; 3] = ["192.0.2.9", "example.com", "bob.test"];
const REMOTES: [&str; 4] = [peer::HOST, "192.0.2.9:5070", "192.0.2.66:5060", "192.0.2.9:4000"];
const SPANS: [u64; 8] = [1, 20, 100, 500, 4_000, 32_000, 200_000, 3_600_000];
const FAR_RECORDS: usize = 80;

/// Takes one step.
pub fn step(world: &mut World, bytes: &mut Bytes<'_>) {
    match bytes.u8() % 24 {
        0 => place(world, bytes),
        n @ 1..=8 => command(world, n, bytes),
        9 => {
            if let Some(call) = bytes.of(&world.calls) {
                world.forget(call);
            }
        }
        10 => account(world, bytes),
        11 => {
            if let Some(id) = bytes.of(&world.accounts) {
                let _ = world.engine.remove_account(world.now, id);
                world.drain();
            }
        }
        12 => pcm(world, bytes),
        13 => {
            let span = bytes.of(&SPANS).unwrap_or(1);
            world.now += Duration::from_millis(span);
            world.input(Input::Timeout);
        }
        14 => (0..=bytes.u8() % 16).for_each(|_| world.elapse()),
        15 => {
            let message = peer::request(None, bytes);
            deliver(world, message, bytes);
        }
        16 => {
            let message = sent(world, bytes).and_then(|s| peer::response(&s, bytes));
            deliver(world, message.unwrap_or_default(), bytes);
        }
        17 => {
            let message = peer::request(sent(world, bytes).as_ref(), bytes);
            deliver(world, message, bytes);
        }
        18 => {
            let message = peer::spliced(sent(world, bytes).as_ref(), bytes);
            deliver(world, message, bytes);
        }
        19 => media(world, bytes),
        20 => resolved(world, bytes),
        21 => stream(world, bytes),
        22 => {
            if let Some(listener) = bytes.of(&world.listeners) {
                world.accept(listener, address("192.0.2.9:33333"));
            }
        }
        _ => match bytes.u8() % 8 {
            0 => world.input(Input::NetworkChanged),
            1 => {
                let unix = UnixTime::from_secs(u64::from(bytes.u16()) << 16);
                world.input(Input::WallClock(unix));
            }
            2 => {
                let domain = bytes.of(&DOMAINS).unwrap_or(DOMAINS[0]);
                world.set_policy(domain, bytes.u8());
            }
            n => {
                world.bound(n & 1 == 0);
                world.drain();
            }
        },
    }
}

/// A message that the engine sent, the latest first.
fn sent(world: &World, bytes: &mut Bytes<'_>) -> Option<Message> {
    let at = usize::from(bytes.u8());
    let len = world.sent.len();
    if len == 0 { None } else { world.sent.get(at % len).cloned() }
}

fn options(bytes: &mut Bytes<'_>) -> CallOptions {
    let choice = bytes.u8();
    let mut options = CallOptions::default();
    options.sample_rate = [16_000, 8_000, 48_000, 44_100, 11][usize::from(choice % 5)];
    if choice & 0x40 != 0 {
        options.codecs = vec![Codec::Pcmu];
    }
    options.policy = match choice >> 5 & 7 {
        6 => SecurityPolicy::Preferred,
        7 => SecurityPolicy::Required,
        _ => SecurityPolicy::Off,
    };
    options
}

fn place(world: &mut World, bytes: &mut Bytes<'_>) {
    if world.accounts.is_empty() {
        account(world, &mut Bytes(&[0]));
    }
    let Some(from) = bytes.of(&world.accounts) else { return };
    let to = Uri::parse(bytes.of(&TARGETS).unwrap_or(TARGETS[0])).expect("a URI");
    let options = options(bytes);
    if let Ok(call) = world.engine.place_call(world.now, from, &to, options) {
        world.announce(call);
    }
    world.drain();
}

fn command(world: &mut World, which: u8, bytes: &mut Bytes<'_>) {
    let now = world.now;
    let Some(id) = bytes.of(&world.calls) else { return };
    if let Some(mut call) = world.engine.call(id) {
        // A command out of place is an error of its own, and changes nothing.
        let _ = match which {
            1 => call.accept(now, options(bytes)),
            2 => call.reject(now, bytes.u16() % 800),
            3 => call.hang_up(now),
            4 => call.hold(now),
            5 => call.resume(now),
            6 => {
                let (key, span) = (char::from(bytes.u8()), u64::from(bytes.u8()) * 40);
                call.send_dtmf(now, key, Duration::from_millis(span))
            }
            7 => call.mute(now, bytes.u8() & 1 == 0),
            _ => call.ring(now),
        };
        let _ = (call.security().padlock(), call.media_stats(), call.codec(), call.remote());
    }
    world.drain();
}

fn account(world: &mut World, bytes: &mut Bytes<'_>) {
    let choice = bytes.u8();
    let aor = match choice & 0x41 {
        0 => "sip:alice@192.0.2.9",
        1 => "sip:alice@example.com",
        _ => "sip:alice@bob.test",
    };
    let mut account = AccountConfig::new(Uri::parse(aor).expect("a URI"));
    account.register = choice & 2 != 0;
    account.password = Some(Secret::new("sEcReT".into()));
    account.transport = match choice >> 2 & 3 {
        0 => Some(Transport::Udp),
        1 => Some(Transport::Tcp),
        2 => Some(Transport::Tls),
        _ => None,
    };
    if choice & 16 != 0 {
        account.outbound_proxy = Uri::parse("sip:192.0.2.9;lr").ok();
    }
    account.display_name = if choice & 32 != 0 { "A \"B\" <c>".into() } else { String::new() };
    if world.accounts.len() < 4
        && let Ok(id) = world.engine.add_account(world.now, account)
    {
        world.accounts.push(id);
    }
    world.drain();
}

fn pcm(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some(call) = bytes.of(&world.calls) else { return };
    let len = usize::from(bytes.u8()) * 8;
    let pcm: Vec<i16> = (0..len).map(|i| (i as i16).wrapping_mul(331)).collect();
    let mut heard = vec![0; len];
    let _ = world.engine.write_pcm(world.now, call, &pcm);
    let _ = world.engine.read_pcm(world.now, call, &mut heard);
    world.drain();
}

/// Over UDP, or over a stream: whole, byte by byte, or in two.
fn deliver(world: &mut World, mut message: Vec<u8>, bytes: &mut Bytes<'_>) {
    let way = bytes.u8();
    if way & 0x80 == 0 {
        let Some(socket) = world.sip else { return };
        let remote = address(REMOTES[usize::from(way % 4)]);
        return world.input(Input::Datagram { socket, remote, payload: &mut message });
    }
    let Some(stream) = bytes.of(&world.streams) else { return };
    let step = match way % 4 {
        0 => 1,
        1 => message.len() / 2 + 1,
        _ => usize::MAX,
    };
    if let Some(far) = world.far.get_mut(&stream) {
        message.chunks(step).for_each(|data| far.write(data));
        return world.drain();
    }
    for data in message.chunks(step) {
        let _ = world.engine.handle_input(world.now, Input::StreamData { stream, data });
    }
    world.drain();
}

/// RTP and RTCP, made up or raw.
fn media(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some(socket) = bytes.of(&world.sockets) else { return };
    let kind = bytes.u8();
    let (pt, seq) = (bytes.u8() & 0x7f, bytes.u16());
    let mut packet = match kind % 8 {
        0 => bytes.block().to_vec(),
        4 => world.srtp.packet(pt, seq, &[0x55; 160]),
        5 => world.srtp.packet(101, seq, &[pt % 18, 0x80 | pt, kind, 0xff]),
        6 => world.srtp.report(bytes.block().to_vec()),
        1 => {
            let mut packet = vec![0x80, pt];
            packet.extend(seq.to_be_bytes());
            packet.extend((u32::from(seq) * 160).to_be_bytes());
            packet.extend([0, 0, 0, kind >> 6]);
            packet.extend([0x55; 160]);
            packet
        }
        2 => {
            let mut packet = vec![0x80, 101];
            packet.extend(seq.to_be_bytes());
            packet.extend([0, 0, 9, pt, 0, 0, 0, kind >> 6, pt % 18, 0x80 | pt]);
            packet.extend(seq.to_be_bytes());
            packet
        }
        _ => {
            let mut packet = vec![0x80 | (pt & 0x1f), 200 + (kind >> 4) % 5, 0, 6];
            packet.extend([seq.to_be_bytes(); 12].concat());
            packet
        }
    };
    let remote = address(REMOTES[usize::from(3 - (kind >> 5 & 1))]);
    world.input(Input::Datagram { socket, remote, payload: &mut packet });
}

fn resolved(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some(query) = bytes.of(&world.queries) else { return };
    let kind = bytes.u8();
    let far = "sip.example.com".to_string();
    let naptr = |flags: &str, service: &str| DnsRecord::Naptr {
        order: u16::from(kind),
        preference: 1,
        flags: flags.into(),
        service: service.into(),
        replacement: format!("_sip._tcp.{far}"),
    };
    let srv = |port| DnsRecord::Srv { priority: 1, weight: port, port, target: far.clone() };
    let answer = match kind % 8 {
        0 => DnsAnswer::NotFound,
        1 => DnsAnswer::Failed,
        2 => DnsAnswer::Records(vec![DnsRecord::A([192, 0, 2, 9].into())]),
        3 => DnsAnswer::Records(vec![srv(5060), srv(0), srv(u16::MAX)]),
        4 => DnsAnswer::Records(vec![naptr("s", "SIP+D2T"), naptr("", "SIPS+D2T")]),
        5 => DnsAnswer::Records(vec![DnsRecord::Aaaa(core::net::Ipv6Addr::LOCALHOST)]),
        6 => DnsAnswer::Records(vec![DnsRecord::A([192, 0, 2, kind].into()); FAR_RECORDS]),
        _ => DnsAnswer::Records(Vec::new()),
    };
    world.input(Input::Resolved { query, answer });
}

fn stream(world: &mut World, bytes: &mut Bytes<'_>) {
    let Some(stream) = bytes.of(&world.streams) else { return };
    match bytes.u8() % 4 {
        0 => {
            let local = address("192.0.2.1:40000");
            world.input(Input::StreamConnected { stream, local });
        }
        1 => {
            world.streams.retain(|s| *s != stream);
            world.input(Input::StreamClosed { stream });
        }
        2 => world.input(Input::StreamData { stream, data: bytes.block() }),
        _ => {
            for byte in bytes.block() {
                world.input(Input::StreamData { stream, data: &[*byte] });
            }
        }
    }
}

//! Connections over the loopback interface.

use std::io::Read as _;
use std::net::TcpListener;
use std::thread;

use mio::{Events, Poll};

use super::super::clock::Clock;
use super::super::sockets::Sockets;
use super::*;

struct World {
    clock: Clock,
    poll: Poll,
    sockets: Sockets,
    wire: Wire,
}

const ID: StreamId = StreamId::from_raw(1 << 32);

impl World {
    fn new() -> Self {
        let clock = Clock::start();
        let poll = Poll::new().unwrap();
        let sockets = Sockets::new(poll.registry().try_clone().unwrap(), 0);
        Self { clock, poll, sockets, wire: Wire::new(None, clock) }
    }

    fn connect(&mut self, remote: SocketAddr) {
        let (streams, tokens) = self.sockets.streams();
        streams.connect(tokens, self.clock.now(), ID, remote).unwrap();
    }

    /// Advances the connection until it changes, or is gone.
    fn change(&mut self) -> StreamChange {
        let mut events = Events::with_capacity(8);
        let wait = Duration::from_millis(100);
        while self.sockets.streams.len() > 0 {
            assert!(self.clock.now() < Instant::from_millis(20_000), "nothing changes");
            self.poll.poll(&mut events, Some(wait)).unwrap();
            let (streams, tokens) = self.sockets.streams();
            match streams.advance(tokens, ID, &mut self.wire) {
                StreamChange::None => {}
                change => return change,
            }
        }
        StreamChange::None
    }

    fn write(&mut self, data: &[u8]) -> bool {
        let (streams, tokens) = self.sockets.streams();
        streams.write(tokens, ID, data, &mut self.wire)
    }
}

#[test]
fn what_was_written_arrives_even_if_the_connection_is_closed_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let reader = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // So that more than the socket's buffers hold is in the backlog when it is closed.
        thread::sleep(Duration::from_millis(200));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        all
    });
    let mut world = World::new();
    world.connect(remote);
    let sent: Vec<u8> = (0..MAX_BACKLOG).map(|n| n as u8).collect();
    assert!(world.write(&sent[..1000]), "before it is connected");
    assert!(matches!(world.change(), StreamChange::Connected(_)));
    assert!(world.write(&sent[1000..]));
    let (streams, tokens) = world.sockets.streams();
    streams.close(tokens, world.clock.now(), ID);
    assert_eq!(world.change(), StreamChange::None, "the engine has let go of it");
    assert_eq!(world.sockets.streams.len(), 0);
    assert!(reader.join().unwrap() == sent);
}

#[test]
fn a_closed_port_and_a_slow_one_are_told() {
    let mut world = World::new();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.connect(closed);
    assert_eq!(world.change(), StreamChange::Closed);

    // Whether a connection opens or not: 10 s later it must have.
    world.connect(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let due = world.sockets.streams.next_timeout().unwrap();
    let (streams, tokens) = world.sockets.streams();
    assert_eq!(streams.handle_timeout(tokens, due - Duration::from_micros(1)), []);
    assert_eq!(streams.handle_timeout(tokens, due), [ID]);
    assert_eq!(streams.len(), 0);
}

#[test]
fn a_reader_that_does_not_read_costs_bounded_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut world = World::new();
    world.connect(listener.local_addr().unwrap());
    let _reader = listener.accept().unwrap();
    assert!(matches!(world.change(), StreamChange::Connected(_)));
    let chunk = vec![0; MAX_BACKLOG / 4];
    let written = (0..1000).take_while(|_| world.write(&chunk)).count();
    assert!((4..1000).contains(&written), "{written}");
    assert_eq!(world.sockets.streams.len(), 0);
}

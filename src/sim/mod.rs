//! A world of hosts in virtual time, for testing phones: this crate's own tests live on it, and
//! anybody can put a phone of theirs into it.
//!
//! A [`World`] holds [`Host`]s and the network between them: links with delay, jitter, loss,
//! reordering, duplication, bandwidth and cuts ([`Link`]); TCP as reliable byte streams that may
//! be refused, stall or break; a DNS zone ([`Zone`]). There is no clock and no socket: the time
//! jumps from one event to the next, and all randomness comes from one seed, so the same seed
//! gives the same run, bit for bit ([`World::digest`]).
//!
//! Rules watch every run ([`invariants`]); a broken one gives a [`Failure`] that shows the seed
//! and the SIP ladder.
//!
//! Two scripted hosts:
//! ```
//! use subrosa::sim::{Host, Link, Net, NetEvent, World};
//! use subrosa::time::Duration;
//!
//! struct Echo;
//! impl Host for Echo {
//!     fn start(&mut self, net: &mut Net<'_>) {
//!         net.bind_udp(7);
//!     }
//!     fn handle(&mut self, net: &mut Net<'_>, event: NetEvent<'_>) {
//!         if let NetEvent::Datagram { local, remote, payload } = event {
//!             net.send(local.port(), remote, payload);
//!         }
//!     }
//! }
//!
//! #[derive(Default)]
//! struct Client {
//!     answered: bool,
//! }
//! impl Host for Client {
//!     fn handle(&mut self, _: &mut Net<'_>, event: NetEvent<'_>) {
//!         self.answered |= matches!(event, NetEvent::Datagram { .. });
//!     }
//! }
//!
//! let mut world = World::new(42);
//! world.set_default_link(Link::wan());
//! let server = world.add_host("server", Echo);
//! let client = world.add_host("client", Client::default());
//! let to = (world.ip(server), 7).into();
//! world.act(client, |_, net| {
//!     net.bind_udp(5000);
//!     net.send(5000, to, b"hello");
//! });
//! world.run_for(Duration::from_secs(1));
//! assert!(world.host(client).answered);
//! world.finish().unwrap();
//! ```

mod audio;
mod dns;
mod engine_host;
mod host;
pub mod invariants;
mod ladder;
mod link;
mod net;
mod phones;
mod seed;
mod taken;
mod tcp;
mod trace;
pub mod wiretap;
mod world;

pub use audio::{Source, tone_share};
pub use dns::Zone;
pub use engine_host::{EPOCH, EngineHost, Turn};
pub use host::{ConnectionId, Host, HostId, Net, NetEvent};
pub use invariants::{Claim, Fact, Rule, Violation};
pub use link::{Link, Loss};
pub use seed::{Draw, split};
pub use trace::{Entry, Fate, Record, Trace};
pub use world::{Failure, Handle, World};

//! Two phones that talk, either of which may be on another network from one moment to the next.
#![allow(dead_code, unreachable_pub)]

use subrosa::engine::{AccountId, CallId, CallOptions, Event, Input};
use subrosa::sim::{EngineHost, Handle, Source, World};
use subrosa::time::Duration;
use subrosa::wire::sip::Uri;

pub struct Talk {
    pub world: World,
    pub phones: [Handle<EngineHost>; 2],
    pub calls: [CallId; 2],
    moved: u8,
}

impl Talk {
    /// After a second the first phone calls `sip:bob@bob.test`, which the second one answers; both
    /// have said a tone for `ms` milliseconds then.
    pub fn begin(
        mut world: World,
        phones: [Handle<EngineHost>; 2],
        caller: AccountId,
        ms: u64,
    ) -> Self {
        for phone in phones {
            world.act(phone, |host, _| host.say(Source::Sine { hz: 500, peak: 4000 }));
        }
        world.act(phones[1], |host, _| {
            host.react(|turn, event| {
                if let Event::IncomingCall { call, .. } = *event {
                    turn.after(Duration::from_millis(100), move |engine, now| {
                        engine.call(call).unwrap().accept(now, CallOptions::default()).unwrap();
                    });
                }
            });
        });
        world.run_for(Duration::from_millis(1000));
        let call = world.command(phones[0], |engine, now| {
            let to = Uri::parse("sip:bob@bob.test").unwrap();
            engine.place_call(now, caller, &to, CallOptions::default()).unwrap()
        });
        world.run_for(Duration::from_millis(ms));
        let answered = world.host(phones[1]).engine().call_ids();
        let answered = *answered.first().unwrap_or_else(|| panic!("{}", world.ladder()));
        Self { world, phones, calls: [call, answered], moved: 0 }
    }

    /// True if a phone heard the other's tone for nearly all of the last second.
    pub fn hears(&self, at: usize) -> bool {
        let heard = self.world.host(self.phones[at]).heard(self.calls[at]);
        let last = &heard[heard.len() - 16_000..];
        last.chunks(320).filter(|c| c.iter().any(|s| s.unsigned_abs() > 2000)).count() > 40
    }

    /// Puts a phone on another network.
    pub fn moves(&mut self, at: usize) {
        self.moved += 1;
        let ip = [10, 7, 0, self.moved].into();
        self.world.move_host(self.phones[at], ip);
        self.world.command(self.phones[at], |engine, now| {
            engine.set_local_ip(ip);
            engine.handle_input(now, Input::NetworkChanged).unwrap();
        });
    }
}

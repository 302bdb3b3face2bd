use super::*;
use crate::driver::audio::{AudioSink, AudioSource};
use crate::driver::clock::Clock;
use crate::driver::device::capture::{CaptureFeed, capture};
use crate::driver::device::playout::{PlayoutFeed, playout};
use crate::driver::device::port::{DeviceSink, DeviceSource};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use DeviceDirection::{Input, Output};

const RATE: u32 = 16_000;

/// The callback of a device that runs.
enum Feed {
    Capture(CaptureFeed),
    Playout(PlayoutFeed),
}

/// A system with devices that can be pulled out and put in again.
#[derive(Default)]
struct System {
    /// Each device, and what its microphone hears.
    devices: BTreeMap<String, i16>,
    default: Option<String>,
    /// Those that cannot be opened twice.
    exclusive: Vec<String>,
    running: BTreeMap<u64, (String, Feed)>,
    /// What each loudspeaker has played.
    played: BTreeMap<String, Vec<i16>>,
    opened: usize,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<System>>);

/// Stops its device when it is dropped.
struct Running(u64, Fake);

impl Drop for Running {
    fn drop(&mut self) {
        self.1.0.borrow_mut().running.remove(&self.0);
    }
}

impl Backend for Fake {
    type Stream = Running;

    fn ids(&mut self) -> Vec<String> {
        self.0.borrow().devices.keys().cloned().collect()
    }

    fn default_id(&mut self, _: DeviceDirection) -> Option<String> {
        let system = self.0.borrow();
        system.default.clone().filter(|id| system.devices.contains_key(id))
    }

    fn resolve(&mut self, direction: DeviceDirection, name: &str) -> Result<String, DeviceError> {
        let there = self.0.borrow().devices.contains_key(name);
        let unknown = DeviceError::Unknown { device: direction.as_str(), name: name.to_owned() };
        if there { Ok(name.to_owned()) } else { Err(unknown) }
    }

    fn open(
        &mut self,
        direction: DeviceDirection,
        id: Option<&str>,
        generation: u64,
    ) -> Result<Opened<Running>, DeviceError> {
        let mut system = self.0.borrow_mut();
        system.opened += 1;
        let id = id.map(str::to_owned).or_else(|| system.default.clone());
        let id = id.filter(|id| system.devices.contains_key(id));
        let id = id.ok_or(DeviceError::Missing(direction.as_str()))?;
        let taken = system.running.values().any(|(other, _)| *other == id);
        if taken && system.exclusive.contains(&id) {
            return Err(DeviceError::Busy(direction.as_str()));
        }
        let (feed, bridge, heartbeat) = match direction {
            Input => {
                let (feed, capture) = capture(48_000, RATE)?;
                let heartbeat = capture.heartbeat();
                (Feed::Capture(feed), Bridge::Capture(capture), heartbeat)
            }
            Output => {
                let (feed, playout) = playout(48_000, RATE)?;
                let heartbeat = playout.heartbeat();
                (Feed::Playout(feed), Bridge::Playout(playout), heartbeat)
            }
        };
        system.running.insert(generation, (id.clone(), feed));
        let stream = Running(generation, self.clone());
        Ok(Opened { id, stream, bridge, heartbeat })
    }
}

/// A call with devices, in virtual time.
struct World {
    fake: Fake,
    selection: Selection<Fake>,
    events: Arc<EventQueue<DeviceEvent>>,
    source: DeviceSource,
    sink: DeviceSink,
    ports: Arc<Ports>,
    /// In ms.
    now: u64,
}

impl World {
    fn new(devices: &[(&str, i16)]) -> Self {
        let fake = Fake::default();
        for (id, value) in devices {
            fake.0.borrow_mut().devices.insert((*id).to_owned(), *value);
        }
        fake.0.borrow_mut().default = devices.first().map(|(id, _)| (*id).to_owned());
        let ports = Arc::new(Ports::new(Clock::start(), RATE));
        let events = Arc::new(EventQueue::new());
        let (queue, at) = (Arc::clone(&events), Instant::from_millis(1_000));
        let selection = Selection::new(at, fake.clone(), Arc::clone(&ports), queue);
        let (source, sink) = (DeviceSource::new(&ports), DeviceSink::new(&ports));
        let mut world = Self { fake, selection, events, source, sink, ports, now: 1_000 };
        let at = world.at();
        for direction in [Input, Output] {
            world.selection.choose(at, direction, None).unwrap();
        }
        world
    }

    fn at(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn choose(
        &mut self,
        direction: DeviceDirection,
        name: Option<&str>,
    ) -> Result<(), DeviceError> {
        let at = self.at();
        self.selection.choose(at, direction, name)
    }

    /// The call goes on for so long; what it heard, and each device played what the call said:
    /// a tick of the value 500.
    fn run(&mut self, ms: u64) -> Vec<i16> {
        let mut heard = Vec::new();
        for _ in 0..ms / 20 {
            self.now += 20;
            let at = self.at();
            self.callbacks(at);
            let mut pcm = [0; 320];
            self.source.read_at(at, &mut pcm);
            heard.extend(pcm);
            self.sink.write_at(at, &[500; 320]);
            if self.selection.next_timeout() <= at {
                self.selection.poll(at);
            }
        }
        heard
    }

    fn callbacks(&mut self, at: Instant) {
        let System { devices, running, played, .. } = &mut *self.fake.0.borrow_mut();
        for (id, feed) in running.values_mut() {
            // One that was pulled out calls nobody back.
            let Some(value) = devices.get(id).copied() else { continue };
            match feed {
                Feed::Capture(feed) => feed.feed(at, std::iter::repeat_n(value, 960)),
                Feed::Playout(feed) => {
                    let played = played.entry(id.clone()).or_default();
                    feed.pull(at, 960, |sample| played.push(sample));
                }
            }
        }
    }

    /// Pulls a device out; the system says so at once if it is `told`.
    fn unplug(&mut self, id: &str, told: bool) {
        let at = self.at();
        self.fake.0.borrow_mut().devices.remove(id);
        let running: Vec<(u64, bool)> = (self.fake.0.borrow().running.iter())
            .filter(|(_, (of, _))| of == id)
            .map(|(generation, (_, feed))| (*generation, matches!(feed, Feed::Capture(_))))
            .collect();
        for (generation, is_input) in running.into_iter().filter(|_| told) {
            self.selection.broken(at, if is_input { Input } else { Output }, generation);
        }
    }

    fn plug(&mut self, id: &str, value: i16) {
        self.fake.0.borrow_mut().devices.insert(id.to_owned(), value);
    }

    fn events(&self) -> Vec<DeviceEvent> {
        std::iter::from_fn(|| self.events.try_pop()).collect()
    }

    fn in_use(&mut self) -> [Option<String>; 2] {
        [Input, Output].map(|direction| self.selection.in_use(direction))
    }
}

fn lost(direction: DeviceDirection, id: &str, replacement: Option<&str>) -> DeviceEvent {
    DeviceEvent::Lost { direction, id: id.into(), replacement: replacement.map(Into::into) }
}

/// The longest run of samples below `least`, in ms at the call's rate.
fn longest_gap(pcm: &[i16], least: i16) -> usize {
    let runs = pcm.split(|sample| *sample >= least).map(<[i16]>::len);
    runs.max().unwrap_or(0) / (RATE as usize / 1000)
}

#[test]
fn a_chosen_device_is_heard_without_a_gap_and_the_old_one_is_stopped() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    world.run(1_000);
    world.choose(Input, Some("headset")).unwrap();
    world.choose(Output, Some("headset")).unwrap();
    let heard = world.run(1_000);
    assert_eq!(longest_gap(&heard, 900), 0, "the old one until the new one is ready");
    assert!(heard[..320].iter().all(|s| (990..=1_010).contains(s)));
    assert!(heard[heard.len() - 320..].iter().all(|s| (2_990..=3_010).contains(s)));
    assert_eq!(world.in_use(), [Some("headset".to_owned()), Some("headset".to_owned())]);
    assert_eq!(world.fake.0.borrow().running.len(), 2, "the old ones are stopped");
    let system = world.fake.0.borrow();
    let tail = &system.played["headset"][system.played["headset"].len() - 960..];
    assert!(tail.iter().all(|s| (495..=505).contains(s)), "{tail:?}");
    let old = &system.played["built-in"];
    let (begins, ends) = (
        old.iter().position(|s| *s >= 495).unwrap(),
        old.len() - old.iter().rev().position(|s| *s >= 495).unwrap(),
    );
    assert!(old[begins..ends].iter().all(|s| *s >= 490), "no hole in the old one");
    drop(system);
    assert_eq!(world.events(), []);
    let stats = [Input, Output].map(|direction| world.ports.stats(direction));
    assert!(stats.iter().all(|s| (s.underruns, s.overruns) == (0, 0)), "{stats:?}");
}

#[test]
fn what_is_not_there_is_refused_and_nothing_changes() {
    let mut world = World::new(&[("built-in", 1_000)]);
    world.run(500);
    let error = world.choose(Input, Some("headset")).unwrap_err();
    assert!(matches!(error, DeviceError::Unknown { .. }), "{error}");
    let heard = world.run(500);
    assert_eq!(longest_gap(&heard, 900), 0);
    assert_eq!(world.events(), []);
}

#[test]
fn a_device_that_is_pulled_out_gives_way_to_the_default_and_comes_back() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    for direction in [Input, Output] {
        world.choose(direction, Some("headset")).unwrap();
    }
    world.run(1_000);
    world.unplug("headset", true);
    let told = [Input, Output].map(|d| lost(d, "headset", Some("built-in")));
    assert_eq!(world.events(), told);
    let heard = world.run(3_000);
    assert!(longest_gap(&heard, 900) <= 100, "{} ms", longest_gap(&heard, 900));
    assert!(heard[heard.len() - 320..].iter().all(|s| (990..=1_010).contains(s)));
    assert_eq!(world.in_use(), [Some("built-in".to_owned()), Some("built-in".to_owned())]);
    assert_eq!(world.events(), [DeviceEvent::ListChanged]);
    // How often it is looked for is bounded.
    let before = world.fake.0.borrow().opened;
    world.run(60_000);
    let tries = world.fake.0.borrow().opened - before;
    assert!((20..=40).contains(&tries), "{tries} attempts for both in a minute");
    world.plug("headset", 4_000);
    let heard = world.run(6_000);
    assert_eq!(longest_gap(&heard, 900), 0, "no gap when it comes back");
    assert!(heard[heard.len() - 320..].iter().all(|s| (3_990..=4_010).contains(s)));
    let restored = |direction| DeviceEvent::Restored { direction, id: "headset".into() };
    let events = world.events();
    for event in [DeviceEvent::ListChanged, restored(Input), restored(Output)] {
        assert!(events.contains(&event), "{event:?} of {events:?}");
    }
    assert_eq!(events.len(), 3, "{events:?}");
}

#[test]
fn without_any_device_there_is_silence_and_the_call_goes_on() {
    let mut world = World::new(&[("built-in", 1_000)]);
    world.run(500);
    world.unplug("built-in", true);
    assert_eq!(world.events(), [Input, Output].map(|d| lost(d, "built-in", None)));
    let heard = world.run(2_000);
    assert!(heard.iter().all(|s| *s == 0));
    assert_eq!(world.in_use(), [None, None]);
    world.plug("built-in", 2_000);
    let heard = world.run(5_000);
    assert!(heard[heard.len() - 320..].iter().all(|s| (1_990..=2_010).contains(s)));
    let restored = |direction| DeviceEvent::Restored { direction, id: "built-in".into() };
    let events = world.events();
    assert!(events.contains(&restored(Input)) && events.contains(&restored(Output)));
}

#[test]
fn a_default_that_appears_while_the_chosen_one_is_away_is_taken() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    world.choose(Input, Some("headset")).unwrap();
    world.run(500);
    world.unplug("built-in", false);
    world.unplug("headset", true);
    assert_eq!(world.events(), [lost(Input, "headset", None)]);
    world.run(1_000);
    world.plug("built-in", 1_500);
    let heard = world.run(6_000);
    assert!(heard[heard.len() - 320..].iter().all(|s| (1_490..=1_510).contains(s)));
    let replaced = DeviceEvent::Replaced { direction: Input, id: "built-in".into() };
    assert!(world.events().contains(&replaced));
}

#[test]
fn the_default_is_followed_by_who_did_not_choose() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    world.choose(Output, Some("built-in")).unwrap();
    world.run(500);
    world.fake.0.borrow_mut().default = Some("headset".into());
    let heard = world.run(3_000);
    assert_eq!(longest_gap(&heard, 900), 0);
    assert!(heard[heard.len() - 320..].iter().all(|s| (2_990..=3_010).contains(s)));
    assert_eq!(world.in_use(), [Some("headset".to_owned()), Some("built-in".to_owned())]);
    let replaced = DeviceEvent::Replaced { direction: Input, id: "headset".into() };
    assert_eq!(world.events(), [replaced], "once");
}

#[test]
fn a_device_that_stalls_without_a_word_is_gone_too() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    world.choose(Input, Some("headset")).unwrap();
    world.run(500);
    world.unplug("headset", false);
    world.run(4_000);
    assert_eq!(world.in_use()[0].as_deref(), Some("headset"), "not yet");
    let heard = world.run(6_000);
    assert_eq!(world.in_use()[0].as_deref(), Some("built-in"));
    assert!(world.events().contains(&lost(Input, "headset", Some("built-in"))));
    assert!(heard[heard.len() - 320..].iter().all(|s| (990..=1_010).contains(s)));
}

#[test]
fn a_device_that_cannot_be_opened_twice_is_let_go_first() {
    let mut world = World::new(&[("built-in", 1_000)]);
    world.fake.0.borrow_mut().exclusive.push("built-in".into());
    // The input has it, too: there is no way.
    let error = world.choose(Output, Some("built-in")).unwrap_err();
    assert!(matches!(error, DeviceError::Busy("loudspeaker")), "{error}");
    assert_eq!(world.events(), [lost(Output, "built-in", None)]);
    // Nobody else has it now.
    world.choose(Input, Some("built-in")).unwrap();
    let heard = world.run(1_000);
    assert!(heard[heard.len() - 320..].iter().all(|s| (990..=1_010).contains(s)));
}

#[test]
fn an_error_of_a_device_that_was_replaced_means_nothing() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    let old = *world.fake.0.borrow().running.keys().next().unwrap();
    world.choose(Input, Some("headset")).unwrap();
    let at = world.at();
    world.selection.broken(at, Input, old);
    assert_eq!(world.in_use()[0].as_deref(), Some("headset"));
    assert_eq!(world.events(), []);
}

#[test]
fn the_source_and_sink_that_were_made_last_have_the_devices() {
    let mut world = World::new(&[("built-in", 1_000)]);
    world.run(500);
    let mut first = std::mem::replace(&mut world.source, DeviceSource::new(&world.ports));
    let mut pcm = [7; 320];
    first.read(&mut pcm);
    assert_eq!(pcm, [0; 320], "the second call has the microphone");
    let mut old = std::mem::replace(&mut world.sink, DeviceSink::new(&world.ports));
    old.write(&[9_999; 320]);
    assert!(!old.is_heard() && world.sink.is_heard());
    let heard = world.run(500);
    assert!(heard[heard.len() - 320..].iter().all(|s| (990..=1_010).contains(s)));
    let system = world.fake.0.borrow();
    assert!(system.played["built-in"].iter().all(|s| *s <= 510), "the first is not heard");
}

#[test]
fn levels_are_of_the_call_and_silence_without_one() {
    let mut world = World::new(&[("built-in", 16_384)]);
    let silence = crate::media::level::Level::SILENCE;
    world.run(2_000);
    let [mic, ear] = [Input, Output].map(|direction| world.ports.level(world.at(), direction));
    assert!((mic.peak_dbfs + 6.0).abs() < 0.2 && (mic.rms_dbfs + 6.0).abs() < 0.2, "{mic:?}");
    assert!((ear.peak_dbfs + 36.3).abs() < 0.2, "{ear:?}");
    let later = world.at() + Duration::from_secs(1);
    assert_eq!(world.ports.level(later, Input), silence, "the call is over");
}

#[test]
fn a_stream_that_breaks_is_opened_again_but_not_for_ever() {
    let mut world = World::new(&[("built-in", 1_000), ("headset", 3_000)]);
    world.choose(Input, Some("headset")).unwrap();
    world.run(500);
    let broken = |world: &mut World| {
        let generation = *world.fake.0.borrow().running.keys().last().unwrap();
        let at = world.at();
        world.selection.broken(at, Input, generation);
    };
    for restarts in 1..=3 {
        broken(&mut world);
        assert_eq!(world.in_use()[0].as_deref(), Some("headset"));
        assert_eq!(world.events(), []);
        let heard = world.run(1_000);
        assert!((1..=120).contains(&longest_gap(&heard, 2_900)), "{}", longest_gap(&heard, 2_900));
        assert_eq!(world.ports.stats(Input).restarts, restarts);
    }
    broken(&mut world);
    assert_eq!(world.events(), [lost(Input, "headset", Some("built-in"))]);
    let heard = world.run(2_000);
    assert!(heard[heard.len() - 320..].iter().all(|s| (2_990..=3_010).contains(s)));
    let restored = DeviceEvent::Restored { direction: Input, id: "headset".into() };
    assert_eq!(world.events(), [restored], "it is there, and tried again");
}

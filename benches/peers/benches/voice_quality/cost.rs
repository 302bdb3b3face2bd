//! What a call costs and how long the engine itself keeps a sound: no network, no device.

use crate::call::{Pair, Setup};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use subrosa::media::session::{Channel, MAX_TRANSMIT};
use subrosa::time::{Duration, Instant};

/// Counts what is allocated in this process.
pub struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is done by the system's allocator; the counter is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

/// A call without a network, whose hosts write and read so many ms at once.
struct Direct {
    pair: Pair,
    now: Instant,
    block: Duration,
    step: usize,
}

impl Direct {
    fn new(setup: Setup, block_us: u32) -> Self {
        let now = Instant::from_millis(1_000);
        let step = (setup.rate / 100 * block_us / 10_000) as usize;
        let block = Duration::from_micros(block_us.into());
        Self { pair: Pair::new(setup, now, 1), now, block, step }
    }

    /// Both ends say `said`; what each heard.
    fn tick(&mut self, said: &[i16], heard: &mut [Vec<i16>; 2]) {
        let mut packets = [[0u8; MAX_TRANSMIT]; 4];
        for end in 0..2 {
            self.pair.ends[end].write_pcm(self.now, said).unwrap();
            let mut lengths = [(0, Channel::Rtp); 4];
            let mut count = 0;
            self.pair.transmit(end, self.now, |channel, bytes| {
                packets[count][..bytes.len()].copy_from_slice(bytes);
                lengths[count] = (bytes.len(), channel);
                count += 1;
            });
            for (packet, (len, channel)) in packets.iter_mut().zip(lengths).take(count) {
                self.pair.deliver(1 - end, self.now, channel, &mut packet[..len]);
            }
        }
        for (end, heard) in heard.iter_mut().enumerate() {
            self.pair.ends[end].read_pcm(self.now, heard).unwrap();
        }
        self.now += self.block;
    }
}

/// What this thread has run, in seconds: other programs do not count, where the system tells it.
fn worked() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
    let start = START.get_or_init(std::time::Instant::now);
    ns.map_or_else(|| start.elapsed().as_secs_f64(), |ns| ns as f64 / 1e9)
}

/// Share of one core that one end of a call takes, in percent, and allocations per 1000 packets
/// once the call is under way: over a hundred seconds of call at least, and a second of work.
pub fn share_of_core(setup: Setup, speech: &[i16]) -> (f64, f64) {
    let mut call = Direct::new(setup, 20_000);
    let step = call.step;
    let mut heard = [vec![0; step], vec![0; step]];
    let frames: Vec<&[i16]> = speech.chunks_exact(step).collect();
    frames.iter().for_each(|said| call.tick(said, &mut heard));
    let (mut busy, mut ticks, mut allocations) = (0.0, 0, 0);
    while ticks < 5_000 || (busy < 1.0 && ticks < 1_000_000) {
        let start = worked();
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        frames.iter().for_each(|said| call.tick(said, &mut heard));
        allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
        busy += worked() - start;
        ticks += frames.len();
    }
    (busy / ticks as f64 / 2.0 / 0.020 * 100.0, allocations as f64 * 1_000.0 / ticks as f64)
}

/// The block in which `delay_ms` writes and reads, in µs: no sound card that must be waited for.
const BLOCK_US: u32 = 2_500;

/// From a click's place in what is written to its place in what is read, in ms, after half a
/// minute of call: the longest of five, the worse way. A block is written when it is full, and what
/// is read begins to play at that time.
pub fn delay_ms(setup: Setup) -> f64 {
    let mut call = Direct::new(setup, BLOCK_US);
    let step = call.step;
    let mut heard = [vec![0; step], vec![0; step]];
    let mut played = [Vec::new(), Vec::new()];
    let mut said = Vec::new();
    let every = setup.rate as usize * 2;
    for tick in 0..(42_000_000 / BLOCK_US) as usize {
        let frame: Vec<i16> = (0..step)
            .map(|i| match tick * step + i {
                // A short burst at 1 kHz with a sharp edge, so that any codec shows its place.
                n if n % every < setup.rate as usize / 250 => {
                    let phase = (n % every) as f64 * 1_000.0 / f64::from(setup.rate);
                    ((phase * std::f64::consts::TAU).sin() * 16_000.0) as i16
                }
                n => (n * 7_919 % 13) as i16 - 6,
            })
            .collect();
        call.tick(&frame, &mut heard);
        said.extend(frame);
        (0..2).for_each(|end| played[end].extend_from_slice(&heard[end]));
    }
    let mut worst: f64 = 0.0;
    for played in &played {
        for click in (15..20).map(|n| n * every) {
            let burst = &said[click..click + setup.rate as usize / 250];
            let likeness = |at: usize| -> i64 {
                let there = &played[at..at + burst.len()];
                burst.iter().zip(there).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum()
            };
            let place = (click..click + setup.rate as usize / 2).max_by_key(|at| likeness(*at));
            let samples = (place.unwrap() - click) as f64;
            let between = f64::from(BLOCK_US) / 1e3;
            worst = worst.max(samples * 1_000.0 / f64::from(setup.rate) + between);
        }
    }
    worst
}

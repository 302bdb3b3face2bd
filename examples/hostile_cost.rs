//! Prints what the worst messages cost in time: `cargo run --release --example hostile_cost`.
//!
//! For each shape of a message of nearly 64 KiB the time from its first byte to the end of the
//! drain, a call that comes of it accepted included: the best and the worst of twenty runs.
#![allow(missing_docs)]
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)] // it measures

#[path = "../tests/support/hostile_engine.rs"]
mod hostile_engine;
#[path = "../tests/support/hostile_shapes.rs"]
mod hostile_shapes;

use std::time::Instant;

use hostile_engine::Victim;
use hostile_shapes::SHAPES;

fn main() {
    let mut rows: Vec<(f64, f64, &str)> = Vec::new();
    for (name, shape) in SHAPES {
        let message = shape(64_500);
        let mut times: Vec<f64> = Vec::new();
        for _ in 0..20 {
            let mut victim = Victim::new();
            let begun = Instant::now();
            victim.take(message.as_bytes());
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        let best = times.iter().copied().fold(f64::INFINITY, f64::min);
        let worst = times.iter().copied().fold(0.0, f64::max);
        rows.push((best, worst, name));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("best ms  worst ms  shape (64 500 bytes)");
    for (best, worst, name) in rows {
        println!("{best:7.3}  {worst:8.3}  {name}");
    }
}

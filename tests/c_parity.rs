//! One API, two languages: what the Rust side can do, the C side can, and the other way round.
//!
//! Both sides are read from their sources: every public method, field and variant of what
//! `engine` and `driver` export, and every function, struct field and constant of the header.
//! Each Rust item has a C name by convention, or stands in a list with its C names and the reason.
//! What is new on either side and has no counterpart fails here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/parity_lists.rs"]
mod lists;
#[path = "support/parity_sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};

use lists::*;
use sources::{c_symbols, rust_items, snake, word};

/// The C names that a Rust item has by convention; any of them will do.
fn by_convention(item: &str) -> Vec<String> {
    let prefix = |table: &[(&str, &str)], of: &str| {
        table.iter().find(|(name, _)| *name == of).map(|(_, prefix)| (*prefix).to_owned())
    };
    let units =
        |base: String| ["", "_us", "_ms", "_s"].map(|unit| format!("{base}{unit}")).to_vec();
    if let Some((of, field)) = item.split_once('.') {
        if of.starts_with("Event::") {
            return units(format!("subrosa_event.{field}"));
        }
        return prefix(FIELDS, of).map_or(vec![], |prefix| units(format!("{prefix}{field}")));
    }
    let Some((of, name)) = item.split_once("::") else { return vec![] };
    if name.starts_with(char::is_uppercase) {
        let Some(prefix) = prefix(VARIANTS, of) else { return vec![] };
        let name = snake(name);
        let upper = prefix.starts_with("SUBROSA");
        return vec![prefix + &if upper { name.to_ascii_uppercase() } else { name }];
    }
    let Some(prefix) = prefix(METHODS, of) else { return vec![] };
    vec![format!("{prefix}{name}"), format!("{prefix}get_{name}")]
}

fn exception(item: &str) -> Option<&'static [&'static str]> {
    EXCEPTIONS.iter().find(|(name, ..)| *name == item).map(|(_, c, _)| *c)
}

/// The C symbols that stand for each Rust item; none if C lacks it.
fn counterparts() -> BTreeMap<String, Option<Vec<String>>> {
    let symbols = c_symbols();
    let has = |symbol: &str| symbols.contains(symbol) || symbol == "subrosa_logger";
    let find = |item: &String| {
        if let Some(listed) = exception(item) {
            let all = listed.iter().all(|symbol| has(symbol));
            return all.then(|| listed.iter().map(|s| (*s).to_owned()).collect());
        }
        let found: Vec<_> = by_convention(item).into_iter().filter(|symbol| has(symbol)).collect();
        (!found.is_empty()).then_some(found)
    };
    let items = rust_items(HELD, TOOLS);
    let wanted = items.iter().filter(|item| {
        !NOT_IN_C.iter().any(|(of, _)| *of == word(item)) && !NOT_YET_IN_C.contains(&item.as_str())
    });
    wanted.map(|item| (item.clone(), find(item))).collect()
}

#[test]
fn what_rust_can_do_c_can_do() {
    let counterparts = counterparts();
    assert!(counterparts.len() > 250, "only {} items found", counterparts.len());
    let missing: Vec<_> =
        counterparts.iter().filter(|(_, c)| c.is_none()).map(|(rust, _)| rust).collect();
    assert!(
        missing.is_empty(),
        "new in Rust, without a counterpart in C: give them one in src/ffi (by convention: \
         Engine::x is subrosa_engine_x), or list them in EXCEPTIONS with the reason: {missing:#?}"
    );
}

#[test]
fn the_lists_name_nothing_that_is_gone() {
    let items = rust_items(HELD, TOOLS);
    let gone: Vec<_> = EXCEPTIONS.iter().map(|(item, ..)| item).chain(NOT_YET_IN_C).collect();
    let gone: Vec<_> = gone.into_iter().filter(|item| !items.contains(**item)).collect();
    assert!(gone.is_empty(), "listed, but not in Rust: {gone:?}");
    let gone: Vec<_> = NOT_IN_C
        .iter()
        .map(|(of, _)| *of)
        .filter(|of| !items.iter().any(|item| word(item) == **of))
        .collect();
    assert!(gone.is_empty(), "listed, but not in Rust: {gone:?}");
    assert!(EXCEPTIONS.iter().all(|(.., reason)| !reason.is_empty()));
}

#[test]
fn what_c_can_do_rust_can_do() {
    let counterparts = counterparts();
    let used: BTreeSet<&String> = counterparts.values().flatten().flatten().collect();
    let own = |symbol: &str| {
        let listed = C_ONLY.iter().any(|(name, _)| {
            if name.starts_with('_') { symbol.ends_with(name) } else { *name == symbol }
        });
        // Statuses are Rust's errors; "none" and "other" are Rust's Option and non_exhaustive;
        // a struct's size, padding and ip are C's own.
        let starts = ["SUBROSA_ERR_", "SUBROSA_ABI_", "SUBROSA_MAX_", "SUBROSA_OK", "SUBROSA_H"];
        let ends = ["_NONE", "_OTHER", "_ANY"];
        listed
            || starts.iter().any(|start| symbol.starts_with(start))
            || ends.iter().any(|end| symbol.ends_with(end))
            || symbol.contains('.')
    };
    let symbols = c_symbols();
    let lost: Vec<_> = symbols.iter().filter(|s| !used.contains(s) && !own(s)).collect();
    assert!(lost.is_empty(), "in C, but not in Rust: {lost:#?}");
    let gone: Vec<_> = C_ONLY
        .iter()
        .filter(|(name, _)| !name.starts_with('_') && !symbols.contains(*name))
        .collect();
    assert!(gone.is_empty(), "listed, but not in C: {gone:?}");
}

#[test]
fn the_phone_can_do_what_the_engine_can() {
    let symbols = c_symbols();
    let facts = [
        "state",
        "direction",
        "remote",
        "end_reason",
        "codec",
        "sip_call_id",
        "holds",
        "policy",
        "account_policy",
        "tone",
        "is_muted",
        "send_gain",
        "receive_gain",
        "processing",
    ];
    for item in rust_items(HELD, TOOLS) {
        let Some(("Engine" | "Call", name)) = item.split_once("::") else { continue };
        let listed = [DONE_BY_THE_PHONE, NOT_YET_IN_C].concat().contains(&item.as_str());
        if listed || facts.contains(&name) {
            continue;
        }
        let names = ["", "call_", "get_"].map(|part| format!("subrosa_phone_{part}{name}"));
        assert!(names.iter().any(|name| symbols.contains(name)), "{item}: none of {names:?}");
    }
}

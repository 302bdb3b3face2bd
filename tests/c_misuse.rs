//! Misuse of the C functions that can be told from their declarations alone: every function of the
//! header with NULL, misaligned pointers, strings that are not UTF-8, structs without a size; and
//! from two threads, and with a panic on its way out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs, unsafe_code)]

#[path = "support/c_build.rs"]
mod c_build;

use std::ffi::c_void;
use std::fmt::Write as _;
use std::ptr::{null, null_mut};
use std::sync::Barrier;

use subrosa::ffi::*;

fn text(text: &str) -> subrosa_str {
    subrosa_str { ptr: text.as_ptr().cast(), len: text.len() }
}

fn engine() -> *mut subrosa_engine {
    let (mut config, mut engine) = (null_mut(), null_mut());
    let seed = [7; 32];
    unsafe {
        assert_eq!(subrosa_config_new(seed.as_ptr(), 32, 1_800_000_000_000_000, &mut config), 0);
        assert_eq!(subrosa_engine_new(config, 0, &mut engine), 0);
        subrosa_config_free(config);
    }
    engine
}

fn set_policy(engine: *mut subrosa_engine) -> subrosa_status {
    unsafe { subrosa_engine_set_domain_policy(engine, 0, text("example.com"), 2) }
}

unsafe extern "C-unwind" fn panics(_: *mut c_void, _: u64, _: i32, _: subrosa_str, _: subrosa_str) {
    panic!("a logger with a bug, and meant to have one");
}

#[test]
fn a_panic_stays_inside_and_the_handle_is_unusable_from_then_on() {
    let (engine, other) = (engine(), engine());
    let mut stats: subrosa_engine_stats = unsafe { std::mem::zeroed() };
    stats.size = u32::try_from(size_of::<subrosa_engine_stats>()).unwrap();
    let mut error = text("");
    unsafe {
        let debug = SUBROSA_LOG_DEBUG;
        assert_eq!(subrosa_engine_set_logger(engine, debug, Some(panics), null_mut()), SUBROSA_OK);
        assert_eq!(set_policy(engine), SUBROSA_ERR_PANIC);
        // Whatever is asked of it, and nothing is written.
        assert_eq!(set_policy(engine), SUBROSA_ERR_PANIC);
        assert_eq!(subrosa_engine_get_stats(engine, &mut stats), SUBROSA_ERR_PANIC);
        assert_eq!(subrosa_engine_last_error(engine, &mut error), SUBROSA_ERR_PANIC);
        assert_eq!(subrosa_engine_set_logger(engine, 0, None, null_mut()), SUBROSA_ERR_PANIC);
        assert_eq!((stats.sent, error.len), (0, 0));
        // Others are not touched.
        assert_eq!(set_policy(other), SUBROSA_OK);
        subrosa_engine_free(engine);
        subrosa_engine_free(other);
    }
}

/// A logger that holds its engine busy between two meetings with another thread.
unsafe extern "C-unwind" fn meets(
    user: *mut c_void,
    _: u64,
    _: i32,
    _: subrosa_str,
    _: subrosa_str,
) {
    let barrier = unsafe { &*user.cast::<Barrier>() };
    barrier.wait();
    barrier.wait();
}

#[test]
fn a_second_thread_is_turned_away_until_the_first_is_out() {
    struct Shared(*mut subrosa_engine);
    unsafe impl Sync for Shared {}
    let (shared, barrier) = (Shared(engine()), Barrier::new(2));
    let user: *const Barrier = &barrier;
    let user = user.cast_mut().cast();
    unsafe {
        assert_eq!(subrosa_engine_set_logger(shared.0, SUBROSA_LOG_INFO, Some(meets), user), 0);
    }
    std::thread::scope(|scope| {
        let first = scope.spawn(|| set_policy({ &shared }.0));
        barrier.wait();
        let mut policy = -7;
        unsafe {
            let busy = subrosa_engine_policy_of(shared.0, text("example.com"), &mut policy);
            assert_eq!((busy, policy), (SUBROSA_ERR_BUSY, -7));
            assert_eq!(set_policy(shared.0), SUBROSA_ERR_BUSY);
            assert_eq!(subrosa_engine_handle_timeout(shared.0, 1), SUBROSA_ERR_BUSY);
            let mut error = text("");
            assert_eq!(subrosa_engine_last_error(shared.0, &mut error), SUBROSA_ERR_BUSY);
        }
        barrier.wait();
        assert_eq!(first.join().unwrap(), SUBROSA_OK);
        unsafe {
            let free = subrosa_engine_policy_of(shared.0, text("example.com"), &mut policy);
            assert_eq!((free, policy), (SUBROSA_OK, SUBROSA_POLICY_REQUIRED));
            subrosa_engine_free(shared.0);
        }
    });
}

#[test]
fn ids_go_stale_and_never_come_back() {
    let engine = engine();
    let (mut config, mut first, mut second) = (null_mut(), 0, 0);
    unsafe {
        assert_eq!(subrosa_account_config_new(text("sip:a@example.com"), &mut config), 0);
        assert_eq!(subrosa_account_config_set_register(config, 0), 0);
        assert_eq!(subrosa_engine_add_account(engine, 0, config, &mut first), 0);
        assert_eq!(subrosa_engine_remove_account(engine, 0, first), 0);
        assert_eq!(subrosa_engine_add_account(engine, 0, config, &mut second), 0);
        assert_ne!(first, second, "the place is taken again, the id is not");
        assert_eq!(subrosa_engine_remove_account(engine, 0, first), SUBROSA_ERR_UNKNOWN_ID);
        let (to, mut call) = (text("sip:b@192.0.2.1"), 9);
        let stale = subrosa_engine_place_call(engine, 0, first, to, null(), &mut call);
        assert_eq!((stale, call), (SUBROSA_ERR_UNKNOWN_ID, 9));
        subrosa_account_config_free(config);
        subrosa_engine_free(engine);
    }
}

/// A function of the header: its name, and the types of its parameters.
struct Function {
    name: String,
    parameters: Vec<String>,
}

fn functions() -> Vec<Function> {
    let header = std::fs::read_to_string(c_build::root().join("include/subrosa.h")).unwrap();
    let mut found = Vec::new();
    for statement in header.split("subrosa_status subrosa_").skip(1) {
        let Some((name, rest)) = statement.split_once('(') else { continue };
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let list = rest.split(");").next().unwrap().replace('\n', " ");
        let parameters = list.split(',').map(|parameter| {
            let parameter = parameter.trim();
            let name = parameter.rsplit([' ', '*']).next().unwrap();
            parameter.strip_suffix(name).unwrap().replace("const ", "").replace(' ', "")
        });
        let parameters = parameters.map(|p| p.replace("struct", "")).collect();
        found.push(Function { name: format!("subrosa_{name}"), parameters });
    }
    found
}

const HANDLES: [&str; 10] = [
    "config",
    "engine",
    "account_config",
    "phone",
    "call_audio",
    "audio_ring",
    "tls_options",
    "dtls_identity",
    "safety_number",
    "peer_memory",
];

fn handle(parameter: &str) -> Option<&'static str> {
    let name = parameter.strip_prefix("subrosa_")?.strip_suffix('*')?;
    HANDLES.into_iter().find(|handle| *handle == name)
}

fn is_pointer(parameter: &str) -> bool {
    parameter.ends_with('*')
}

/// One call of each function that `arguments` gives arguments for, and what must come of it.
fn calls(
    functions: &[Function],
    expected: &str,
    arguments: impl Fn(&str) -> String,
    applies: impl Fn(&Function) -> bool,
) -> (String, usize) {
    let (mut program, mut count) = (String::new(), 0);
    for function in functions.iter().filter(|function| applies(function)) {
        let list: Vec<String> = function.parameters.iter().map(|p| arguments(p)).collect();
        let call = format!("{}({})", function.name, list.join(", "));
        writeln!(program, "    fresh(); {expected}({call});").unwrap();
        count += 1;
    }
    (program, count)
}

/// A value for what is neither pointer nor string.
fn scalar(parameter: &str) -> String {
    match parameter {
        "subrosa_addr" => "addr".into(),
        "subrosa_str" => "good".into(),
        "subrosa_logger" => "NULL".into(),
        // A length, a count, a room.
        "size_t" => "4".into(),
        _ => "0".into(),
    }
}

fn program(functions: &[Function]) -> String {
    // Ways out of life, options with a default, and what is fine without any pointer.
    let fine = ["_stop", "_set_logger", "_attach_audio", "_network_changed", "_shut_down"];
    let applies = |f: &Function| !fine.iter().any(|end| f.name.ends_with(end));
    let is_absent = |f: &Function| {
        // Functions that a library with these features does not have.
        ["_platform", "_provision"].iter().any(|end| f.name.ends_with(end))
            || f.name.starts_with("subrosa_device_list_")
            || f.name.starts_with("subrosa_audio_device_")
            || f.parameters.iter().any(|p| p.contains("audio_device"))
    };
    let other = |f: &Function| f.parameters.iter().any(|p| is_pointer(p) && handle(p).is_none());
    let aligned = |p: &str| p.starts_with("uint8_t") || p.starts_with("char") || p == "void*";
    let null = |p: &str| if is_pointer(p) { "NULL".into() } else { scalar(p) };
    let live = |p: &str| match handle(p) {
        Some(name) if p.matches('*').count() == 1 => name.to_owned(),
        _ => null(p),
    };
    let odd = |p: &str| match handle(p) {
        Some(name) => name.to_owned(),
        None if is_pointer(p) => "odd".into(),
        None => scalar(p),
    };
    let odd_handle = |p: &str| if is_pointer(p) { "odd".into() } else { scalar(p) };
    let not_utf8 = |p: &str| match (handle(p), p) {
        (Some(name), _) => name.to_owned(),
        (None, "subrosa_str") => "bad".into(),
        (None, p) if is_pointer(p) => "room()".into(),
        (None, p) => scalar(p),
    };
    let no_size = |p: &str| match handle(p) {
        Some(name) => name.to_owned(),
        None if is_pointer(p) => "zeros()".into(),
        None => scalar(p),
    };
    let structs = [
        "output",
        "_info",
        "_stats",
        "security_report",
        "_load",
        "_progress",
        "verdict",
        "audio_options",
    ];
    let structs = structs.map(|end| format!("{end}*"));
    let has_size = |f: &Function| {
        f.parameters.iter().any(|p| structs.iter().any(|end| p.ends_with(end.as_str())))
    };
    let pointers = |f: &Function| f.parameters.iter().any(|p| is_pointer(p));
    let parts = [
        calls(functions, "IS_NULL", null, |f| !is_absent(f) && pointers(f)),
        calls(functions, "FAILS", live, |f| applies(f) && !is_absent(f) && other(f)),
        calls(functions, "FAILS", odd, |f| {
            let bare = |p: &String| is_pointer(p) && handle(p).is_none() && !aligned(p);
            applies(f) && !is_absent(f) && f.parameters.iter().any(bare)
        }),
        calls(functions, "FAILS", odd_handle, |f| {
            !is_absent(f) && f.parameters.iter().any(|p| handle(p).is_some())
        }),
        calls(functions, "NOT_UTF8", not_utf8, |f| {
            !is_absent(f) && f.parameters.iter().any(|p| p == "subrosa_str")
        }),
        calls(functions, "NO_SIZE", no_size, |f| !is_absent(f) && has_size(f)),
    ];
    for (part, (_, count)) in parts.iter().enumerate() {
        assert!(*count > 10, "only {count} calls in part {part}");
    }
    let mut body = String::new();
    for (n, (calls, _)) in parts.iter().enumerate() {
        writeln!(body, "static void part_{n}(void) {{\n{calls}}}\n").unwrap();
    }
    PROLOGUE.to_owned() + &body + EPILOGUE
}

const PROLOGUE: &str = r#"
#include "check.h"
static subrosa_config *config;
static subrosa_engine *engine;
static subrosa_account_config *account_config;
static subrosa_phone *phone;
static subrosa_call_audio *call_audio;
static subrosa_audio_ring *audio_ring;
static subrosa_tls_options *tls_options;
static subrosa_dtls_identity *dtls_identity;
static subrosa_safety_number *safety_number;
static subrosa_peer_memory *peer_memory;
static subrosa_addr addr = {.family = 4};
static subrosa_str good = {"sip:a@example.com", 17}, bad = {"\xff\xfe", 2};
static _Alignas(16) unsigned char space[8][8192];
static int turn;
/* A place of its own for each pointer, all zero: no size in its first field. */
static void *zeros(void) { return memset(space[turn++ % 8], 0, 8192); }
static void *room(void) { uint32_t size = 8192; return memcpy(zeros(), &size, 4); }
#define odd ((void *)(space[0] + 1))
/* Configurations are used up by what is made of them. */
static void fresh(void) {
    subrosa_config_free(config);
    subrosa_call_audio_free(call_audio);
    config = new_config(3);
    IS(subrosa_call_audio_new(16000, &call_audio), SUBROSA_OK);
}
#define FAILS(call) do { subrosa_status s = (call); if (s >= 0) { printf("%s gave %d\n", #call, (int)s); failed = 1; } } while (0)
#define GIVES(call, want) do { subrosa_status s = (call); if (s != (want)) { printf("%s gave %d, not " #want "\n", #call, (int)s); failed = 1; } } while (0)
#define IS_NULL(call) GIVES(call, SUBROSA_ERR_NULL)
#define NOT_UTF8(call) GIVES(call, SUBROSA_ERR_UTF8)
#define NO_SIZE(call) GIVES(call, SUBROSA_ERR_STRUCT_SIZE)
static int failed;
"#;

const EPILOGUE: &str = r#"
int main(void) {
    subrosa_config *own = new_config(4);
    subrosa_str fingerprint;
    IS(subrosa_peer_memory_new(&peer_memory), SUBROSA_OK);
    IS(subrosa_dtls_identity_generate(own, &dtls_identity), SUBROSA_OK);
    IS(subrosa_dtls_identity_fingerprint(dtls_identity, &fingerprint), SUBROSA_OK);
    IS(subrosa_safety_number_new(fingerprint, good, fingerprint, good, &safety_number), SUBROSA_OK);
    IS(subrosa_engine_new(own, 0, &engine), SUBROSA_OK);
    subrosa_config_free(own);
    IS(subrosa_phone_config_new(&own), SUBROSA_OK);
    IS(subrosa_config_set_local_ip(own, str("127.0.0.1")), SUBROSA_OK);
    IS(subrosa_phone_new(own, &phone), SUBROSA_OK);
    subrosa_config_free(own);
    IS(subrosa_account_config_new(str("sip:a@example.com"), &account_config), SUBROSA_OK);
    IS(subrosa_audio_ring_new(160, 0, &audio_ring), SUBROSA_OK);
    IS(subrosa_engine_tls_options(engine, &tls_options), SUBROSA_OK);
    part_0(); part_1(); part_2(); part_3(); part_4(); part_5();
    /* All of that changed nothing: they still work. */
    int32_t policy = -1;
    IS(subrosa_engine_policy_of(engine, str("example.com"), &policy), SUBROSA_OK);
    IS(subrosa_phone_policy_of(phone, str("example.com"), &policy), SUBROSA_OK);
    subrosa_config_free(config);
    subrosa_call_audio_free(call_audio);
    subrosa_account_config_free(account_config);
    subrosa_audio_ring_free(audio_ring);
    subrosa_tls_options_free(tls_options);
    subrosa_dtls_identity_free(dtls_identity);
    subrosa_safety_number_free(safety_number);
    subrosa_peer_memory_free(peer_memory);
    IS(subrosa_phone_stop(phone), SUBROSA_OK);
    subrosa_phone_free(phone);
    subrosa_engine_free(engine);
    return failed;
}
"#;

#[test]
fn every_function_tells_null_misaligned_not_utf8_and_sizeless_apart_from_good() {
    let functions = functions();
    assert!(functions.len() > 130, "only {} functions found", functions.len());
    let source = c_build::folder().join("every_function.c");
    std::fs::write(&source, program(&functions)).unwrap();
    let program = c_build::compile("every_function", &["-Itests/c", source.to_str().unwrap()]);
    let output = std::process::Command::new(program).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}\n{told}{errors}", output.status);
}

//! "Attacks and what happens" in docs/security.md is what the attack tests say of themselves: each
//! of `tests/attack_*.rs` begins its tests with three lines. `SUBROSA_BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

use std::fmt::Write as _;

const BEGIN: &str = "<!-- attacks: made by tests/attack_page.rs -->\n";
const END: &str = "<!-- end of attacks -->\n";

/// The files in the order of the page, with their titles.
const FILES: [(&str, &str); 6] = [
    ("attack_signalling", "The set-up of a call"),
    ("attack_passwords", "Passwords"),
    ("attack_certificates", "Certificates and names"),
    ("attack_media", "The voice"),
    ("attack_replay", "Recorded calls"),
    ("attack_messages", "Messages made to break a phone"),
];

/// What must be among the tests, by name.
const WANTED: [&str; 36] = [
    "injected_rtp_before_the_source_is_locked_in_the_clear",
    "a_self_signed_certificate",
    "forged_naptr_replies_that_leave_tls_out",
    "forged_naptr_and_srv_replies_that_lead_to_another_domain",
    "keys_asked_for_in_the_clear",
    "a_stripped_a_crypto",
    "savp_rewritten_to_avp",
    "tls_blocked_on_the_path",
    "a_wrong_certificate",
    "an_expired_certificate",
    "a_wildcard_certificate",
    "a_nul_in_the_subject_alternative_name",
    "a_second_domain_behind_the_same_address_and_port",
    "digest_challenges_from_a_foreign_realm",
    "replayed_srtp",
    "forged_srtp_and_a_hundred_bad_packets_do_not_end_the_call",
    "replayed_and_forged_srtcp",
    "injected_rtp_before_the_source_is_locked",
    "injected_rtp_after_the_source_is_locked",
    "an_ssrc_collision",
    "a_dtls_hello_race",
    "a_re_invite_from_elsewhere",
    "a_forked_answer_with_a_reused_key",
    "recorded_calls_replayed_an_hour_later",
    "forged_dns_replies",
    "a_clear_rtcp_bye_under_mandatory_srtp",
    "two_183s_and_a_re_invite_after_the_bye",
    "crlf_in_reason_phrases_and_header_values",
    "an_early_close_notify",
    "forged_stun_replies",
    "a_challenge_to_our_hanging_up",
    "descriptions_with_too_many_keys_and_impossible_numbers",
    "a_from_of_a_slash_or_a_backslash",
    "a_content_length_that_lies",
    "nested_bodies_and_endless_quotes",
    "refer_and_replaces_to_hijack_a_call",
];

struct Attack {
    name: String,
    attacker: String,
    engine: String,
    person: String,
}

/// The tests of a file: each needs its three lines, in their order, right before it. A line that
/// is indented goes on with the one before.
fn attacks(file: &str) -> Vec<Attack> {
    let path = format!("{}/tests/{file}.rs", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    let mut found = vec![];
    let mut said: Vec<String> = vec![];
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(more) = line.strip_prefix("///   ") {
            let last = said.last_mut().expect("a line to go on with");
            *last = format!("{last} {more}");
        } else if let Some(words) = line.strip_prefix("/// ") {
            said.push(words.replace('|', "\\|"));
        } else if line == "#[test]" {
            let name = lines.next().unwrap().trim_start_matches("fn ");
            let name = name.split('(').next().unwrap().to_string();
            assert_eq!(said.len(), 3, "{file}: {name} begins with attacker, engine and person");
            let words = |at: usize, who: &str| {
                let words = said[at].strip_prefix(who).and_then(|rest| rest.strip_prefix(": "));
                words.unwrap_or_else(|| panic!("{file}: {name}: no {who}")).to_string()
            };
            let (attacker, engine, person) =
                (words(0, "attacker"), words(1, "engine"), words(2, "person"));
            found.push(Attack { name, attacker, engine, person });
        } else {
            said.clear();
        }
    }
    found
}

fn table() -> String {
    let mut text = String::new();
    for (file, title) in FILES {
        let _ = write!(
            text,
            "### {title}\n\n| The attacker | The phone's software | The person |\n|---|---|---|\n"
        );
        for attack in attacks(file) {
            let _ =
                writeln!(text, "| {} | {} | {} |", attack.attacker, attack.engine, attack.person);
        }
        text.push('\n');
    }
    text
}

#[test]
fn the_page_says_what_the_attack_tests_check() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the beginning");
    let (written, after) = rest.split_once(END).expect("the page has the end");
    let made = table();
    if std::env::var_os("SUBROSA_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, made, "run with SUBROSA_BLESS=1 and look at what changed");
    }
}

#[test]
fn every_attack_has_its_test_and_every_attack_file_is_on_the_page() {
    let names: Vec<String> =
        FILES.iter().flat_map(|(file, _)| attacks(file)).map(|attack| attack.name).collect();
    for wanted in WANTED {
        assert!(names.iter().any(|name| name == wanted), "{wanted} is missing");
    }
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(file) = name.strip_suffix(".rs").filter(|f| f.starts_with("attack_")) else {
            continue;
        };
        assert!(file == "attack_page" || FILES.iter().any(|(f, _)| *f == file), "{file}");
    }
}

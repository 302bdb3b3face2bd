//! The table of docs/security.md is what two engines really do. `SUBROSA_BLESS=1` writes it anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs)]

#[path = "support/pair.rs"]
mod pair;

use std::fmt::Write as _;

use pair::{Outcome, Setup, USUAL, outcome};
use subrosa::engine::SecurityPolicy;
use subrosa::sip::Transport;

const BEGIN: &str = "<!-- table: made by tests/security_page.rs -->\n";
const END: &str = "<!-- end of table -->\n";

fn title(policy: SecurityPolicy) -> &'static str {
    match policy {
        SecurityPolicy::Off => "Off",
        SecurityPolicy::Preferred => "Preferred",
        SecurityPolicy::Required => "Required",
    }
}

fn table() -> String {
    use SecurityPolicy::{Off, Preferred, Required};
    let mut text = String::from(
        "| The caller's domain | The called domain | Connection between them | What happens | The caller's screen |\n\
         |---|---|---|---|---|\n",
    );
    let ways = [
        (Transport::Tls, true, "TLS, both show a certificate"),
        (Transport::Tls, false, "TLS, only the called one shows a certificate"),
        (Transport::Udp, true, "in the clear (no TLS to be had)"),
    ];
    for (transport, mutual, way) in ways {
        for caller in [Off, Preferred, Required] {
            for callee in [Off, Preferred, Required] {
                // Who demands TLS does not call in the clear at all.
                if transport == Transport::Udp && caller == Required {
                    continue;
                }
                let setup = Setup { transport, mutual, policies: [caller, callee], ..USUAL };
                let (keys, padlock) = outcome(setup);
                let (what, screen) = match keys {
                    Outcome::Sdes => ("voice encrypted, keys under TLS", padlock.as_str()),
                    Outcome::Dtls => ("voice encrypted, keys by DTLS", padlock.as_str()),
                    Outcome::Plain => ("voice in the clear", padlock.as_str()),
                    Outcome::Refused => ("no call: it is refused with the reason", "call refused"),
                };
                let (caller, callee) = (title(caller), title(callee));
                let _ = writeln!(text, "| {caller} | {callee} | {way} | {what} | {screen} |");
            }
        }
    }
    text
}

#[test]
fn the_table_of_the_security_page_is_what_two_engines_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/security.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the table's beginning");
    let (written, after) = rest.split_once(END).expect("the page has the table's end");
    let made = table();
    if std::env::var_os("SUBROSA_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, made, "run with SUBROSA_BLESS=1 and look at what changed");
    }
}

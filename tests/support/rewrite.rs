//! Somebody on a path in the clear who changes session descriptions.
#![allow(dead_code, unreachable_pub)]

use super::scene::{Fate, Piece};
use subrosa::sim::Net;
use subrosa::wire::sip::Message;

/// Changes the session descriptions of messages in the clear; their length follows.
pub fn rewrite(
    mut change: impl FnMut(&str) -> String + Send,
) -> impl FnMut(&mut Net<'_>, &mut Piece<'_>) -> Fate + Send {
    move |_, piece| {
        let Ok(message) = Message::parse(piece.bytes) else { return Fate::Pass };
        let body = String::from_utf8_lossy(message.body()).into_owned();
        let changed = change(&body);
        if changed == body {
            return Fate::Pass;
        }
        let text = String::from_utf8_lossy(piece.bytes).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap();
        let head: Vec<&str> = head
            .split("\r\n")
            .filter(|l| !l.to_lowercase().starts_with("content-length"))
            .collect();
        *piece.bytes =
            format!("{}\r\nContent-Length: {}\r\n\r\n{changed}", head.join("\r\n"), changed.len())
                .into_bytes();
        Fate::Changed
    }
}

pub fn without(body: &str, attributes: &[&str]) -> String {
    let keep = |line: &&str| !attributes.iter().any(|a| line.starts_with(a));
    body.split_inclusive("\r\n").filter(keep).collect()
}

//! Accounts of a document.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::document::Node;
use super::error::Problems;
use super::fields::Fields;
use super::{plain, policy, word};
use crate::engine::{AccountConfig, Codec};
use crate::sip::Transport;
use crate::time::Duration;
use crate::util::Secret;
use crate::wire::sip::Uri;

const KNOWN: [&str; 13] = [
    "aor",
    "display_name",
    "auth_user",
    "password",
    "realm",
    "register",
    "registrar",
    "proxy",
    "transport",
    "expires",
    "keep_alive",
    "policy",
    "codecs",
];
const DAY: u32 = 86_400;

/// What makes an account the same one in the next document: scheme, user, host and port.
pub(super) fn key(account: &AccountConfig) -> String {
    let aor = account.aor.as_ref();
    let host = aor.host().to_string().to_ascii_lowercase();
    let port = aor.port().map(|port| alloc::format!(":{port}")).unwrap_or_default();
    let user = aor.user_unescaped().unwrap_or_default();
    let user: String = user.escape_ascii().to_string();
    alloc::format!("{}:{user}@{host}{port}", aor.scheme_str().to_ascii_lowercase())
}

/// The account of a table.
pub(super) fn read(node: &Node, problems: &mut Problems) -> Option<AccountConfig> {
    let fields = Fields::open(node, "an account", &KNOWN, problems)?;
    if !fields.has("aor") {
        problems.add(fields.line, "this account has no aor: add aor = \"sip:user@example.com\"");
    }
    let aor = fields.parsed("aor", problems, |text| {
        let uri = server(text)?;
        let with_user = uri.as_ref().user().is_some_and(|user| !user.is_empty());
        with_user.then_some(uri).ok_or("it needs a user: sip:user@example.com")
    });
    // The other keys are looked at all the same.
    let placeholder = || Uri::parse("sip:nobody@invalid").ok();
    let complete = aor.is_some();
    let mut account = AccountConfig::new(aor.or_else(placeholder)?);
    identity(&fields, &mut account, problems);
    way(&fields, &mut account, problems);
    if fields.has("codecs") {
        account.codecs = codecs(&fields, problems);
    }
    complete.then_some(account)
}

fn identity(fields: &Fields<'_>, account: &mut AccountConfig, problems: &mut Problems) {
    if let Some(name) = fields.parsed("display_name", problems, plain) {
        account.display_name = name;
    }
    if let Some(user) = fields.parsed("auth_user", problems, plain) {
        account.auth_user = user;
    }
    account.realm = fields.parsed("realm", problems, plain);
    let password = fields.text("password", problems);
    account.password = password.map(|text| Secret::new(text.expose().clone()));
    if let Some(policy) = fields.parsed("policy", problems, policy) {
        account.policy = policy;
    }
}

fn way(fields: &Fields<'_>, account: &mut AccountConfig, problems: &mut Problems) {
    if let Some(register) = fields.flag("register", problems) {
        account.register = register;
    }
    account.registrar = fields.parsed("registrar", problems, server);
    account.outbound_proxy = fields.parsed("proxy", problems, server);
    let transports = [("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];
    account.transport = fields.parsed("transport", problems, |text| word(text, &transports));
    let seconds = |n: u32| Duration::from_secs(u64::from(n));
    if let Some(expires) = fields.integer("expires", 10..=30 * DAY, problems) {
        account.expires = seconds(expires);
    }
    if let Some(interval) = fields.integer("keep_alive", 0..=DAY, problems) {
        account.keep_alive = seconds(interval);
    }
}

fn codecs(fields: &Fields<'_>, problems: &mut Problems) -> Vec<Codec> {
    let words = Codec::ALL.map(|codec| (codec.as_str(), codec));
    let mut codecs = Vec::new();
    let names = fields.texts("codecs", problems);
    if names.is_empty() {
        problems.add(fields.line_of("codecs"), "codecs is empty: name one, or leave it out");
    }
    for (line, name) in names {
        match word(name.expose(), &words) {
            Ok(codec) if codecs.contains(&codec) => problems.add(line, "this codec is there twice"),
            Ok(codec) => codecs.push(codec),
            Err(what) => problems.add(line, format_args!("codecs: {what}")),
        }
    }
    codecs
}

/// A SIP URI, which is not shown in errors: there may be a password in it.
fn server(text: &str) -> Result<Uri, &'static str> {
    let uri = Uri::parse(text).map_err(|_| "this is no SIP address: write sip:example.com")?;
    if !uri.is_sip() {
        return Err("this is no SIP address: it begins with sip: or sips:");
    }
    if uri.password().is_some() {
        return Err("a password has no place in an address: use the key password");
    }
    Ok(uri)
}

//! The call itself: two phones, what they do one after the other, and what is seen of it.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::driver::{
    CallAudio, CallInfo, DnsConfig, Phone, Player, Progress, WavRecorder, WireRecorder, read_wav,
};
use subrosa::engine::{
    AccountConfig, AccountId, CallId, CallOptions, Codec, Config, Event, Padlock, SecurityPolicy,
};
use subrosa::sip::Transport;

use crate::certs::Authority;
use crate::display::{Display, Look};
use crate::evidence::{self, Evidence, Wire};
use crate::probe::{Heard, Probe, Spoken};
use crate::summary;

/// Sample rate of the speech, the call and the recording, Hz.
pub(crate) const RATE: u32 = 16_000;
/// Who calls, and where: the name must not be readable on the wire.
const CALLER: &str = "Alice Liddell";
const CALLER_AOR: &str = "sip:alice@alice.example";
const CALLER_DOMAIN: &str = "alice.example";
const CALLEE_DOMAIN: &str = "bob.example";
/// Any step of the call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the last word, so that what is on its way arrives.
const TAIL: Duration = Duration::from_millis(800);
/// What is kept of the wire; a call of 8 s needs a tenth of it.
const WIRE_LIMIT: usize = 32 << 20;
/// Redraw interval.
const REDRAW: Duration = Duration::from_millis(100);

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// How the call is made.
pub(crate) struct Options {
    pub(crate) plain: bool,
    pub(crate) codec: Codec,
    pub(crate) speech: Vec<PathBuf>,
    pub(crate) record: PathBuf,
}

/// A phone of this process, with what it remembers of the wire.
struct Party {
    phone: Phone,
    account: AccountId,
    wire: WireRecorder,
}

impl Party {
    fn start(config: Config, mut account: AccountConfig, plain: bool) -> Fallible<Self> {
        let wire = WireRecorder::new(WIRE_LIMIT);
        // Bob's domain leads to this host; no name server is asked.
        let mut dns = DnsConfig::new(Vec::new());
        dns.hosts.insert(CALLEE_DOMAIN, [127, 0, 0, 1].into());
        let phone = Phone::builder(config).dns(dns).wire_tap(wire.clone()).start()?;
        if plain {
            // A domain without a policy would encrypt where it can.
            for domain in [CALLER_DOMAIN, CALLEE_DOMAIN] {
                phone.set_domain_policy(domain, SecurityPolicy::Off)?;
            }
        }
        account.register = false;
        account.transport = Some(transport(plain));
        account.policy = policy(plain);
        let account = phone.add_account(account)?;
        Ok(Self { phone, account, wire })
    }

    /// Waits for the event that `want` picks.
    fn wait<T>(&self, what: &str, mut want: impl FnMut(&Event) -> Option<T>) -> Fallible<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Some(event) =
            self.phone.next_event(deadline.saturating_duration_since(Instant::now()))
        {
            if let Some(wanted) = want(&event) {
                return Ok(wanted);
            }
            seen.push(format!("{event:?}"));
        }
        Err(format!("no {what} within {} s; instead: {}", PATIENCE.as_secs(), seen.join(", "))
            .into())
    }

    fn info(&self, call: CallId) -> Fallible<CallInfo> {
        self.phone.call(call)?.ok_or_else(|| "the call is forgotten".into())
    }
}

fn transport(plain: bool) -> Transport {
    if plain { Transport::Tcp } else { Transport::Tls }
}

fn policy(plain: bool) -> SecurityPolicy {
    if plain { SecurityPolicy::Off } else { SecurityPolicy::Required }
}

/// A configuration for TLS on loopback alone, with a certificate for `domain`.
fn config(authority: &Authority, domain: &str) -> Fallible<Config> {
    let certified = authority.certify(domain)?;
    let mut config = Phone::config_trusting(TrustAnchors::from_pem(authority.pem.as_bytes())?);
    config.local_ip = [127, 0, 0, 1].into();
    config.udp_port = None;
    config.identity =
        Some(TlsIdentity::from_pem(certified.certificate.as_bytes(), certified.key.as_bytes())?);
    Ok(config)
}

fn start_bob(authority: &Authority, plain: bool) -> Fallible<(Party, u16)> {
    let mut config = config(authority, CALLEE_DOMAIN)?;
    let listen = Some(([127, 0, 0, 1], 0).into());
    *(if plain { &mut config.listen_tcp } else { &mut config.listen_tls }) = listen;
    let bob = Party::start(config, AccountConfig::new("sip:bob@bob.example".parse()?), plain)?;
    let port = bob.wait("listener", |event| match event {
        Event::Listening { transport: over, local } if *over == transport(plain) => {
            Some(local.port())
        }
        _ => None,
    })?;
    Ok((bob, port))
}

fn start_alice(authority: &Authority, plain: bool) -> Fallible<Party> {
    let mut account = AccountConfig::new(CALLER_AOR.parse()?);
    account.display_name = CALLER.into();
    Party::start(config(authority, CALLER_DOMAIN)?, account, plain)
}

fn call_options(how: &Options) -> CallOptions {
    let mut options = CallOptions::default();
    options.policy = policy(how.plain);
    options.sample_rate = RATE;
    options.codecs = vec![how.codec];
    options
}

/// Makes the call and gathers what was seen of it.
pub(crate) fn make(options: &Options, display: &mut Display) -> Fallible<Evidence> {
    let mut speech = Vec::new();
    for clip in &options.speech {
        speech.extend(read_wav(clip, RATE)?);
    }
    if let Some(folder) = options.record.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let authority = Authority::make()?;
    let (bob, port) = start_bob(&authority, options.plain)?;
    let alice = start_alice(&authority, options.plain)?;
    let over = transport(options.plain);
    display
        .say(&format!("bob listens on 127.0.0.1:{port} ({over}); alice calls bob@{CALLEE_DOMAIN}"));

    let (spoken, heard) = (Probe::default(), Probe::default());
    let player = Player::new(speech.clone());
    let progress = player.progress();
    let source = Spoken { player, probe: spoken.clone() };
    let target =
        format!("sip:bob@{CALLEE_DOMAIN}:{port};transport={}", over.as_str().to_ascii_lowercase())
            .parse()?;
    let audio = CallAudio::new(RATE).source(source);
    let outgoing = alice.phone.place_call(alice.account, target, call_options(options), audio)?;
    let incoming = bob.wait("incoming call", |event| match event {
        Event::IncomingCall { call, from, display_name, .. } => {
            display.say(&format!("bob's phone rings: {display_name} <{from}>"));
            Some(*call)
        }
        _ => None,
    })?;
    bob.phone.ring(incoming)?;
    alice.wait("ringing", |event| {
        matches!(event, Event::CallProgress { .. }).then(|| display.say("alice hears: ringing"))
    })?;
    let recorder = WavRecorder::create(&options.record, RATE)?;
    let sink = Heard { recorder, probe: heard.clone() };
    bob.phone.accept(incoming, call_options(options), CallAudio::new(RATE).sink(sink))?;
    for party in [&alice, &bob] {
        party.wait("answer", |e| matches!(e, Event::CallEstablished { .. }).then_some(()))?;
    }
    let answered = alice.info(outgoing)?;
    let security = summary::wrap(&answered.security.to_string(), "established: ".len());
    display.say(&format!("established: {security}"));

    let calls = (outgoing, incoming);
    watch(display, &alice, &bob, calls, &progress)?;
    let (caller, callee) = (alice.info(outgoing)?, bob.info(incoming)?);
    alice.phone.hang_up(outgoing)?;
    let mut ends = Vec::new();
    for party in [&alice, &bob] {
        ends.push(party.wait("end of the call", |event| match event {
            Event::CallEnded { reason, .. } => Some(reason.clone()),
            _ => None,
        })?);
    }
    display.say("alice hangs up; the call has ended on both sides");
    alice.phone.stop();
    bob.phone.stop();

    Ok(Evidence {
        caller,
        callee,
        codec: options.codec,
        ends,
        speech,
        spoken: spoken.take(),
        heard: heard.take(),
        recording: options.record.clone(),
        wires: [Wire::of(&alice.wire), Wire::of(&bob.wire)],
        names: vec!["alice".into(), "liddell".into()],
        domains: [CALLEE_DOMAIN.into(), CALLER_DOMAIN.into()],
    })
}

/// Shows the call until everything is spoken and what is on its way has arrived.
fn watch(
    display: &mut Display,
    alice: &Party,
    bob: &Party,
    (outgoing, incoming): (CallId, CallId),
    progress: &Progress,
) -> Fallible<()> {
    let seconds = |samples: u64| samples as f64 / f64::from(RATE);
    let total = seconds(progress.total());
    let deadline = Instant::now() + Duration::from_secs_f64(total) + PATIENCE;
    let mut finished = None;
    while finished.is_none_or(|at: Instant| at.elapsed() < TAIL) {
        if Instant::now() > deadline {
            return Err("the speech did not get played in time".into());
        }
        for party in [alice, bob] {
            while let Some(event) = party.phone.try_event() {
                if let Event::CallEnded { reason, .. } = event {
                    return Err(format!("the call ended early: {reason:?}").into());
                }
            }
        }
        let (caller, callee) = (alice.info(outgoing)?, bob.info(incoming)?);
        let (out, back) = (evidence::figures(&caller), evidence::figures(&callee));
        display.show(&Look {
            padlock: caller.security.padlock().to_string(),
            encrypted: caller.security.padlock() == Padlock::EncryptedToProvider,
            played: (seconds(progress.played()), total),
            sent: out.sent,
            received: back.received,
            lost: back.lost,
            jitter_ms: back.jitter_ms,
            mos: back.mos,
            level: bob.phone.levels(incoming)?.map(|levels| levels.received.rms_dbfs),
        });
        if progress.is_finished() {
            finished.get_or_insert_with(Instant::now);
        }
        std::thread::sleep(REDRAW);
    }
    display.say("everything is spoken");
    Ok(())
}

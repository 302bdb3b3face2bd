//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, ValueExt};
use subrosa::engine::{AccountConfig, Codec, SecurityPolicy};
use subrosa::media::tones::TonePlan;
use subrosa::sip::Transport;
use subrosa::util::Secret;
use subrosa::wire::sip::Uri;

use crate::failure::{Failure, Status};

/// What --help says.
pub(crate) const HELP: &str = include_str!("help.txt");

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) provision: Option<PathBuf>,
    pub(crate) aor: Uri,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) password: Option<Secret<String>>,
    pub(crate) register: bool,
    pub(crate) registrar: Option<Uri>,
    pub(crate) proxy: Option<Uri>,
    pub(crate) transport: Option<Transport>,
    pub(crate) expires: Duration,
    pub(crate) check: bool,
    pub(crate) policy: SecurityPolicy,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) bind: IpAddr,
    pub(crate) udp_port: u16,
    pub(crate) listen_tcp: Option<u16>,
    pub(crate) listen_tls: Option<u16>,
    pub(crate) call: Option<Uri>,
    pub(crate) auto_answer: bool,
    pub(crate) duration: Option<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) dtmf: String,
    pub(crate) codecs: Vec<Codec>,
    pub(crate) play: Option<PathBuf>,
    pub(crate) looping: bool,
    pub(crate) record: Option<PathBuf>,
    pub(crate) tones: Option<TonePlan>,
    pub(crate) rate: u32,
    pub(crate) device: bool,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) no_processing: bool,
    pub(crate) echo_test: bool,
    pub(crate) echo: Option<Duration>,
    no_tones: bool,
    pub(crate) sip_trace: bool,
    pub(crate) quiet: bool,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Request {
    Help,
    Version,
    ListDevices,
    /// An echo test without a call.
    Echo(Box<Options>),
    Run(Box<Options>),
}

impl Options {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            provision: None,
            aor: uri("sip:phone@localhost")?,
            name: String::new(),
            user: String::new(),
            password: std::env::var("SUBROSA_PASSWORD").ok().map(Secret::new),
            register: false,
            registrar: None,
            proxy: None,
            transport: None,
            expires: Duration::from_secs(600),
            check: false,
            policy: SecurityPolicy::Preferred,
            ca: None,
            cert: None,
            key: None,
            bind: Ipv4Addr::UNSPECIFIED.into(),
            udp_port: 0,
            listen_tcp: None,
            listen_tls: None,
            call: None,
            auto_answer: false,
            duration: None,
            timeout: Duration::from_secs(60),
            dtmf: String::new(),
            codecs: Codec::USUAL.to_vec(),
            play: None,
            looping: false,
            record: None,
            tones: None,
            rate: 16_000,
            device: false,
            input: None,
            output: None,
            no_processing: false,
            echo_test: false,
            echo: None,
            no_tones: false,
            sip_trace: false,
            quiet: false,
        })
    }

    /// True if it ends by itself and reads no commands.
    pub(crate) fn is_one_shot(&self) -> bool {
        self.check || self.call.is_some() || self.auto_answer
    }
}

impl Options {
    /// Takes over what a document says of the account that calls.
    pub(crate) fn adopt(&mut self, account: &AccountConfig) {
        self.aor = account.aor.clone();
        self.register = account.register;
        self.codecs.clone_from(&account.codecs);
        // Its domain's policy and its own hold for calls, too.
        self.policy = SecurityPolicy::Off;
    }
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Request, Failure> {
    let mut options = Options::new()?;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(Failure::usage)? {
        let name = match argument {
            Short('h') => "help".to_owned(),
            Short('V') => "version".to_owned(),
            Long(name) => name.to_owned(),
            other => return Err(Failure::usage(other.unexpected())),
        };
        match name.as_str() {
            "help" => return Ok(Request::Help),
            "version" => return Ok(Request::Version),
            "list-devices" => {
                needs_devices("list-devices")?;
                return Ok(Request::ListDevices);
            }
            _ if options.set_flag(&name) => {}
            _ => options.set_value(&name, &mut parser)?,
        }
    }
    options.check_consistency()?;
    if options.echo_test || options.echo.is_some() {
        return Ok(Request::Echo(Box::new(options)));
    }
    Ok(Request::Run(Box::new(options)))
}

impl Options {
    /// Options without a value; false if it is none of them.
    fn set_flag(&mut self, name: &str) -> bool {
        let flag = match name {
            "register" => &mut self.register,
            "check" => &mut self.check,
            "auto-answer" => &mut self.auto_answer,
            "loop" => &mut self.looping,
            "device" => &mut self.device,
            "no-processing" => &mut self.no_processing,
            "echo-test" => &mut self.echo_test,
            "sip-trace" => &mut self.sip_trace,
            "quiet" => &mut self.quiet,
            _ => return false,
        };
        *flag = true;
        true
    }

    fn set_value(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Failure> {
        if !KNOWN.contains(&name) {
            return Err(Failure::usage(format!("there is no option --{name}")));
        }
        let value = parser.value().map_err(Failure::usage)?.string().map_err(Failure::usage)?;
        let wrong = |why: String| Failure::usage(format!("--{name} {value}: {why}"));
        match name {
            "provision" => {
                needs_provisioning()?;
                self.provision = Some(value.into());
            }
            "aor" => self.aor = uri(&value)?,
            "name" => self.name = value,
            "user" => self.user = value,
            "password" => self.password = Some(Secret::new(value)),
            "password-file" => self.password = Some(password_from(&value)?),
            "registrar" => self.registrar = Some(uri(&value)?),
            "proxy" => self.proxy = Some(uri(&value)?),
            "transport" => self.transport = Some(transport(&value).map_err(wrong)?),
            "expires" => self.expires = seconds(&value).map_err(wrong)?,
            "policy" => self.policy = policy(&value).map_err(wrong)?,
            "ca" => self.ca = Some(value.into()),
            "cert" => self.cert = Some(value.into()),
            "key" => self.key = Some(value.into()),
            "bind" => self.bind = value.parse().map_err(|e| wrong(format!("{e}")))?,
            "udp-port" => self.udp_port = port(&value).map_err(wrong)?,
            "listen-tcp" => self.listen_tcp = Some(port(&value).map_err(wrong)?),
            "listen-tls" => self.listen_tls = Some(port(&value).map_err(wrong)?),
            "call" => self.call = Some(uri(&value)?),
            "duration" => self.duration = Some(seconds(&value).map_err(wrong)?),
            "timeout" => self.timeout = seconds(&value).map_err(wrong)?,
            "dtmf" => self.dtmf = digits(&value).map_err(wrong)?,
            "codec" => self.codecs = codecs(&value).map_err(wrong)?,
            "input" => self.input = Some(value),
            "output" => self.output = Some(value),
            "play" => self.play = Some(value.into()),
            "echo" => self.echo = Some(echo_delay(&value).map_err(wrong)?),
            "tones" if value == "off" => self.no_tones = true,
            "tones" => self.tones = Some(plan(&value).map_err(wrong)?),
            "record" => self.record = Some(value.into()),
            _ => self.rate = rate(&value).map_err(wrong)?,
        }
        Ok(())
    }

    fn check_consistency(&mut self) -> Result<(), Failure> {
        let modes = [self.call.is_some(), self.auto_answer, self.check];
        if modes.iter().filter(|on| **on).count() > 1 {
            return Err(Failure::usage("give only one of --call, --auto-answer and --check"));
        }
        if self.cert.is_some() != self.key.is_some() {
            return Err(Failure::usage("--cert and --key go together"));
        }
        if self.listen_tls.is_some() && self.cert.is_none() {
            return Err(Failure::usage("--listen-tls needs --cert and --key"));
        }
        let echo = self.echo_test || self.echo.is_some();
        self.device |= self.input.is_some() || self.output.is_some() || echo;
        if self.device {
            needs_devices(if echo { "echo-test" } else { "device" })?;
            // Somebody listens: a telephone has tones.
            self.tones.get_or_insert(TonePlan::DEFAULT);
        }
        if self.no_tones {
            self.tones = None;
        }
        self.register |= self.check;
        Ok(())
    }
}

/// Microphone and loudspeaker are in this build.
fn needs_devices(option: &str) -> Result<(), Failure> {
    if cfg!(feature = "audio-device") {
        return Ok(());
    }
    Err(Failure::usage(format!("--{option} needs a build with --features audio-device")))
}

/// Documents can be read in this build.
fn needs_provisioning() -> Result<(), Failure> {
    if cfg!(feature = "provisioning") {
        return Ok(());
    }
    Err(Failure::usage("--provision needs a build with --features provisioning"))
}

/// Options that take a value.
const KNOWN: [&str; 30] = [
    "provision",
    "aor",
    "name",
    "user",
    "password",
    "password-file",
    "registrar",
    "proxy",
    "transport",
    "expires",
    "policy",
    "ca",
    "cert",
    "key",
    "bind",
    "udp-port",
    "listen-tcp",
    "listen-tls",
    "call",
    "duration",
    "echo",
    "timeout",
    "dtmf",
    "codec",
    "input",
    "output",
    "play",
    "record",
    "tones",
    "rate",
];

/// A SIP URI; `sip:` may be left out.
pub(crate) fn uri(text: &str) -> Result<Uri, Failure> {
    let known = ["sip:", "sips:"].iter().any(|scheme| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let full = if known { text.to_owned() } else { format!("sip:{text}") };
    Uri::parse(&full).map_err(|_| Failure::usage(format!("{text:?} is no SIP address")))
}

fn password_from(path: &str) -> Result<Secret<String>, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|e| Failure::new(Status::File, format!("{path}: {e}")))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn transport(text: &str) -> Result<Transport, String> {
    [Transport::Udp, Transport::Tcp, Transport::Tls]
        .into_iter()
        .find(|t| t.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "give udp, tcp or tls".into())
}

fn policy(text: &str) -> Result<SecurityPolicy, String> {
    [SecurityPolicy::Off, SecurityPolicy::Preferred, SecurityPolicy::Required]
        .into_iter()
        .find(|p| p.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "give off, preferred or required".into())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: Option<f64> = text.parse().ok();
    seconds
        .filter(|s| (0.0..=86_400.0).contains(s))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds, from 0 to 86400".into())
}

fn echo_delay(text: &str) -> Result<Duration, String> {
    let delay = seconds(text).ok().filter(|delay| *delay <= Duration::from_secs(10));
    delay.ok_or_else(|| "give seconds, from 0 to 10".into())
}

fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| "give a port, from 0 (any) to 65535".into())
}

fn rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok();
    rate.filter(|r| [8_000, 16_000, 24_000, 32_000, 44_100, 48_000].contains(r))
        .ok_or_else(|| "give 8000, 16000, 24000, 32000, 44100 or 48000".into())
}

fn plan(text: &str) -> Result<TonePlan, String> {
    TonePlan::of(text).copied().ok_or_else(|| "give a country, for example de, gb or us".into())
}

fn codecs(text: &str) -> Result<Vec<Codec>, String> {
    let named = |name: &str| Codec::ALL.into_iter().find(|c| c.as_str().eq_ignore_ascii_case(name));
    let codecs: Option<Vec<Codec>> = text.split(',').map(|name| named(name.trim())).collect();
    codecs.ok_or_else(|| {
        "give a list of opus, g722, pcmu and pcma, or of l16/8000, l16/16000 and l16/48000".into()
    })
}

/// Telephone digits.
pub(crate) fn digits(text: &str) -> Result<String, String> {
    let text = text.to_ascii_uppercase();
    let valid = text.chars().all(|c| c.is_ascii_digit() || "*#ABCD".contains(c));
    if valid { Ok(text) } else { Err("digits are 0-9, *, # and A-D".into()) }
}

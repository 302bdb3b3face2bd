//! The far ends of TLS streams, and the SRTP that they send: what only a peer with keys can say.

use subrosa::crypto::srtp::{MasterKey, SrtpSender, Suite};
use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsIdentity, TlsServerSettings, TlsStream, TlsVersions,
    TrustAnchors,
};
use subrosa::time::UnixTime;
use subrosa::util::SeededRng;
use subrosa::wire::rtp::RtpHeaderFields;

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/data/sim/", $name))
    };
}

/// The wall clock of every run.
pub const UNIX: UnixTime = UnixTime::from_secs(1_800_000_000);
/// The key of `peer::CRYPTO`: what the base64 of its line stands for.
pub const KEY: &[u8; 30] = b"YS___semctl () {\t220;}\n}\nunles";

pub fn trust() -> TrustAnchors {
    TrustAnchors::from_pem(data!("ca.pem")).expect("a certificate")
}

/// The engine's identity, `alice.test`.
pub fn identity() -> TlsIdentity {
    TlsIdentity::from_pem(data!("alice.pem"), data!("alice.key.pem")).expect("an identity")
}

/// The far end of one stream.
pub struct Far {
    tls: TlsStream,
    rng: SeededRng,
}

impl Far {
    /// It dialled the engine.
    pub fn client() -> Self {
        let settings = TlsClientSettings::new(trust(), None, TlsVersions::default());
        let mut rng = SeededRng::new(3);
        let settings = settings.expect("settings");
        let tls = TlsStream::client(&settings, "alice.test", UNIX, &mut rng).expect("a domain");
        Self { tls, rng }
    }

    /// The engine dialled it: `bob.test`.
    pub fn server() -> Self {
        let identity = TlsIdentity::from_pem(data!("bob.pem"), data!("bob.key.pem"));
        let settings = TlsServerSettings::new(
            identity.expect("an identity"),
            ClientCertificates::NotRequested,
            TlsVersions::default(),
        );
        let mut rng = SeededRng::new(4);
        let tls = TlsStream::server(&settings.expect("settings"), UNIX, &mut rng);
        Self { tls: tls.expect("it starts"), rng }
    }

    /// What the engine sent, decrypted.
    pub fn read(&mut self, data: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let _ = self.tls.read_tls(UNIX, data, &mut self.rng);
        self.tls.read_plain(&mut plain);
        plain
    }

    /// What the engine gets.
    pub fn write(&mut self, plain: &[u8]) {
        let _ = self.tls.write_plain(plain);
    }

    pub fn take(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.tls.write_tls_to(&mut out);
        out
    }
}

/// Protects packets as the far end.
pub struct Sender(SrtpSender);

impl Sender {
    pub fn new() -> Self {
        let key = MasterKey::new(Suite::AesCm128HmacSha1_80, KEY).expect("a key");
        Self(SrtpSender::new(&key).expect("a sender"))
    }

    pub fn packet(&mut self, payload_type: u8, sequence_number: u16, payload: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; payload.len() + 64];
        let timestamp = u32::from(sequence_number) * 160;
        let fields =
            RtpHeaderFields { payload_type, sequence_number, timestamp, ..Default::default() };
        let written = fields.write_packet(payload, 0, &mut buffer);
        let sent = written.ok().and_then(|len| self.0.protect_rtp(&mut buffer, len).ok());
        sent.map(|egress| egress.bytes().to_vec()).unwrap_or_default()
    }

    pub fn report(&mut self, mut packet: Vec<u8>) -> Vec<u8> {
        let len = packet.len();
        packet.resize(len + 64, 0);
        let sent = self.0.protect_rtcp(&mut packet, len).ok();
        sent.map(|egress| egress.bytes().to_vec()).unwrap_or_default()
    }
}

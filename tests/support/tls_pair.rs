//! Certificates made on the spot, and two TLS streams that talk over memory.
#![allow(dead_code, unreachable_pub)]

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, RevokedCertParams, SanType,
    SerialNumber, date_time_ymd,
};
use subrosa::crypto::tls::{
    ClientCertificates, TlsClientSettings, TlsError, TlsFacts, TlsIdentity, TlsServerSettings,
    TlsStream, TlsVersions, TrustAnchors,
};
use subrosa::time::UnixTime;
use subrosa::util::SeededRng;

/// 2026-01-01.
pub const NOW: UnixTime = UnixTime::from_secs(1_767_225_600);
/// 2040-01-01: every certificate below has expired.
pub const LATER: UnixTime = UnixTime::from_secs(2_208_988_800);
/// 2001-01-01: none is valid yet.
pub const EARLIER: UnixTime = UnixTime::from_secs(978_307_200);

pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

pub fn authority(name: &str) -> Authority {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let params = ca_params(name);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    pub fn anchors(&self) -> TrustAnchors {
        TrustAnchors::from_pem(self.pem.as_bytes()).unwrap()
    }

    /// An authority below this one, with its certificate in PEM.
    pub fn below(&self, name: &str) -> Authority {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = ca_params(name);
        params.serial_number = Some(SerialNumber::from(77));
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// An authority below this one and, with the same key, below another: its second
    /// certificate comes in PEM.
    pub fn crossed(&self, name: &str, other: &Authority) -> (Authority, String) {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let params = ca_params(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        let second = params.signed_by(&key, &other.issuer).unwrap().pem();
        (Authority { issuer: Issuer::new(params, key), pem }, second)
    }

    /// A certificate made of these parameters with a fresh P-256 key; `chain` (PEM) follows it.
    pub fn sign(&self, params: &CertificateParams, chain: &str) -> TlsIdentity {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        self.sign_with(params, &key, chain).0
    }

    /// The same with this key; also the certificate in DER.
    pub fn sign_with(
        &self,
        params: &CertificateParams,
        key: &KeyPair,
        chain: &str,
    ) -> (TlsIdentity, Vec<u8>) {
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        let pem = certificate.pem() + chain;
        let identity =
            TlsIdentity::from_pem(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        (identity, certificate.der().to_vec())
    }

    /// A revocation list of these serial numbers, good from 2024 to the year `until`, in PEM.
    pub fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
        .pem()
        .unwrap()
    }

    pub fn issue(&self, names: Vec<SanType>, ed25519: bool) -> TlsIdentity {
        let algorithm = if ed25519 { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 };
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params(names).signed_by(&key, &self.issuer).unwrap();
        TlsIdentity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }
}

pub fn params(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.subject_alt_names = names;
    params.distinguished_name.push(DnType::CommonName, "example.com");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2035, 1, 1);
    params
}

pub fn dns(name: &str) -> SanType {
    SanType::DnsName(Ia5String::try_from(name).unwrap())
}

pub fn uri(name: &str) -> SanType {
    SanType::URI(Ia5String::try_from(name).unwrap())
}

pub fn serve(identity: TlsIdentity) -> TlsServerSettings {
    let versions = TlsVersions::default();
    TlsServerSettings::new(identity, ClientCertificates::NotRequested, versions).unwrap()
}

pub fn trust(ca: &Authority) -> TlsClientSettings {
    TlsClientSettings::new(ca.anchors(), None, TlsVersions::default()).unwrap()
}

/// Both ends, their randomness, and every byte that crossed.
pub struct Pair {
    pub client: TlsStream,
    pub server: TlsStream,
    pub client_rng: SeededRng,
    pub server_rng: SeededRng,
    pub wire: Vec<u8>,
}

impl Pair {
    pub fn new(c: &TlsClientSettings, s: &TlsServerSettings, domain: &str, now: UnixTime) -> Self {
        Self::seeded(c, s, domain, now, 1)
    }

    pub fn seeded(
        c: &TlsClientSettings,
        s: &TlsServerSettings,
        domain: &str,
        now: UnixTime,
        seed: u64,
    ) -> Self {
        let (mut client_rng, mut server_rng) = (SeededRng::new(seed), SeededRng::new(seed + 100));
        let client = TlsStream::client(c, domain, now, &mut client_rng).unwrap();
        let server = TlsStream::server(s, now, &mut server_rng).unwrap();
        Self { client, server, client_rng, server_rng, wire: Vec::new() }
    }

    /// Exchanges until both are silent, `step` bytes at a time.
    pub fn run(&mut self, now: UnixTime, step: usize) -> Result<(), TlsError> {
        for _ in 0..100 {
            let (mut up, mut down) = (Vec::new(), Vec::new());
            self.client.write_tls_to(&mut up);
            for chunk in up.chunks(step) {
                self.server.read_tls(now, chunk, &mut self.server_rng)?;
            }
            self.server.write_tls_to(&mut down);
            for chunk in down.chunks(step) {
                self.client.read_tls(now, chunk, &mut self.client_rng)?;
            }
            self.wire.extend_from_slice(&up);
            self.wire.extend_from_slice(&down);
            if up.is_empty() && down.is_empty() {
                return Ok(());
            }
        }
        panic!("the two never fall silent");
    }
}

/// Shakes hands: the facts of the client and of the server, or the error of whoever refused.
pub fn shake(
    client: &TlsClientSettings,
    server: &TlsServerSettings,
    seed: u64,
) -> Result<(TlsFacts, TlsFacts), TlsError> {
    let mut pair = Pair::seeded(client, server, "example.com", NOW, seed);
    pair.run(NOW, 4096)?;
    Ok((pair.client.facts().unwrap().clone(), pair.server.facts().unwrap().clone()))
}

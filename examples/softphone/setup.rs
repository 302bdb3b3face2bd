//! From the options to a running phone.

use std::net::SocketAddr;
use std::path::Path;

use subrosa::crypto::tls::{TlsIdentity, TrustAnchors};
use subrosa::driver::Phone;
use subrosa::engine::{AccountConfig, AccountId, Config};

use crate::failure::{Failure, Status};
use crate::options::Options;
use crate::provision::Watch;

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::new(Status::File, format!("{}: {e}", path.display())))
}

fn bad_pem(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Status::File, format!("{}: {error}", path.display()))
}

fn config(options: &Options) -> Result<Config, Failure> {
    let mut config = match &options.ca {
        Some(path) => {
            let anchors = TrustAnchors::from_pem(&read(path)?).map_err(|e| bad_pem(path, e))?;
            Phone::config_trusting(anchors)
        }
        None => Phone::config(),
    };
    config.local_ip = options.bind;
    config.sip_trace = options.sip_trace;
    config.udp_port = Some(options.udp_port);
    config.listen_tcp = options.listen_tcp.map(|port| SocketAddr::new(options.bind, port));
    config.listen_tls = options.listen_tls.map(|port| SocketAddr::new(options.bind, port));
    if let (Some(cert), Some(key)) = (&options.cert, &options.key) {
        let identity = TlsIdentity::from_pem(&read(cert)?, &read(key)?);
        config.identity = Some(identity.map_err(|e| bad_pem(cert, e))?);
    }
    Ok(config)
}

fn account(options: &Options) -> AccountConfig {
    let mut account = AccountConfig::new(options.aor.clone());
    account.display_name = options.name.clone();
    account.auth_user = options.user.clone();
    account.password = options.password.clone();
    account.register = options.register;
    account.registrar = options.registrar.clone();
    account.outbound_proxy = options.proxy.clone();
    account.transport = options.transport;
    account.expires = options.expires;
    account.policy = options.policy;
    account.codecs = options.codecs.clone();
    account
}

/// Starts the phone with its account.
pub(crate) fn start(options: &mut Options) -> Result<(Phone, AccountId, Option<Watch>), Failure> {
    // Files are looked at before anything is sent: a wrong name should not cost a call.
    if let Some(path) = &options.play {
        subrosa::driver::read_wav(path, options.rate)?;
    }
    let phone = Phone::builder(config(options)?).start()?;
    if let Some(file) = options.provision.clone() {
        let mut watch = Watch::new(file.clone());
        let applied = watch.apply(&phone)?.account;
        let none =
            || Failure::new(Status::File, format!("{}: there is no account in it", file.display()));
        let (account, config) = applied.ok_or_else(none)?;
        options.adopt(&config);
        return Ok((phone, account, Some(watch)));
    }
    // The user's word is the policy of the own domain, too: an account alone can only be stricter.
    phone.set_domain_policy(options.aor.host_str(), options.policy)?;
    let account = phone.add_account(account(options))?;
    Ok((phone, account, None))
}

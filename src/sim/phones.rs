//! Phones in a world: added, commanded, held to their promises.

use super::engine_host::{EPOCH, EngineHost};
use super::host::HostId;
use super::invariants::Fact;
use super::seed::split;
use super::world::{Handle, World};
use crate::engine::{Codec, Config, ConfigError, Engine};
use crate::time::Instant;

impl World {
    /// Adds a phone: an engine whose configuration has this world's randomness and clock and
    /// the host's address, no trust anchors, UDP port 5060; `setup` changes what it wants.
    ///
    /// # Errors
    /// [`ConfigError`] if the engine does not take the configuration.
    pub fn add_phone(
        &mut self,
        name: &str,
        setup: impl FnOnce(&mut Config),
    ) -> Result<Handle<EngineHost>, ConfigError> {
        let ip = self.next_ip();
        let purpose = format!("engine {ip}");
        let now = self.now();
        let clock = EPOCH + now.duration_since(Instant::ZERO);
        let mut config = Config::new(Box::new(split(self.seed(), &purpose, 0)), clock);
        config.local_ip = ip;
        config.udp_port = Some(5060);
        config.trust = crate::crypto::tls::TrustAnchors::none();
        name.clone_into(&mut config.local_user);
        // Who looks at packets one by one (`Packet::kind`) tells by their lengths whether they are
        // encrypted, which Opus hides. Who wants it names it in `codecs`; the rules see through it.
        config.codecs.retain(|codec| *codec != Codec::Opus);
        setup(&mut config);
        Ok(self.add_host_at(name, ip, EngineHost::new(config, now)?))
    }

    /// Gives an engine a command and lets its consequences out.
    pub fn command<R>(
        &mut self,
        phone: Handle<EngineHost>,
        command: impl FnOnce(&mut Engine, Instant) -> R,
    ) -> R {
        self.act(phone, |host, net| {
            let result = command(host.engine_mut(), net.now());
            host.drain(net);
            result
        })
    }

    /// Tells the invariants that from now on nothing may leave a host in the clear.
    pub fn require_security(&mut self, host: impl Into<HostId>) {
        self.report(Fact::Required { host: host.into(), on: true });
    }
}

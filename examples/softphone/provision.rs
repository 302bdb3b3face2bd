//! --provision: a document says who the phone is, and is read again when it changes.

use subrosa::engine::{AccountConfig, AccountId};

/// What applying a document came to.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The account that calls: the first of the document.
    pub(crate) account: Option<(AccountId, AccountConfig)>,
    /// What changed, for the user.
    pub(crate) sentence: String,
}

#[cfg(feature = "provisioning")]
mod watch {
    use std::path::PathBuf;
    use std::time::{Duration, Instant, SystemTime};

    use subrosa::driver::Phone;
    use subrosa::engine::provisioning::{Format, Provisioning, ProvisioningOutcome};
    use subrosa::util::Secret;

    use super::Applied;
    use crate::failure::{Failure, Status};

    /// How often the file is looked at.
    const LOOK: Duration = Duration::from_secs(1);

    /// A document's file.
    #[derive(Debug)]
    pub(crate) struct Watch {
        path: PathBuf,
        seen: Option<(SystemTime, u64)>,
        next: Instant,
    }

    impl Watch {
        pub(crate) fn new(path: PathBuf) -> Self {
            Self { path, seen: None, next: Instant::now() }
        }

        fn stamp(&self) -> Option<(SystemTime, u64)> {
            let data = std::fs::metadata(&self.path).ok()?;
            Some((data.modified().ok()?, data.len()))
        }

        /// Applies the document again if the file has changed.
        pub(crate) fn poll(&mut self, phone: &Phone) -> Option<Result<Applied, Failure>> {
            if Instant::now() < self.next {
                return None;
            }
            self.next = Instant::now() + LOOK;
            // A file that is being replaced may be missing for a moment.
            let stamp = self.stamp()?;
            (self.seen != Some(stamp)).then(|| self.apply(phone))
        }

        /// Reads the document and applies it.
        pub(crate) fn apply(&mut self, phone: &Phone) -> Result<Applied, Failure> {
            self.seen = self.stamp();
            let name = self.path.display().to_string();
            let wrong = |error: String| Failure::new(Status::File, format!("{name}: {error}"));
            let text = std::fs::read_to_string(&self.path).map_err(|e| wrong(e.to_string()))?;
            // There are passwords in it.
            let text = Secret::new(text);
            let format = Format::of_file_name(&name)
                .ok_or_else(|| wrong("the name must end in .toml or .json".into()))?;
            let folder = self.path.parent().map(PathBuf::from).unwrap_or_default();
            let file = |named: &str| std::fs::read(folder.join(named)).ok();
            let document = Provisioning::parse_with_files(text.expose(), format, file);
            let document = document.map_err(|e| wrong(e.to_string()))?;
            let first = document.accounts().next().cloned();
            let outcome = phone.with_engine(move |engine, now| engine.provision(now, &document))?;
            let outcome = outcome.map_err(|e| wrong(e.to_string()))?;
            let sentence = sentence(&outcome);
            let account = outcome.accounts.first().copied().zip(first);
            Ok(Applied { account, sentence })
        }
    }

    fn sentence(outcome: &ProvisioningOutcome) -> String {
        let parts = [
            (outcome.added.len(), "added"),
            (outcome.updated.len(), "updated"),
            (outcome.replaced.len(), "replaced"),
            (outcome.removed.len(), "removed"),
            (outcome.unchanged.len(), "unchanged"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let accounts = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
        let domains = match outcome.domains.len() {
            0 => String::new(),
            _ => format!("; domains changed: {}", outcome.domains.join(", ")),
        };
        format!("provisioned: accounts: {accounts}{domains}")
    }
}

#[cfg(not(feature = "provisioning"))]
mod watch {
    use std::path::PathBuf;

    use subrosa::driver::Phone;

    use super::Applied;
    use crate::failure::Failure;

    /// None in this build: --provision is refused as an option.
    #[derive(Debug)]
    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn new(_: PathBuf) -> Self {
            Self
        }

        pub(crate) fn poll(&mut self, _: &Phone) -> Option<Result<Applied, Failure>> {
            None
        }

        pub(crate) fn apply(&mut self, _: &Phone) -> Result<Applied, Failure> {
            Err(Failure::usage("--provision needs a build with --features provisioning"))
        }
    }
}

pub(crate) use watch::Watch;

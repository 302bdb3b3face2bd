//! A build without the feature `audio-device`: the options that ask for one are refused.

use subrosa::driver::CallAudio;
use subrosa::engine::EndReason;

use crate::failure::{Failure, Status};
use crate::options::Options;

/// There are none.
#[derive(Debug)]
pub(crate) enum Devices {}

impl Devices {
    /// None.
    pub(crate) fn open(_: &Options) -> Result<Option<Self>, Failure> {
        Ok(None)
    }

    pub(crate) fn attach(&self, _: CallAudio) -> CallAudio {
        match *self {}
    }

    pub(crate) fn choose(&self, _: bool, _: Option<&str>) -> Result<String, Failure> {
        match *self {}
    }

    pub(crate) fn news(&self) -> Vec<String> {
        match *self {}
    }

    pub(crate) fn play_end(&self, _: &EndReason) {
        match *self {}
    }

    pub(crate) fn finish_tone(&self) {
        match *self {}
    }

    pub(crate) fn stats(&self) -> String {
        match *self {}
    }
}

fn none() -> Failure {
    Failure::new(Status::Usage, "this build has no devices: it needs --features audio-device")
}

pub(crate) fn list() -> Result<String, Failure> {
    Err(none())
}

pub(crate) fn echo(_: &Options) -> Result<(), Failure> {
    Err(none())
}

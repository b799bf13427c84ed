//! What changed, for those who follow: the last changes in memory, for `/v1/watch`, and, where asked for, a file of them.
//!
//! [`Change`] is one entry of the ledger as it was applied; the LDB's writer makes them, for it knows keys, and gives them
//! to the [`Recorder`], which tells of them when SQLite has committed them. [`Hub`] holds the newest ones; a [`log`] is the
//! file. Neither stops replay: a file that cannot be written says so later, with a line that means *reload*.

mod change;
mod epoch;
mod hub;
mod line;
mod log;
mod original;
mod recorder;
mod ring;
mod spool;
mod told;

use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;

pub(crate) use change::{Change, Op, Table};
pub(crate) use epoch::Epoch;
pub(crate) use hub::{Follower, Hub, Since};
pub(crate) use line::Line;
pub(crate) use recorder::Recorder;
pub(crate) use told::LogReport;

use crate::args::{ChangelogFormat, ChangesArgs};
use crate::changes::recorder::Sink;
use crate::changes::told::Told;
use crate::status::Status;

/// Everything about changes that a process has. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    hub: Hub,
    told: Told,
    recorder: Arc<Mutex<Recorder>>,
}

impl Changes {
    pub(crate) fn new(args: &ChangesArgs, status: &Status) -> Self {
        let sink = args.changelog_path.as_ref().map(|path| -> Box<dyn Sink> {
            match args.changelog_format {
                ChangelogFormat::Original => {
                    Box::new(original::Original::new(path, args.changelog_size))
                }
                ChangelogFormat::V2 => {
                    let files = usize::try_from(args.changelog_files).unwrap_or(usize::MAX);
                    Box::new(log::Log::new(path, args.changelog_size, files))
                }
            }
        });
        let (hub, told) = (Hub::new(), Told::new(status.clone(), sink.is_some()));
        let recorder = Recorder::new(hub.clone(), sink, told.clone());
        Self { hub, told, recorder: Arc::new(Mutex::new(recorder)) }
    }

    pub(crate) fn hub(&self) -> Hub {
        self.hub.clone()
    }

    /// For the LDB's writer.
    pub(crate) fn recorder(&self) -> Arc<Mutex<Recorder>> {
        Arc::clone(&self.recorder)
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.told.clone()));
    }
}

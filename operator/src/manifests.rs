//! Dev mode's stand-in for the API server: objects come from a folder of manifests, read again when it changes; statuses
//! stay in memory and are told as they change.
//!
//! What the API server would refuse is refused here, in its words and with the place in the file; the object stays as it
//! was. An object that leaves the folder is deleted, with its finalizer if it has one.

mod desk;
mod folder;
mod schema;
mod yaml;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use ledger::LdbTable;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::ctltable::accept::sql_name;
pub(crate) use crate::manifests::desk::Desk;
use crate::manifests::folder::Object;
pub use crate::manifests::folder::{Place, Problem};
use crate::objects::Kind;
use crate::wake::Wakes;

/// Between two looks at the folder. Its text is compared, so nothing depends on clocks or events of the file system.
const LOOK: Duration = Duration::from_millis(300);

/// Something that the user of dev mode wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The folder was read.
    Read {
        /// Sound objects in it.
        objects: usize,
    },
    /// Something is wrong with a file, and was not before.
    Problem(Problem),
    /// The condition `Ready` of an object changed.
    Status(StatusNotice),
    /// An object is gone.
    Gone {
        /// Its kind.
        kind: Kind,
        /// Namespace and name.
        object: String,
    },
}

/// The condition `Ready` of an object, in the operator's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusNotice {
    /// Its kind.
    pub kind: Kind,
    /// Namespace and name.
    pub object: String,
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    /// Why, in a word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Read { objects: 1 } => out.write_str("read 1 object"),
            Notice::Read { objects } => write!(out, "read {objects} objects"),
            Notice::Problem(problem) => fmt::Display::fmt(problem, out),
            Notice::Status(StatusNotice { kind, object, ready, reason, message }) => {
                write!(out, "{} {object}: Ready={ready} {reason}: {message}", kind.name())
            }
            Notice::Gone { kind, object } => write!(out, "{} {object}: gone", kind.name()),
        }
    }
}

/// Called with each notice, from the operator's tasks; it must not block.
pub type Notices = Arc<dyn Fn(Notice) + Send + Sync>;

/// A folder of manifests, or a single file.
#[derive(Clone)]
pub struct Manifests {
    /// The folder or file.
    pub path: PathBuf,
    /// Where notices go.
    pub notices: Notices,
}

impl fmt::Debug for Manifests {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Manifests").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The first table that the manifests declare soundly, by its names in SQL: for examples to show.
#[must_use]
pub fn first_table(path: &Path) -> Option<LdbTable> {
    let contents = folder::parse(&folder::read(path).ok()?);
    let objects = || contents.objects.iter().map(|(_, object)| object);
    let family = |name: &str| {
        objects().find_map(|object| match object {
            Object::Family(family) if family.name_any() == name => Some(family),
            Object::Family(_) | Object::Table(_) => None,
        })
    };
    objects().find_map(|object| match object {
        Object::Table(table) => sql_name(table, family(&table.spec.family_ref.name)?),
        Object::Family(_) => None,
    })
}

/// Reads the folder and follows its changes until `stop`.
pub(crate) async fn follow(
    path: &Path,
    desk: &Desk,
    wakes: &Wakes,
    stop: &CancellationToken,
) -> Result<(), JoinError> {
    let mut known = None;
    loop {
        let folder = path.to_owned();
        let found = tokio::task::spawn_blocking(move || folder::read(&folder)).await?;
        if known.as_ref() != Some(&found) || desk.wants_another_look() {
            let contents = match &found {
                Ok(files) => folder::parse(files),
                // As if every file had a problem: nothing is taken away.
                Err(problem) => folder::Contents {
                    problems: vec![problem.clone()],
                    ..folder::Contents::default()
                },
            };
            desk.take(contents, found.is_ok(), wakes).await;
            known = Some(found);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

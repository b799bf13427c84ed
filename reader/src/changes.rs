//! Follows changes: what was written and deleted, as it happens, for programs that keep something in memory.
//!
//! Changes come from the agent of this node (its socket, or its address), or from the file that it writes with
//! `--changelog-path`. Either way they come through the same iterator:
//!
//! ```no_run
//! use reader::Ldb;
//! use reader::changes::Event;
//!
//! let ldb = Ldb::open("/var/lib/ctlstore")?;
//! // First from where to follow, then what to keep: so nothing is missed in between.
//! let after = ldb.seq()?;
//! # let load = |_: &Ldb| {};
//! # let read_again = |_: &Ldb, _: &[reader::Value]| {};
//! load(&ldb);
//! for event in ldb.follow().after(after).family("billing").open()? {
//!     match event? {
//!         Event::Change(change) => read_again(&ldb, &change.key_values()),
//!         Event::Position(_) => {}
//!         Event::Reload { .. } => load(&ldb),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A change says *that* a row changed; what it is now is read from the LDB, which has the change when it is told. Each
//! change comes at least once and in order, and a repeat is told by its sequence. When changes were missed (the follower was
//! away too long, another file took the LDB's place, the disk was full) that is [`Event::Reload`], not an error: read again
//! what you keep and go on.
//!
//! The agent may restart meanwhile: the follower waits for it. [`Changes::into_stream`] is the same for async programs, on any
//! runtime.

mod error;
mod event;
mod file;
mod http;
mod line;
mod log;
mod place;
mod resume;
mod sse;
mod stream;
mod wait;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::{FamilyName, Seq, TableName};

pub use error::ChangesError;
pub use event::{Change, Event, Op};
pub use resume::{Resume, ResumeError};
pub use stream::ChangeStream;

use crate::Ldb;
use crate::changes::file::FileSource;
use crate::changes::http::WatchSource;
use crate::changes::place::Place;

/// Longer than this a call that waits for ever does not wait at once.
const LOOK: Duration = Duration::from_secs(1);

/// What to follow, and from where.
#[derive(Debug, Clone)]
#[must_use = "nothing is followed before `open`"]
pub struct Follow {
    from: Origin,
    after: Option<Resume>,
    family: Option<String>,
    table: Option<String>,
    token: Option<String>,
}

#[derive(Debug, Clone)]
enum Origin {
    File(PathBuf),
    Agent(Result<Place, String>),
}

/// What changes concern the follower.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) family: Option<FamilyName>,
    pub(crate) table: Option<TableName>,
}

impl Filter {
    fn wants(&self, change: &Change) -> bool {
        self.family.as_ref().is_none_or(|family| *family == change.family)
            && self.table.as_ref().is_none_or(|table| *table == change.table)
    }
}

impl Follow {
    /// The file that an agent writes with `--changelog-path`, of either format.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self::new(Origin::File(path.as_ref().to_owned()))
    }

    /// The agent that serves this Unix socket.
    pub fn socket(path: impl AsRef<Path>) -> Self {
        Self::new(Origin::Agent(Ok(Place::Socket(path.as_ref().to_owned()))))
    }

    /// The agent or sidecar at this address: `http://127.0.0.1:1331`. Without TLS: it is meant for the same node.
    pub fn url(url: &str) -> Self {
        Self::new(Origin::Agent(Place::parse(url).ok_or_else(|| url.to_owned())))
    }

    fn new(from: Origin) -> Self {
        Self { from, after: None, family: None, table: None, token: None }
    }

    /// From after this sequence; from now on without it. In the original's file, which does not tell sequences, it means: say
    /// first that changes may have been missed.
    pub fn after(self, seq: Seq) -> Self {
        self.resume(seq.into())
    }

    /// From where another run ended ([`Changes::resume`]). Like [`Follow::after`], but whoever comes back to an LDB of another
    /// history is told to reload.
    pub fn resume(mut self, from: Resume) -> Self {
        self.after = Some(from);
        self
    }

    /// Only changes of this family.
    pub fn family(mut self, family: &str) -> Self {
        self.family = Some(family.to_owned());
        self
    }

    /// Only changes of tables of this name.
    pub fn table(mut self, table: &str) -> Self {
        self.table = Some(table.to_owned());
        self
    }

    /// The bearer token that the agent wants.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Begins.
    ///
    /// # Errors
    /// A name is impossible, or the agent cannot be reached or refuses. A file may come into being later.
    pub fn open(self) -> Result<Changes, ChangesError> {
        let Self { from, after, family, table, token } = self;
        let family = family.map(|family| FamilyName::parse_folded(&family)).transpose()?;
        let table = table.map(|table| TableName::parse_folded(&table)).transpose()?;
        let filter = Filter { family, table };
        let resume = after.clone();
        let epoch = after.as_ref().and_then(|after| after.epoch.clone());
        let source = match from {
            Origin::File(path) => Source::File(FileSource::new(&path, after)),
            Origin::Agent(Err(url)) => return Err(ChangesError::Url { url }),
            Origin::Agent(Ok(place)) => {
                Source::Watch(Box::new(WatchSource::open(place, after, &filter, token)?))
            }
        };
        Ok(Changes { source, filter, ready: VecDeque::new(), last: None, epoch, resume })
    }
}

impl Ldb {
    /// Follows changes of this LDB, through the socket of its agent; see [`crate::changes`].
    pub fn follow(&self) -> Follow {
        Follow::socket(self.path().join(crate::layout::SOCKET))
    }
}

/// What changes, one event after the other. The iterator waits for the next one and never ends by itself; after an error it
/// may be asked again.
#[derive(Debug)]
pub struct Changes {
    source: Source,
    filter: Filter,
    ready: VecDeque<Told>,
    last: Option<Event>,
    /// Of the event that comes next.
    epoch: Option<Arc<str>>,
    resume: Option<Resume>,
}

/// What a source tells.
#[derive(Debug)]
pub(crate) enum Told {
    Event(Event),
    /// Sequences from here on are of this epoch, if it is known.
    Epoch(Option<Arc<str>>),
}

impl From<Event> for Told {
    fn from(event: Event) -> Self {
        Told::Event(event)
    }
}

#[derive(Debug)]
enum Source {
    File(FileSource),
    Watch(Box<WatchSource>),
}

impl Changes {
    /// The next event, if it comes within this time.
    ///
    /// # Errors
    /// The agent refuses, or the file cannot be read.
    pub fn next_within(&mut self, time: Duration) -> Result<Option<Event>, ChangesError> {
        let deadline = Instant::now() + time;
        loop {
            while let Some(told) = self.ready.pop_front() {
                match told {
                    Told::Epoch(epoch) => self.epoch = epoch,
                    Told::Event(event) => {
                        if let Some(seq) = event.seq() {
                            self.resume = Some(Resume { seq, epoch: self.epoch.clone() });
                        }
                        if self.tells(&event) {
                            self.last = Some(event.clone());
                            return Ok(Some(event));
                        }
                    }
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match &mut self.source {
                Source::File(file) => file.poll(&mut self.ready, left)?,
                Source::Watch(watch) => watch.poll(&mut self.ready, left)?,
            }
            if left.is_zero() && self.ready.is_empty() {
                return Ok(None);
            }
        }
    }

    /// From where to go on when what was told is done with, to be kept for another run. None where sequences are not told,
    /// and before any was.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        self.resume.clone()
    }

    /// The same for async programs, on any runtime.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn into_stream(self) -> Result<ChangeStream, ChangesError> {
        ChangeStream::of(self)
    }

    fn tells(&self, event: &Event) -> bool {
        match event {
            Event::Change(change) => self.filter.wants(change),
            // The same twice tells nothing new.
            Event::Reload { .. } | Event::Position(_) => self.last.as_ref() != Some(event),
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Event, ChangesError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.next_within(LOOK).transpose() {
                return Some(event);
            }
        }
    }
}

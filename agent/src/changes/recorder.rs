//! Takes changes as they are applied, and tells of them when they are committed: first the hub, then the file.
//!
//! What the file needs to survive a crash is written before the commit, where nobody looks (see [`crate::changes::log`]).
//! A file that cannot be written is tried again later and then says that changes are missing.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemon::log::Chain;
use ledger::{Mark, Seq, Value};

use crate::changes::ring::{MOST, Ring};
use crate::changes::told::Told;
use crate::changes::{Change, Epoch, Hub, Table};

/// A file that could not be written is tried again after this.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);

/// A file of changes.
pub(crate) trait Sink: std::fmt::Debug + Send {
    /// Does it need to be told of each row that was there or is there now? What changes the whole table says so only then.
    fn wants_rows(&self) -> bool;

    /// From now on sequences are of this incarnation of the LDB.
    fn runs(&mut self, _incarnation: u64) {}

    /// At the first start: goes on from what the file has, if that reaches up to this position and no further. If it does
    /// not, the file says so.
    fn open(&mut self, position: Option<Mark>) -> io::Result<()>;

    /// A change of the transaction that is open.
    fn add(&mut self, change: &Change) -> io::Result<()>;

    /// A row that it touches.
    fn touch(&mut self, table: &Table, key: &[Value]) -> io::Result<()>;

    /// The transaction is about to be committed; the LDB will stand here.
    fn prepare(&mut self, position: &Mark) -> io::Result<()>;

    /// It is.
    fn commit(&mut self) -> io::Result<()>;

    /// It is not.
    fn undo(&mut self);

    /// Says that what came up to this position was not told.
    fn restart(&mut self, position: Option<Mark>, reason: &str) -> io::Result<()>;
}

#[derive(Debug)]
pub(crate) struct Recorder {
    hub: Hub,
    sink: Option<Box<dyn Sink>>,
    told: Told,
    /// Of the transaction that is open.
    pending: Ring,
    /// As the control page has it.
    incarnation: u64,
    /// Where the LDB will stand if the commit under way succeeds.
    prepared: Option<Mark>,
    /// Up to here entries are told without detail.
    passed_over: Seq,
    /// Where the LDB stood when all was told; none before the start.
    stands: Option<Option<Mark>>,
    /// Since when the file lacks something.
    broken: Option<Instant>,
}

impl Recorder {
    pub(super) fn new(hub: Hub, sink: Option<Box<dyn Sink>>, told: Told) -> Self {
        let pending = Ring::default();
        let incarnation = 0;
        Self {
            hub,
            sink,
            told,
            pending,
            incarnation,
            prepared: None,
            passed_over: Seq::ZERO,
            stands: None,
            broken: None,
        }
    }

    /// From now on sequences are of this incarnation: where it is another, one of before may mean something else.
    pub(crate) fn runs(&mut self, incarnation: u64) {
        if self.incarnation != incarnation {
            self.incarnation = incarnation;
            self.sink.iter_mut().for_each(|sink| sink.runs(incarnation));
        }
    }

    /// Is what an entry does to be told in detail? Not if followers in memory are the only ones who would hear of it, and
    /// it would have made room for newer ones when they look.
    pub(crate) fn wants(&self, seq: Seq) -> bool {
        self.sink.is_some() || seq > self.passed_over
    }

    /// The ledger ends here, or later.
    pub(crate) fn note_head(&mut self, head: Seq) {
        let held = u64::try_from(MOST.changes).unwrap_or(u64::MAX);
        self.passed_over = Seq::new(head.get().saturating_sub(held)).unwrap_or_default();
    }

    /// An entry was applied whose detail nobody wants.
    pub(crate) fn pass_over(&mut self, seq: Seq) {
        self.pending.pass_over(seq);
    }

    pub(crate) fn wants_rows(&self) -> bool {
        self.sink.as_ref().is_some_and(|sink| sink.wants_rows())
    }

    /// An entry was applied.
    pub(crate) fn ran(&mut self, change: Change) {
        self.attempt(|sink| sink.add(&change));
        self.pending.push(Arc::new(change), MOST);
    }

    /// A row that the statement touches.
    pub(crate) fn touch(&mut self, table: &Table, key: &[Value]) {
        self.attempt(|sink| sink.touch(table, key));
    }

    /// What was applied is about to be committed.
    pub(crate) fn prepare(&mut self, position: Mark) {
        self.prepared = Some(position);
        self.attempt(|sink| sink.prepare(&position));
    }

    /// It is committed, and readers see it.
    pub(crate) fn committed(&mut self) {
        let Some(position) = self.prepared.take() else { return };
        let epoch = self.epoch(&position);
        self.hub.record(std::mem::take(&mut self.pending), position.seq, epoch);
        self.stands = Some(Some(position));
        if self.broken.is_some() {
            self.repair();
        } else if self.attempt(|sink| sink.commit()) {
            self.told.wrote(position.seq);
        }
    }

    /// What was applied and not committed is not there any more.
    pub(crate) fn undone(&mut self) {
        self.prepared = None;
        self.pending.clear();
        if let Some(sink) = &mut self.sink {
            sink.undo();
        }
    }

    /// The LDB stands here, by itself: at the start, after it was opened anew, or when another file is served.
    pub(crate) fn stands(&mut self, position: Option<Mark>) {
        if self.prepared.is_some() && self.prepared == position {
            return self.committed();
        }
        self.undone();
        let before = self.stands.replace(position);
        if before == Some(position) {
            return;
        }
        let seq = position.map_or(Seq::ZERO, |position| position.seq);
        self.hub.restart(seq, position.map(|position| self.epoch(&position)));
        let well = match before {
            None => self.attempt(|sink| sink.open(position)),
            Some(_) => {
                self.attempt(|sink| sink.restart(position, "the LDB was replaced by another file"))
            }
        };
        if well {
            self.told.wrote(seq);
        }
    }

    /// Tries again what failed.
    pub(crate) fn tend(&mut self) {
        if self.broken.is_some_and(|since| since.elapsed() >= BETWEEN_TRIES) {
            self.repair();
        }
    }

    fn epoch(&self, position: &Mark) -> Epoch {
        Epoch { history: position.history, incarnation: self.incarnation }
    }

    fn repair(&mut self) {
        let (Some(sink), Some(position)) = (&mut self.sink, self.stands) else { return };
        sink.undo();
        match sink.restart(position, "the change log could not be written for a while") {
            Ok(()) => {
                self.broken = None;
                let seq = position.map_or(Seq::ZERO, |position| position.seq);
                self.told.wrote(seq);
                tracing::info!(%seq, "the change log is written again, and says that changes are missing");
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Does something with the file, unless it is broken. Did it?
    fn attempt(&mut self, act: impl FnOnce(&mut dyn Sink) -> io::Result<()>) -> bool {
        let Some(sink) = self.sink.as_mut().filter(|_| self.broken.is_none()) else { return false };
        match act(sink.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if self.broken.is_none() {
            tracing::error!(error = %Chain(error), "cannot write the change log, changes are applied all the same");
        }
        self.broken = Some(Instant::now());
        self.told.failed(error.to_string());
    }
}

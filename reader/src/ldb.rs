//! The LDB of this node: opening it, following its generations, running reads in views.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{FamilyName, LdbTable, TableSchema};

use crate::connect::Keeper;
use crate::ctl::{Ctl, Stand};
use crate::place::Place;
use crate::retry::{Next, Retry};
use crate::session::Session;
use crate::slot::Lent;
use crate::stats::{Counters, Stats};
use crate::{Error, Family, clock, process};

/// The control data of this node. Send, Sync and cheap to clone; clones share the connections, one for each thread.
#[derive(Clone)]
pub struct Ldb(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// In the process's list.
    id: u64,
    place: Arc<Place>,
    pub(crate) counters: Counters,
}

impl Ldb {
    /// Opens the directory of an agent. A directory or a file of the original ctlstore can be read too.
    ///
    /// The directory may be mounted read-only and belong to another user.
    ///
    /// # Errors
    /// There is no LDB ([`Error::is_not_found`]), or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let place = Arc::new(Place::find(path.as_ref())?);
        let ldb = Self(Arc::new(Inner {
            id: process::enter(Arc::clone(&place)),
            place,
            counters: Counters::default(),
        }));
        ldb.read(|_| Ok(()))?;
        Ok(ldb)
    }

    /// A family of tables.
    ///
    /// # Errors
    /// The name is impossible, or the LDB has no table of this family ([`Error::is_not_found`]).
    pub fn family(&self, name: &str) -> Result<Family, Error> {
        let family = FamilyName::parse_folded(name)?;
        if self.read(|session| Ok(session.names_of(&family)?.is_empty()))? {
            return Err(Error::UnknownFamily { family });
        }
        Ok(Family::new(self.clone(), process::family_number(self.0.id, &family), family))
    }

    /// The families that have tables here, by name.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn families(&self) -> Result<Vec<FamilyName>, Error> {
        self.read(|session| {
            let families = session.names()?.iter().map(LdbTable::family);
            let mut families: Vec<_> = families.cloned().collect();
            families.dedup();
            Ok(families)
        })
    }

    /// The columns and the key of a table, by its full name: `billing___limits`.
    ///
    /// # Errors
    /// The name is impossible, there is no such table, or the LDB cannot be read.
    pub fn schema(&self, table: &str) -> Result<TableSchema, Error> {
        let table = LdbTable::parse(table)?;
        self.family(table.family().as_str())?.schema(table.table().as_str())
    }

    /// The directory or the file that was opened.
    pub(crate) fn path(&self) -> &Path {
        self.0.place.path()
    }

    /// The number of the file that is served: it rises when the agent replaces the file as a whole, which reads follow
    /// by themselves. 0 in a directory of the original.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.place.generation()
    }

    /// What this process did with the LDB so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.counters.read()
    }

    /// Runs `read` in a view of this thread, and again after what passes by itself.
    pub(crate) fn read<T>(
        &self,
        mut read: impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let lent = self.lend()?;
        self.read_in(&lent, &mut read)
    }

    /// This thread's connection.
    pub(crate) fn lend(&self) -> Result<Lent, Error> {
        Lent::of(self.0.id)
    }

    pub(crate) fn read_in<T>(
        &self,
        lent: &Lent,
        read: &mut impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match self.attempt(lent, read) {
            Ok(value) => Ok(value),
            Err(error) => self.retry(lent, read, error),
        }
    }

    #[cold]
    fn retry<T>(
        &self,
        lent: &Lent,
        read: &mut impl FnMut(&mut Session) -> Result<T, Error>,
        mut error: Error,
    ) -> Result<T, Error> {
        let mut retry = Retry::new();
        loop {
            let source = error.passing()?;
            self.0.counters.retried();
            match retry.failed() {
                Next::Again => {}
                // A process holds on to what a dead agent left behind until the last of its connections is closed.
                Next::Reopen => {
                    self.0.counters.reopened();
                    for slot in process::slots(self.0.id) {
                        slot.disconnect();
                    }
                    retry.jitter();
                }
                Next::GiveUp => {
                    return Err(self.unavailable(retry.tries, source));
                }
            }
            match self.attempt(lent, read) {
                Ok(value) => return Ok(value),
                Err(next) => error = next,
            }
        }
    }

    /// What the caller is told when trying again did not help.
    pub(crate) fn unavailable(&self, tries: u32, source: rusqlite::Error) -> Error {
        Error::Unavailable { path: self.0.place.path().to_owned(), tries, source }
    }

    fn attempt<T>(
        &self,
        lent: &Lent,
        read: &mut impl FnMut(&mut Session) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let ctl = self.0.place.ctl();
        let generation = match ctl {
            Some(ctl) => {
                ctl.check_reader()?;
                ctl.generation()
            }
            None => 0,
        };
        let mut guard = lent.lock();
        if guard.as_ref().is_none_or(|session| session.generation != generation) {
            drop(guard);
            let _gate = process::gate();
            guard = lent.lock();
            self.open_generation(lent, &mut guard, generation)?;
        }
        let Some(session) = guard.as_mut() else { return Err(Error::closed()) };
        let outcome = match self.0.enter_view(lent, session, ctl) {
            Ok(()) => read(session),
            Err(error) => Err(error),
        };
        let standing = self.keeps_views() || lent.is_kept();
        let failed = matches!(outcome, Err(Error::Sqlite(_)));
        if failed || !standing {
            lent.ended();
            // One that cannot even end its view is of no more use.
            if session.end().is_err() || (failed && ctl.is_none()) {
                *guard = None;
            }
        }
        outcome
    }

    /// May a view outlive its read? Without a control page nothing tells that it is old.
    fn keeps_views(&self) -> bool {
        self.ctl().is_some() && process::keeps_views()
    }

    /// Ends the view of a slot that was kept, where none outlives its read.
    pub(crate) fn leave_view(&self, lent: &Lent) {
        if !self.keeps_views() {
            lent.end_view(u64::MAX, 0);
        }
    }

    /// Connects to the served generation, if it can be opened and so far as no later one was.
    #[cold]
    fn open_generation(
        &self,
        lent: &Lent,
        session: &mut Option<Session>,
        generation: u64,
    ) -> Result<(), Error> {
        let Some(opened) = self.0.place.follow(session.as_ref(), generation)? else {
            return Ok(());
        };
        if session.is_some() {
            self.0.counters.switched();
        }
        lent.ended();
        *session = Some(opened);
        // A thread that reads no more would keep the old file on the disk. Our own slot is locked, and new.
        for slot in process::slots(self.0.id) {
            slot.disconnect_older(generation);
        }
        Ok(())
    }

    /// Where the control page says that the LDB stands. None without one.
    pub(crate) fn stand(&self) -> Option<Stand> {
        self.0.place.ctl().map(Ctl::stand)
    }

    /// The control page.
    pub(crate) fn ctl(&self) -> Option<&Ctl> {
        self.0.place.ctl()
    }

    /// In the process's list.
    pub(crate) fn id(&self) -> u64 {
        self.0.id
    }

    /// The file that is served now, and who keeps it.
    pub(crate) fn file(&self) -> (PathBuf, Keeper) {
        (self.0.place.file(self.generation()), self.0.place.keeper())
    }
}

impl Inner {
    /// Goes on in the view, or begins a new one.
    #[inline]
    fn enter_view(
        &self,
        lent: &Lent,
        session: &mut Session,
        ctl: Option<&Ctl>,
    ) -> Result<(), Error> {
        let stand = ctl.map_or_else(Stand::default, Ctl::stand);
        let now = clock::coarse_ms();
        if !lent.is_behind() && session.shows(stand, now) {
            return Ok(());
        }
        session.renew(stand, now)?;
        lent.began(now);
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        process::leave(self.id);
    }
}

impl std::fmt::Debug for Ldb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, generation) = (self.0.place.path(), self.generation());
        out.debug_struct("Ldb").field("path", &path).field("generation", &generation).finish()
    }
}

#[cfg(test)]
mod tests;

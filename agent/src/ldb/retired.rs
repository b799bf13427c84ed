//! A generation that was served before. Plain SQLite clients do not follow a switch, so while anybody has it open it is
//! kept, and fed as long as that can be done; not for ever: then its tables get other names, and who still reads it
//! fails loudly instead of reading old rows. It goes when nobody has it open.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use daemon::log::Chain;
use reader::layout;

use crate::ldb::checkpoint::LONGEST;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::ctl::Teller;
use crate::ldb::feed::Feed;
use crate::ldb::generation::{self, Generation, Setting, beside};
use crate::ldb::{Ahead, Error, attached, dir};
use crate::replay::Step;

/// Who was about to open it when another took its place has so long to do it.
const GRACE: Duration = Duration::from_secs(2);
/// Closing it to its readers is tried this often.
const BETWEEN_TRIES: Duration = Duration::from_secs(30);
/// In its folder: since when it is retired, in milliseconds since 1970.
const MARK: &str = "retired";
/// What its tables' names begin with in the end.
const PREFIX: &str = "_retired_";

#[derive(Debug)]
pub(crate) struct Retired {
    number: u64,
    folder: PathBuf,
    since: SystemTime,
    /// None when it could not be opened.
    generation: Option<Generation>,
    /// Does it hold all that is applied?
    follows: bool,
    silenced: bool,
    /// When that was tried last.
    tried: Option<Instant>,
    pub(crate) attached: u64,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    Gone,
}

impl Retired {
    /// One that was served until now.
    pub(crate) fn now(mut generation: Generation, follows: bool) -> Self {
        (generation.ctl, generation.feed) = (Teller::default(), Feed::default());
        generation.checkpoint.retire();
        let (number, folder) = (generation.number, generation.folder.clone());
        let mut retired = Self::unopened(folder, number);
        mark(&retired.folder, retired.since);
        (retired.generation, retired.follows) = (Some(generation), follows);
        retired
    }

    pub(crate) fn unopened(folder: PathBuf, number: u64) -> Self {
        let since = marked(&folder).unwrap_or_else(SystemTime::now);
        Self {
            number,
            folder,
            since,
            generation: None,
            follows: false,
            silenced: false,
            tried: None,
            attached: 1,
        }
    }

    /// One that an earlier run left; none if nobody has it open any more.
    pub(crate) fn find(
        dir: &Path,
        number: u64,
        clean: bool,
        setting: &Setting,
    ) -> Result<Option<Self>, Error> {
        let mut found = Self::unopened(dir::folder(dir, number), number);
        if found.ask() == 0 {
            return dir::remove(&found.folder).map(|()| None);
        }
        mark(&found.folder, found.since);
        match Generation::open(found.folder.clone(), number, setting) {
            Ok(mut generation) => {
                generation.checkpoint.retire();
                found.follows = clean || generation.check().is_ok();
                found.generation = Some(generation);
            }
            // Its tables have other names already, or it is bad.
            Err(error) => {
                tracing::info!(generation = number, error = %Chain(&error), "an older LDB file is only kept")
            }
        }
        Ok(Some(found))
    }

    /// Applies what the served one has now, from where this one stands. `in_frame`: a transaction of the ledger is open.
    pub(crate) fn follow(&mut self, steps: &[Step], ahead: Ahead, in_frame: bool) {
        let Some(generation) = self.generation.as_mut().filter(|_| self.follows) else { return };
        if let Err(error) = apply(generation, steps, ahead, in_frame) {
            self.follows = false;
            tracing::warn!(generation = self.number, error = %Chain(&error), "an older LDB file gets no more changes");
        }
    }

    /// Does what is due.
    pub(crate) fn tend(&mut self, keep: Duration, crash: &Crash) -> Result<Fate, Error> {
        if let Some(generation) = &mut self.generation {
            generation.tidy()?;
        }
        self.attached = self.ask();
        let age = self.since.elapsed().unwrap_or_default();
        if self.attached == 0 && age >= GRACE {
            dir::remove(&self.folder)?;
            crash.pass(Point::Removed)?;
            if let Some(generation) = self.generation.take() {
                generation.discard();
            }
            return Ok(Fate::Gone);
        }
        if age >= keep && !self.silenced {
            self.silence(crash)?;
        }
        Ok(Fate::Stays)
    }

    fn silence(&mut self, crash: &Crash) -> Result<(), Error> {
        self.follows = false;
        let Some(generation) = &mut self.generation else {
            self.silenced = true;
            return Ok(());
        };
        if self.tried.is_some_and(|tried| tried.elapsed() < BETWEEN_TRIES) {
            return Ok(());
        }
        self.tried = Some(Instant::now());
        match rename_tables(generation) {
            Ok(()) => {
                self.silenced = true;
                crash.pass(Point::Renamed)?;
                tracing::warn!(
                    generation = self.number,
                    attached = self.attached,
                    "programs that still read an older LDB file get errors from now on: they do not follow `current`"
                );
            }
            Err(error) => {
                // A full disk or a lock passes, a bad file does not.
                self.silenced = error.is_damage();
                tracing::error!(generation = self.number, error = %Chain(&error), "an older LDB file cannot be closed to its readers, which get old rows: restart them");
            }
        }
        Ok(())
    }

    /// How many other processes have it open.
    fn ask(&self) -> u64 {
        match &self.generation {
            Some(generation) => generation.files.attached(),
            // This process has it not open in SQLite, so a handle may be opened and closed.
            None => File::open(beside(&self.folder.join(layout::LDB), "-shm"))
                .and_then(|shm| attached::others(&shm))
                .unwrap_or(0),
        }
    }
}

fn apply(
    generation: &mut Generation,
    steps: &[Step],
    ahead: Ahead,
    in_frame: bool,
) -> Result<(), Error> {
    let own = generation.standing().position;
    let seq = own.map(|own| own.seq);
    let rest = &steps[steps.partition_point(|step| Some(step.position.seq) <= seq)..];
    if let Some(first) = rest.first()
        && own.is_some_and(|own| own.chain.link(first.position.digest) != first.position.chain)
    {
        let what = "changes are missing between it and the served one".to_owned();
        return Err(Error::Damaged { path: generation.file(), what });
    }
    generation.apply(rest, ahead)?;
    if in_frame { Ok(()) } else { generation.roll_back_open() }
}

/// All tables, in one transaction.
fn rename_tables(generation: &mut Generation) -> Result<(), Error> {
    generation.roll_back_open()?;
    // The one that applies may not.
    let connection = generation::handle(&generation.file())?;
    let run = || {
        connection.busy_timeout(LONGEST)?;
        let transaction = connection.unchecked_transaction()?;
        let names: Vec<String> = transaction
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for name in names {
            transaction
                .execute(&format!("ALTER TABLE \"{name}\" RENAME TO \"{PREFIX}{name}\""), [])?;
        }
        transaction.commit()
    };
    run().map_err(Error::sqlite("rename the tables of"))
}

/// Of no consequence when it fails: then its time begins again at a restart.
fn mark(folder: &Path, since: SystemTime) {
    let millis = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let write = || {
        let path = folder.join(MARK);
        let mut file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        writeln!(file, "{millis}")
    };
    if let Err(error) = write() {
        tracing::debug!(%error, "cannot mark an older LDB file");
    }
}

fn marked(folder: &Path) -> Option<SystemTime> {
    let text = std::fs::read_to_string(folder.join(MARK)).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_millis(text.trim().parse().ok()?))
}

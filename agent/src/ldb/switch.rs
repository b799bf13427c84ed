//! The one way in which another file takes the place of the served one: it is filled where nobody looks, checked, made
//! durable, opened, and then `current` and the control page lead to it.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::ldb::crash::Point;
use crate::ldb::ctl::Teller;
use crate::ldb::draft::Draft;
use crate::ldb::generation::{self, Generation};
use crate::ldb::{Error, Writer, dir, space};

/// By what right a file takes the place of the served one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It holds all that the served one holds.
    AtLeast,
    /// The served one cannot be read, or is of a ledger that forked. Readers are told that the sequence may step back.
    Instead,
}

impl Writer {
    /// Serves a filled draft; the generation before is kept while somebody has it open. An error before the switch
    /// leaves all as it was and removes the draft.
    pub(crate) fn publish(&mut self, draft: Draft, claim: Claim) -> Result<(), Error> {
        let next = self.take_in(&draft)?;
        let (new, served) = (next.seq(), self.ctl.seq()?);
        if claim == Claim::AtLeast && new < served {
            next.discard();
            return Err(Error::Older { new, served });
        }
        self.put_in_place(next, draft, claim)
    }

    /// Serves a draft that was taken in.
    pub(super) fn put_in_place(
        &mut self,
        next: Generation,
        mut draft: Draft,
        claim: Claim,
    ) -> Result<(), Error> {
        self.setting.crash.pass(Point::Checked)?;
        lead(&self.dir, &mut draft)?;
        let before = std::mem::replace(&mut self.work, next);
        let told = self.announce(claim);
        let retired = match self.rebuild.take() {
            Some(rebuild) => {
                // What was half built is not needed any more.
                before.discard();
                self.retire_bad(rebuild)
            }
            None => self.retire(before, claim == Claim::AtLeast),
        };
        self.forget_failures();
        told.and(retired)
    }

    /// Copies what is served, at once and whole, for a reader holds its WAL. Nothing is applied meanwhile.
    pub(super) fn publish_copy(&mut self) -> Result<(), Error> {
        let source = generation::handle(&self.work.file())?;
        let number = |sql| source.query_row(sql, [], |row| row.get::<_, i64>(0));
        let size = || Ok(number("PRAGMA page_count")? * number("PRAGMA page_size")?);
        let bytes = size().map_err(Error::sqlite("measure"))?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        space::need(&self.dir, bytes.saturating_add(self.reserve()))?;
        let draft = self.drafts.begin()?;
        self.setting.crash.pass(Point::DraftMade)?;
        copy(&source, &draft.file())?;
        self.setting.crash.pass(Point::Filled)?;
        self.publish(draft, Claim::AtLeast)
    }

    /// A file that is whole and on the disk.
    pub(super) fn take_in(&self, draft: &Draft) -> Result<Generation, Error> {
        let file = draft.file();
        seal(&file).map_err(Error::file("sync", &file))?;
        let next = Generation::open(draft.folder.clone(), draft.number, &self.setting)?;
        if !draft.is_vouched() {
            next.check()?;
        }
        dir::sync(&draft.folder)?;
        Ok(next)
    }

    /// Tells readers that the work is what `current` leads to now.
    pub(super) fn announce(&mut self, claim: Claim) -> Result<(), Error> {
        self.work.ctl = Teller::of(&self.ctl);
        self.work.feed = self.feed.clone();
        self.note_switch();
        dir::sync(&self.dir)?;
        self.setting.crash.pass(Point::Linked)?;
        self.ctl.restore(self.work.number, self.work.seq(), claim)?;
        // Followers go on if it stands where the one before did.
        self.feed.stands(self.work.position.as_ref());
        self.setting.crash.pass(Point::Served)?;
        tracing::info!(generation = self.work.number, seq = %self.work.seq(), "another LDB file is served");
        Ok(())
    }
}

/// Lets `current` lead to a draft. After that there is no way back; an error before leaves all as it was.
pub(super) fn lead(dir: &Path, draft: &mut Draft) -> Result<(), Error> {
    dir::sync(&draft.folder)?;
    dir::serve(dir, draft.number)?;
    draft.keep();
    Ok(())
}

/// Gives a finished file its mode and brings it to the disk. SQLite has it not open, so it may be opened and closed.
fn seal(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let handle = std::fs::File::open(file)?;
    handle.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    handle.sync_all()
}

/// Through SQLite, which sees what is in the WAL only. One step: the source cannot change within it.
fn copy(source: &Connection, to: &Path) -> Result<(), Error> {
    let failed = |source| Error::Sqlite { what: "copy", source };
    dir::make_file(to)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(failed)?;
    // Nobody reads it before it is whole and synced.
    target.pragma_update(None, "journal_mode", "off").map_err(failed)?;
    target.pragma_update(None, "synchronous", "off").map_err(failed)?;
    let step = Backup::new(source, &mut target).and_then(|backup| backup.step(-1));
    match step.map_err(failed)? {
        StepResult::Done => Ok(()),
        _ => Err(failed(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another process locks the LDB".to_owned()),
        ))),
    }
}

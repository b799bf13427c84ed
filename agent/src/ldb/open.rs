//! Opens the LDB directory, or makes it. After a crash at any point the next start goes on from what is there.

use std::path::Path;
use std::sync::Arc;

use daemon::log::Chain;
use reader::layout;

use crate::args::LdbLimits;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::ctl::{Ctl, Teller};
use crate::ldb::draft::Drafts;
use crate::ldb::generation::{Generation, Setting};
use crate::ldb::lock::Lock;
use crate::ldb::rebuild::Rebuild;
use crate::ldb::retired::Retired;
use crate::ldb::switch::Claim;
use crate::ldb::writer::{Parts, Writer};
use crate::ldb::{Error, clean, dir};

/// The first release without the bug that corrupts a file when the WAL is reset.
const LEAST_SQLITE: i32 = 3_051_003;

impl Writer {
    /// Opens the directory, or makes it with an empty LDB.
    pub(crate) fn open(dir: &Path, limits: LdbLimits) -> Result<Self, Error> {
        Self::open_with(dir, Setting { limits, crash: Crash::default() })
    }

    pub(crate) fn open_with(dir: &Path, setting: Setting) -> Result<Self, Error> {
        assert_sqlite(rusqlite::version_number())?;
        dir::make(dir)?;
        let lock = Lock::take(dir)?;
        setting.crash.pass(Point::Locked)?;
        dir::link_of_the_original(dir)?;
        let served = match dir::served(dir)? {
            Some(served) => Some(served),
            None => lost(dir)?,
        };
        let older = sweep(dir, served.unwrap_or(0))?;
        let served = match served {
            Some(served) => served,
            None => first_generation(dir, &setting)?,
        };
        let clean = clean::take(dir, served)?;
        let drafts = Drafts::above(dir, served);
        let (mut work, rebuild) = open_served(dir, served, clean, &drafts, &setting)?;
        // Last to be made: whoever sees it finds all the rest.
        let ctl = Arc::new(Ctl::open(dir)?);
        if rebuild.is_some() {
            ctl.serve(served)?;
        } else {
            work.ctl = Teller::of(&ctl);
            ctl.restore(served, work.seq(), Claim::AtLeast)?;
        }
        let find = |generation| Retired::find(dir, generation, clean, &setting).transpose();
        let retired = older.into_iter().filter_map(find).collect::<Result<_, _>>()?;
        let dir = dir.to_owned();
        let mut writer =
            Self::new(Parts { work, rebuild, retired, ctl, drafts, setting, dir, lock });
        if writer.rebuild.is_some() {
            writer.give_up_unreadable()?;
        }
        Ok(writer)
    }
}

fn assert_sqlite(version: i32) -> Result<(), Error> {
    if version < LEAST_SQLITE {
        return Err(Error::OldSqlite { version: rusqlite::version() });
    }
    Ok(())
}

/// The generation that was served when somebody removed `current`: it is not to be lost with a link.
fn lost(dir: &Path) -> Result<Option<u64>, Error> {
    if !dir.join(layout::CTL).exists() {
        return Ok(None);
    }
    let served = Ctl::open(dir)?.generation()?;
    if !dir::folder(dir, served).join(layout::LDB).exists() {
        return Ok(None);
    }
    dir::serve(dir, served)?;
    Ok(Some(served))
}

/// Removes what was never served; the generations that were, before the one that is.
fn sweep(dir: &Path, served: u64) -> Result<Vec<u64>, Error> {
    let mut older = Vec::new();
    for generation in dir::generations(dir)? {
        if generation > served {
            dir::remove(&dir::folder(dir, generation))?;
        } else if generation < served {
            older.push(generation);
        }
    }
    Ok(older)
}

fn first_generation(dir: &Path, setting: &Setting) -> Result<u64, Error> {
    let generation = 1;
    let folder = dir::folder(dir, generation);
    dir::make_folder(&folder)?;
    drop(Generation::create(folder, generation, setting)?);
    dir::serve(dir, generation)?;
    dir::sync(dir)?;
    setting.crash.pass(Point::Linked)?;
    Ok(generation)
}

/// The served generation if it is good, else one that is built to take its place.
fn open_served(
    dir: &Path,
    served: u64,
    clean: bool,
    drafts: &Drafts,
    setting: &Setting,
) -> Result<(Generation, Option<Rebuild>), Error> {
    let opened = Generation::open(dir::folder(dir, served), served, setting);
    let checked = opened.and_then(|opened| {
        if !clean {
            opened.check()?;
        }
        Ok(opened)
    });
    match checked {
        Ok(good) => Ok((good, None)),
        Err(error) if error.is_damage() || error.is_gone() => {
            tracing::error!(error = %Chain(&error), "the LDB is bad and is built anew from the ledger, reads of it go on");
            let (draft, work) = Rebuild::draft(drafts, setting)?;
            Ok((work, Some(Rebuild { draft, served, forked: false, old: None })))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_with_the_wal_bug_is_refused() {
        assert!(assert_sqlite(3_051_002).unwrap_err().to_string().contains("3.51.3"));
        assert_sqlite(3_051_003).unwrap();
        assert_sqlite(rusqlite::version_number()).unwrap();
    }
}

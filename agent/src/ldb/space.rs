//! How much room the disk has.

use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::ldb::Error;

/// Is so much free? An error says how much is not.
pub(crate) fn need(dir: &Path, needed: u64) -> Result<(), Error> {
    let (free, _) = free_and_total(dir)?;
    if free < needed {
        return Err(Error::NoSpace { path: dir.to_owned(), free, needed });
    }
    Ok(())
}

/// Is there room to go on? Some is kept so that what was applied can still be moved from the WAL to its place, little of
/// a small disk.
pub(crate) fn reserve(dir: &Path, wanted: u64) -> Result<(), Error> {
    let (free, total) = free_and_total(dir)?;
    let needed = wanted.min(total / 8);
    if free < needed {
        return Err(Error::NoSpace { path: dir.to_owned(), free, needed });
    }
    Ok(())
}

/// What is free, if the disk tells.
pub(crate) fn free(dir: &Path) -> Option<u64> {
    free_and_total(dir).ok().map(|(free, _)| free)
}

fn free_and_total(dir: &Path) -> Result<(u64, u64), Error> {
    let stat = statvfs(dir).map_err(|errno| Error::file("ask about", dir)(errno.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    Ok((bytes(stat.blocks_available()), bytes(stat.blocks())))
}

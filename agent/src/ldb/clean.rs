//! Was the last stop clean? A file says so from the end of one run to the beginning of the next; without it the LDB is
//! checked before it is trusted.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::ldb::{Error, dir};

const MARK: &str = ".clean";

/// Leaves the mark, for this generation.
pub(crate) fn leave(dir: &Path, generation: u64) -> std::io::Result<()> {
    let path = dir.join(MARK);
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o644).open(path)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    writeln!(file, "{generation}")?;
    file.sync_all()
}

/// Takes the mark away; was it there, for this generation?
pub(crate) fn take(dir: &Path, generation: u64) -> Result<bool, Error> {
    let path = dir.join(MARK);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    std::fs::remove_file(&path).map_err(Error::file("remove", &path))?;
    // Else a power cut could bring it back.
    dir::sync(dir)?;
    Ok(text.trim() == generation.to_string())
}

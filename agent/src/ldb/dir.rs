//! The directory: its folders, links and modes, whatever the umask. `current` leads to a generation only when that one
//! is whole, so what it does not lead to is rubbish or was served before.

use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use reader::layout;

use crate::ldb::Error;

/// Makes the directory if it is not there.
pub(crate) fn make(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if dir.exists() {
        let what = "it is not a directory".to_owned();
        return Err(Error::Foreign { path: dir.to_owned(), what });
    }
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
    }
    // It appears under its name when it has its mode.
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = dir.with_file_name(name);
    make_folder(&new)?;
    match std::fs::rename(&new, dir) {
        Err(error) if !dir.is_dir() => Err(Error::file("make", dir)(error)),
        Err(_) => {
            // Another agent was faster; the lock decides.
            drop(std::fs::remove_dir(&new));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Readable for everybody, whatever the umask.
pub(crate) fn make_folder(dir: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o755).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Error::file("make", dir)(error));
        }
        Ok(()) | Err(_) => {}
    }
    std::fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(Error::file("open", dir))
}

/// An empty file, before SQLite opens it, so that its mode does not depend on the umask.
pub(crate) fn make_file(path: &Path) -> Result<(), Error> {
    let make = || {
        let file = File::options().write(true).create_new(true).mode(0o644).open(path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    };
    make().map_err(Error::file("make", path))
}

/// The original's path leads to ours; a file of the original in its place is not ours to touch.
pub(crate) fn link_of_the_original(dir: &Path) -> Result<(), Error> {
    let path = dir.join(layout::LDB);
    let target = Path::new(layout::CURRENT).join(layout::LDB);
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => {
            let found = std::fs::read_link(&path).map_err(Error::file("read", &path))?;
            if found == target {
                return Ok(());
            }
            Err(Error::Foreign { path, what: format!("it leads to {}", found.display()) })
        }
        Ok(_) => {
            let what = "it is an LDB of the original ctlstore".to_owned();
            Err(Error::Foreign { path, what })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            symlink(target, &path).map_err(Error::file("make", &path))
        }
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

/// The generation that `current` leads to; none before the first start is done.
pub(crate) fn served(dir: &Path) -> Result<Option<u64>, Error> {
    let path = dir.join(layout::CURRENT);
    match std::fs::read_link(&path) {
        Ok(target) => {
            let generation = target.to_str().and_then(layout::generation_of);
            let foreign = || Error::Foreign {
                path: path.clone(),
                what: format!("it leads to {}", target.display()),
            };
            generation.map(Some).ok_or_else(foreign)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", &path)(error)),
    }
}

/// Lets `current` lead to this generation. The link's move is not on the disk before [`sync`].
pub(crate) fn serve(dir: &Path, generation: u64) -> Result<(), Error> {
    let (next, current) = (dir.join("current.new"), dir.join(layout::CURRENT));
    drop(std::fs::remove_file(&next));
    symlink(layout::generation_dir(generation), &next).map_err(Error::file("make", &next))?;
    std::fs::rename(&next, &current).map_err(Error::file("make", &current))
}

/// The generations that have a folder, in order.
pub(crate) fn generations(dir: &Path) -> Result<Vec<u64>, Error> {
    let entries = std::fs::read_dir(dir).map_err(Error::file("read", dir))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(Error::file("read", dir))?.file_name();
        found.extend(name.to_str().and_then(layout::generation_of));
    }
    found.sort_unstable();
    Ok(found)
}

pub(crate) fn folder(dir: &Path, generation: u64) -> PathBuf {
    dir.join(layout::generation_dir(generation))
}

/// Removes a folder with all that is in it; it need not be there.
pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("remove", folder)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(crate) fn sync(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", dir))
}

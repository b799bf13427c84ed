//! Gives the LDB's directory to the agent's user. Runs as root, before the agent does, on a folder that others may have
//! filled: it follows no links and opens no file.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

/// How deep a directory of ours goes: the directory, its generations, their files.
const DEPTH: usize = 3;

/// The directory could not be given to the agent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("cannot {what} {path}", path = path.display())]
    Call { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a directory, remove it or choose another one", path = path.display())]
    NoDirectory { path: PathBuf },
}

/// Makes `dir` if it is not there, readable for everybody, and gives it and what is in it to `owner`. Returns how many
/// entries had another owner.
pub(crate) fn prepare(dir: &Path, owner: u32) -> Result<usize, PrepareError> {
    match DirBuilder::new().recursive(true).mode(0o755).create(dir) {
        Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
        made => made.map_err(failed("make", dir))?,
    }
    let found = dir.symlink_metadata().map_err(failed("look at", dir))?;
    if !found.is_dir() {
        return Err(PrepareError::NoDirectory { path: dir.to_owned() });
    }
    if found.mode() & 0o7777 != 0o755 {
        let mode = Permissions::from_mode(0o755);
        std::fs::set_permissions(dir, mode).map_err(failed("set the mode of", dir))?;
    }
    give(dir, &found, owner, DEPTH)
}

/// What is inside goes first: a directory that is the agent's already is then known to be done.
fn give(path: &Path, found: &Metadata, owner: u32, depth: usize) -> Result<usize, PrepareError> {
    let mut given = 0;
    if found.is_dir() && depth > 0 {
        for entry in path.read_dir().map_err(failed("list", path))? {
            let inner = entry.map_err(failed("list", path))?.path();
            let found = inner.symlink_metadata().map_err(failed("look at", &inner))?;
            given += give(&inner, &found, owner, depth - 1)?;
        }
    }
    if (found.uid(), found.gid()) != (owner, owner) {
        lchown(path, Some(owner), Some(owner)).map_err(failed("give away", path))?;
        given += 1;
    }
    Ok(given)
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrepareError {
    move |source| PrepareError::Call { what, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The user of a file, and its mode.
    fn owner(path: &Path) -> (u32, u32) {
        let found = path.symlink_metadata().unwrap();
        (found.uid(), found.mode() & 0o777)
    }

    #[test]
    fn the_directory_and_all_in_it_is_given_and_nothing_outside() {
        let home = tempfile::tempdir().unwrap();
        let me = home.path().metadata().unwrap().uid();
        if me != 0 {
            // Only root gives files away.
            return;
        }
        let (dir, outside) = (home.path().join("a/ldb"), home.path().join("outside"));
        std::fs::create_dir_all(dir.join("gen-1")).unwrap();
        std::fs::write(dir.join("gen-1/ldb.db"), "").unwrap();
        std::fs::create_dir(&outside).unwrap();
        symlink(&outside, dir.join("current")).unwrap();
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(prepare(&dir, 64_000).unwrap(), 4);
        assert_eq!(owner(&dir), (64_000, 0o755));
        assert_eq!(owner(&dir.join("gen-1/ldb.db")).0, 64_000);
        assert_eq!(owner(&dir.join("current")).0, 64_000);
        assert_eq!(owner(&outside).0, 0);
        assert_eq!(prepare(&dir, 64_000).unwrap(), 0, "twice is once");
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let home = tempfile::tempdir().unwrap();
        symlink(home.path(), home.path().join("ldb")).unwrap();
        let error = prepare(&home.path().join("ldb"), 64_000).unwrap_err();
        assert!(matches!(error, PrepareError::NoDirectory { .. }), "{error}");
    }
}

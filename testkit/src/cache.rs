//! Where things that are slow to make are kept between runs.

use std::env::VarError;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder shared with `hack/*.sh`, found and made as `hack/cache.sh` does.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = of_user()?;
    if fs::create_dir_all(&folder).is_ok() && tempfile::tempfile_in(&folder).is_ok() {
        return Ok(folder);
    }
    // A locked-down container: the project's own folder takes its place.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// The folder of the programs that a script of `hack/` builds; it builds them if this machine has not got these versions yet.
pub(crate) fn built(script: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack").join(script);
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("start {}", script.display()))?;
    if !output.status.success() {
        bail!("{} ended with {}", script.display(), output.status);
    }
    let folder = String::from_utf8(output.stdout).context("the folder's name")?;
    Ok(PathBuf::from(folder.trim_end()))
}

fn of_user() -> Result<PathBuf> {
    if let Some(folder) = variable("CTLSTORE_CACHE")? {
        return Ok(folder.into());
    }
    if let Some(folder) = variable("XDG_CACHE_HOME")? {
        return Ok(PathBuf::from(folder).join("ctlstore"));
    }
    let home =
        variable("HOME")?.context("HOME is not set: name a cache folder in CTLSTORE_CACHE")?;
    Ok(PathBuf::from(home).join(".cache/ctlstore"))
}

/// An environment variable; empty means not set.
#[expect(clippy::disallowed_methods, reason = "a test library has no command line of its own")]
pub(crate) fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(VarError::NotPresent) => Ok(None),
        Err(err) => Err(err).with_context(|| format!("read the environment variable {name}")),
    }
}

//! What is told of changes, and where.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

/// Flags about telling of changes.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ChangesArgs {
    /// File that gets a line for each change, for programs that follow; other files of its name lie beside it. None by
    /// default: programs can follow /v1/watch, which takes no disk
    #[arg(long, value_name = "FILE")]
    pub changelog_path: Option<PathBuf>,
    /// The change log begins another file when one would get larger. The default is the original's
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = daemon::size::parse)]
    pub changelog_size: u64,
    /// What the lines are like. The default is the original's, for those who come from there
    #[arg(long, value_name = "FORM", value_enum, default_value_t = ChangelogFormat::Original)]
    pub changelog_format: ChangelogFormat,
    /// How many files the format v2 keeps, the newest included: who is further behind is told to reload. The original's
    /// has one
    #[arg(long, value_name = "N", default_value = "8", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub changelog_files: u32,
}

/// What the lines of the change log are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChangelogFormat {
    /// As the original wrote them: keys, numbered from 1 after each start.
    Original,
    /// With the ledger's sequence and the operation, and without gaps that are not told.
    V2,
}

impl Default for ChangesArgs {
    fn default() -> Self {
        let (size, format) = (1 << 20, ChangelogFormat::Original);
        Self {
            changelog_path: None,
            changelog_size: size,
            changelog_format: format,
            changelog_files: 8,
        }
    }
}

impl ChangesArgs {
    /// A path that cannot be that of a log, whatever the disk says later.
    ///
    /// # Errors
    /// What is wrong with it, and the cure.
    pub fn check(&self, ldb_dir: &Path) -> Result<(), String> {
        const TAKEN: [&str; 6] =
            ["ctl", "current", "ldb.db", "agent.sock", ".lock", ".control.sock"];
        let Some(path) = &self.changelog_path else { return Ok(()) };
        let shown = path.display();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!(
                "--changelog-path {shown} names no file, name one like change.log"
            ));
        };
        if path.is_dir() {
            return Err(format!("--changelog-path {shown} is a directory, name a file in it"));
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        let within = parent.strip_prefix(ldb_dir).ok();
        let taken = TAKEN.contains(&name) || name.starts_with("gen-");
        match within {
            Some(rest) if rest != Path::new("") || taken => Err(format!(
                "--changelog-path {shown} is a place of the LDB's own files, name {} or one elsewhere",
                ldb_dir.join("change.log").display()
            )),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_not_to_replace_the_ldb() {
        let check = |path: &str, good: bool| {
            let args = ChangesArgs { changelog_path: Some(path.into()), ..ChangesArgs::default() };
            assert_eq!(args.check(Path::new("/var/lib/ctlstore")).is_ok(), good, "{path}");
        };
        check("/var/lib/ctlstore/change.log", true);
        check("/var/log/ldb.db", true);
        check("change.log", true);
        for path in ["ctl", "ldb.db", "gen-2", "gen-1/change.log", "current/change.log"] {
            check(&format!("/var/lib/ctlstore/{path}"), false);
        }
        check("/", false);
        check("/tmp", false);
    }
}

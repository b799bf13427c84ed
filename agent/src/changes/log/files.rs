//! The files of a change log: the one that is written bears the log's name, those before it a number behind it
//! (`change.log.17`), the same that their first line tells. Who has read one to its end goes on with the next number.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::changes::log::tail::{self, Tail};

#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    keep: usize,
}

impl Files {
    pub(super) fn new(path: &Path, keep: usize) -> Self {
        Self { path: path.to_owned(), keep }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on with the file that is there.
    pub(super) fn append(&self) -> io::Result<File> {
        let file = File::options().append(true).open(&self.path)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        Ok(file)
    }

    /// Is there a file that somebody may have followed?
    pub(super) fn is_any(&self) -> io::Result<bool> {
        Ok(self.path.try_exists()? || !self.numbers()?.is_empty())
    }

    /// The end of the newest of the files before.
    pub(super) fn newest(&self) -> io::Result<Option<Tail>> {
        let newest = self.numbers()?.pop();
        newest.map_or(Ok(None), |number| Tail::of(&self.numbered(number)))
    }

    /// Gives the file its number, if there is one, and removes the oldest. The number of the next.
    pub(super) fn put_away(&self) -> io::Result<u64> {
        let mut numbers = self.numbers()?;
        let free = numbers.last().map_or(1, |last| last + 1);
        if !self.path.try_exists()? {
            return Ok(free);
        }
        // A file of another format gets a number, too: it may be of use to somebody.
        let own = tail::number(&self.path)?.filter(|own| *own >= free).unwrap_or(free);
        fs::rename(&self.path, self.numbered(own))?;
        numbers.push(own);
        let surplus = (numbers.len() + 1).saturating_sub(self.keep);
        for number in &numbers[..surplus.min(numbers.len())] {
            fs::remove_file(self.numbered(*number))?;
        }
        Ok(own + 1)
    }

    /// Makes a file that has these lines when it appears.
    pub(super) fn make(&self, lines: &[u8]) -> io::Result<File> {
        let new = beside(&self.path, "new");
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        // Pods read it as other users, whatever the umask.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(lines)?;
        fs::rename(&new, &self.path)?;
        Ok(file)
    }

    fn numbered(&self, number: u64) -> PathBuf {
        beside(&self.path, &number.to_string())
    }

    /// Of the files before, ascending.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = self.path.file_name().unwrap_or_default().as_encoded_bytes();
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let found = entry?.file_name();
            let rest = found.as_encoded_bytes().strip_prefix(name);
            let digits = rest.and_then(|rest| str::from_utf8(rest.strip_prefix(b".")?).ok());
            let number = digits.and_then(|digits| digits.parse::<u64>().ok());
            // `+1` and `01` are not ours.
            numbers.extend(number.filter(|number| Some(number.to_string().as_str()) == digits));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

//! The lines of an input, each with the place behind it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use blake3::Hasher;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tempfile::SpooledTempFile;

use crate::client::mutate::cookie::Place;

/// What is kept of a pipe in memory, for the case that it must be read again; more goes to a temporary file.
const SPOOL: usize = 16 << 20;
/// A longer line is none that an executive would take.
const LINE_MAX: u64 = 2 << 20;

/// What is wrong with an input.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinesError {
    #[error("cannot read {name}")]
    Read { name: String, source: io::Error },
    #[error(
        "line {number} of {name} is no change: write {{\"table\": …, \"values\": {{…}}}} on one line; all lines before it are written, correct it and begin again"
    )]
    NoChange { number: u64, name: String, source: serde_json::Error },
    #[error(
        "line {number} of {name} has more than {LINE_MAX} bytes, an executive takes 1048576; all lines before it are written"
    )]
    TooLong { number: u64, name: String },
}

/// A change as an executive takes it; the values go there as they are.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    table: String,
    #[serde(default)]
    delete: bool,
    values: Box<RawValue>,
}

/// A line.
#[derive(Debug)]
pub(super) struct Line {
    /// The place behind it; its number is the number of lines up to there.
    pub(super) place: Place,
    /// What it asks for; nothing when it is empty.
    pub(super) change: Option<Change>,
    /// How long it is.
    pub(super) bytes: u64,
}

/// The lines of an input.
pub(super) struct Lines {
    name: String,
    path: Option<PathBuf>,
    family: String,
    input: Box<dyn BufRead>,
    /// What was read of a pipe, until it is clear that it will not be read again.
    spool: Option<SpooledTempFile>,
    lines: u64,
    bytes: u64,
    hasher: Hasher,
}

impl Lines {
    /// The lines of a file, or of standard input where its name is `-`.
    pub(super) fn open(family: &str, file: &Path) -> Result<Self, LinesError> {
        let (name, path) = match file.to_str() {
            Some("-") => ("standard input".to_owned(), None),
            Some(_) | None => (file.display().to_string(), Some(file.to_owned())),
        };
        let spool = path.is_none().then(|| SpooledTempFile::new(SPOOL));
        let mut lines = Self {
            name,
            path,
            family: family.to_owned(),
            input: Box::new(io::empty()),
            spool,
            lines: 0,
            bytes: 0,
            hasher: Hasher::new(),
        };
        lines.input = match &lines.path {
            Some(path) => {
                let file = File::open(path).map_err(|error| lines.unread(error))?;
                Box::new(BufReader::with_capacity(1 << 16, file))
            }
            None => Box::new(BufReader::new(io::stdin())),
        };
        lines.begin();
        Ok(lines)
    }

    /// The length of a file; nobody knows that of a pipe.
    pub(super) fn bytes_total(&self) -> Option<u64> {
        let meta = self.path.as_ref().and_then(|path| path.metadata().ok());
        meta.filter(std::fs::Metadata::is_file).map(|meta| meta.len())
    }

    /// How many bytes were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line>, LinesError> {
        let Some(text) = self.read()? else { return Ok(None) };
        self.spool = None;
        let change =
            match text.trim_ascii() {
                b"" => None,
                text => Some(serde_json::from_slice(text).map_err(|source| {
                    LinesError::NoChange { number: self.lines, name: self.name.clone(), source }
                })?),
            };
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Ok(Some(Line { place: self.place(), change, bytes }))
    }

    /// Passes over the lines up to a place. False: the input does not lead there, it is another one.
    pub(super) fn skip_to(&mut self, place: &Place) -> Result<bool, LinesError> {
        while self.lines < place.lines {
            if self.read()?.is_none() {
                return Ok(false);
            }
        }
        Ok(self.place() == *place)
    }

    /// Back to the first line, as long as none was taken with `next`.
    pub(super) fn rewind(&mut self) -> Result<(), LinesError> {
        let reopened = match (&self.path, self.spool.take()) {
            (Some(path), _) => {
                File::open(path).map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>)
            }
            (None, Some(mut spool)) => spool.seek(SeekFrom::Start(0)).map(|_| {
                let rest = std::mem::replace(&mut self.input, Box::new(io::empty()));
                Box::new(BufReader::new(spool).chain(rest)) as Box<dyn BufRead>
            }),
            (None, None) => unreachable!("BUG: a pipe is read again only before the first line"),
        };
        self.input = reopened.map_err(|error| self.unread(error))?;
        self.begin();
        Ok(())
    }

    fn begin(&mut self) {
        (self.lines, self.bytes) = (0, 0);
        self.hasher = Hasher::new();
        // The same lines for another family are another input.
        self.hash(&self.family.to_ascii_lowercase().into_bytes());
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, LinesError> {
        let mut text = Vec::new();
        let read = self.input.by_ref().take(LINE_MAX).read_until(b'\n', &mut text);
        let spooled = read.and_then(|read| match &mut self.spool {
            Some(spool) => spool.write_all(&text).map(|()| read),
            None => Ok(read),
        });
        if spooled.map_err(|error| self.unread(error))? == 0 {
            return Ok(None);
        }
        self.lines += 1;
        self.bytes += u64::try_from(text.len()).unwrap_or_default();
        let ended = text.last() == Some(&b'\n');
        if !ended && u64::try_from(text.len()).is_ok_and(|length| length >= LINE_MAX) {
            return Err(LinesError::TooLong { number: self.lines, name: self.name.clone() });
        }
        // The last line is the same with and without its end, so that lines can be added behind it.
        let bare = text.strip_suffix(b"\n").unwrap_or(&text).to_vec();
        self.hash(&bare);
        Ok(Some(text))
    }

    fn hash(&mut self, line: &[u8]) {
        self.hasher.update(line).update(b"\n");
    }

    fn place(&self) -> Place {
        let digest = self.hasher.finalize().to_hex()[..32].to_owned();
        Place { lines: self.lines, digest }
    }

    fn unread(&self, source: io::Error) -> LinesError {
        LinesError::Read { name: self.name.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn all(lines: &mut Lines) -> Vec<(u64, bool)> {
        let next = || lines.next().unwrap().map(|line| (line.place.lines, line.change.is_some()));
        std::iter::from_fn(next).collect()
    }

    const ROW: &str = r#"{"table":"plans","values":{"id":"a","n":9007199254740993}}"#;

    #[test]
    fn a_place_is_found_again_in_the_same_lines_only() {
        let (_dir, path) = file(&format!("{ROW}\n\n{ROW}"));
        let open = |path: &Path| Lines::open("billing", path).unwrap();
        let mut lines = open(&path);
        assert_eq!(all(&mut lines), [(1, true), (2, false), (3, true)]);
        let place = lines.place();

        std::fs::write(&path, format!("{ROW}\n\n{ROW}\n{ROW}\n")).unwrap();
        let mut longer = open(&path);
        assert!(longer.skip_to(&place).unwrap());
        assert_eq!(all(&mut longer), [(4, true)]);

        for other in [format!("{ROW}\n{ROW}\n\n{ROW}\n"), format!("{ROW}\n\n"), String::new()] {
            std::fs::write(&path, other).unwrap();
            let mut other = open(&path);
            let count = all(&mut open(&path)).len();
            assert!(!other.skip_to(&place).unwrap());
            other.rewind().unwrap();
            assert_eq!(all(&mut other).len(), count);
        }
        std::fs::write(&path, format!("{ROW}\n\n{ROW}\n")).unwrap();
        assert!(!Lines::open("routing", &path).unwrap().skip_to(&place).unwrap());
    }

    #[test]
    fn a_change_goes_on_as_it_came() {
        let (_dir, path) = file(&format!("{ROW}\n"));
        let line = Lines::open("billing", &path).unwrap().next().unwrap().unwrap();
        let sent = serde_json::to_string(&line.change).unwrap();
        let want = r#"{"table":"plans","delete":false,"values":{"id":"a","n":9007199254740993}}"#;
        assert_eq!(sent, want);
    }

    #[test]
    fn a_line_that_is_no_change_is_named_by_its_number() {
        for bad in ["{", "[]", "7", r#"{"table":"plans"}"#, r#"{"table":"plans","value":{}}"#] {
            let (_dir, path) = file(&format!("{ROW}\n\n{bad}\n"));
            let mut lines = Lines::open("billing", &path).unwrap();
            let failed = std::iter::from_fn(|| lines.next().transpose()).find_map(Result::err);
            let words = failed.unwrap().to_string();
            assert!(words.starts_with("line 3 of ") && words.contains("is no change"), "{words}");
        }
    }
}

//! Finds the files of a change log and the place in them from where to go on. The file that is written bears the log's
//! name; in format v2 those before it have a number behind the name, which their first line tells, too.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::Seq;

use crate::changes::Resume;
use crate::changes::line::Line;

/// An open file of the log, read up to `offset`.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) format: Format,
    /// In which its sequences mean something, if it says so.
    pub(crate) epoch: Option<Arc<str>>,
}

/// What the lines are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The file has no line yet, or is of the original; the last count seen, if there is one.
    Original { count: Option<u64> },
    /// The number of the file, and up to where it was told.
    V2 { number: u64, seq: Seq },
}

/// Opens the file that is written, at its beginning. None when there is none.
pub(crate) fn current(path: &Path) -> io::Result<Option<Open>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut first = Vec::new();
    BufReader::new((&file).take(1 << 10)).read_until(b'\n', &mut first)?;
    file.seek(SeekFrom::Start(0))?;
    let (format, epoch) = match Line::parse(&first) {
        Some(Line::Start { seq, file: number, epoch }) => (Format::V2 { number, seq }, epoch),
        _ => (Format::Original { count: None }, None),
    };
    Ok(Some(Open { file, offset: 0, format, epoch: epoch.map(Arc::from) }))
}

/// Opens the file of format v2 with this number. None when there is none, or none yet.
pub(crate) fn numbered(path: &Path, wanted: u64) -> io::Result<Option<Open>> {
    let is = |open: &Open| matches!(open.format, Format::V2 { number, .. } if number == wanted);
    // It may get its number between the two looks.
    for _ in 0..2 {
        for place in [path.to_owned(), with_number(path, wanted)] {
            if let Some(open) = current(&place)?.filter(is) {
                return Ok(Some(open));
            }
        }
    }
    Ok(None)
}

/// The newest file that holds all that came after this sequence, read up to there. None when there is none, or it is of
/// another epoch.
pub(crate) fn holding(
    path: &Path,
    Resume { seq: after, epoch }: &Resume,
) -> io::Result<Option<Open>> {
    let holds = |open: &Open| matches!(open.format, Format::V2 { seq, .. } if seq <= *after);
    let mut places = vec![path.to_owned()];
    let mut numbers = numbers(path)?;
    numbers.sort_unstable();
    places.extend(numbers.into_iter().rev().map(|number| with_number(path, number)));
    for place in places {
        if let Some(mut open) = current(&place)?.filter(holds) {
            open.seek_after(*after)?;
            let same = epoch.is_none() || *epoch == open.epoch;
            return Ok(Some(open).filter(|_| same));
        }
    }
    Ok(None)
}

impl Open {
    /// To the end of the last whole line.
    pub(crate) fn seek_end(&mut self) -> io::Result<()> {
        self.seek_where(|_| true)
    }

    /// To the end of the last line that is not after this sequence.
    fn seek_after(&mut self, after: Seq) -> io::Result<()> {
        self.seek_where(|line| line.seq().is_some_and(|seq| seq <= after))
    }

    fn seek_where(&mut self, passed: impl Fn(&Line) -> bool) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut reader = BufReader::new(&self.file);
        let (mut at, mut text) = (0, Vec::new());
        loop {
            text.clear();
            let read = reader.read_until(b'\n', &mut text)?;
            if !text.ends_with(b"\n") {
                break;
            }
            at += u64::try_from(read).unwrap_or(u64::MAX);
            let Some(line) = Line::parse(&text).filter(&passed) else { continue };
            self.offset = at;
            match (&mut self.format, line) {
                (Format::V2 { seq, .. }, line) => *seq = line.seq().unwrap_or(*seq),
                (Format::Original { count }, Line::Original { count: last, .. }) => {
                    *count = Some(last);
                }
                (Format::Original { .. }, _) => {}
            }
        }
        self.file.seek(SeekFrom::Start(self.offset))?;
        Ok(())
    }
}

/// Of the files that were written before.
pub(crate) fn numbers(path: &Path) -> io::Result<Vec<u64>> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let mut numbers = Vec::new();
    let entries = match fs::read_dir(folder(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(numbers),
        entries => entries?,
    };
    for entry in entries {
        let found = entry?.file_name();
        let rest = found.as_encoded_bytes().strip_prefix(name);
        let digits = rest.and_then(|rest| str::from_utf8(rest.strip_prefix(b".")?).ok());
        numbers.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
    }
    Ok(numbers)
}

pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

fn with_number(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

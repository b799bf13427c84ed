//! Follows the file that an agent writes, from one file of it to the next.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger::Seq;

use crate::changes::line::Line;
use crate::changes::log::{self, Format, Open};
use crate::changes::wait::Wait;
use crate::changes::{ChangesError, Event, Resume, Told};

/// Read at once.
const CHUNK: usize = 64 << 10;

#[derive(Debug)]
pub(crate) struct FileSource {
    path: PathBuf,
    after: Option<Resume>,
    wait: Option<Wait>,
    open: Option<Open>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
    began: bool,
}

impl FileSource {
    pub(crate) fn new(path: &Path, after: Option<Resume>) -> Self {
        let path = path.to_owned();
        Self { path, after, wait: None, open: None, rest: Vec::new(), began: false }
    }

    /// What is there, waited for at most so long. May bring nothing.
    pub(crate) fn poll(
        &mut self,
        out: &mut VecDeque<Told>,
        time: Duration,
    ) -> Result<(), ChangesError> {
        let path = self.path.clone();
        self.look(out, time).map_err(|source| ChangesError::File { path, source })
    }

    fn look(&mut self, out: &mut VecDeque<Told>, time: Duration) -> io::Result<()> {
        // Before the look: what comes after it wakes.
        let wait = self.wait.take().unwrap_or_else(|| Wait::on(log::folder(&self.path)));
        let news = if self.began { self.follow(out)? } else { self.begin(out)? };
        if !news && out.is_empty() {
            wait.wait(time);
        }
        // A directory that came into being only now is not watched yet.
        self.wait = Some(wait).filter(|_| self.open.is_some());
        Ok(())
    }

    /// Finds where to begin. False while there is no file.
    fn begin(&mut self, out: &mut VecDeque<Told>) -> io::Result<bool> {
        let Some(current) = log::current(&self.path)? else { return Ok(false) };
        match (current.format, &self.after) {
            (Format::V2 { .. }, Some(after)) => match log::holding(&self.path, after)? {
                Some(open) => self.go_on(open, out),
                None => self.reload(out)?,
            },
            (Format::Original { .. }, Some(_)) => self.reload(out)?,
            (_, None) => {
                let mut current = current;
                current.seek_end()?;
                let format = current.format;
                self.go_on(current, out);
                if let Format::V2 { seq, .. } = format {
                    out.push_back(Event::Position(seq).into());
                }
            }
        }
        self.began = true;
        Ok(true)
    }

    /// Reads on. False when there was nothing.
    fn follow(&mut self, out: &mut VecDeque<Told>) -> io::Result<bool> {
        let Some(open) = &self.open else {
            self.reload(out)?;
            return Ok(self.open.is_some());
        };
        // Before reading: what is read to its end afterwards is whole.
        let ended = !is_at(open, &self.path)?;
        if self.read(out)? {
            return Ok(true);
        }
        if !ended {
            return Ok(false);
        }
        let Some(Open { format, .. }) = &self.open else { return Ok(false) };
        match *format {
            Format::V2 { number, seq } => self.next_of_v2(number, seq, out),
            Format::Original { count } => {
                let Some(mut next) = log::current(&self.path)? else { return Ok(false) };
                match next.format {
                    Format::Original { .. } => {
                        next.format = Format::Original { count };
                        self.go_on(next, out);
                    }
                    Format::V2 { .. } => self.reload(out)?,
                }
                Ok(true)
            }
        }
    }

    fn next_of_v2(&mut self, number: u64, seq: Seq, out: &mut VecDeque<Told>) -> io::Result<bool> {
        if let Some(next) = log::numbered(&self.path, number + 1)? {
            if matches!(next.format, Format::V2 { seq: from, .. } if from > seq) {
                // Its next line says so as well, if the agent knows.
                let from = start_of(&next);
                self.go_on(next, out);
                out.push_back(Event::Reload { from }.into());
            } else {
                self.go_on(next, out);
            }
            return Ok(true);
        }
        // The next one is not made yet, unless there are later ones.
        let Some(current) = log::current(&self.path)? else { return Ok(false) };
        match current.format {
            Format::V2 { number: now, .. } if now == number || now == number + 1 => Ok(false),
            Format::V2 { .. } | Format::Original { .. } => {
                self.reload(out)?;
                Ok(true)
            }
        }
    }

    fn go_on(&mut self, next: Open, out: &mut VecDeque<Told>) {
        self.rest.clear();
        out.push_back(Told::Epoch(next.epoch.clone()));
        self.open = Some(next);
    }

    /// Goes on from the end of what there is.
    fn reload(&mut self, out: &mut VecDeque<Told>) -> io::Result<()> {
        self.rest.clear();
        self.open = None;
        if let Some(mut current) = log::current(&self.path)? {
            current.seek_end()?;
            let from = start_of(&current);
            self.go_on(current, out);
            out.push_back(Event::Reload { from }.into());
        }
        Ok(())
    }

    fn read(&mut self, out: &mut VecDeque<Told>) -> io::Result<bool> {
        let Some(open) = &mut self.open else { return Ok(false) };
        let mut chunk = vec![0; CHUNK];
        let length = open.file.read(&mut chunk)?;
        self.rest.extend_from_slice(&chunk[..length]);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(length > 0);
        };
        let tail = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, tail);
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            take(&mut open.format, Line::parse(line), out);
        }
        Ok(length > 0)
    }
}

/// What a line tells.
fn take(format: &mut Format, line: Option<Line>, out: &mut VecDeque<Told>) {
    match (format, line) {
        (Format::V2 { .. }, Some(Line::Start { .. })) => {}
        (Format::V2 { seq, .. }, Some(Line::Change(change))) => {
            *seq = change.seq.unwrap_or(*seq);
            out.push_back(Event::Change(change).into());
        }
        (Format::V2 { seq, .. }, Some(Line::Position(at))) => {
            *seq = at;
            out.push_back(Event::Position(at).into());
        }
        (Format::V2 { seq, .. }, Some(Line::Reload(at))) => {
            *seq = at;
            out.push_back(Event::Reload { from: Some(at) }.into());
        }
        (Format::Original { count }, Some(Line::Original { count: now, change })) => {
            if count.is_some_and(|count| now != count + 1) {
                out.push_back(Event::Reload { from: None }.into());
            }
            *count = Some(now);
            out.push_back(Event::Change(change).into());
        }
        // Damaged, of another format, or of a later version: what it would have told is not known.
        (Format::V2 { seq, .. }, _) => out.push_back(Event::Reload { from: Some(*seq) }.into()),
        (Format::Original { count }, _) => {
            *count = None;
            out.push_back(Event::Reload { from: None }.into());
        }
    }
}

fn start_of(open: &Open) -> Option<Seq> {
    match open.format {
        Format::V2 { seq, .. } => Some(seq),
        Format::Original { .. } => None,
    }
}

/// Does the log's name still lead to this file?
fn is_at(open: &Open, path: &Path) -> io::Result<bool> {
    let own = open.file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

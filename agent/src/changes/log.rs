//! The change log of format v2: a line of JSON for each change, with the ledger's sequence, in files of bounded size and
//! number.
//!
//! A transaction's lines are first written beside the log, then SQLite commits, then they are appended to the log. A
//! process that is killed in between finds them again when it starts, and the LDB's position says whether they were
//! committed. So readers of the log never see what the LDB does not have, and miss nothing. After a power cut the LDB or the
//! log may have lost its end: then they do not fit together, and the log says *reload*.

mod files;
mod tail;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use ledger::{Mark, Seq, Value};
use serde::{Deserialize, Serialize};

use crate::changes::log::files::Files;
use crate::changes::log::tail::{Tail, seq_of};
use crate::changes::recorder::Sink;
use crate::changes::spool::Spool;
use crate::changes::{Change, Epoch, Line, Table};

/// Written at once.
const CHUNK: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Log {
    files: Files,
    size: u64,
    spool: Spool,
    /// Of the LDB.
    incarnation: u64,
    open: Option<Open>,
    /// The last change of the transaction that is open.
    added: Option<Seq>,
    /// Where the LDB will stand after it.
    prepared: Option<Mark>,
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// Of its last line.
    seq: Seq,
    /// As its first line says.
    epoch: Option<Epoch>,
    /// Has it more than its first line?
    used: bool,
    /// Lines that are not in it yet.
    chunk: Vec<u8>,
}

/// What stands behind the lines of a transaction while it is not known whether it is committed.
#[derive(Debug, Serialize, Deserialize)]
struct Seal {
    position: Mark,
    lines: u64,
}

impl Log {
    pub(super) fn new(path: &Path, size: u64, files: usize) -> Self {
        let (files, spool) = (Files::new(path, files), Spool::beside(path));
        Self { files, size, spool, incarnation: 0, open: None, added: None, prepared: None }
    }

    /// Begins another file with these lines, the first of which is its start.
    fn begin(&mut self, seq: Seq, epoch: Option<Epoch>, reload: Option<&str>) -> io::Result<()> {
        self.open = None;
        let number = self.files.put_away()?;
        let mut lines = serde_json::to_vec(&Line::start(seq, epoch, Some(number)))?;
        lines.push(b'\n');
        if let Some(reason) = reload {
            serde_json::to_writer(&mut lines, &Line::reload(seq, reason))?;
            lines.push(b'\n');
        }
        let file = self.files.make(&lines)?;
        self.open = Some(Open::new(file, bytes(&lines), (seq, epoch)));
        Ok(())
    }

    /// A line of a transaction that is committed.
    fn append(&mut self, line: &[u8], epoch: Epoch) -> io::Result<()> {
        let open = self.open.as_mut().ok_or_else(|| io::Error::other("no file is open"))?;
        let more = bytes(&open.chunk) + bytes(line) + 1;
        // One line always fits.
        let full = open.bytes + more > self.size && (open.used || !open.chunk.is_empty());
        // An LDB that is empty has no epoch yet.
        if full || open.epoch != Some(epoch) {
            open.flush()?;
            let seq = open.seq;
            self.begin(seq, Some(epoch), None)?;
            return self.append(line, epoch);
        }
        open.chunk.extend_from_slice(line);
        open.chunk.push(b'\n');
        open.seq = seq_of(line).unwrap_or(open.seq);
        if open.chunk.len() > CHUNK { open.flush() } else { Ok(()) }
    }

    fn epoch(&self, position: &Mark) -> Epoch {
        Epoch { history: position.history, incarnation: self.incarnation }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), Open::flush)
    }

    /// Appends the lines that an earlier process left, as far as they are not there, if they are those with which the LDB
    /// came to this position. Are they?
    fn recover(&mut self, position: &Mark, last: &[u8]) -> io::Result<bool> {
        let left = self.spool.left()?;
        let Some((seal, lines)) = sealed(&left) else { return Ok(false) };
        if seal.position != *position {
            return Ok(false);
        }
        // Several lines may have one sequence: that of the last line there may lack some, and is told again.
        if lines.clone().last().is_none_or(|line| line != last) {
            let (known, epoch) = (seq_of(last).unwrap_or(Seq::ZERO), self.epoch(position));
            for line in lines.filter(|line| seq_of(line).is_some_and(|seq| seq >= known)) {
                self.append(line, epoch)?;
            }
        }
        self.flush().map(|()| true)
    }
}

impl Open {
    fn new(file: File, bytes: u64, (seq, epoch): (Seq, Option<Epoch>)) -> Self {
        Self { file, bytes, seq, epoch, used: false, chunk: Vec::new() }
    }

    /// A part of it may be written: then the file is put away, and the next one begins with what it lacks.
    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.chunk)?;
        self.bytes += bytes(&self.chunk);
        self.used = true;
        self.chunk.clear();
        Ok(())
    }
}

/// The lines before a seal, if they are whole.
fn sealed(left: &[u8]) -> Option<(Seal, impl Iterator<Item = &[u8]> + Clone)> {
    let before = left.strip_suffix(b"\n")?;
    let last = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let seal: Seal = serde_json::from_slice(&before[last..]).ok()?;
    let lines = before[..last].strip_suffix(b"\n").unwrap_or_default();
    let lines = lines.split(|byte| *byte == b'\n');
    (bytes_of(lines.clone().count()) == seal.lines).then_some((seal, lines))
}

fn bytes(text: &[u8]) -> u64 {
    bytes_of(text.len())
}

fn bytes_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Sink for Log {
    fn wants_rows(&self) -> bool {
        false
    }

    fn runs(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
    }

    fn open(&mut self, position: Option<Mark>) -> io::Result<()> {
        let there = Tail::of(self.files.path())?;
        let is_there = there.is_some();
        // A process that was killed while it began a file left the one before.
        let Some(tail) = there.map_or_else(|| self.files.newest(), |tail| Ok(Some(tail)))? else {
            return self.restart(position, "the change log begins here");
        };
        let Tail { seq, epoch, last, whole, bytes, sound } = tail;
        if !sound {
            return self.restart(position, "the change log is damaged");
        }
        if whole && is_there {
            let open = Open::new(self.files.append()?, bytes, (seq, epoch));
            self.open = Some(Open { used: true, ..open });
        } else {
            // Somebody may have read the piece of a line at its end, so nothing may be written behind it.
            self.begin(seq, epoch, None)?;
        }
        let fits = match &position {
            Some(position) => {
                // The file of an LDB that was empty has no epoch. Where the history alone is another, the lines that
                // were left say whether the LDB followed it.
                let same = epoch.is_none_or(|epoch| epoch == self.epoch(position));
                let stepped_back = epoch.is_some_and(|epoch| epoch.incarnation != self.incarnation);
                // With the lines that were left, or without them.
                !stepped_back && (self.recover(position, &last)? || (seq == position.seq && same))
            }
            None => seq == Seq::ZERO,
        };
        if fits {
            Ok(())
        } else {
            self.restart(position, "the change log and the LDB do not fit together")
        }
    }

    fn add(&mut self, change: &Change) -> io::Result<()> {
        self.added = Some(change.seq);
        self.spool.line(|line| Ok(serde_json::to_writer(line, change)?))
    }

    fn touch(&mut self, _table: &Table, _key: &[Value]) -> io::Result<()> {
        Ok(())
    }

    fn prepare(&mut self, position: &Mark) -> io::Result<()> {
        if self.added != Some(position.seq) {
            let line = Line::position(position.seq);
            self.spool.line(|spool| Ok(serde_json::to_writer(spool, &line)?))?;
        }
        self.prepared = Some(*position);
        let seal = Seal { position: *position, lines: self.spool.lines() };
        self.spool.seal(&serde_json::to_vec(&seal)?)
    }

    fn commit(&mut self) -> io::Result<()> {
        let Some(position) = self.prepared.take() else { return Ok(()) };
        let mut spool = std::mem::replace(&mut self.spool, Spool::beside(self.files.path()));
        let epoch = self.epoch(&position);
        let appended = spool.each(|line| self.append(line, epoch));
        self.spool = spool;
        self.undo();
        appended.and_then(|()| self.flush())
    }

    fn undo(&mut self) {
        (self.added, self.prepared) = (None, None);
        self.spool.clear();
    }

    fn restart(&mut self, position: Option<Mark>, reason: &str) -> io::Result<()> {
        self.undo();
        let epoch = position.map(|position| self.epoch(&position));
        let seq = position.map_or(Seq::ZERO, |position| position.seq);
        // Of an empty LDB all is told, to those who have nothing yet.
        let told = position.is_some() || self.files.is_any()?;
        self.begin(seq, epoch, told.then_some(reason))
    }
}

#[cfg(test)]
mod tests;

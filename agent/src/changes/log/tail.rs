//! What a file of the change log says of itself at its two ends.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use ledger::Seq;
use serde::Deserialize;

use crate::changes::Epoch;

/// Looked at from the end; a line is shorter.
const WINDOW: u64 = 1 << 20;
/// A first line is shorter.
const FIRST: u64 = 1 << 10;

#[derive(Debug)]
pub(super) struct Tail {
    /// Of the last whole line.
    pub(super) seq: Seq,
    /// As the first line has it.
    pub(super) epoch: Option<Epoch>,
    /// The last whole line.
    pub(super) last: Vec<u8>,
    /// Does it end with the end of a line?
    pub(super) whole: bool,
    /// Is every line what it should be?
    pub(super) sound: bool,
    pub(super) bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Start {
    seq: Seq,
    op: String,
    file: u64,
    epoch: Option<Epoch>,
}

#[derive(Debug, Deserialize)]
struct Any {
    seq: Seq,
}

impl Tail {
    /// None when there is no such file.
    pub(super) fn of(path: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let bytes = file.metadata()?.len();
        let Some(start) = start(&file)? else {
            let (seq, epoch, last) = (Seq::ZERO, None, Vec::new());
            return Ok(Some(Self { seq, epoch, last, whole: false, sound: false, bytes }));
        };
        let from = bytes.saturating_sub(WINDOW);
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut text)?;
        let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let whole = lines.pop().is_none_or(<[u8]>::is_empty);
        let skipped = usize::from(from > 0).min(lines.len());
        let (mut seq, mut sound) = (start.seq, true);
        for line in &lines[skipped..] {
            match serde_json::from_slice(line) {
                Ok(Any { seq: next }) => seq = next,
                Err(_) => sound = false,
            }
        }
        let last = lines.last().map(|line| line.to_vec()).unwrap_or_default();
        Ok(Some(Self { seq, epoch: start.epoch, last, whole, sound, bytes }))
    }
}

/// The number in the first line of a file of this format.
pub(super) fn number(path: &Path) -> io::Result<Option<u64>> {
    Ok(start(&File::open(path)?)?.map(|start| start.file))
}

fn start(file: &File) -> io::Result<Option<Start>> {
    let mut line = Vec::new();
    BufReader::new(file.take(FIRST)).read_until(b'\n', &mut line)?;
    let start: Option<Start> = serde_json::from_slice(&line).ok();
    Ok(start.filter(|start| start.op == "start"))
}

/// Of a line that this process wrote.
pub(super) fn seq_of(line: &[u8]) -> Option<Seq> {
    let rest = line.strip_prefix(b"{\"seq\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&rest[..digits]).ok()?.parse().ok().and_then(Seq::new)
}

//! The original's change log: a line for each row that a statement removes and each that it writes, numbered from 1, in one
//! file that is removed and made anew when a line more would make it too large.
//!
//! As there, the numbers begin anew when lines may be missing, and a follower that sees a number that does not come next
//! drops what it keeps. Not as there, lines come after the commit, and a hiccup of ctldb alone does not begin anew.

use std::fs::{File, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{Mark, Value};

use crate::changes::recorder::Sink;
use crate::changes::spool::Spool;
use crate::changes::{Change, Table};

#[derive(Debug)]
pub(super) struct Original {
    path: PathBuf,
    size: u64,
    spool: Spool,
    /// The number of the last line.
    written: u64,
    /// The same, with the transaction that is open.
    numbered: u64,
    file: Option<(File, u64)>,
}

impl Original {
    pub(super) fn new(path: &Path, size: u64) -> Self {
        let spool = Spool::beside(path);
        Self { path: path.to_owned(), size, spool, written: 0, numbered: 0, file: None }
    }

    fn append(&mut self, line: &[u8], chunk: &mut Vec<u8>) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        if length > self.size {
            // Followers see it by the number that is missing.
            tracing::warn!(
                bytes = length,
                limit = self.size,
                "a line of the change log is larger than the file may be, and is left out"
            );
            return Ok(());
        }
        let bytes = self.file.as_ref().map_or(0, |(_, bytes)| *bytes);
        let end = bytes + u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        if end + length > self.size {
            self.write(chunk)?;
            self.file = None;
            std::fs::remove_file(&self.path)?;
            self.file = Some(open(&self.path)?);
        }
        chunk.extend_from_slice(line);
        chunk.push(b'\n');
        Ok(())
    }

    fn write(&mut self, chunk: &mut Vec<u8>) -> io::Result<()> {
        let Some((file, bytes)) = &mut self.file else {
            return Err(io::Error::other("no file is open"));
        };
        file.write_all(chunk)?;
        *bytes += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        chunk.clear();
        Ok(())
    }
}

impl Sink for Original {
    fn wants_rows(&self) -> bool {
        true
    }

    fn open(&mut self, position: Option<Mark>) -> io::Result<()> {
        self.restart(position, "")
    }

    fn add(&mut self, _change: &Change) -> io::Result<()> {
        Ok(())
    }

    fn touch(&mut self, table: &Table, key: &[Value]) -> io::Result<()> {
        self.numbered += 1;
        let number = self.numbered;
        self.spool.line(|out| line(out, number, table, key))
    }

    fn prepare(&mut self, _position: &Mark) -> io::Result<()> {
        Ok(())
    }

    fn commit(&mut self) -> io::Result<()> {
        let mut spool = std::mem::replace(&mut self.spool, Spool::beside(&self.path));
        let mut chunk = Vec::new();
        let appended = spool.each(|line| self.append(line, &mut chunk));
        spool.clear();
        self.spool = spool;
        appended.and_then(|()| self.write(&mut chunk))?;
        self.written = self.numbered;
        Ok(())
    }

    fn undo(&mut self) {
        self.spool.clear();
        self.numbered = self.written;
    }

    fn restart(&mut self, _position: Option<Mark>, _reason: &str) -> io::Result<()> {
        (self.written, self.numbered) = (0, 0);
        self.spool.clear();
        self.file = None;
        if is_of_format_v2(&self.path)? {
            std::fs::remove_file(&self.path)?;
        }
        let (mut file, mut bytes) = open(&self.path)?;
        if !ends_a_line(&self.path, bytes)? {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        self.file = Some((file, bytes));
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::options().append(true).create(true).mode(0o644).open(path)?;
    // Pods read it as other users, whatever the umask.
    file.set_permissions(Permissions::from_mode(0o644))?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

fn is_of_format_v2(path: &Path) -> io::Result<bool> {
    let mut first = [0; 64];
    let length = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?.read(&mut first)?,
    };
    let first = String::from_utf8_lossy(&first[..length]);
    Ok(first.contains("\"op\":\"start\""))
}

/// A process that was killed may have left a part of a line.
fn ends_a_line(path: &Path, bytes: u64) -> io::Result<bool> {
    if bytes == 0 {
        return Ok(true);
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(bytes - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// In the order of Go's encoder: `{"seq":1,"family":"f","table":"t","key":[{"name":"k","type":"INTEGER","value":1}]}`.
fn line(out: &mut Vec<u8>, number: u64, table: &Table, key: &[Value]) -> io::Result<()> {
    let (family, name) = (table.name.family().as_str(), table.name.table().as_str());
    write!(out, "{{\"seq\":{number},\"family\":\"{family}\",\"table\":\"{name}\",\"key\":[")?;
    let mut comma = "";
    for place in &table.by_column {
        let (Some(column), Some(value)) = (table.key.get(*place), key.get(*place)) else {
            continue;
        };
        let (name, declared) = (column.name.as_str(), column.column_type.sqlite());
        write!(out, "{comma}{{\"name\":\"{name}\",\"type\":\"{declared}\",\"value\":")?;
        match value {
            Value::Null => out.write_all(b"null")?,
            Value::Integer(integer) => write!(out, "{integer}")?,
            Value::Decimal(number) => serde_json::to_writer(&mut *out, number)?,
            Value::Text(text) => go_string(out, text)?,
            Value::Bytes(bytes) => write!(out, "\"{}\"", STANDARD.encode(bytes))?,
        }
        out.push(b'}');
        comma = ",";
    }
    out.write_all(b"]}")
}

/// As Go's `encoding/json` writes a string: safe within HTML.
fn go_string(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.write_all(b"\\\"")?,
            '\\' => out.write_all(b"\\\\")?,
            '\n' => out.write_all(b"\\n")?,
            '\r' => out.write_all(b"\\r")?,
            '\t' => out.write_all(b"\\t")?,
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                write!(out, "\\u{:04x}", u32::from(character))?;
            }
            other => write!(out, "{other}")?,
        }
    }
    out.push(b'"');
    Ok(())
}

//! The lines of a transaction that is not committed: in memory, and in a file beside the log when they are many or are to
//! survive a crash.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What is kept in memory.
const MOST: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of this transaction in the file.
    in_file: u64,
    /// What comes after them.
    buffer: Vec<u8>,
    lines: u64,
}

impl Spool {
    /// Its file lies beside the log.
    pub(super) fn beside(log: &Path) -> Self {
        let mut path = log.as_os_str().to_owned();
        path.push(".pending");
        Self { path: path.into(), file: None, in_file: 0, buffer: Vec::new(), lines: 0 }
    }

    /// Adds a line, which `write` writes without its end.
    pub(super) fn line(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        write(&mut self.buffer)?;
        self.buffer.push(b'\n');
        self.lines += 1;
        if self.buffer.len() > MOST { self.spill() } else { Ok(()) }
    }

    /// Brings all lines into the file, and this one behind them: a process that is killed leaves them there.
    pub(super) fn seal(&mut self, seal: &[u8]) -> io::Result<()> {
        if self.in_file > 0 {
            self.spill()?;
        }
        // What is short stays in memory as well, to be read soon.
        let bytes = [&self.buffer, seal, b"\n"].concat();
        let file = opened(&mut self.file, &self.path)?;
        file.set_len(self.in_file)?;
        file.seek(SeekFrom::Start(self.in_file))?;
        file.write_all(&bytes)
    }

    /// Each line, without its end, in order.
    pub(super) fn each(&mut self, mut act: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        if let (Some(file), true) = (&mut self.file, self.in_file > 0) {
            file.seek(SeekFrom::Start(0))?;
            let mut reader = BufReader::new(file.take(self.in_file));
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line)? > 0 {
                act(line.strip_suffix(b"\n").unwrap_or(&line))?;
                line.clear();
            }
        }
        self.buffer
            .split_inclusive(|byte| *byte == b'\n')
            .try_for_each(|line| act(line.strip_suffix(b"\n").unwrap_or(line)))
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Forgets the lines. The file keeps what it has until the next ones come.
    pub(super) fn clear(&mut self) {
        (self.in_file, self.lines) = (0, 0);
        self.buffer.clear();
        self.buffer.shrink_to(MOST / 4);
    }

    /// What an earlier process left.
    pub(super) fn left(&self) -> io::Result<Vec<u8>> {
        match std::fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            read => read,
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = opened(&mut self.file, &self.path)?;
        if self.in_file == 0 {
            file.set_len(0)?;
        }
        file.seek(SeekFrom::Start(self.in_file))?;
        file.write_all(&self.buffer)?;
        self.in_file += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.clear();
        Ok(())
    }
}

fn opened<'a>(file: &'a mut Option<File>, path: &Path) -> io::Result<&'a mut File> {
    if file.is_none() {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        *file = Some(options.open(path)?);
    }
    Ok(file.as_mut().expect("BUG: it was just opened"))
}

//! Standard output. A reader that goes away early, such as `head`, has seen enough, and that is no error.

use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

/// Standard output, written in large pieces; flush it where somebody waits for a line.
pub(crate) struct Terminal<W: Write = StdoutLock<'static>> {
    out: BufWriter<W>,
    gone: bool,
}

impl Terminal {
    pub(crate) fn stdout() -> Self {
        Self::new(io::stdout().lock())
    }
}

impl<W: Write> Terminal<W> {
    fn new(out: W) -> Self {
        Self { out: BufWriter::new(out), gone: false }
    }

    /// Whoever read it has gone; a command that failed since then failed because of that.
    pub(crate) fn reader_is_gone(&self) -> bool {
        self.gone
    }

    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        self.gone |= outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        outcome
    }
}

impl<W: Write> Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_told_from_a_full_disk() {
        let mut pipe = Terminal::new(Broken(ErrorKind::BrokenPipe));
        assert!(writeln!(pipe, "a row").and_then(|()| pipe.flush()).is_err());
        assert!(pipe.reader_is_gone());
        let mut disk = Terminal::new(Broken(ErrorKind::StorageFull));
        assert!(writeln!(disk, "a row").and_then(|()| disk.flush()).is_err());
        assert!(!disk.reader_is_gone());
    }
}

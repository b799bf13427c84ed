//! The bar on a terminal: how far, how fast. Elsewhere nothing is drawn.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Cells of the bar.
const WIDTH: u64 = 24;
/// Drawn at most so often.
const PAUSE: Duration = Duration::from_millis(100);

/// The bar.
#[derive(Debug)]
pub(crate) struct Progress {
    /// None where nobody looks.
    drawn: Option<Instant>,
    began: Instant,
    total: Option<u64>,
    bytes: u64,
}

impl Progress {
    /// `total` is how many bytes there are, if that is known.
    pub(crate) fn new(terminal: bool, total: Option<u64>) -> Self {
        let now = Instant::now();
        let drawn = terminal.then(|| now.checked_sub(PAUSE).unwrap_or(now));
        Self { drawn, began: now, total, bytes: 0 }
    }

    /// These bytes are passed over: they were written before.
    pub(crate) fn skip(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// So many bytes more are written, so many rows in all.
    pub(crate) fn advance(&mut self, bytes: u64, rows: usize) {
        self.bytes += bytes;
        if self.drawn.is_some_and(|drawn| drawn.elapsed() >= PAUSE) {
            self.draw(&line(self.bytes, self.total, rows, self.began.elapsed()));
        }
    }

    /// Says why nothing happens.
    pub(crate) fn waits(&mut self, error: &anyhow::Error, pause: Duration) {
        if self.drawn.is_some() {
            self.draw(&format!("waits for {:.1} s: {error}", pause.as_secs_f64()));
        } else {
            tracing::warn!(error = format!("{error:#}"), ?pause, "not written yet, trying again");
        }
    }

    /// Leaves the line to others.
    pub(crate) fn end(&mut self) {
        if self.drawn.take().is_some() {
            self.put("\r\u{1b}[K");
        }
    }

    fn draw(&mut self, text: &str) {
        self.put(&format!("\r\u{1b}[K{text}"));
        self.drawn = Some(Instant::now());
    }

    #[expect(clippy::unused_self, reason = "only who has a bar draws")]
    fn put(&self, text: &str) {
        // A bar that cannot be drawn is no reason to stop writing.
        let mut err = io::stderr();
        drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(bytes: u64, total: Option<u64>, rows: usize, time: Duration) -> String {
    let millis = time.as_millis().max(1);
    let speed = u128::try_from(rows).unwrap_or(u128::MAX).saturating_mul(1000) / millis;
    let Some(total) = total.filter(|&total| total > 0) else {
        return format!("{rows} rows, {speed}/s");
    };
    let bytes = bytes.min(total);
    let of = |parts: u64| u128::from(bytes) * u128::from(parts) / u128::from(total);
    let full = usize::try_from(of(WIDTH)).unwrap_or_default();
    let empty = usize::try_from(WIDTH).unwrap_or_default().saturating_sub(full);
    format!("[{}{}] {:3} %  {rows} rows, {speed}/s", "=".repeat(full), " ".repeat(empty), of(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_how_far_and_how_fast() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(50, Some(100), 700, second),
            "[============            ]  50 %  700 rows, 700/s"
        );
        assert_eq!(
            line(101, Some(100), 700, second),
            "[========================] 100 %  700 rows, 700/s"
        );
        assert_eq!(line(50, None, 7, Duration::ZERO), "7 rows, 7000/s");
        assert_eq!(line(0, Some(0), 0, second), "0 rows, 0/s");
    }
}

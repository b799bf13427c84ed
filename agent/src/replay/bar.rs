//! A line on the terminal that shows how catching up comes along: nobody watches a log for an hour.

use std::convert::Infallible;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bootstrap::{self, told::Phase};
use crate::replay::CatchUp;
use crate::status::{Report, Status};

const PAUSE: Duration = Duration::from_millis(200);
const WIDTH: u64 = 30;
/// Clears the line that the cursor is in.
const CLEAR: &str = "\x1b[2K";

/// Is there somebody to see it?
pub(crate) fn is_seen() -> bool {
    stderr().is_terminal()
}

/// Draws until `stop`, while there is something to draw.
pub(crate) async fn run(status: Status, stop: CancellationToken) -> Result<(), Infallible> {
    let mut drawn = false;
    loop {
        let line = line(&status.report());
        if line.is_some() || drawn {
            // The cursor goes back to the margin, so that a line of the log begins there.
            let text = format!("{CLEAR}{}\r", line.as_deref().unwrap_or_default());
            if draw(&text).is_err() {
                // The terminal is gone; the agent is not.
                stop.cancelled().await;
                return Ok(());
            }
        }
        drawn = line.is_some();
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

fn draw(text: &str) -> std::io::Result<()> {
    let mut terminal = stderr().lock();
    terminal.write_all(text.as_bytes())?;
    terminal.flush()
}

fn line(report: &Report) -> Option<String> {
    match &report.bootstrap {
        Some(told) if told.phase == Phase::Downloading => Some(loading(told)),
        Some(_) | None => catching_up(report),
    }
}

fn loading(told: &bootstrap::told::Told) -> String {
    let (done, all) = (told.bytes, told.of.max(1));
    let (bar, percent) = (bar(done, all), percent(done, all));
    let rate = told.bytes_per_second >> 20;
    let left = told.seconds_left.map(Duration::from_secs);
    let left = left.map_or_else(String::new, |left| format!(", {} left", words(left)));
    format!("loading a snapshot [{bar}] {percent:>3} %, {rate} MiB/s{left}")
}

fn bar(done: u64, all: u64) -> String {
    let full = done.saturating_mul(WIDTH) / all;
    (0..WIDTH).map(|place| if place < full { '#' } else { '.' }).collect()
}

fn percent(done: u64, all: u64) -> u64 {
    done.saturating_mul(100) / all
}

fn catching_up(report: &Report) -> Option<String> {
    let CatchUp { missing, per_second, left } = report.catch_up?;
    let done = report.position.map_or(0, |position| position.seq.get());
    let all = done.saturating_add(missing).max(1);
    let (bar, percent) = (bar(done, all), percent(done, all));
    let left = left.map_or_else(String::new, |left| format!(", {} left", words(left)));
    Some(format!("catching up [{bar}] {percent:>3} %, {per_second:.0} entries/s{left}"))
}

fn words(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Chain, Digest, History, Position, Seq};

    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let status = Status::new();
        assert_eq!(line(&status.report()), None);
        let (seq, digest) = (Seq::new(600).unwrap(), Digest::from_bytes([0; 32]));
        let position = Position { history: History::Legacy, seq, digest, chain: Chain::GENESIS };
        status.update(|report| {
            report.position = Some(position);
            let left = Some(Duration::from_secs(4000));
            report.catch_up = Some(CatchUp { missing: 400, per_second: 0.1, left });
        });
        let want =
            "catching up [##################............]  60 %, 0 entries/s, 1 h 6 min left";
        assert_eq!(line(&status.report()).as_deref(), Some(want));
    }
}

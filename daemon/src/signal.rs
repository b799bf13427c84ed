//! Turns SIGTERM and SIGINT into a token; a second signal ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels. The second one aborts the process: whoever
/// sends it has waited for the orderly stop and does not want to wait again.
///
/// Must be called inside a tokio runtime. The handlers stand when it returns.
///
/// # Errors
/// The handlers could not be installed.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut signals =
        Signals { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? };
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping; a second signal aborts");
        token.cancel();
        signals.next().await;
        // Not an error returned to main: main may be what hangs, and so may a destructor or an
        // exit handler. What is on disk survives a kill at any point, so nothing is lost by it.
        std::process::abort();
    });
    Ok(stop)
}

struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use nix::sys::signal::{Signal, raise};
    use tokio::time::{sleep, timeout};

    use super::*;

    const CHILD: &str = "DAEMON_SIGNAL_TEST_CHILD";

    /// Signals concern a whole process, so the test runs itself again as a child.
    #[test]
    fn the_first_signal_stops_and_the_second_aborts() {
        if std::env::var_os(CHILD).is_some() {
            return tokio::runtime::Runtime::new().unwrap().block_on(child());
        }
        // Without the limit, an abort may leave a core file in the working directory.
        let status = Command::new("sh")
            .args(["-c", "ulimit -c 0; exec \"$0\" --exact --nocapture \"$1\""])
            .arg(std::env::current_exe().unwrap())
            .arg("signal::tests::the_first_signal_stops_and_the_second_aborts")
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(nix::libc::SIGABRT), "{status}");
    }

    async fn child() {
        let stop = stop_on_signal().unwrap();
        sleep(Duration::from_millis(50)).await;
        assert!(!stop.is_cancelled());
        raise(Signal::SIGTERM).unwrap();
        timeout(Duration::from_secs(10), stop.cancelled()).await.unwrap();
        raise(Signal::SIGINT).unwrap();
        sleep(Duration::from_secs(10)).await;
    }
}

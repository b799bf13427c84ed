//! The socket through which a person on the node asks the agent for something: only who runs as the same user is heard.
//!
//! One line is asked, `rebuild`; the answer is a line of JSON each time that something is new, the last one with an outcome.

pub mod client;

use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::time::Duration;

use daemon::log::Chain as ErrorChain;
use daemon::socket::SocketFile;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bootstrap::Demand;
use crate::bootstrap::told::Phase;
use crate::ldb::Condition;
use crate::status::{Report, Status};

/// The name of the socket in the LDB's directory.
const SOCKET: &str = ".control.sock";
/// The one thing that can be asked for.
const REBUILD: &str = "rebuild";
/// Who connects says at once what is wanted.
const ASKED: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(200);

/// What the agent says, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// What is being done.
    pub phase: String,
    /// Why, or what became of it.
    pub message: Option<String>,
    /// Bytes of a snapshot that are there.
    pub bytes: u64,
    /// Bytes that it has.
    pub of: u64,
    /// In the last line: did it work?
    pub ok: Option<bool>,
}

/// The task.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) demand: mpsc::Sender<Demand>,
    pub(crate) status: Status,
}

/// Makes the socket. Without it the agent does all else, so this fails for nobody.
pub(crate) fn listen(dir: &Path) -> Option<(UnixListener, SocketFile)> {
    match daemon::socket::listen(&dir.join(SOCKET), 0o600) {
        Ok(listening) => Some(listening),
        Err(error) => {
            let error = ErrorChain(&error).to_string();
            tracing::warn!(error, "`ctlstore agent rebuild` cannot reach this agent");
            None
        }
    }
}

impl Control {
    /// Serves one after the other until `stop`.
    pub(crate) async fn serve(
        self,
        socket: Option<(UnixListener, SocketFile)>,
        stop: CancellationToken,
    ) -> Result<(), Infallible> {
        let serve = async {
            let Some((listener, _file)) = socket else { return std::future::pending().await };
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    sleep(TICK).await;
                    continue;
                };
                if let Err(error) = self.answer(stream).await {
                    tracing::debug!(%error, "who asked through the control socket is gone");
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = serve => {}
        }
        Ok(())
    }

    async fn answer(&self, stream: UnixStream) -> io::Result<()> {
        let is_own = stream.peer_cred()?.uid() == own_uid()?;
        let (read, mut write) = stream.into_split();
        if !is_own {
            return say(&mut write, &Line::no("only the user that the agent runs as may ask"))
                .await;
        }
        let mut asked = String::new();
        let mut read = BufReader::new(read.take(64));
        timeout(ASKED, read.read_line(&mut asked)).await.map_err(io::Error::other)??;
        if asked.trim() != REBUILD {
            return say(&mut write, &Line::no("this agent knows `rebuild` and nothing else")).await;
        }
        tracing::info!("a person on the node asks for another LDB");
        let (demand, mut answered) = oneshot::channel();
        if self.demand.send(demand).await.is_err() {
            return say(&mut write, &Line::no("the agent is about to end")).await;
        }
        let mut last = Line::default();
        let outcome = loop {
            let line = Line::of(&self.status.report());
            if line != last {
                say(&mut write, &line).await?;
                last = line;
            }
            tokio::select! {
                biased;
                outcome = &mut answered => break outcome.unwrap_or_else(|_| Err("the agent is about to end".to_owned())),
                () = sleep(TICK) => {}
            }
        };
        let message = match outcome {
            Ok(message) => message,
            Err(why) => return say(&mut write, &Line::no(&why)).await,
        };
        while self.status.report().ldb.condition != Condition::Sound {
            let text = format!("{message}; it is served when it has come as far as the old one");
            let line =
                Line { phase: "catching_up".to_owned(), message: Some(text), ..last.clone() };
            if line != last {
                say(&mut write, &line).await?;
                last = line;
            }
            sleep(TICK).await;
        }
        let done = Phase::Done.as_str().to_owned();
        say(&mut write, &Line { phase: done, message: Some(message), ok: Some(true), ..last }).await
    }
}

impl Line {
    fn no(why: &str) -> Self {
        let message = Some(why.to_owned());
        Self {
            phase: Phase::Failed.as_str().to_owned(),
            message,
            ok: Some(false),
            ..Self::default()
        }
    }

    fn of(report: &Report) -> Self {
        let Some(told) = &report.bootstrap else {
            return Self { phase: Phase::Looking.as_str().to_owned(), ..Self::default() };
        };
        let (phase, message) = (told.phase.as_str().to_owned(), told.message.clone());
        Self { phase, message, bytes: told.bytes, of: told.of, ok: None }
    }
}

async fn say(to: &mut (impl tokio::io::AsyncWrite + Unpin), line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line).map_err(io::Error::other)?;
    text.push('\n');
    to.write_all(text.as_bytes()).await
}

/// The system says of the peer of a pair, which is us, who it is.
fn own_uid() -> io::Result<u32> {
    let (own, _peer) = UnixStream::pair()?;
    Ok(own.peer_cred()?.uid())
}

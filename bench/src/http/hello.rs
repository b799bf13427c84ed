//! A server that does nothing but HTTP, in a process of its own, with as many threads as the read API has.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;

/// The threads of the read API, by default.
const THREADS: usize = 2;

/// The server. Dropping it ends it.
pub(crate) struct Hello {
    child: Child,
    addr: SocketAddr,
    socket: PathBuf,
}

impl Hello {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(socket: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--", "hello"]).arg(socket).stdout(Stdio::piped());
        let mut child = command.spawn().context("start the server that says hello")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no stdout")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        let socket = socket.to_owned();
        let addr = line.trim().parse();
        let mut hello = Self { child, addr: ([127, 0, 0, 1], 0).into(), socket };
        read?;
        hello.addr = addr.with_context(|| format!("it said {line:?}"))?;
        Ok(hello)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until it is killed.
pub(crate) fn serve(socket: &str) -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    runtime.block_on(async {
        let tcp = TcpListener::bind("127.0.0.1:0").await?;
        let unix = UnixListener::bind(socket)?;
        let mut out = std::io::stdout();
        writeln!(out, "{}", tcp.local_addr()?)?;
        out.flush()?;
        loop {
            tokio::select! {
                accepted = tcp.accept() => {
                    let (stream, _) = accepted?;
                    stream.set_nodelay(true)?;
                    tokio::spawn(speak(stream));
                }
                accepted = unix.accept() => {
                    tokio::spawn(speak(accepted?.0));
                }
            }
        }
    })
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(|_: Request<hyper::body::Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello"))))
    });
    // A client that goes away is no failure.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

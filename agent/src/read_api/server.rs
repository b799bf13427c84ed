//! Listens on a port and on a socket, and answers on threads of its own.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::log::Chain;
use daemon::net::{BindError, bind};
use daemon::serve::{Limits, Listener, Server, Tls, TlsError, serve};
use daemon::socket::{self, SocketError, SocketFile};
use daemon::tokens::{TokenError, Tokens};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::args::ServeArgs;
use crate::read_api::app::{App, Source};
use crate::read_api::operations::{openapi_document, operations};
use crate::read_api::routes::routes;

/// Everybody on the node may connect: who may open the socket is said by the mount it is in.
const SOCKET_MODE: u32 = 0o666;
/// Connections held at once, through all doors together: less than the usual 1,024 open files, which the LDB needs, too.
const MAX_CONNECTIONS: usize = 768;
/// Threads for lists; each keeps a connection to the LDB.
const LONG_READS: usize = 4;
/// Between two looks at mounted files.
const RELOAD: Duration = Duration::from_secs(10);

/// Where to listen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) socket: Option<PathBuf>,
}

/// Why the read API cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the read API's socket (--read-socket=false turns it off)")]
    Socket(#[from] SocketError),
    #[error("--read-token-file")]
    Tokens(#[from] TokenError),
    #[error("--read-tls-cert-file and --read-tls-key-file")]
    Tls(#[from] TlsError),
    #[error("cannot start the threads of the read API")]
    Threads(#[source] io::Error),
    #[error("cannot listen for the read API")]
    Listen(#[source] io::Error),
}

/// A way in.
#[derive(Debug)]
struct Door {
    listener: Listener,
    tls: Option<Arc<Tls>>,
    tokens: Option<Arc<Tokens>>,
}

/// The read API, listening.
#[derive(Debug)]
pub(crate) struct ReadServer {
    app: App,
    doors: Vec<Door>,
    addr: Option<SocketAddr>,
    tls: Option<Arc<Tls>>,
    tokens: Option<Arc<Tokens>>,
    /// Removes the socket at the end.
    _socket: Option<SocketFile>,
    threads: Threads,
}

impl ReadServer {
    /// Listens; requests wait until it runs.
    pub(crate) async fn open(
        places: Places,
        args: &ServeArgs,
        source: Source,
    ) -> Result<Self, OpenError> {
        let threads = Threads::start(args.read_threads).map_err(OpenError::Threads)?;
        let tls = args.tls().map(Tls::load).transpose()?.map(Arc::new);
        let tokens = args.read_token_file.as_deref().map(Tokens::load).transpose()?;
        let tokens = tokens.map(Arc::new);
        let tcp = match places.tcp {
            Some(addr) => Some(bind(addr).await?.into_std().map_err(OpenError::Listen)?),
            None => None,
        };
        let (mut doors, mut addr, mut file) = (Vec::new(), None, None);
        {
            // Connections belong to the threads that accept them.
            let _entered = threads.handle().enter();
            if let Some(tcp) = tcp {
                let listener = TcpListener::from_std(tcp).map_err(OpenError::Listen)?;
                addr = Some(listener.local_addr().map_err(OpenError::Listen)?);
                let (tls, tokens) = (tls.clone(), tokens.clone());
                doors.push(Door { listener: listener.into(), tls, tokens });
            }
            if let Some(path) = places.socket {
                let (listener, made) = socket::listen(&path, SOCKET_MODE)?;
                doors.push(Door { listener: listener.into(), tls: None, tokens: None });
                file = Some(made);
            }
        }
        let app = App::new(source, args, openapi_document(&operations()));
        Ok(Self { app, doors, addr, tls, tokens, _socket: file, threads })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Serves until `stop`, on its own threads.
    pub(crate) async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let Self { app, doors, tls, tokens, _socket, threads, .. } = self;
        let operations = operations();
        let mut running: Vec<JoinHandle<_>> = Vec::new();
        let limits =
            Limits { max_connections: MAX_CONNECTIONS / doors.len().max(1), ..Limits::default() };
        for Door { listener, tls, tokens } in doors {
            let routes = routes(&app, &operations, tokens.as_ref());
            let server = Server { listener, tls, limits };
            let flight = app.flight.clone();
            let idle = async move {
                flight.close();
                flight.wait().await;
            };
            // tidy: allow spawn: on the read API's own threads, and waited for below
            running.push(threads.handle().spawn(serve(server, routes, stop.clone(), idle)));
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(RELOAD) => reload(tls.as_deref(), tokens.as_deref()),
            }
        }
        for server in running {
            if let Err(error) = server.await {
                tracing::error!(%error, "a server of the read API did not end well");
            }
        }
        Ok(())
    }
}

/// Follows mounted files.
fn reload(tls: Option<&Tls>, tokens: Option<&Tokens>) {
    match tls.map(Tls::reload) {
        Some(Ok(true)) => tracing::info!("the certificate of the read API changed"),
        Some(Ok(false)) | None => {}
        Some(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "keeping the certificate that was read before");
        }
    }
    match tokens.map(Tokens::reload) {
        Some(Ok(true)) => tracing::info!("the tokens of the read API changed"),
        Some(Ok(false)) | None => {}
        Some(Err(error)) => {
            tracing::warn!(error = %Chain(&error), "keeping the tokens that were read before");
        }
    }
}

/// The threads that answer. They are not waited for at the end: one may be in SQLite.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Threads {
    fn start(count: u32) -> io::Result<Self> {
        let count = usize::try_from(count).unwrap_or(1);
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .max_blocking_threads(LONG_READS)
            .thread_name("ctlstore-read")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> &Handle {
        self.0.as_ref().expect("BUG: it is there until it is dropped").handle()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

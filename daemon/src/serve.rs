//! Serves HTTP/1.1 to anyone who connects, and stands what they may do: many connections, slow heads, heads without end,
//! answers that nobody reads, bodies that nobody wants. With TLS when there is a certificate.
//!
//! How long a request's body may take and how many requests are handled at once is the routes' affair; for the latter
//! there is [`InFlight`].

mod body;
mod certificate;
mod flight;
mod listener;
mod slow_reader;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub use flight::{InFlight, Place};
pub use listener::Listener;
use listener::Stream;
use slow_reader::Impatient;
pub use tls::{Tls, TlsError, TlsFiles};

/// After a failure that is not one connection's, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// For answers on their way when the process ends.
const GRACE: Duration = Duration::from_millis(300);

/// What a connection may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections held at once; more wait in the kernel's queue.
    pub max_connections: usize,
    /// For the handshake of TLS, for the head of a request, and between two requests of one connection.
    pub head_time: Duration,
    /// For the client to take a few kilobytes of an answer.
    pub write_time: Duration,
    /// The head of a request and what is buffered of its body; a longer head gets 431.
    pub max_head_bytes: usize,
}

/// Where to listen, and how.
#[derive(Debug)]
pub struct Server {
    /// Bound already.
    pub listener: Listener,
    /// With TLS, or in the clear. A Unix socket has none.
    pub tls: Option<Arc<Tls>>,
    /// What a connection may take.
    pub limits: Limits,
}

/// The other end of a connection: an extension of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address; none through a Unix socket.
    pub addr: Option<SocketAddr>,
    /// The subject of its certificate, which was verified.
    pub certificate: Option<Arc<str>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Below the usual limit of 1,024 open files.
            max_connections: 900,
            head_time: Duration::from_secs(30),
            // A kernel may hold megabytes before it takes more.
            write_time: Duration::from_secs(30),
            max_head_bytes: 64 << 10,
        }
    }
}

/// Serves until `stop`; then finishes what is in hand, which is over when `idle` is.
///
/// # Errors
/// None: a connection's failure is its own.
pub async fn serve(
    server: Server,
    routes: Router,
    stop: CancellationToken,
    idle: impl Future<Output = ()>,
) -> Result<(), Infallible> {
    let Server { listener, tls, limits } = server;
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (slot, accepted) = next => match accepted {
                Ok(stream) => {
                    let connection = Connection {
                        routes: routes.clone(),
                        tls: tls.clone(),
                        limits,
                        stop: stop.clone(),
                    };
                    // tidy: allow spawn: one task per connection, joined here and aborted at the end
                    connections.spawn(async move {
                        let addr = stream.addr();
                        if let Err(error) = connection.run(stream).await {
                            tracing::debug!(error = %crate::log::Chain(error.as_ref()), addr = addr.map(tracing::field::display), "connection ended");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let closed = async { while connections.join_next().await.is_some() {} };
    let answered = async {
        idle.await;
        tokio::time::sleep(GRACE).await;
    };
    // Half a request must not hold up the end, so the connections themselves are not waited for.
    tokio::select! {
        () = closed => {}
        () = answered => {}
    }
    Ok(())
}

/// What serves one connection.
struct Connection {
    routes: Router,
    tls: Option<Arc<Tls>>,
    limits: Limits,
    stop: CancellationToken,
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Connection {
    async fn run(self, stream: Stream) -> Ended {
        let patience = self.limits.write_time;
        let (stream, addr) = match stream {
            Stream::Tcp(stream, addr) => (stream, Some(addr)),
            Stream::Unix(stream) => {
                let nobody = Peer { addr: None, certificate: None };
                return self.speak(Impatient::new(stream, patience), nobody).await;
            }
        };
        // Without it, small answers may wait 40 ms for an acknowledgement.
        stream.set_nodelay(true)?;
        let stream = Impatient::new(stream, patience);
        let Some(tls) = &self.tls else {
            return self.speak(stream, Peer { addr, certificate: None }).await;
        };
        let handshake = tls.acceptor().accept(stream);
        let stream = tokio::select! {
            () = self.stop.cancelled() => return Ok(()),
            stream = tokio::time::timeout(self.limits.head_time, handshake) => {
                stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
            }
        };
        let presented = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate =
            presented.map(|certificate| certificate::subject(certificate)).transpose()?;
        self.speak(stream, Peer { addr, certificate: certificate.map(Arc::from) }).await
    }

    async fn speak<S>(self, stream: S, peer: Peer) -> Ended
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { routes, limits, stop, .. } = self;
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let routes = routes.clone();
            body::finish(request, |request| routes.oneshot(request))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // A client may say that it has sent all and still wait for the answer, as with the original.
            .half_close(true)
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.max_head_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended?,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

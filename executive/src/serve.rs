//! Accepts connections and speaks HTTP/1.1 on them, with bounds against slow and many clients.

use std::convert::Infallible;
use std::future::Future;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::caller::Peer;

/// The head of a request must arrive in this time, and an idle connection is closed after it.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The head of a request and what is buffered of its body.
const MAX_BUFFER_BYTES: usize = 64 << 10;
/// After a failure that is not one connection's, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// For answers on their way when the process ends.
const GRACE: Duration = Duration::from_millis(300);

/// Serves until `stop`; then finishes what is in hand, which is over when `idle` is.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    max_connections: usize,
    stop: CancellationToken,
    idle: impl Future<Output = ()>,
) -> Result<(), Infallible> {
    let slots = Arc::new(Semaphore::new(max_connections));
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
                Ok((stream, peer)) => {
                    let connection = connection(stream, peer, routes.clone(), stop.clone());
                    // tidy: allow spawn: one task per connection, joined here and aborted at the end
                    connections.spawn(async move {
                        connection.await;
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

async fn connection(stream: TcpStream, peer: SocketAddr, routes: Router, stop: CancellationToken) {
    // Without it, small answers may wait 40 ms for an acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(peer));
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may say that it has sent all and still wait for the answer, as with the original.
        .half_close(true)
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended");
    }
}

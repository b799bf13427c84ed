//! The admin port: `/livez`, `/readyz` and `/metrics`. It changes nothing and knows no secret, so
//! it is open; it should listen where only the kubelet and the monitoring reach it.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use crate::live::{Liveness, Pulse};
use crate::ready::Readiness;

/// How long a request in hand may hold up the end of the process.
const GRACE: Duration = Duration::from_secs(1);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the admin port shows.
#[derive(Debug)]
pub struct Admin {
    /// Asked by `/readyz`.
    pub readiness: Readiness,
    /// Asked by `/livez`.
    pub liveness: Liveness,
    /// Printed by `/metrics`; every metric is registered before.
    pub registry: Registry,
}

/// Serves the admin port until `stop` is cancelled; `/readyz` then turns 503.
///
/// To keep `/metrics` while the other tasks drain, pass a token that is cancelled after them.
///
/// # Errors
/// The listener failed.
pub async fn serve(listener: TcpListener, admin: Admin, stop: CancellationToken) -> io::Result<()> {
    let readiness = admin.readiness.clone();
    let server = axum::serve(listener, router(admin))
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let late = async {
        stop.cancelled().await;
        readiness.stop();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = server => result,
        () = late => Ok(()),
    }
}

/// The routes of the admin port, for a server that has others beside them.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(admin))
}

async fn livez(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    verdict(
        admin
            .liveness
            .silent()
            .into_iter()
            .map(|(name, silence)| (name, format!("silent for {} s", silence.as_secs()))),
    )
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, String) {
    verdict(admin.readiness.waits().into_iter().map(|wait| (wait.name, wait.reason)))
}

/// 200 when nothing is wrong, else 503 with one line for each thing.
fn verdict(wrong: impl IntoIterator<Item = (&'static str, String)>) -> (StatusCode, String) {
    let lines: Vec<_> =
        wrong.into_iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    if lines.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat())
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let mut page = String::new();
    if let Err(error) = text::encode(&mut page, &admin.registry) {
        page.clear();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "cannot encode the metrics: {error}");
        return (StatusCode::INTERNAL_SERVER_ERROR, page).into_response();
    }
    ([(header::CONTENT_TYPE, OPEN_METRICS)], page).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use prometheus_client::metrics::counter::Counter;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{advance, pause};

    use super::*;

    async fn connect(addr: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(addr: SocketAddr, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        connect(addr, &request).await.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn the_port_tells_what_is_wrong_and_counts() {
        let (readiness, liveness, stop) =
            (Readiness::new(), Liveness::new(), CancellationToken::new());
        let tables = readiness.handle("tables");
        let pulse = liveness.watch("replay", Duration::from_secs(10));
        let (mut registry, entries) = (Registry::default(), Counter::<u64>::default());
        registry.register("entries", "Entries applied", entries.clone());
        entries.inc_by(7);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server =
            tokio::spawn(serve(listener, Admin { readiness, liveness, registry }, stop.clone()));

        let starting = ask(addr, "/readyz").await;
        assert!(starting.starts_with("HTTP/1.1 503") && starting.contains("tables: starting"));
        tables.done();
        assert!(ask(addr, "/readyz").await.starts_with("HTTP/1.1 200"));

        assert!(ask(addr, "/livez").await.starts_with("HTTP/1.1 200"));
        pause();
        advance(Duration::from_secs(30)).await;
        let silent = ask(addr, "/livez").await;
        assert!(silent.starts_with("HTTP/1.1 503") && silent.contains("replay: silent for 30 s"));
        pulse.beat();
        assert!(ask(addr, "/livez").await.starts_with("HTTP/1.1 200"));

        let metrics = ask(addr, "/metrics").await;
        assert!(metrics.contains(OPEN_METRICS), "{metrics}");
        assert!(metrics.contains("entries_total 7\n"), "{metrics}");

        // Half a request must not hold up the end.
        let _slow = connect(addr, "GET /livez HTTP/1.1\r\n").await;
        stop.cancel();
        tokio::time::timeout(GRACE * 5, server).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(addr).await.is_err(), "the port still listens");
    }
}

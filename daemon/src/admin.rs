//! The admin port: `/livez`, `/readyz` and `/metrics`. It changes nothing and knows no secret, so
//! it is open; it should listen where only the kubelet and the monitoring reach it.
//!
//! | route | 200 | 503 |
//! |---|---|---|
//! | `/livez` | every loop turns; a loop that is blocked from outside is named with its reason | a loop hangs |
//! | `/readyz` | the process does what it is for | it does not, or not yet, and why |
//! | `/readyz?max-lag=30s` | and what it serves is not older than that | it is older; the lag is named |
//! | `/metrics` | OpenMetrics | |

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::duration;
use crate::live::Verdict;
pub use crate::live::{Liveness, Pulse};
use crate::ready::{Lag, Readiness};
use crate::serve::{self, Limits, Server};

/// The kubelet, the monitoring, and a few people; whoever else connects waits.
const MAX_CONNECTIONS: usize = 64;

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
/// None: a connection's failure is its own.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let readiness = admin.readiness.clone();
    let limits = Limits { max_connections: MAX_CONNECTIONS, ..Limits::default() };
    let server = Server { listener: listener.into(), tls: None, limits };
    let stopped = async {
        stop.cancelled().await;
        readiness.stop();
    };
    let (served, ()) =
        tokio::join!(serve::serve(server, router(admin), stop.clone(), async {}), stopped);
    served
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
    let (mut hung, mut blocked) = (Vec::new(), Vec::new());
    for (name, verdict) in admin.liveness.verdicts() {
        match verdict {
            Verdict::Well => {}
            Verdict::Blocked(why) => blocked.push(line(name, &why)),
            Verdict::Hung(why) => hung.push(line(name, &why)),
        }
    }
    if hung.is_empty() {
        return (StatusCode::OK, format!("ok\n{}", blocked.concat()));
    }
    (StatusCode::SERVICE_UNAVAILABLE, hung.concat() + &blocked.concat())
}

async fn readyz(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
) -> (StatusCode, String) {
    let max_lag = match max_lag(query.as_deref().unwrap_or_default()) {
        Ok(max_lag) => max_lag,
        Err(why) => return (StatusCode::BAD_REQUEST, line("max-lag", &why)),
    };
    let waits = admin.readiness.waits();
    let mut lines: Vec<_> = waits.iter().map(|wait| line(wait.name, &wait.reason)).collect();
    if let Some(max) = max_lag {
        match admin.readiness.lag() {
            Lag::None => {
                let why = "this process serves nothing that ages, ask an agent";
                return (StatusCode::BAD_REQUEST, line("max-lag", why));
            }
            Lag::Unknown => lines.push(line("lag", "no entry of the ledger was applied yet")),
            Lag::Of(lag) if lag > max => {
                let (lag, max) = (lag.as_secs_f64(), max.as_secs_f64());
                lines.push(line("lag", &format!("{lag:.1} s, more than {max} s")));
            }
            Lag::Of(_) => {}
        }
    }
    if lines.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, lines.concat())
}

fn line(name: &str, reason: &str) -> String {
    format!("{name}: {reason}\n")
}

/// Of a query such as `max-lag=30s`. Other parameters are the business of those who send them.
fn max_lag(query: &str) -> Result<Option<Duration>, String> {
    let given = query.split('&').find_map(|pair| match pair.split_once('=') {
        Some(("max-lag", value)) => Some(value),
        None if pair == "max-lag" => Some(""),
        Some(_) | None => None,
    });
    given.map(duration::parse).transpose()
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
    async fn old_data_is_refused_to_those_who_say_how_old_it_may_be() {
        let readiness = Readiness::new();
        let admin = Admin {
            readiness: readiness.clone(),
            liveness: Liveness::new(),
            registry: Registry::default(),
        };
        let admin = Arc::new(admin);
        let check = async |query: &str, status: u16, want: &str| {
            let query = RawQuery(Some(query.to_owned()));
            let (got, text) = readyz(State(Arc::clone(&admin)), query).await;
            assert_eq!((got.as_u16(), text.as_str()), (status, want));
        };
        check("max-lag=30s", 400, "max-lag: this process serves nothing that ages, ask an agent\n")
            .await;
        readiness.set_lag(|| Lag::Unknown);
        check("", 200, "ok\n").await;
        check("verbose&max-lag=30s", 503, "lag: no entry of the ledger was applied yet\n").await;
        readiness.set_lag(|| Lag::Of(Duration::from_millis(30_400)));
        check("", 200, "ok\n").await;
        check("max-lag=31s", 200, "ok\n").await;
        check("max-lag=30s", 503, "lag: 30.4 s, more than 30 s\n").await;
        let gate = readiness.gate("ldb");
        check("max-lag=30s", 503, "ldb: not checked yet\nlag: 30.4 s, more than 30 s\n").await;
        gate.set(true, "");
        for bad in
            ["max-lag", "max-lag=", "max-lag=30", "max-lag=-1s", "max-lag=0s", "max-lag=1%73"]
        {
            let why = "max-lag: write a duration like 30s, 500ms or 1m30s, more than zero\n";
            check(bad, 400, why).await;
        }
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
        pulse.blocked(Some("the disk is full".to_owned()));
        let blocked = ask(addr, "/livez").await;
        assert!(blocked.starts_with("HTTP/1.1 200"), "{blocked}");
        assert!(blocked.contains("ok\nreplay: blocked for 0 s: the disk is full\n"), "{blocked}");

        let metrics = ask(addr, "/metrics").await;
        assert!(metrics.contains(OPEN_METRICS), "{metrics}");
        assert!(metrics.contains("entries_total 7\n"), "{metrics}");

        // Half a request must not hold up the end.
        let _slow = connect(addr, "GET /livez HTTP/1.1\r\n").await;
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(addr).await.is_err(), "the port still listens");
    }
}

//! `GET /v1/watch`: what changes, as it changes, as server-sent events. Every event has the sequence as its id, so that a
//! client that connects again goes on where it was.
//!
//! | event | data |
//! |---|---|
//! | `seq` | `{"seq":7,"epoch":…}`: all up to there was told; the first says from where it goes on |
//! | `change` | with `changes=true`: sequence, operation, family, table, key |
//! | `fell_behind` | `{"oldest":9,"message":…}`: what came before is not held, reload; it goes on from there |
//! | `mode` | of a sidecar without its agent's socket: sequences only |

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use ledger::{FamilyName, Seq, TableName};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use crate::changes::{Change, Epoch, Follower, Since};
use crate::read_api::app::App;
use crate::read_api::error::{Code, Error};
use crate::read_api::feed::{Feed, relay};
use crate::read_api::params::Params;

pub(crate) const EVENTS: &str = "text/event-stream";

/// So often something is sent, so that both ends see a connection that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What a client wants to know.
#[derive(Debug, Clone)]
struct Wish {
    after: Option<Seq>,
    /// In which `after` means something.
    epoch: Option<Epoch>,
    changes: bool,
    /// Of these only; of all that are served when empty.
    families: Vec<FamilyName>,
    tables: Vec<TableName>,
}

impl Wish {
    fn take(app: &App, uri: &Uri, headers: &HeaderMap) -> Result<Self, Error> {
        let mut params = Params::of(uri)?;
        let after = params.number("after", 0..=Seq::MAX.get())?.and_then(Seq::new);
        let epoch = params.take("epoch").map(|text| text.parse::<Epoch>()).transpose();
        let epoch = epoch.map_err(|text| Error::new(Code::QueryInvalid, text).field("epoch"))?;
        let changes = params.word("changes", &[("false", false), ("true", true)])?;
        let name = |field| {
            move |error: ledger::NameError| {
                Error::new(Code::NameInvalid, error.to_string()).field(field)
            }
        };
        let mut families = Vec::new();
        for text in params.all("family") {
            let family = FamilyName::parse_folded(&text).map_err(name("family"))?;
            app.check_served(&family)?;
            families.push(family);
        }
        let tables = params.all("table").into_iter();
        let tables = tables.map(|text| TableName::parse_folded(&text).map_err(name("table")));
        let tables = tables.collect::<Result<_, _>>()?;
        params.end()?;
        if families.is_empty() {
            families.extend(app.served().into_iter().flat_map(|served| served.iter().cloned()));
        }
        // What a browser sends when it connects again, to the same address as the first time.
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let last = last.and_then(|id| id.parse().ok()).and_then(Seq::new);
        Ok(Self { after: last.or(after), epoch, changes, families, tables })
    }

    fn wants(&self, change: &Change) -> bool {
        let (family, table) = (change.table.name.family(), change.table.name.table());
        let among = self.families.is_empty() || self.families.contains(family);
        among && (self.tables.is_empty() || self.tables.contains(table))
    }

    /// The same wish, for the agent's socket.
    fn target(&self) -> String {
        let mut target = format!("/v1/watch?changes={}", self.changes);
        // Writing to a String cannot fail, and names need no escapes.
        if let Some(after) = self.after {
            let _ = write!(target, "&after={after}");
        }
        if let Some(epoch) = self.epoch {
            let _ = write!(target, "&epoch={epoch}");
        }
        for family in &self.families {
            let _ = write!(target, "&family={family}");
        }
        for table in &self.tables {
            let _ = write!(target, "&table={table}");
        }
        target
    }
}

/// `GET /v1/watch`
pub(crate) async fn get(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let wish = Wish::take(&app, &uri, &headers)?;
    let place = Watcher::new(&app)?;
    let (told, source) = match &app.feed {
        Feed::Hub(hub) => {
            let follower = match (wish.epoch, wish.after) {
                (Some(epoch), Some(after)) => hub.follow_in(epoch, after),
                (_, after) => hub.follow(after),
            };
            (position(follower.stands()), Source::Hub(follower))
        }
        Feed::Socket(path) => match relay(path, &wish.target()).await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                return Ok(Response::from_parts(head, place.guard(&app, body)));
            }
            Err(error) => {
                tracing::debug!(error = %daemon::log::Chain(&error), "telling sequences only");
                let from = match wish.after {
                    Some(after) => after,
                    None => app.ldb.seq()?,
                };
                let mut told = position((from, None));
                if wish.changes {
                    let text =
                        "the agent's socket does not answer: sequences only, without what changed";
                    let mode = json!({ "changes": false, "message": text });
                    told.insert_str(0, &event("mode", from, &mode));
                }
                (told, Source::Sequences(from))
            }
        },
    };
    let following = Following { app, wish, source, told: Some(told), _place: place };
    let events = stream::unfold(following, Following::next);
    let mut answer = Body::from_stream(events).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// Where the next events come from.
enum Source {
    Hub(Follower),
    /// From the LDB itself; up to here it was told.
    Sequences(Seq),
}

/// One who follows.
struct Following {
    app: App,
    wish: Wish,
    source: Source,
    /// To be sent first.
    told: Option<String>,
    _place: Watcher,
}

type Sent = Result<Bytes, std::convert::Infallible>;

impl Following {
    async fn next(mut self) -> Option<(Sent, Self)> {
        if let Some(told) = self.told.take() {
            return Some((Ok(Bytes::from(told)), self));
        }
        let stop = self.app.stop.clone();
        let text = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            text = self.source.next(&self.app, &self.wish) => text?,
            () = tokio::time::sleep(KEEP_ALIVE) => ": keep-alive\n\n".to_owned(),
        };
        Some((Ok(Bytes::from(text)), self))
    }
}

impl Source {
    /// What comes next, as events; none when nothing can come any more. Can be dropped and called again.
    async fn next(&mut self, app: &App, wish: &Wish) -> Option<String> {
        match self {
            Source::Hub(follower) => Some(match follower.next().await {
                Since::Changes { changes, through } => {
                    let wanted = changes.iter().filter(|change| wish.changes && wish.wants(change));
                    let mut text: String =
                        wanted.map(|change| event("change", change.seq, &**change)).collect();
                    text += &position((through, follower.stands().1));
                    text
                }
                Since::FellBehind { oldest } => fell_behind(oldest, follower.stands().1),
            }),
            Source::Sequences(at) => {
                let before = *at;
                match app.ldb.changed_async(before).await {
                    Ok(seq) => {
                        *at = seq;
                        Some(match seq < before {
                            true => fell_behind(seq, None),
                            false => position((seq, None)),
                        })
                    }
                    Err(error) => {
                        tracing::warn!(error = %daemon::log::Chain(&error), "a watch ends");
                        None
                    }
                }
            }
        }
    }
}

/// All up to there was told, and in which epoch that is.
fn position((seq, epoch): (Seq, Option<Epoch>)) -> String {
    event("seq", seq, &with_epoch(json!({ "seq": seq }), epoch))
}

fn with_epoch(mut data: serde_json::Value, epoch: Option<Epoch>) -> serde_json::Value {
    if let Some(epoch) = epoch {
        data["epoch"] = epoch.to_string().into();
    }
    data
}

fn fell_behind(oldest: Seq, epoch: Option<Epoch>) -> String {
    let text = "what changed before is not held here any more: read again what you keep, then follow from here";
    let data = json!({ "oldest": oldest, "message": text });
    event("fell_behind", oldest, &with_epoch(data, epoch))
}

fn event(name: &str, id: Seq, data: &impl serde::Serialize) -> String {
    let data = serde_json::to_string(data).expect("BUG: events are plain JSON");
    format!("event: {name}\nid: {id}\ndata: {data}\n\n")
}

/// A place among those who follow, counted.
struct Watcher {
    metrics: crate::read_api::metrics::ReadMetrics,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    fn new(app: &App) -> Result<Self, Error> {
        let place = app.watcher()?;
        let metrics = app.metrics.clone();
        metrics.watchers.inc();
        Ok(Self { metrics, _place: place })
    }

    /// Keeps the place for as long as a body that another process fills.
    fn guard(self, app: &App, body: Body) -> Body {
        let state = (body.into_data_stream(), app.stop.clone(), self);
        Body::from_stream(stream::unfold(state, |(mut data, stop, place)| async move {
            let next = tokio::select! {
                () = stop.cancelled() => None,
                next = futures::StreamExt::next(&mut data) => next,
            };
            next.map(|bytes| (bytes, (data, stop, place)))
        }))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.metrics.watchers.dec();
    }
}

//! `POST /families/{f}/mutations`: a batch of rows to write and to delete, all of it or nothing.
//!
//! The way of a batch: the writer shows its secret, the body becomes an [`Order`], the order is read against the
//! schemas of its tables, and only then ctldb hears of it and takes the ledger lock. There the secret, the cookie and
//! the schemas are checked once more, for only what is read under the lock counts.

pub(crate) mod decode;

use std::time::Instant;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use ctldb::{Author, Batch, Committed, Credentials, Error as DbError, TableMutation};
use ledger::{FamilyName, LdbTable, Mutation};

use crate::answer::Written;
use crate::app::App;
use crate::audit::{self, Change};
use crate::auth::credentials;
use crate::body;
use crate::caller::Caller;
use crate::catalog::Freshness;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;
use decode::{Decoded, Order, Unknown};

/// Header of an answer: the columns that no table has, whose values were passed over.
pub(crate) const IGNORED: HeaderName = HeaderName::from_static("ctlstore-ignored");
/// Header of a request: `true` refuses such values.
pub(crate) const STRICT: &str = "ctlstore-strict";
/// Header of an answer: the batch had been committed before, and nothing was written now.
pub(crate) const REPEATED: HeaderName = HeaderName::from_static("ctlstore-repeated");

/// How often a batch is read again because a table changed under it.
const MAX_ATTEMPTS: usize = 5;
/// How long the names of ignored columns may be together: proxies refuse long heads, and the batch is committed by then.
const MAX_NAMED_BYTES: usize = 1024;

/// What a batch needs besides its values: all that the head of a request says. It has shown its secret.
pub(crate) struct Sender {
    ticket: Ticket,
    family: FamilyName,
    credentials: Credentials,
    author: Author,
    unknown: Unknown,
}

/// Commits a batch.
pub(crate) async fn mutate(
    State(app): State<App>,
    sender: Sender,
    body: Body,
) -> Result<Response, Error> {
    app.hold.check()?;
    let body = body::read(body, &sender.ticket).await?;
    let order = Order::parse(&sender.family, &body)?;
    app.metrics.received(count(order.values()));
    let (committed, decoded) = commit(&app, &sender, &order).await?;
    Ok(answer(&app, &sender, &committed, &decoded))
}

/// Reads the order against the schemas and commits it; again with fresh schemas when they turn out to be stale.
async fn commit(
    app: &App,
    sender: &Sender,
    order: &Order<'_>,
) -> Result<(Committed, Decoded), Error> {
    let mut freshness = Freshness::Cached;
    let mut moved: Option<LdbTable> = None;
    for _ in 0..MAX_ATTEMPTS {
        let schemas = app.catalog.schemas(&app.db, &sender.family, order.tables(), freshness);
        let schemas = app.ask(&sender.ticket, schemas).await?;
        let decoded = match order.decode(&schemas, sender.unknown) {
            Ok(decoded) => decoded,
            Err(refused) if freshness == Freshness::Fresh => return Err(refused.into()),
            // The table may have got the column since.
            Err(_) => {
                freshness = Freshness::Fresh;
                continue;
            }
        };
        let batch = sender.batch(order, &decoded);
        let db = app.db.clone();
        let start = Instant::now();
        match app.carry_out(&sender.ticket, async move { db.mutate(&batch).await }).await? {
            Ok(committed) => {
                app.metrics.took(start.elapsed());
                return Ok((committed, decoded));
            }
            Err(DbError::SchemaMoved(table) | DbError::TableNotFound(table)) => {
                moved = Some(table);
                freshness = Freshness::Fresh;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(DbError::SchemaMoved(moved.expect("BUG: only a moved table leads here")).into())
}

impl FromRequestParts<App> for Sender {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let Segments(family) = Segments::<String>::from_request_parts(parts, app).await?;
        let caller = Caller::from_request_parts(parts, app).await?;
        let ticket = Ticket::from_request_parts(parts, app).await?;
        let family = FamilyName::parse_folded(&family)?;
        let unknown = strictness(&parts.headers)?;
        let credentials = credentials(&parts.headers)?;
        app.authenticate(&ticket, &credentials, &parts.headers).await?;
        let author = caller.writer(credentials.writer.clone());
        Ok(Self { ticket, family, credentials, author, unknown })
    }
}

impl Sender {
    fn batch(&self, order: &Order<'_>, decoded: &Decoded) -> Batch {
        let mutations = decoded.mutations.iter().cloned();
        Batch {
            family: self.family.clone(),
            credentials: self.credentials.clone(),
            cookie: order.cookie.clone(),
            check_cookie: order.check_cookie.clone(),
            mutations: mutations
                .map(|(schema, mutation)| TableMutation { schema, mutation })
                .collect(),
            author: self.author.clone(),
        }
    }
}

fn answer(app: &App, sender: &Sender, committed: &Committed, decoded: &Decoded) -> Response {
    let Committed { mark, repeated, .. } = *committed;
    let is_delete = |mutation: &Mutation| matches!(mutation, Mutation::Delete(_));
    let deletes = decoded.mutations.iter().filter(|(_, mutation)| is_delete(mutation)).count();
    let upserts = decoded.mutations.len() - deletes;
    app.metrics.ignored(decoded.ignored_values);
    app.metrics.committed(count(upserts), count(deletes), repeated);
    app.metrics.reached(mark.seq);

    if !repeated {
        let (object, rows) = (&sender.family, Some((upserts, deletes)));
        let change = Change { action: "mutate", object, mark: Some(mark), rows };
        audit::changed(&sender.author, &change);
    }
    let mut response = Written(Some(mark)).into_response();
    let headers = response.headers_mut();
    if let Some(ignored) = ignored(decoded) {
        headers.insert(IGNORED, ignored);
    }
    if repeated {
        headers.insert(REPEATED, HeaderValue::from_static("true"));
    }
    response
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `flags.colour, flags.size`, or with many: the first of them and `+7`.
fn ignored(decoded: &Decoded) -> Option<HeaderValue> {
    let mut bytes = 0;
    let names = decoded.ignored.iter().map(|(table, column)| format!("{table}.{column}"));
    let fits = |name: &String| {
        bytes += name.len() + 2;
        bytes <= MAX_NAMED_BYTES
    };
    let mut names: Vec<_> = names.take_while(fits).collect();
    match decoded.ignored.len() - names.len() {
        0 if names.is_empty() => return None,
        0 => {}
        more => names.push(format!("+{more}")),
    }
    Some(HeaderValue::from_str(&names.join(", ")).expect("BUG: names are plain ASCII"))
}

fn strictness(headers: &HeaderMap) -> Result<Unknown, Error> {
    match headers.get(STRICT).map(HeaderValue::as_bytes) {
        None => Ok(Unknown::Ignore),
        Some(value) if value.eq_ignore_ascii_case(b"false") => Ok(Unknown::Ignore),
        Some(value) if value.eq_ignore_ascii_case(b"true") => Ok(Unknown::Refuse),
        Some(_) => {
            let text = format!("header {STRICT} is neither true nor false");
            Err(Error::new(Code::HeaderInvalid, text).field(STRICT))
        }
    }
}

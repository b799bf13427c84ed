//! The node's read API over HTTP, on a port and on the Unix socket `agent.sock`: the routes of the original's sidecar with its
//! shapes (`original`), and ours under `/v1/`: rows by key and by prefix, streams, schemas, status, and what changes.
//!
//! In the order a request travels: `daemon::serve` -> `routes` -> `observe` -> a handler (`row`, `rows`, `stream`, `schema`,
//! `status`, `watch`, `original`) -> `reader`. What routes there are stands in `operations`, of which also the OpenAPI
//! document is made. It writes nothing and asks nobody but the LDB: it serves when all else is away.

mod app;
mod body;
mod conditions;
mod error;
mod feed;
mod json;
mod key;
mod metrics;
mod observe;
mod operations;
mod original;
mod page;
mod params;
mod path;
mod routes;
mod row;
mod rows;
mod schema;
mod server;
mod shape;
mod status;
mod stream;
mod token;
mod watch;

pub(crate) use app::{Node, Source};
pub(crate) use feed::Feed;
pub(crate) use metrics::ReadMetrics;
pub(crate) use server::{Places, ReadServer};

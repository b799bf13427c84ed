//! The HTTP API that writes rows: families, tables, writers, and atomic batches of mutations in front of ctldb.
//!
//! It speaks the original's protocol (paths, headers, JSON shapes, texts); `docs/compatibility.md` lists where an answer
//! differs. A request is parsed and checked whole before ctldb hears of it, and a change that ctldb has begun is carried
//! to its end whatever becomes of the client. It knows no Kubernetes.
//!
//! In the order a request travels: `daemon::serve` -> `routes` -> `observe` -> `ticket` -> `auth` -> a handler (`families`, `tables`,
//! `mutations`, `cookie`, `writers`, `schema`, `limits`, `destroy`, `view`) -> ctldb -> `answer` or `error`. What routes
//! there are stands in `operations`, of which also the OpenAPI document is made.

mod answer;
mod app;
mod args;
mod audit;
mod auth;
mod body;
mod caller;
mod catalog;
mod cookie;
mod destroy;
mod error;
mod families;
mod files;
mod fleet;
mod health;
mod hold;
mod json;
mod limits;
pub mod metrics;
mod mutations;
mod observe;
mod openapi;
mod operation;
mod operations;
mod path;
mod routes;
mod run;
mod schema;
mod sizes;
mod tables;
mod ticket;
mod view;
mod writers;

pub use args::{AdminAccess, Args, ArgsError, Config};
pub use files::FileError;
pub use run::{Started, run};

//! The HTTP API that writes rows: families, tables, writers, and atomic batches of mutations in front of ctldb.
//!
//! It speaks the original's protocol (paths, headers, JSON shapes, texts); `docs/compatibility.md` lists where an answer
//! differs. A request is parsed and checked whole before ctldb hears of it, and a change that ctldb has begun is carried
//! to its end whatever becomes of the client. It knows no Kubernetes.
//!
//! In the order a request travels: `serve` -> `routes` -> `observe` -> `ticket` -> `auth` -> a handler (`families`, `tables`,
//! `mutations`, `cookie`, `writers`, `schema`) -> ctldb -> `answer` or `error`.

mod answer;
mod app;
mod args;
mod auth;
mod body;
mod caller;
mod catalog;
mod cookie;
mod error;
mod families;
mod files;
mod health;
mod json;
mod metrics;
mod mutations;
mod observe;
mod path;
mod routes;
mod run;
mod schema;
mod serve;
mod tables;
mod ticket;
mod writers;

pub use args::{AdminAccess, Args, ArgsError, Config};
pub use auth::TokenError;
pub use files::FileError;
pub use run::{Started, run};

//! The operator: turns CtlFamily and CtlTable objects into schema of ctldb and entries of the ledger.
//!
//! A look at an object is a pipeline whose types allow no other order: *gather* reads, *accept* and *plan* decide and are
//! pure, *apply* writes to ctldb, *report* writes conditions. It takes no input but the object's name, starts from nothing
//! each time, and doing it twice is doing it once. [`ctltable`] and [`ctlfamily`] are the two pipelines.
//!
//! Around them: a [`cache`] of all objects, fed by watches ([`watch`], [`feed`]) or by a folder of [`manifests`] in dev
//! mode; [`wake`] says who is to be looked at when something changes; [`database`] stands behind a [`breaker`] and a fence:
//! one operator of a cluster leads, and what it writes passes only while its epoch lasts.

mod api_server;
pub mod args;
mod breaker;
mod budget;
mod cache;
mod chores;
mod context;
mod crd_check;
mod ctlfamily;
mod ctltable;
mod database;
mod feed;
mod heartbeat;
mod manifests;
pub mod metrics;
mod objects;
mod precedence;
mod presence;
mod prune;
mod reconcilers;
mod refusal;
mod report;
mod requeue;
mod run;
mod secret_file;
mod sizes;
mod spec;
mod stage;
mod table_schema;
mod verdict;
mod wake;
mod watch;

pub use args::{
    Args, ArgsError, Cluster, Config, Percent, PercentError, PresenceArgs, Prune, Source,
};
pub use budget::MaxChanges;
pub use manifests::{Manifests, Notice, Notices, Place, Problem, StatusNotice, first_table};
pub use objects::Kind;
pub use prune::{Plan, PruneError, Pruning};
pub use run::{Started, run};
pub use secret_file::SecretFileError;
pub use table_schema::{DeclarationError, table_schema};

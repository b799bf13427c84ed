//! What ctldb promises, shown on SQLite and on a real server: MariaDB, or the MySQL that `CTLSTORE_TEST_MYSQL_URL` names.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests: a panic is their answer, and measured times are for whoever reads the log"
)]

mod on_both;
mod place;
mod replay;
mod shape;

mod batches;
mod concurrency;
mod cookies;
mod crashes;
mod cut_short;
mod equality;
mod fencing;
mod frozen;
mod given_up;
mod heartbeats;
mod kills;
mod known;
mod ledger_care;
mod limits;
mod migration;
mod outage;
mod ownership;
mod pruning;
mod queues;
mod records;
mod schema;
mod tls;
mod together;
mod unsure;
mod waiting;
mod writers;

//! Two executives under load from 16 writers while columns are added: whoever reads along never meets a hole, so the order
//! of sequences is the order of commits. For some seconds here; `CTLSTORE_SOAK_SECONDS=60` for the whole promise.

use std::io::{Write, stderr};
use std::net::SocketAddr;
use std::time::Duration;

use ledger::{CtlDbUrl, Seq};
use testkit::mariadb::MariaDb;
use testkit::program::Program;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::send;
use crate::server::{Backend, SECRET, Server, kv};

fn duration() -> Duration {
    let seconds = std::env::var_os("CTLSTORE_SOAK_SECONDS");
    let seconds = seconds.and_then(|text| text.to_str()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(6))
}

/// Writes until `stop`; says how many batches were acknowledged, and how many were over the limit.
async fn write_on(addr: SocketAddr, writer: String, stop: CancellationToken) -> (u64, u64) {
    let headers = [("ctlstore-writer", writer.as_str()), ("ctlstore-secret", SECRET)];
    let (mut done, mut over) = (0, 0);
    let mut number = 0;
    while !stop.is_cancelled() {
        number += 1;
        let rows = [(number % 50, writer.as_str()), (-number % 50 - 1, writer.as_str())];
        let body = kv(&rows, None, None);
        let answer = send(addr, "POST /families/fam/mutations", &headers, body).await;
        match answer.status {
            200 => done += 1,
            429 => over += 1,
            other => panic!("{other} {}", answer.text()),
        }
    }
    (done, over)
}

/// Reads along as a node does, and meets no hole.
async fn read_along(db: ctldb::CtlDb, stop: CancellationToken) -> u64 {
    let mut last = 0;
    loop {
        let ended = stop.is_cancelled();
        let entries = db.entries(Seq::new(last).unwrap(), 1000).await.unwrap();
        for entry in &entries {
            assert_eq!(entry.seq.get(), last + 1, "a lower sequence was committed after a higher");
            last = entry.seq.get();
        }
        if entries.is_empty() && ended {
            return last;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sequences_are_commits_in_order_under_load() {
    /// What the last writer may write, at both executives together.
    const LIMITED_ROWS: u64 = 60;
    let one = Server::start(Backend::MariaDb).await.with_kv().await;
    let limits = |config: &mut executive::Config| {
        config.limits.rate.period = Duration::from_secs(3600);
    };
    let [one, two] = [one.beside(limits).await, one.beside(limits).await];
    let table = r#"{"fields":[["id","integer"]],"keyFields":["id"]}"#;
    one.send("POST /families/fam/tables/wide", &[], table).await.ok();
    let mut names: Vec<_> = (0..15).map(|number| format!("writer-{number}")).collect();
    names.push("limited".to_owned());
    for name in &names {
        one.send(&format!("POST /writers/{name}"), &[], SECRET).await.ok();
    }
    let limit = format!(r#"{{"amount":{LIMITED_ROWS},"period":"1h"}}"#);
    // Kept by the minute: one row, which is 60 in an hour.
    one.send("POST /limits/writers/limited", &[], limit).await.ok();

    let stop = CancellationToken::new();
    let mut writers = JoinSet::new();
    let mut limited = JoinSet::new();
    for (number, name) in names.into_iter().enumerate() {
        let addr = if number % 2 == 0 { one.addr } else { two.addr };
        if name == "limited" {
            limited.spawn(write_on(one.addr, name.clone(), stop.clone()));
            limited.spawn(write_on(two.addr, name, stop.clone()));
        } else {
            writers.spawn(write_on(addr, name, stop.clone()));
        }
    }
    let written = CancellationToken::new();
    let reader = tokio::spawn(read_along(one.db.clone(), written.clone()));
    let end = Instant::now() + duration();
    let mut columns = 0;
    while Instant::now() < end {
        let fields = format!(r#"{{"fields":[["c{columns}","text"]]}}"#);
        two.send("PUT /families/fam/tables/wide", &[], fields).await.ok();
        columns += 1;
        // A table takes a few hundred columns.
        tokio::time::sleep(duration() / 40).await;
    }
    stop.cancel();
    let mut batches = 0;
    while let Some(writer) = writers.join_next().await {
        batches += writer.unwrap().0;
    }
    let mut own = (0, 0);
    while let Some(writer) = limited.join_next().await {
        let (done, over) = writer.unwrap();
        own = (own.0 + done, own.1 + over);
    }
    // Two rows a batch; an hour may end meanwhile.
    assert!(own.0 * 2 <= LIMITED_ROWS * 2 && own.1 > 0, "{own:?}");
    written.cancel();
    let head = reader.await.unwrap();
    assert_eq!(head, 2 + columns + 4 * (batches + own.0), "the sequence is not dense");
    let text = format!("{batches} batches, {columns} columns, {own:?} of the limited writer");
    writeln!(stderr(), "{text}").unwrap();

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let CtlDbUrl::MySql(url) = &one.url else { panic!("not MariaDB") };
    std::fs::write(&file, MariaDb::shared().url(&url.database)).unwrap();
    let args = ["ledger", "verify", "--ctldb-url-file", file.to_str().unwrap()];
    let verified = Program::run(&args).await.unwrap();
    assert_eq!(verified.code(), Some(0), "{verified:?}");
    two.end().await;
    one.end().await;
}

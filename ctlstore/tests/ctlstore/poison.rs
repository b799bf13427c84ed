//! A poison entry, from the node that stands still to the command that gets it going.

use std::time::Duration;

use ledger::{Chain, Entry, LeaderTs, Seq};
use rusqlite::{Connection, params};
use serde_json::Value;
use testkit::eventually;
use testkit::http::Request;
use testkit::program::Program;

use crate::running::{Dev, Folder, batch, path, plan};

/// Appends an entry as ctldb does, except that nothing checks its text.
fn append(folder: &Folder, statement: &str) -> Seq {
    let mut ctldb = Connection::open(folder.data().join("ctldb.sqlite")).unwrap();
    ctldb.busy_timeout(Duration::from_secs(10)).unwrap();
    let ctldb = ctldb.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let sql = "SELECT last_seq, chain FROM ctlstore_meta";
    let (last, chain): (i64, Vec<u8>) =
        ctldb.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let seq = Seq::try_from(last + 1).unwrap();
    let leader_ts = LeaderTs::from_micros(1_700_000_000_000_000);
    let entry = Entry { seq, leader_ts, statement: statement.to_owned() };
    let chain = Chain::from_slice(&chain).unwrap().link(entry.digest());
    let sql = "INSERT INTO ctlstore_dml_ledger (seq, leader_ts, statement) VALUES (?, ?, ?)";
    ctldb.execute(sql, params![last + 1, leader_ts.to_string(), statement]).unwrap();
    let sql = "INSERT INTO ctlstore_batches (first_seq, last_seq, chain, principal, source_address, request_id, upserts, deletes) VALUES (?1, ?1, ?2, 'by hand', '', '', 0, 0)";
    ctldb.execute(sql, params![last + 1, chain.as_bytes()]).unwrap();
    let sql = "UPDATE ctlstore_meta SET last_seq = ?, last_digest = ?, chain = ?";
    ctldb.execute(sql, params![last + 1, entry.digest().as_bytes(), chain.as_bytes()]).unwrap();
    ctldb.commit().unwrap();
    seq
}

async fn state(dev: &Dev, wanted: &str) -> Value {
    eventually(Duration::from_secs(30), async || {
        let ask = Request { method: "GET", path: "/v1/status", headers: &[], body: b"" };
        let status: Value = serde_json::from_slice(&ask.send(dev.read)?.ok()?.body)?;
        anyhow::ensure!(status["state"] == wanted, "{status}");
        Ok(status)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_node_stands_still_at_it_keeps_serving_and_goes_on_when_it_is_skipped() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    dev.write(&batch()).unwrap();
    let poison = append(&folder, "ATTACH DATABASE '/etc/passwd' AS evil");
    let after = dev.write(&plan("after", 1)).unwrap().to_string();

    let status = state(&dev, "poisoned").await.to_string();
    assert!(status.contains(&format!("ctlstore ledger skip {poison}")), "{status}");
    assert_eq!(folder.get("plans", &["team"]).await["name"], "Team");
    let stuck = folder.read(&["wait", "--seq", &after, "--timeout", "100ms"]).await;
    assert_eq!(stuck.code(), Some(3), "{stuck:?}");

    let url = folder.url_file();
    let skip = |seq: &str| {
        let args = ["ledger", "skip", seq, "--reason", "written by hand", "--principal", "alice"];
        let args = [&args[..], &["--ctldb-url-file", path(&url)]].concat();
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let unknown = Program::run(&skip("4711")).await.unwrap();
    assert_eq!(unknown.code(), Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("4711"), "{unknown:?}");
    let skipped = Program::run(&skip(&poison.to_string())).await.unwrap();
    assert_eq!(skipped.code(), Some(0), "{skipped:?}");

    let reached = folder.read(&["wait", "--seq", &after, "--timeout", "60s"]).await;
    assert_eq!(reached.code(), Some(0), "{reached:?}");
    assert_eq!(folder.get("plans", &["after"]).await["id"], "after");
    state(&dev, "following").await;
    let ctldb = Connection::open(folder.data().join("ctldb.sqlite")).unwrap();
    let sql = "SELECT reason, principal FROM ctlstore_skips WHERE seq = ?";
    let audit = ctldb.query_row(sql, [poison.to_i64()], |row| Ok((row.get(0)?, row.get(1)?)));
    let audit: (String, String) = audit.unwrap();
    assert_eq!(audit, ("written by hand".to_owned(), "alice".to_owned()));
}

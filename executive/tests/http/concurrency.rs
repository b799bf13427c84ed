//! Several executives, many writers, and clients that go away.

use std::time::Duration;

use ledger::{Seq, Statement};
use testkit::eventually;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::send;
use crate::server::{AS_WRITER, Backend, SECRET, Server, kv};

/// Each writer checks its own cookie, so that a batch that was lost or written twice would show.
async fn write_on(addr: std::net::SocketAddr, writer: String, rounds: i64) {
    let headers = [("ctlstore-writer", writer.as_str()), ("ctlstore-secret", SECRET)];
    let mut last = 0;
    send(addr, "POST /cookie", &headers, "0").await.ok();
    for round in 1..=rounds {
        let (cookie, check) = (round.to_string(), (round - 1).to_string());
        let rows = [(round, writer.as_str()), (-round, writer.as_str())];
        let body = kv(&rows, Some(&cookie), Some(&check));
        let answer = send(addr, "POST /families/fam/mutations", &headers, body).await.ok();
        assert!(answer.seq() >= last + 4, "sequences of one writer fall");
        last = answer.seq();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_writers_at_two_executives_while_columns_are_added() {
    const ROUNDS: i64 = 15;
    for backend in Backend::ALL {
        let one = Server::start(backend).await.with_kv().await;
        let two = one.beside(|_| {}).await;
        let mut writers = JoinSet::new();
        for number in 0..16 {
            let writer = format!("writer-{number}");
            one.send(&format!("POST /writers/{writer}"), &[], SECRET).await.ok();
            let addr = if number % 2 == 0 { one.addr } else { two.addr };
            writers.spawn(write_on(addr, writer, ROUNDS));
        }
        // Another table: a column of their own table would make their rows incomplete.
        let table = r#"{"fields":[["id","integer"]],"keyFields":["id"]}"#;
        one.send("POST /families/fam/tables/wide", &[], table).await.ok();
        for column in 0..5 {
            let fields = format!(r#"{{"fields":[["c{column}","text"]]}}"#);
            two.send("PUT /families/fam/tables/wide", &[], fields).await.ok();
        }
        while let Some(writer) = writers.join_next().await {
            writer.unwrap();
        }
        let entries = one.ledger().await;
        let seqs: Vec<_> = entries.iter().map(|entry| entry.seq.get()).collect();
        let batches = u64::try_from(16 * ROUNDS).unwrap();
        let want: Vec<_> = (1..=2 + 5 + 4 * batches).collect();
        assert_eq!(seqs, want, "{backend:?}: the sequence is not dense");
        whole_batches(&entries);
        one.db.verify().await.unwrap();
        two.end().await;
        one.end().await;
    }
}

/// Every frame holds both rows of one writer's round, and nothing else.
fn whole_batches(entries: &[ledger::Entry]) {
    let mut frame: Option<Vec<String>> = None;
    for entry in entries {
        match (Statement::parse(&entry.statement).unwrap(), &mut frame) {
            (Statement::Begin, None) => frame = Some(Vec::new()),
            (Statement::Commit, Some(rows)) => {
                let writer = |row: &str| row.rsplit(',').next().unwrap().to_owned();
                assert_eq!(rows.len(), 2, "{rows:?}");
                assert_eq!(writer(&rows[0]), writer(&rows[1]));
                frame = None;
            }
            (Statement::Upsert { .. }, Some(rows)) => rows.push(entry.statement.clone()),
            (Statement::CreateTable(_) | Statement::AddColumn { .. }, None) => {}
            (other, _) => panic!("{other} is in the wrong place"),
        }
    }
    assert!(frame.is_none());
}

/// A client that lost the answer sends the batch again, perhaps to another executive, and after another writer's batch.
#[tokio::test]
async fn a_batch_that_is_sent_again_gets_the_place_of_the_first_time() {
    for backend in Backend::ALL {
        let one = Server::start(backend).await.with_kv().await;
        let two = one.beside(|_| {}).await;
        one.send("POST /writers/other", &[], SECRET).await.ok();
        let batch = kv(&[(1, "a"), (2, "b")], Some("1"), Some("0"));
        one.send("POST /cookie", &AS_WRITER, "0").await.ok();
        let first = one.mutate("fam", batch.clone()).await.ok();
        assert_eq!(first.header("ctlstore-repeated"), None);
        let other = [("ctlstore-writer", "other"), ("ctlstore-secret", SECRET)];
        let body = kv(&[(1, "c")], None, None);
        one.send("POST /families/fam/mutations", &other, body).await.ok();

        let again = two.mutate("fam", batch).await.ok();
        assert_eq!(again.header("ctlstore-repeated"), Some("true"));
        for header in ["ctlstore-seq", "ctlstore-position"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
        assert_eq!(one.texts().await.len(), 1 + 4 + 1);
        two.end().await;
        one.end().await;
    }
}

#[tokio::test]
async fn a_table_that_changed_elsewhere_is_read_again() {
    for backend in Backend::ALL {
        let one = Server::start(backend).await.with_kv().await;
        let two = one.beside(|_| {}).await;
        // Both have the schema at hand now.
        one.mutate("fam", kv(&[(1, "a")], None, None)).await.ok();
        two.mutate("fam", kv(&[(2, "b")], None, None)).await.ok();
        one.send("PUT /families/fam/tables/kv_", &[], r#"{"fields":[["more","text"]]}"#).await.ok();

        // What the stale schema would take is refused, and what it would refuse is taken.
        let refused = two.mutate("fam", kv(&[(3, "c")], None, None)).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(refused.text().contains("Missing field more"), "{}", refused.text());
        let whole = r#"{"mutations":[{"table":"kv_","values":{"id":3,"value":"c","more":"m"}}]}"#;
        let three = one.beside(|_| {}).await;
        three.mutate("fam", whole).await.ok();
        let [name, secret] = AS_WRITER;
        let strict = [name, secret, ("ctlstore-strict", "true")];
        one.send("PUT /families/fam/tables/kv_", &[], r#"{"fields":[["even","text"]]}"#).await.ok();
        let whole = whole.replace("\"m\"", "\"m\",\"even\":null");
        let answer = three.send("POST /families/fam/mutations", &strict, whole.clone()).await.ok();
        assert_eq!(answer.header("ctlstore-ignored"), None);
        let answer = two.mutate("fam", whole).await.ok();
        assert_eq!(answer.header("ctlstore-ignored"), None);
        for server in [three, two, one] {
            server.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_go_away_leave_whole_batches() {
    let server = Server::start(Backend::MariaDb).await.with_kv().await;
    let [(writer, name), (secret, value)] = AS_WRITER;
    for round in 0..60 {
        let body =
            kv(&[(1, &round.to_string()), (2, &round.to_string())], Some(&round.to_string()), None);
        let head = format!(
            "POST /families/fam/mutations HTTP/1.1\r\nhost: x\r\n{writer}: {name}\r\n{secret}: {value}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_micros(200 * (round % 20))).await;
        drop(stream);
    }
    // The cookie names the last batch that was committed, and the ledger's last batch is that one, whole.
    server.mutate("fam", kv(&[(3, "end")], None, None)).await.ok();
    let agree = eventually(Duration::from_secs(20), async || {
        let cookie = server.send("GET /cookie", &AS_WRITER, "").await.ok().text();
        let texts = server.texts().await;
        let rows: Vec<_> =
            texts.iter().filter(|text| text.contains(&format!("'{cookie}'"))).collect();
        anyhow::ensure!(rows.len() == 2, "cookie {cookie}: {rows:?}");
        Ok(texts.len())
    });
    let entries = agree.await.unwrap();
    assert!(entries > 1 + 1 + 4, "no batch got through at all");
    whole_batches(
        &server
            .db
            .entries(Seq::FIRST, 100_000)
            .await
            .unwrap()
            .into_iter()
            .filter(|e| !e.statement.contains("'end'"))
            .collect::<Vec<_>>(),
    );
    server.db.verify().await.unwrap();
    server.end().await;
}

//! Many clients while the file is written and replaced as a whole: no refusal, no torn state, no sequence that falls, and
//! no row that is older than the sequence told.

use std::os::unix::fs::{FileExt as _, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::ledger::{ColumnType, Value};
use reader::layout;
use reader::testing::TestLdb;
use rusqlite::Connection;

use crate::client::Client;
use crate::sidecar::Sidecar;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_the_file_is_replaced() {
    let test = TestLdb::new().unwrap();
    let columns = [("id", ColumnType::Integer), ("n", ColumnType::Integer)];
    test.table("pair", "rows", &columns, &["id"]).unwrap();
    for id in [1, 2] {
        test.insert("pair", "rows", &[Value::Integer(id), Value::Integer(0)]).unwrap();
    }
    let node = Sidecar::start(test).await;
    let (end, addr) = (Arc::new(AtomicBool::new(false)), node.addr);
    let clients: Vec<_> =
        (0..8).map(|number| tokio::spawn(follow(addr, number, Arc::clone(&end)))).collect();
    let (start, mut number, mut generation) = (Instant::now(), 0, 1);
    let mut next: Option<Connection> = None;
    let mut switched = start;
    while generation < 5 {
        number += 1;
        let sql = format!(
            "BEGIN; UPDATE pair___rows SET n = {number}; UPDATE _ldb_seq SET seq = {}; COMMIT",
            number + 2
        );
        match &next {
            Some(connection) => connection.execute_batch(&sql).unwrap(),
            None => node.test.sql(&sql).unwrap(),
        }
        set(&node.test, layout::word::SEQ, number + 2);
        if switched.elapsed() > Duration::from_millis(500) {
            switched = Instant::now();
            generation += 1;
            next = Some(replace(&node.test, next.as_ref(), generation));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    end.store(true, Ordering::Relaxed);
    let mut reads = 0;
    for client in clients {
        reads += client.await.unwrap();
    }
    assert!(reads > 100, "{reads} reads in {:?}", start.elapsed());
    node.stop().await;
}

/// Reads both rows, again and again; how often.
async fn follow(addr: std::net::SocketAddr, number: usize, end: Arc<AtomicBool>) -> u64 {
    let mut client = Client::connect(addr).await;
    let requests = ["GET /v1/rows/pair/rows", "POST /v1/rows/pair/rows"];
    let (mut seq, mut reads) = (0, 0);
    while !end.load(Ordering::Relaxed) {
        let answer = client.send(requests[number % 2], &[], r#"{"keys":[[1],[2]]}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (told, rows) = (answer.header("ctlstore-seq").unwrap(), answer.json());
        let (one, two) = (rows["rows"][0]["n"].as_i64().unwrap(), rows["rows"][1]["n"].as_i64());
        assert_eq!(Some(one), two, "torn");
        let told: i64 = told.parse().unwrap();
        assert!(told >= seq, "the sequence fell from {seq} to {told}");
        assert!(one + 2 >= told, "it tells {told} and shows {one}");
        (seq, reads) = (told, reads + 1);
    }
    reads
}

fn set(test: &TestLdb, word: usize, value: u64) {
    let ctl = std::fs::File::options().write(true).open(test.dir().join(layout::CTL)).unwrap();
    ctl.write_all_at(&value.to_le_bytes(), u64::try_from(word * 8).unwrap()).unwrap();
}

/// Serves a copy as the next generation, as an agent does.
fn replace(test: &TestLdb, from: Option<&Connection>, generation: u64) -> Connection {
    let dir = test.dir().join(layout::generation_dir(generation));
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join(layout::LDB);
    let sql = format!("VACUUM INTO '{}'", file.display());
    match from {
        Some(from) => from.execute_batch(&sql).unwrap(),
        None => test.sql(&sql).unwrap(),
    }
    let next = Connection::open(&file).unwrap();
    next.pragma_update(None, "journal_mode", "wal").unwrap();
    next.execute_batch("UPDATE pair___rows SET n = n").unwrap();
    symlink(layout::generation_dir(generation), test.dir().join("next")).unwrap();
    std::fs::rename(test.dir().join("next"), test.dir().join(layout::CURRENT)).unwrap();
    set(test, layout::word::GENERATION, generation);
    next
}

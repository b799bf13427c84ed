//! Ledgers in a real MariaDB: grants, restarts, fail-over, large entries, ledgers of the original.

use std::time::Duration;

use ::ledger::testing::table;
use ::ledger::{CtlDbUrl, Key, LeaderTs, Mutation, Row, Seq, TableSchema, Value};
use testkit::mariadb::{Database, MariaDb};

use crate::agent::{Agent, config};
use crate::writer::Writer;

fn url(database: &Database) -> CtlDbUrl {
    CtlDbUrl::parse(&database.url).unwrap()
}

fn schema() -> TableSchema {
    table("id:String body:Text key(id)").unwrap()
}

fn upsert(id: &str, body: &str) -> Mutation {
    let values = vec![Value::Text(id.to_owned()), Value::Text(body.to_owned())];
    Mutation::Upsert(Row::new(&schema(), values).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_waited_for_with_one_connection() {
    let server = MariaDb::start().unwrap();
    let database = server.create_database().unwrap();
    let writer = Writer::new(url(&database)).await;
    writer.create(&schema()).await;
    let user = format!(
        "CREATE USER agent@'127.0.0.1'; GRANT SELECT ON {0}.ctlstore_dml_ledger TO agent@'127.0.0.1';
         GRANT SELECT ON {0}.ctlstore_meta TO agent@'127.0.0.1'; GRANT SELECT ON {0}.ctlstore_batches TO agent@'127.0.0.1';
         GRANT SELECT ON {0}.ctlstore_skips TO agent@'127.0.0.1'",
        database.name
    );
    server.sql(&user).unwrap();
    let agents_url = database.url.replace("root@", "agent@");
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), CtlDbUrl::parse(&agents_url).unwrap()).await;
    let seq = writer.write(&schema(), vec![upsert("a", "1"), upsert("b", "2")]).await;
    agent.reaches(seq).await;
    let connections = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'agent'";
    assert_eq!(server.sql(connections).unwrap(), "1");

    server.kill();
    agent.enters("ctldb_away").await;
    assert!(agent.ldb().family("fam").unwrap().row("tbl", &["a".into()]).unwrap().is_some());
    server.restart().unwrap();
    agent.enters("following").await;
    assert_eq!(server.sql(connections).unwrap(), "1");

    // A server that hangs is away too, and a frozen connection is not used again.
    server.sigstop().unwrap();
    agent.enters("ctldb_away").await;
    server.sigcont().unwrap();
    agent.enters("following").await;
    assert_eq!(server.sql(connections).unwrap(), "1");
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_grants_and_missing_ledgers_are_named() {
    let server = MariaDb::shared();
    let database = server.create_database().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), url(&database)).await;
    let message = agent.enters("ctldb_away").await;
    assert!(message.contains("no ledger yet: start the operator"), "{message}");
    let writer = Writer::new(url(&database)).await;
    agent.enters("following").await;
    agent.stop().await;

    let user = testkit::random_name();
    server.sql(&format!("CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'secret'; GRANT SELECT ON {}.families TO {user}@'127.0.0.1'", database.name)).unwrap();
    let text = database.url.replace("root@", &format!("{user}:secret@"));
    let agent = Agent::start(&dir.path().join("other"), CtlDbUrl::parse(&text).unwrap()).await;
    let message = agent.enters("ctldb_away").await;
    assert!(message.contains("SELECT on ctlstore_dml_ledger"), "{message}");
    assert!(!message.contains("secret"), "{message}");
    drop(writer);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_entries_come_in_bounded_pages() {
    let database = MariaDb::shared().create_database().unwrap();
    let writer = Writer::new(url(&database)).await;
    writer.create(&schema()).await;
    let large = "x".repeat(700_000);
    let mut seq = 0;
    for round in 0..4 {
        let small = (0..150).map(|n| upsert(&format!("{round} small {n}"), "1"));
        writer.write(&schema(), small.collect()).await;
        let rows = (0..20).map(|n| upsert(&format!("{round} large {n}"), &large));
        seq = writer.write(&schema(), rows.collect()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), url(&database)).await;
    agent.reaches(seq).await;
    let rows = agent.ldb().family("fam").unwrap().all("tbl").unwrap();
    assert_eq!(rows.len(), 4 * 170);
    assert!(rows.iter().all(
        |row| matches!(row.get("body"), Some(Value::Text(text)) if text == "1" || *text == large)
    ));
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_to_a_copy_that_lost_entries_is_never_served() {
    let server = MariaDb::shared();
    let database = server.create_database().unwrap();
    let writer = Writer::new(url(&database)).await;
    writer.create(&schema()).await;
    writer.write(&schema(), vec![upsert("kept", "1")]).await;
    let copy = server.copy_database(&database).unwrap();
    let lost = writer.write(&schema(), vec![upsert("lost", "1"), upsert("lost too", "2")]).await;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, &database.url).unwrap();
    let mut config = config(&dir.path().join("ldb"), url(&database));
    config.ctldb_url_file = Some(file.clone());
    let agent = Agent::start_with(config).await.unwrap();
    agent.reaches(lost).await;
    agent.enters("following").await;

    let other = Writer::new(url(&copy)).await;
    let mut seq = 0;
    for n in 0..7 {
        seq = other.write(&schema(), vec![upsert("other", &n.to_string())]).await;
    }
    assert!(seq > lost);
    std::fs::write(&file, &copy.url).unwrap();
    server.sql(&format!("DROP DATABASE {}", database.name)).unwrap();
    let message = agent.enters("forked").await;
    assert!(message.contains(&format!("applied here up to {lost}")), "{message}");
    agent.looks_on().await;
    let family = agent.ldb().family("fam").unwrap();
    assert!(family.row("tbl", &["lost".into()]).unwrap().is_some());
    assert!(family.row("tbl", &["other".into()]).unwrap().is_none());
    assert_eq!(agent.seq().get(), lost);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_history_and_a_skip_made_by_ctldb_are_understood() {
    let database = MariaDb::shared().create_database().unwrap();
    let writer = Writer::new(url(&database)).await;
    writer.create(&schema()).await;
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), url(&database)).await;
    let seq = writer.write(&schema(), vec![upsert("a", "1")]).await;
    agent.reaches(seq).await;
    let above = Seq::new(500).unwrap();
    writer.ctldb.new_history(above, writer.author()).await.unwrap();
    agent.looks_on().await;
    agent.enters("following").await;
    // Twice, with nothing between.
    writer.ctldb.new_history(Seq::new(700).unwrap(), writer.author()).await.unwrap();
    agent.enters("following").await;
    agent.looks_on().await;
    let key = Key::new(&schema(), vec![Value::Text("a".to_owned())]).unwrap();
    let seq = writer.write(&schema(), vec![Mutation::Delete(key)]).await;
    assert_eq!(seq, 701);
    agent.reaches(seq).await;
    assert_eq!(agent.ldb().position().unwrap(), writer.ctldb.meta().await.unwrap().last);

    // An entry that nobody can apply, put there by hand.
    writer.write(&schema(), vec![upsert("b", "1")]).await;
    agent.reaches(702).await;
    let server = MariaDb::shared();
    let name = &database.name;
    let next = ::ledger::Entry {
        seq: Seq::new(703).unwrap(),
        leader_ts: LeaderTs::from_micros(1),
        statement: "GRANT ALL".to_owned(),
    };
    let position = agent.ldb().position().unwrap().unwrap();
    let (digest, chain) = (next.digest(), position.chain.link(next.digest()));
    server.sql(&format!(
        "INSERT INTO {name}.ctlstore_dml_ledger VALUES (703, '1970-01-01 00:00:00.000001', 'GRANT ALL');
         UPDATE {name}.ctlstore_meta SET last_seq = 703, last_digest = x'{digest}', chain = x'{chain}'"
    )).unwrap();
    agent.enters("poisoned").await;
    writer.ctldb.skip(next.seq, "by hand", writer.author()).await.unwrap();
    agent.reaches(703).await;
    agent.enters("following").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_the_original_is_followed() {
    let server = MariaDb::shared();
    let database = server.create_database().unwrap();
    let name = &database.name;
    server.sql(&format!(
        "CREATE TABLE {name}.ctlstore_dml_ledger (seq INTEGER AUTO_INCREMENT PRIMARY KEY, leader_ts DATETIME DEFAULT CURRENT_TIMESTAMP, statement MEDIUMTEXT NOT NULL) CHARACTER SET utf8mb4;
         SET NAMES utf8mb4;
         INSERT INTO {name}.ctlstore_dml_ledger VALUES
            (1, '2019-07-15 16:30:01', 'CREATE TABLE old___names (\"id\" INTEGER, \"name\" VARCHAR(191), PRIMARY KEY(\"id\"));'),
            (5, NULL, '--- BEGIN'), (6, NULL, 'REPLACE INTO old___names (\"id\",\"name\") VALUES(1,''it''''s 🦀'')'),
            (7, NULL, 'REPLACE INTO old___names (\"id\",\"name\") VALUES(2,true)'), (8, NULL, '--- COMMIT')"
    )).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(&dir.path().join("ldb"), url(&database)).await;
    agent.reaches(8).await;
    let rows = agent.ldb().family("old").unwrap().all("names").unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.get("name").unwrap().clone()).collect();
    assert_eq!(names, [Value::Text("it's 🦀".to_owned()), Value::Text("1".to_owned())]);
    assert_eq!(agent.status().await["ledger"]["history"], "legacy");
    assert!(agent.ldb().latency().unwrap().unwrap() > Duration::from_secs(200_000_000));
    server.sql(&format!("UPDATE {name}.ctlstore_dml_ledger SET statement = 'DELETE FROM old___names' WHERE seq = 8")).unwrap();
    agent.enters("forked").await;
    agent.stop().await;
}

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_user_that_may_write_is_warned_of() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    let server = MariaDb::shared();
    let database = server.create_database().unwrap();
    Writer::new(url(&database)).await;
    let user = testkit::random_name();
    server
        .sql(&format!(
            "CREATE USER {user}@'127.0.0.1'; GRANT SELECT ON {}.* TO {user}@'127.0.0.1'",
            database.name
        ))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let reads = CtlDbUrl::parse(&database.url.replace("root@", &format!("{user}@"))).unwrap();
    let agent = Agent::start(&dir.path().join("reads"), reads).await;
    agent.enters("following").await;
    agent.stop().await;
    assert!(text().contains("following the ledger") && !text().contains("may write"), "{}", text());

    let agent = Agent::start(&dir.path().join("writes"), url(&database)).await;
    agent.enters("following").await;
    agent.stop().await;
    assert!(text().contains("may write to ctldb; give it SELECT"), "{}", text());
}

//! A ledger that is behind the fleet is not written to: not behind what nodes report, not behind the newest snapshot.

use std::time::Duration;

use ctldb::CtlDb;
use executive::Config;
use ledger::snapshot::{FORMAT, Manifest, Method, Object};
use ledger::{CtlDbUrl, Mark, Position};
use store::{Condition, Location};
use testkit::eventually;
use testkit::mariadb::MariaDb;
use testkit::s3::{S3Server, SECRET_KEY};

use crate::client;
use crate::server::{AS_WRITER, Backend, SECRET, Server, kv};

const SOON: Duration = Duration::from_secs(40);

/// All that writes to the ledger is refused, and the reason shows.
async fn is_held(server: &Server, why: &str) {
    let compared = eventually(SOON, async || {
        let status = server.send("GET /v1/status", &[], "").await.ok().text();
        anyhow::ensure!(status.contains("ctlstore ctldb new-history"), "{status}");
        anyhow::ensure!(status.contains(why), "{status}");
        Ok(())
    });
    compared.await.unwrap();
    for (request, body) in [
        ("POST /v1/families/fam/mutations", kv(&[(2, "b")], None, None)),
        ("PUT /v1/families/fam/tables/kv_", r#"{"fields":[["more","text"]]}"#.to_owned()),
    ] {
        let held = server.send(request, &AS_WRITER, body).await;
        assert_eq!(held.status, 503, "{request}: {}", held.text());
        assert!(held.text().contains("history_behind_fleet"), "{}", held.text());
        assert!(held.text().contains("ctlstore ctldb new-history"), "{}", held.text());
        assert!(held.header("retry-after").is_some());
    }
    assert_eq!(metric(server, "history_behind_fleet").await, "1");
    // Reading goes on, and other replicas would do no better.
    server.send("GET /v1/ledger", &[], "").await.ok();
    server.send("GET /healthcheck", &[], "").await.ok();
}

async fn writes(server: &Server) -> u64 {
    let released = eventually(SOON, async || {
        let answer = server.mutate("fam", kv(&[(3, "c")], None, None)).await;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.seq())
    });
    released.await.unwrap()
}

async fn metric(server: &Server, name: &str) -> String {
    let text = client::send(server.admin_addr.unwrap(), "GET /metrics", &[], "").await.ok().text();
    let name = format!("ctlstore_executive_{name} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap_or_else(|| panic!("no {name}in {text}")).to_owned()
}

fn with_admin_port(config: &mut Config) {
    config.admin_bind = Some("127.0.0.1:0".parse().unwrap());
}

#[tokio::test]
async fn nothing_is_written_while_nodes_report_to_be_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet");
    let first = Server::start(Backend::Sqlite).await.with_kv().await;
    let answer = first.mutate("fam", kv(&[(1, "a")], None, None)).await.ok();
    let position: Mark = answer.header("ctlstore-position").unwrap().parse().unwrap();
    let ahead = Mark { seq: position.seq.plus(5).unwrap(), ..position };
    std::fs::write(&file, ahead.to_string()).unwrap();

    let fleet = file.clone();
    let configure = |config: &mut Config| {
        with_admin_port(config);
        config.fleet_position_file = Some(fleet);
    };
    let server = first.beside(configure).await;
    is_held(&server, "the ledger ends at").await;
    let author = ctldb::Author::system("test");
    server.db.new_history(ahead.seq, &author).await.unwrap();
    assert!(writes(&server).await > ahead.seq.get());
    server.end().await;
    first.end().await;
}

/// A ctldb that can be put back to an earlier state while nobody has it open.
enum Restorable {
    Sqlite(tempfile::TempDir),
    MariaDb(testkit::mariadb::Database, Option<testkit::mariadb::Database>),
}

impl Restorable {
    fn url(&self) -> CtlDbUrl {
        let url = match self {
            Self::Sqlite(dir) => format!("sqlite:{}", dir.path().join("ctldb.db").display()),
            Self::MariaDb(database, _) => database.url.clone(),
        };
        CtlDbUrl::parse(&url).unwrap()
    }

    fn back_up(&mut self) {
        match self {
            Self::Sqlite(dir) => {
                let file = rusqlite::Connection::open(dir.path().join("ctldb.db")).unwrap();
                let copy = dir.path().join("backup.db").display().to_string();
                file.execute("VACUUM INTO ?1", [copy]).unwrap();
            }
            Self::MariaDb(database, backup) => {
                *backup = Some(MariaDb::shared().copy_database(database).unwrap());
            }
        }
    }

    fn restore(&mut self) {
        match self {
            Self::Sqlite(dir) => {
                for more in ["ctldb.db-wal", "ctldb.db-shm"] {
                    drop(std::fs::remove_file(dir.path().join(more)));
                }
                let file = |name| dir.path().join(name);
                std::fs::rename(file("backup.db"), file("ctldb.db")).unwrap();
            }
            Self::MariaDb(database, backup) => {
                MariaDb::shared().restore_database(database, backup.take().unwrap()).unwrap();
            }
        }
    }
}

async fn publish(snapshots: &Location, position: Position) {
    let manifest = Manifest {
        format: FORMAT,
        min_compatible: FORMAT,
        least_reader: 1,
        position,
        taken_at: store::now(),
        method: Method::Copy,
        files: Vec::new(),
        tables: Vec::new(),
        signature: None,
    };
    let key = Object::Pointer.key(position.history);
    store::open(snapshots).put(&key, manifest.to_json(), Condition::Always).await.unwrap();
}

async fn head(db: &CtlDb) -> Position {
    db.meta().await.unwrap().last.unwrap()
}

async fn a_restore_behind_the_newest_snapshot(mut ctldb: Restorable, snapshots: &str) {
    let snapshots = Location::parse(snapshots).unwrap();
    let start = async |url: CtlDbUrl| {
        let configure = |config: &mut Config| {
            with_admin_port(config);
            config.snapshots = Some(snapshots.clone());
        };
        let server = Server::launch(url, tempfile::tempdir().unwrap(), configure).await;
        server.ready().await;
        server
    };
    let server = start(ctldb.url()).await;
    // No snapshot yet: nothing to wait for.
    let server = server.with_kv().await;
    writes(&server).await;
    ctldb.back_up();
    for row in 10..15 {
        server.mutate("fam", kv(&[(row, "lost")], None, None)).await.ok();
    }
    let ahead = head(&server.db).await;
    publish(&snapshots, ahead).await;
    assert_eq!(metric(&server, "fleet_unknown").await, "0");
    server.end().await;

    // As large as the ledger: nothing is held up.
    let server = start(ctldb.url()).await;
    writes(&server).await;
    server.end().await;

    ctldb.restore();
    let server = start(ctldb.url()).await;
    is_held(&server, "the ledger ends at").await;
    // Somebody else writes: as long as the ledger was, it has other entries.
    let db = CtlDb::open(ctldb.url()).unwrap();
    let bare = server.beside(|_| {}).await;
    while head(&db).await.seq <= ahead.seq {
        bare.mutate("fam", kv(&[(20, "other")], None, None)).await.ok();
    }
    bare.end().await;
    is_held(&server, "the ledger has another entry there").await;

    db.new_history(head(&db).await.seq, &ctldb::Author::system("test")).await.unwrap();
    assert!(writes(&server).await > ahead.seq.get());
    assert_eq!(metric(&server, "history_behind_fleet").await, "0");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_a_snapshot_in_a_folder_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let ctldb = Restorable::Sqlite(tempfile::tempdir().unwrap());
    let url = format!("file://{}", dir.path().display());
    a_restore_behind_the_newest_snapshot(ctldb, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_a_snapshot_in_a_bucket_is_ahead() {
    let s3 = S3Server::start().unwrap();
    let url = s3.url(&s3.create_bucket().unwrap(), s3.addr()).unwrap();
    let ctldb = Restorable::MariaDb(MariaDb::shared().create_database().unwrap(), None);
    a_restore_behind_the_newest_snapshot(ctldb, &url).await;
    // At the finest level, past the filter of our logs.
    let log = crate::log::logged();
    assert!(log.contains("aws_"), "nothing was captured");
    for secret in [SECRET_KEY, SECRET] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_holds_nothing_up() {
    // It takes connections and answers nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let s3 = S3Server::start().unwrap();
    let refuses = "127.0.0.1:1".parse().unwrap();
    for addr in [refuses, mute.local_addr().unwrap()] {
        let location = Location::parse(&s3.url("bucket", addr).unwrap()).unwrap();
        let configure = |config: &mut Config| {
            with_admin_port(config);
            config.snapshots = Some(location);
        };
        // Ready within seconds.
        let server = Server::start_with(Backend::Sqlite, configure).await.with_kv().await;
        writes(&server).await;
        assert_eq!(metric(&server, "fleet_unknown").await, "1");
        server.end().await;
    }
    let log = crate::log::logged();
    assert!(log.contains("where the fleet is cannot be read"), "it is not said");
}

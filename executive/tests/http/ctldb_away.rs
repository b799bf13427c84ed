//! ctldb is away: at start, in between, behind a lock; and it moves.

use std::time::{Duration, Instant};

use ledger::CtlDbUrl;
use testkit::eventually;
use testkit::mariadb::MariaDb;

use crate::server::{Backend, Server, kv};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_without_ctldb_and_serves_when_it_comes() {
    let maria = MariaDb::start().unwrap();
    let database = maria.create_database().unwrap();
    maria.stop().unwrap();

    let url = CtlDbUrl::parse(&database.url).unwrap();
    let with_port = |config: &mut executive::Config| {
        config.admin_bind = Some("127.0.0.1:0".parse().unwrap());
    };
    let server = Server::launch(url, tempfile::tempdir().unwrap(), with_port).await;
    let admin = server.admin_addr.unwrap();
    server.send("GET /status", &[], "").await.ok();
    crate::client::send(admin, "GET /livez", &[], "").await.ok();
    let unready = crate::client::send(admin, "GET /readyz", &[], "").await;
    assert_eq!(unready.status, 503);
    let unhealthy = server.send("GET /healthcheck", &[], "").await;
    assert_eq!(unhealthy.status, 503);
    assert!(unhealthy.text().starts_with("ctldb: "), "{}", unhealthy.text());
    for request in ["POST /families/fam", "GET /schema/family/fam"] {
        let refused = server.send(request, &[], "").await;
        assert_eq!(refused.status, 503, "{request}: {}", refused.text());
        assert!(refused.header("retry-after").is_some(), "{request}");
    }
    assert_eq!(server.mutate("fam", kv(&[(1, "x")], None, None)).await.status, 503);

    maria.restart().unwrap();
    server.ready().await;
    let server = server.with_kv().await;
    server.mutate("fam", kv(&[(1, "x")], None, None)).await.ok();

    // A restart in between: nothing is lost, and the executive need not be restarted.
    maria.kill();
    assert_eq!(server.mutate("fam", kv(&[(2, "x")], None, None)).await.status, 503);
    maria.restart().unwrap();
    let again = eventually(Duration::from_secs(30), async || {
        let answer = server.mutate("fam", kv(&[(2, "x")], None, None)).await;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    });
    again.await.unwrap();
    assert_eq!(server.ledger().await.len(), 3);
    server.end().await;
    maria.stop().unwrap();
}

#[tokio::test]
async fn the_url_file_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    let maria = MariaDb::shared();
    let (first, second) = (maria.create_database().unwrap(), maria.create_database().unwrap());
    std::fs::write(&file, &first.url).unwrap();

    let (url, watched) = (CtlDbUrl::parse(&first.url).unwrap(), file.clone());
    let server = Server::launch(url, tempfile::tempdir().unwrap(), |config| {
        config.ctldb_url_file = Some(watched);
        config.reload_interval = Duration::from_millis(20);
    })
    .await;
    server.ready().await;
    let create = async || server.send("POST /families/fam", &[], "").await.status;
    assert_eq!(create().await, 200);

    // Nonsense in between changes nothing.
    std::fs::write(&file, "mysql:/typo").unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(create().await, 409);

    // The second database is empty; it is migrated as soon as somebody looks at it.
    std::fs::write(&file, &second.url).unwrap();
    let moved = eventually(Duration::from_secs(30), async || {
        let status = create().await;
        anyhow::ensure!(status == 200, "{status}");
        Ok(())
    });
    moved.await.unwrap();
    let families = maria.sql(&format!("SELECT name FROM {}.families", second.name)).unwrap();
    assert_eq!(families.trim(), "fam");
    server.end().await;
}

/// Holds the ledger lock of this database for a while, as a writer of another process would.
fn hold_the_lock(server: &Server, seconds: u32) -> std::thread::JoinHandle<()> {
    let CtlDbUrl::MySql(url) = &server.url else { panic!("not MariaDB") };
    let database = url.database.clone();
    let thread = std::thread::spawn(move || {
        let sql = format!(
            "BEGIN; UPDATE {database}.locks SET clock = clock + 1 WHERE id = 'ledger'; SELECT SLEEP({seconds}); COMMIT"
        );
        MariaDb::shared().sql(&sql).unwrap();
    });
    std::thread::sleep(Duration::from_millis(300));
    thread
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_out_of_time_says_so_and_its_batch_is_carried_out() {
    let impatient = |config: &mut executive::Config| {
        config.handler_timeout = Duration::from_millis(700);
    };
    let server = Server::start(Backend::MariaDb).await.with_kv().await;
    let impatient = server.beside(impatient).await;
    impatient.mutate("fam", kv(&[(1, "before")], None, None)).await.ok();
    let lock = hold_the_lock(&server, 3);
    let answer = impatient.mutate("fam", kv(&[(2, "later")], None, None)).await;
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(answer.text().contains("look whether it happened"), "{}", answer.text());
    lock.join().unwrap();
    let carried_out = eventually(Duration::from_secs(20), async || {
        anyhow::ensure!(server.texts().await.iter().any(|text| text.contains("'later'")));
        Ok(())
    });
    carried_out.await.unwrap();
    impatient.end().await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_are_refused_at_once() {
    let narrow = |config: &mut executive::Config| config.max_in_flight = 1;
    let server = Server::start_with(Backend::MariaDb, narrow).await.with_kv().await;
    let lock = hold_the_lock(&server, 2);
    let first = tokio::spawn({
        let addr = server.addr;
        async move {
            let body = kv(&[(1, "x")], None, None);
            crate::client::send(
                addr,
                "POST /families/fam/mutations",
                &crate::server::AS_WRITER,
                body,
            )
            .await
        }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let start = Instant::now();
    let refused = server.mutate("fam", kv(&[(2, "x")], None, None)).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert!(start.elapsed() < Duration::from_secs(1));
    // Health is never refused.
    server.send("GET /status", &[], "").await.ok();
    server.send("GET /healthcheck", &[], "").await.ok();
    first.await.unwrap().ok();
    lock.join().unwrap();
    server.end().await;
}

/// Impatient clients cannot pile up batches: a batch in hand keeps its place when its client has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_keeps_its_place_when_its_client_goes() {
    let narrow = |config: &mut executive::Config| {
        config.max_in_flight = 1;
        config.handler_timeout = Duration::from_millis(500);
    };
    let server = Server::start_with(Backend::MariaDb, narrow).await.with_kv().await;
    server.mutate("fam", kv(&[(0, "x")], None, None)).await.ok();
    let lock = hold_the_lock(&server, 2);
    assert_eq!(server.mutate("fam", kv(&[(1, "x")], None, None)).await.status, 504);
    let refused = server.mutate("fam", kv(&[(2, "x")], None, None)).await;
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("too many requests"), "{}", refused.text());
    lock.join().unwrap();
    let done = eventually(Duration::from_secs(20), async || {
        let answer = server.mutate("fam", kv(&[(3, "x")], None, None)).await;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(())
    });
    done.await.unwrap();
    assert_eq!(server.ledger().await.len(), 4);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_finishes_what_is_in_hand() {
    let server = Server::start(Backend::MariaDb).await.with_kv().await;
    let lock = hold_the_lock(&server, 2);
    let addr = server.addr;
    let request = tokio::spawn(async move {
        let body = kv(&[(1, "last")], None, None);
        crate::client::send(addr, "POST /families/fam/mutations", &crate::server::AS_WRITER, body)
            .await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.stop.cancel();
    request.await.unwrap().ok();
    lock.join().unwrap();
    let db = server.db.clone();
    server.end().await;
    let texts = db.entries(ledger::Seq::ZERO, 10).await.unwrap();
    assert!(texts.last().unwrap().statement.contains("'last'"));
}

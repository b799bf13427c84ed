//! A ledger that ends below what nodes have applied is not written to.

use std::time::Duration;

use testkit::eventually;

use crate::server::{Backend, Server, kv};

#[tokio::test]
async fn nothing_is_written_while_the_fleet_is_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet");
    let first = Server::start(Backend::Sqlite).await.with_kv().await;
    let answer = first.mutate("fam", kv(&[(1, "a")], None, None)).await.ok();
    let position: ledger::Mark = answer.header("ctlstore-position").unwrap().parse().unwrap();
    let ahead = ledger::Mark { seq: position.seq.plus(5).unwrap(), ..position };
    std::fs::write(&file, ahead.to_string()).unwrap();

    let fleet = file.clone();
    let server = first.beside(|config| config.fleet_position_file = Some(fleet)).await;
    for (request, body) in [
        ("POST /v1/families/fam/mutations", kv(&[(2, "b")], None, None)),
        ("PUT /v1/families/fam/tables/kv_", r#"{"fields":[["more","text"]]}"#.to_owned()),
    ] {
        let held = server.send(request, &crate::server::AS_WRITER, body).await;
        assert_eq!(held.status, 503, "{request}: {}", held.text());
        assert!(held.text().contains("history_behind_fleet"), "{}", held.text());
        assert!(held.header("retry-after").is_some());
    }
    let compared = eventually(Duration::from_secs(20), async || {
        let status = server.send("GET /v1/status", &[], "").await.ok().text();
        anyhow::ensure!(status.contains("ctlstore ctldb new-history"), "{status}");
        Ok(())
    });
    compared.await.unwrap();
    // Reading goes on.
    server.send("GET /v1/ledger", &[], "").await.ok();
    server.send("GET /healthcheck", &[], "").await.ok();

    // An operator decides.
    let author = ctldb::Author::system("test");
    server.db.new_history(ahead.seq, &author).await.unwrap();
    let released = eventually(Duration::from_secs(20), async || {
        let answer = server.mutate("fam", kv(&[(3, "c")], None, None)).await;
        anyhow::ensure!(answer.status == 200, "{}", answer.text());
        Ok(answer.seq())
    });
    assert!(released.await.unwrap() > ahead.seq.get());
    server.end().await;
    first.end().await;
}

//! Admin tokens: closed without them, one for each admin, followed when their file changes.

use std::time::Duration;

use executive::AdminAccess;
use testkit::eventually;

use crate::openapi::Spec;
use crate::server::{Backend, SECRET, Server, kv};

#[tokio::test]
async fn without_tokens_admin_routes_are_closed_with_the_cure() {
    let closed = |config: &mut executive::Config| config.admin = AdminAccess::Closed;
    let server = Server::start_with(Backend::Sqlite, closed).await;
    let spec = Spec::of(&server).await;
    let routes = spec.routes_that_need("adminToken");
    assert!(routes.len() > 30, "{routes:?}");
    for route in &routes {
        let answer = server.send(route, &[("authorization", "Bearer x")], "").await;
        assert_eq!(answer.status, 401, "{route}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{route}");
        assert!(answer.text().contains("--admin-token-file"), "{route}");
    }
    for route in spec.routes_that_need("secret") {
        for headers in [&[][..], &[("ctlstore-writer", "writer1"), ("ctlstore-secret", "x")]] {
            let answer = server.send(&route, headers, "").await;
            assert!(matches!(answer.status, 401 | 404), "{route}: {}", answer.text());
        }
    }
    for open in ["GET /status", "GET /healthcheck", "GET /openapi.json"] {
        server.send(open, &[], "").await.ok();
    }
    // Unknown paths and methods tell nothing about who asks.
    assert_eq!(server.send("GET /families/fam", &[], "").await.status, 405);
    assert_eq!(server.send("GET /nowhere", &[], "").await.status, 404);
    assert_eq!(server.mutate("fam", kv(&[(1, "x")], None, None)).await.status, 401);
    assert!(server.ledger().await.is_empty());
    server.end().await;
}

#[tokio::test]
async fn tokens_follow_their_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "alice:first-token\nbob:second-token\n").unwrap();
    let configured = file.clone();
    let server = Server::start_with(Backend::Sqlite, |config| {
        config.admin = AdminAccess::TokenFile(configured);
        config.reload_interval = Duration::from_millis(20);
    })
    .await;
    let create = async |token: &str, name: &str| {
        let bearer = format!("Bearer {token}");
        let line = format!("POST /families/{name}");
        server.send(&line, &[("authorization", &bearer)], "").await.status
    };
    assert_eq!(create("first-token", "fam").await, 200);
    assert_eq!(create("second-token", "fam2").await, 200);
    assert_eq!(create("third-token", "fam3").await, 401);
    assert_eq!(create("alice:first-token", "fam3").await, 401);
    let bare = server.send("POST /families/fam3", &[], "").await;
    assert_eq!((bare.status, bare.text().contains("Authorization")), (401, true));
    let basic = [("authorization", "Basic first-token")];
    assert_eq!(server.send("POST /families/fam3", &basic, "").await.status, 401);

    // A secret is swapped by renaming; a broken file changes nothing.
    let swap = |text: &str| {
        let next = dir.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(&next, &file).unwrap();
    };
    swap("alice:third-token\n");
    let followed = eventually(Duration::from_secs(10), async || {
        anyhow::ensure!(create("third-token", "fam3").await != 401);
        Ok(())
    });
    followed.await.unwrap();
    assert_eq!(create("first-token", "fam4").await, 401);
    swap("# nothing\n");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(create("third-token", "fam4").await, 200);

    // A writer needs no token.
    let admin = [("authorization", "Bearer third-token")];
    server.send("POST /writers/writer1", &admin, SECRET).await.ok();
    assert_eq!(server.mutate("fam", kv(&[(1, "x")], None, None)).await.status, 404);
    server.end().await;
}

#[tokio::test]
async fn open_admin_shows_in_the_metrics() {
    let with_port = |config: &mut executive::Config| {
        config.admin_bind = Some("127.0.0.1:0".parse().unwrap());
    };
    let server = Server::start_with(Backend::Sqlite, with_port).await.with_kv().await;
    server.mutate("fam", kv(&[(1, "x"), (2, "y")], None, None)).await.ok();
    server.mutate("fam", "{").await;
    let admin = server.admin_addr.unwrap();
    let metrics = crate::client::send(admin, "GET /metrics", &[], "").await.ok().text();
    for line in [
        "ctlstore_executive_open_admin 1",
        "ctlstore_executive_ctldb_up 1",
        r#"ctlstore_executive_requests_total{route="/families/{family}/mutations",method="POST",code="200"} 1"#,
        r#"ctlstore_executive_requests_total{route="/families/{family}/mutations",method="POST",code="400"} 1"#,
        r#"ctlstore_executive_rejections_total{reason="json_invalid"} 1"#,
        r#"ctlstore_executive_mutations_total{kind="upsert"} 2"#,
        r#"ctlstore_executive_batches_total{kind="committed"} 1"#,
        "ctlstore_executive_seq 5",
        "ctlstore_executive_ctldb_connections_waiting 0",
        r#"ctlstore_executive_request_duration_seconds_count{route="/families/{family}",method="POST"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    for name in ["lock_wait_seconds_count", "ctldb_connections_open", "ctldb_connections_idle"] {
        let line = format!("\nctlstore_executive_{name} ");
        let value = metrics.split(&line).nth(1).and_then(|rest| rest.lines().next());
        assert!(value.unwrap_or_default().parse::<u64>().unwrap_or_default() > 0, "{metrics}");
    }
    crate::client::send(admin, "GET /livez", &[], "").await.ok();
    crate::client::send(admin, "GET /readyz", &[], "").await.ok();
    server.end().await;
}

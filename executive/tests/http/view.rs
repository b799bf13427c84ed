//! What only `/v1` shows: the ledger, a row's versions, where the ledger stands.

use serde_json::{Value, json};

use crate::server::{AS_WRITER, Backend, Server, kv};

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.send(&format!("GET {path}"), &[], "").await.ok();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

/// A server with some changes of the row 7.
async fn changed(backend: Backend) -> Server {
    let destructive = |config: &mut executive::Config| config.allow_destructive = true;
    let server = Server::start_with(backend, destructive).await.with_kv().await;
    let [name, secret] = AS_WRITER;
    let why = [name, secret, ("x-request-id", "req-1"), ("ctlstore-reason", "größer")];
    let body = kv(&[(7, "first"), (8, "other")], None, None);
    server.send("POST /families/fam/mutations", &why, body).await.ok();
    let delete = r#"{"mutations":[{"table":"kv_","delete":true,"values":{"id":7}}]}"#;
    server.mutate("fam", delete).await.ok();
    server.mutate("fam", kv(&[(7, "again")], None, None)).await.ok();
    let headers = [("ctlstore-reason", "too much")];
    server.send("DELETE /clear-rows/families/fam/tables/kv_", &headers, "").await.ok();
    server
}

#[tokio::test]
async fn a_row_has_versions() {
    for backend in Backend::ALL {
        let server = changed(backend).await;
        let history = get(&server, "/v1/history/FAM/KV_/7").await;
        assert_eq!((&history["family"], &history["table"]), (&json!("fam"), &json!("kv_")));
        assert_eq!(history["key"], json!({"id": 7}));
        let versions = history["versions"].as_array().unwrap();
        let brief: Vec<_> =
            versions.iter().map(|v| json!([v["op"], v["values"], v["reason"]])).collect();
        let want = [
            json!(["clear", null, "too much"]),
            json!(["upsert", {"id": 7, "value": "again"}, null]),
            json!(["delete", null, null]),
            json!(["upsert", {"id": 7, "value": "first"}, "größer"]),
        ];
        assert_eq!(brief, want, "{backend:?}");
        let (clear, first) = (&versions[0], &versions[3]);
        assert_eq!((&clear["principal"], &clear["writer"]), (&json!("open-admin"), &Value::Null));
        assert_eq!(first["writer"], "writer1");
        assert_eq!(
            (&first["request_id"], &first["source_address"]),
            (&json!("req-1"), &json!("127.0.0.1"))
        );
        let at = first["at"].as_str().unwrap();
        assert!(at.len() == 27 && at.contains('T') && at.ends_with('Z'), "{at}");

        let newest = get(&server, "/v1/history/fam/kv_/7?limit=1").await;
        assert_eq!(newest["versions"].as_array().unwrap().len(), 1);
        assert_eq!(newest["versions"][0]["seq"], clear["seq"]);
        assert_eq!(
            get(&server, "/v1/history/fam/kv_/99?limit=1").await["versions"][0]["op"],
            "clear"
        );
        server.end().await;
    }
}

#[tokio::test]
async fn the_ledger_is_shown_in_pieces() {
    for backend in Backend::ALL {
        let server = changed(backend).await;
        let all = get(&server, "/v1/ledger").await;
        let entries = all["entries"].as_array().unwrap();
        let texts: Vec<_> =
            entries.iter().map(|entry| entry["statement"].as_str().unwrap()).collect();
        assert_eq!(texts, server.texts().await);
        assert_eq!((&all["head"], &all["low_water"]), (&json!(texts.len()), &json!(0)));
        for (entry, own) in entries.iter().zip(server.ledger().await) {
            assert_eq!(entry["digest"], own.digest().to_string());
        }
        // A table, then a frame of four, then single ones.
        let batch = &entries[2]["batch"];
        assert_eq!((&batch["first_seq"], &batch["last_seq"]), (&json!(2), &json!(5)));
        assert_eq!((&batch["upserts"], &batch["writer"]), (&json!(2), &json!("writer1")));
        assert_eq!(entries[2]["batch"], entries[4]["batch"]);
        let piece = get(&server, "/v1/ledger?after=2&limit=2").await;
        assert_eq!(piece["entries"], json!(entries[2..4]));
        // More than are read at once.
        let many: Vec<_> = (0..70).map(|id| (id, "x")).collect();
        server.mutate("fam", kv(&many, None, None)).await.ok();
        let long = get(&server, "/v1/ledger?after=3&limit=60").await;
        let seqs = long["entries"].as_array().unwrap().iter().map(|entry| entry["seq"].as_u64());
        assert_eq!(seqs.collect::<Vec<_>>(), (4..64).map(Some).collect::<Vec<_>>());
        let texts = server.texts().await;
        let end = get(&server, "/v1/ledger?after=9223372036854775807").await;
        assert_eq!(end["entries"], json!([]));

        let status = get(&server, "/v1/status").await;
        assert_eq!((&status["seq"], &status["tables"]), (&json!(texts.len()), &json!(1)));
        assert_eq!(status["ledger"]["entries"], json!(texts.len()));
        assert!(status["last_entry_age_seconds"].as_f64().unwrap() >= 0.0, "{status}");
        let position: ledger::Mark = status["position"].as_str().unwrap().parse().unwrap();
        assert_eq!(position.history.to_string(), status["history"]);
        assert_eq!(status["hold"], Value::Null);
        server.end().await;
    }
}

#[tokio::test]
async fn an_empty_ledger_has_a_status() {
    let server = Server::start(Backend::Sqlite).await;
    let status = get(&server, "/v1/status").await;
    assert_eq!((&status["seq"], &status["position"]), (&json!(0), &Value::Null));
    assert_eq!(get(&server, "/v1/ledger").await["entries"], json!([]));
    server.end().await;
}

#[tokio::test]
async fn what_was_pruned_is_said_to_be_gone() {
    for backend in Backend::ALL {
        let server = changed(backend).await;
        let whole = get(&server, "/v1/ledger").await;
        assert_eq!(whole["gone"], Value::Null);
        assert_eq!(get(&server, "/v1/history/fam/kv_/7").await["pruned_through"], 0);
        let ctldb = &server.db;
        // The table, and the frame of four in which row 7 was first written.
        let (five, seen) = (ledger::Seq::new(5).unwrap(), ctldb.meta().await.unwrap());
        let pruned = ctldb.prune(five, &seen, ctldb::Fence::Open).await.unwrap();
        assert_eq!(pruned.entries, 5);
        let left = get(&server, "/v1/ledger").await;
        let gone = "entries up to 5 were pruned, the ledger begins after them";
        assert_eq!((&left["gone"], &left["low_water"]), (&json!(gone), &json!(5)));
        assert_eq!(left["entries"][0]["seq"], 6);
        assert_eq!(get(&server, "/v1/ledger?after=5").await["gone"], Value::Null);
        let history = get(&server, "/v1/history/fam/kv_/7").await;
        assert_eq!(
            (&history["pruned_through"], history["versions"].as_array().unwrap().len()),
            (&json!(5), 3)
        );
        let other = get(&server, "/v1/history/fam/kv_/8").await;
        assert_eq!(other["versions"].as_array().unwrap().len(), 1, "all but the clearing is gone");
        // Whoever repeats its last batch still hears that it was written.
        server.mutate("fam", kv(&[(9, "next")], None, None)).await.ok();
        server.end().await;
    }
}

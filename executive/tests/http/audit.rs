//! One line for each change, on the target `audit`.

use crate::log::logged;
use crate::server::{AS_WRITER, Backend, Server, kv};

#[tokio::test]
async fn every_change_is_told_once_with_its_author() {
    let destructive = |config: &mut executive::Config| config.allow_destructive = true;
    let server = Server::start_with(Backend::Sqlite, destructive).await;
    let [name, secret] = AS_WRITER;
    let table = r#"{"fields":[["id","integer"],["value","string"]],"keyFields":["id"]}"#;
    for (number, (request, body)) in [
        ("POST /writers/writer1", "the-secret-of-writer1"),
        ("POST /families/audited", ""),
        ("POST /families/audited/tables/kv_", table),
        ("PUT /families/audited/tables/kv_", r#"{"fields":[["more","text"]]}"#),
        ("POST /limits/tables/audited/kv_", r#"{"max-size":100000000}"#),
        ("DELETE /limits/tables/audited/kv_", ""),
        ("POST /limits/writers/writer1", r#"{"amount":60000,"period":"1m"}"#),
        ("DELETE /limits/writers/writer1", ""),
        ("PUT /v1/writers/writer1/families", r#"{"families":["audited"]}"#),
        ("POST /cookie", "here"),
        ("POST /families/audited/mutations", r#"{"mutations":[{"table":"kv_","values":{"id":1,"value":"nobodys-business","more":null}}]}"#),
        ("DELETE /clear-rows/families/audited/tables/kv_", ""),
        ("DELETE /families/audited/tables/kv_", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("audited-{number}-");
        let headers = [name, secret, ("x-request-id", id.as_str()), ("ctlstore-reason", "to see")];
        server.send(request, &headers, body).await.ok();
        let log = logged();
        let lines = log.lines().filter(|line| line.contains(" audit: ") && line.contains(&format!("request_id=\"{id}\"")));
        let lines: Vec<_> = lines.collect();
        assert_eq!(lines.len(), 1, "{request}: {lines:?}");
        for part in ["source_address=\"127.0.0.1\"", "reason=\"to see\"", "action=", "principal="] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
        assert!(!lines[0].contains("nobodys-business"), "{}", lines[0]);
    }
    // What is refused, and what was there already, is no change.
    let refused = [name, secret, ("x-request-id", "audited-not")];
    server.send("POST /families/audited", &refused, "").await;
    server.send("POST /families/audited/mutations", &refused, kv(&[(1, "x")], None, None)).await;
    server.send("POST /writers/writer1", &refused, "the-secret-of-writer1").await.ok();
    let log = logged();
    let told = log.lines().find(|line| line.contains(" audit: ") && line.contains("audited-not"));
    assert_eq!(told, None);
    server.end().await;
}

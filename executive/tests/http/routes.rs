//! Every route, good and bad: requests and the answers that they get, the same on every back end. One story, because most
//! answers depend on what was made before.

use std::fmt::Write;

use ctldb::{Deletion, Fence, Owner, OwnerId};
use expect_test::{ExpectFile, expect_file};
use ledger::LdbTable;

use crate::client::Answer;
use crate::openapi::Spec;
use crate::server::{AS_WRITER, Backend, SECRET, Server};

/// Headers, by a short name in the first column of a story.
fn headers(who: &str) -> Vec<(&'static str, &'static str)> {
    let [name, secret] = AS_WRITER;
    match who {
        "-" => vec![],
        "writer" => vec![name, secret],
        "strict" => vec![name, secret, ("ctlstore-strict", "true")],
        "json" => vec![name, secret, ("accept", "application/json")],
        "liar" => vec![name, ("ctlstore-secret", "wrong")],
        "stranger" => vec![("ctlstore-writer", "nobody"), secret],
        "half" => vec![name],
        "heartbeat" => vec![("ctlstore-writer", "heartbeat"), secret],
        "load" => vec![("ctlstore-writer", "load-writer"), secret],
        "short" => vec![("ctlstore-writer", "w"), secret],
        "maybe" => vec![name, secret, ("ctlstore-strict", "maybe")],
        "wordy" => vec![name, secret, ("ctlstore-reason", LONG)],
        other => panic!("who is {other}?"),
    }
}

const LONG: &str = {
    const BYTES: [u8; 1025] = [b'x'; 1025];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => panic!(),
    }
};

/// The status, the headers that matter, and the body.
fn shown(answer: &Answer) -> String {
    let mut out = answer.status.to_string();
    for name in [
        "ctlstore-seq",
        "ctlstore-ignored",
        "ctlstore-repeated",
        "location",
        "allow",
        "retry-after",
        "www-authenticate",
    ] {
        match answer.header(name) {
            // Until the next window begins.
            Some(_) if answer.status == 429 && name == "retry-after" => out += " [retry-after]",
            Some(value) => write!(out, " [{name}: {value}]").unwrap(),
            None => {}
        }
    }
    if let Some(position) = answer.header("ctlstore-position") {
        let mark: ledger::Mark = position.parse().unwrap();
        assert_eq!(mark.seq.get(), answer.seq(), "position and sequence differ");
    } else {
        assert!(answer.header("ctlstore-seq").is_none());
    }
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    match answer.body.as_slice() {
        [] => {}
        _ => write!(out, " {:?}", answer.text()).unwrap(),
    }
    out
}

/// Tells the story and writes down each answer. A line is `WHO METHOD PATH BODY…`.
async fn tell(server: &Server, story: &str) -> String {
    let spec = Spec::of(server).await;
    let mut out = String::new();
    for line in story.lines() {
        if line.is_empty() || line.starts_with('#') {
            writeln!(out, "{line}").unwrap();
            continue;
        }
        let mut parts = line.splitn(4, ' ');
        let who = parts.next().unwrap();
        let request = format!("{} {}", parts.next().unwrap(), parts.next().unwrap());
        let body = parts.next().unwrap_or("").to_owned();
        let answer = server.send(&request, &headers(who), body).await;
        spec.check(&request, &answer);
        writeln!(out, "{line}\n    {}", shown(&answer)).unwrap();
    }
    out
}

async fn check(story: &str, want: ExpectFile) {
    check_with(|_| {}, story, want).await;
}

async fn check_with(configure: fn(&mut executive::Config), story: &str, want: ExpectFile) {
    for backend in Backend::ALL {
        let server = Server::start_with(backend, configure).await;
        server.send("POST /writers/writer1", &[], SECRET).await.ok();
        want.assert_eq(&tell(&server, story).await);
        server.end().await;
    }
}

#[tokio::test]
async fn families_and_tables() {
    let story = include_str!("stories/tables.in");
    check(story, expect_file!["stories/tables.out"]).await;
}

#[tokio::test]
async fn writers_and_cookies() {
    let story = include_str!("stories/writers.in");
    check(story, expect_file!["stories/writers.out"]).await;
}

#[tokio::test]
async fn mutations() {
    let story = include_str!("stories/mutations.in");
    check(story, expect_file!["stories/mutations.out"]).await;
}

#[tokio::test]
async fn limits() {
    let story = include_str!("stories/limits.in");
    check_with(
        |config| config.limits = ctldb::Limits::default(),
        story,
        expect_file!["stories/limits.out"],
    )
    .await;
}

#[tokio::test]
async fn clearing_and_dropping() {
    let story = include_str!("stories/destroy.in");
    check_with(
        |config| config.allow_destructive = true,
        story,
        expect_file!["stories/destroy.out"],
    )
    .await;
}

#[tokio::test]
async fn our_own_paths() {
    let story = include_str!("stories/v1.in");
    check_with(
        |config| config.limits = ctldb::Limits::default(),
        story,
        expect_file!["stories/v1.out"],
    )
    .await;
}

/// The stories of all routes.
pub(crate) const STORIES: [&str; 8] = [
    include_str!("stories/tables.in"),
    include_str!("stories/writers.in"),
    include_str!("stories/mutations.in"),
    include_str!("stories/originals.in"),
    include_str!("stories/paths.in"),
    include_str!("stories/limits.in"),
    include_str!("stories/destroy.in"),
    include_str!("stories/v1.in"),
];

/// What the programs of the original send, step by step.
#[tokio::test]
async fn clients_of_the_original() {
    let story = include_str!("stories/originals.in");
    check(story, expect_file!["stories/originals.out"]).await;
}

#[tokio::test]
async fn health_and_paths() {
    let story = include_str!("stories/paths.in");
    check(story, expect_file!["stories/paths.out"]).await;
}

/// What the story of the mutations leaves in the ledger, word for word.
#[tokio::test]
async fn the_ledger_after_the_mutations() {
    for backend in Backend::ALL {
        let server = Server::start(backend).await;
        server.send("POST /writers/writer1", &[], SECRET).await.ok();
        tell(&server, include_str!("stories/mutations.in")).await;
        let ledger = server.texts().await.join("\n") + "\n";
        expect_file!["stories/mutations.ledger"].assert_eq(&ledger);
        server.db.verify().await.unwrap();
        server.end().await;
    }
}

/// A table that a `CtlTable` object owns takes rows over HTTP, but no columns and no limit, and it is not dropped. Its rows
/// are cleared only where the object does not say that they stay.
#[tokio::test]
async fn tables_of_objects_are_changed_there() {
    for backend in Backend::ALL {
        let destructive = |config: &mut executive::Config| config.allow_destructive = true;
        let server = Server::start_with(backend, destructive).await.with_kv().await;
        let table = LdbTable::parse("fam___kv_").unwrap();
        let id = OwnerId::Object {
            cluster: "west".to_owned(),
            namespace: "team-a".to_owned(),
            name: "kv".to_owned(),
        };
        let owner = Owner { id, deletion: Deletion::Retain };
        server.db.claim(&table, &owner, Fence::Open).await.unwrap();

        let before = server.texts().await;
        for (request, body) in [
            ("PUT /families/fam/tables/kv_", r#"{"fields":[["more","text"]]}"#),
            ("POST /limits/tables/fam/kv_", r#"{"max-size":1}"#),
            ("DELETE /limits/tables/fam/kv_", ""),
            ("DELETE /families/fam/tables/kv_", ""),
            ("DELETE /clear-rows/families/fam/tables/kv_", ""),
            ("DELETE /clear-rows/families/fam", ""),
        ] {
            let refused = server.send(request, &[], body).await;
            assert_eq!(refused.status, 409, "{request}: {}", refused.text());
            let text = refused.text();
            assert!(text.contains("CtlTable team-a/kv of cluster west"), "{request}: {text}");
        }
        assert_eq!(server.texts().await, before);
        let owner = Owner { deletion: Deletion::Delete, ..owner };
        server.db.claim(&table, &owner, Fence::Open).await.unwrap();
        server.send("DELETE /clear-rows/families/fam", &[], "").await.ok();
        assert_eq!(server.send("DELETE /families/fam/tables/kv_", &[], "").await.status, 409);
        server.mutate("fam", crate::server::kv(&[(1, "x")], None, None)).await.ok();
        server.end().await;
    }
}

/// The request's id is given back, or made; the reason and the rest stand in the record of changes.
#[tokio::test]
async fn who_changed_what_is_recorded() {
    let server = Server::start(Backend::MariaDb).await.with_kv().await;
    let [name, secret] = AS_WRITER;
    let headers =
        [name, secret, ("x-request-id", "req-7"), ("ctlstore-reason", "größer ist besser")];
    let body = crate::server::kv(&[(1, "x"), (2, "y")], None, None);
    let answer = server.send("POST /families/fam/mutations", &headers, body).await.ok();
    assert_eq!(answer.header("x-request-id"), Some("req-7"));
    let other = server.send("GET /status", &[("x-request-id", "")], "").await;
    assert_eq!(other.header("x-request-id").unwrap().len(), 36);

    let ledger::CtlDbUrl::MySql(url) = &server.url else { panic!("not MariaDB") };
    let sql = format!(
        "SELECT writer, principal, source_address, request_id, reason, upserts, deletes FROM {}.ctlstore_batches WHERE last_seq = {}",
        url.database,
        answer.seq()
    );
    let row = testkit::mariadb::MariaDb::shared().sql(&sql).unwrap();
    assert_eq!(row.trim(), "writer1\twriter1\t127.0.0.1\treq-7\tgrößer ist besser\t2\t0");
    server.end().await;
}

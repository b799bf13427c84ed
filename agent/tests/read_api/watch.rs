//! Following changes: of an agent, through a sidecar, and of a sidecar that is alone.

use std::time::Duration;

use ::agent::args::{ServeArgs, SidecarArgs};
use ::agent::sidecar;
use ::ledger::Value;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::client::{At, Client, SOON};
use crate::ledger::Ledger;
use crate::sidecar::{Sidecar, filled};

const TABLE: &str =
    "CREATE TABLE auth___keys (\"id\" INTEGER, \"b\" BLOB(255), PRIMARY KEY(\"id\",\"b\"));";

/// Events as they come.
struct Events {
    body: Incoming,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: u64,
    data: Json,
}

impl Events {
    async fn open(at: impl Into<At>, path: &str, headers: &[(&str, &str)]) -> Self {
        let answer = Client::connect(at).await.open(&format!("GET {path}"), headers, "").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert!(answer.headers().get("content-encoding").is_none());
        Self { body: answer.into_body(), text: String::new() }
    }

    /// The next event; none when the stream ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if event.starts_with(':') {
                    continue;
                }
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_else(|| panic!("no {name} in {event}")).to_owned()
                };
                let data = serde_json::from_str(&field("data: ")).unwrap();
                let id = field("id: ").parse().unwrap();
                return Some(Event { name: field("event: "), id, data });
            }
            let frame = tokio::time::timeout(SOON, self.body.frame()).await.expect("nothing comes");
            let data = frame?.ok()?.into_data().unwrap();
            self.text += std::str::from_utf8(&data).unwrap();
        }
    }

    /// The data of the changes up to this sequence.
    async fn until(&mut self, seq: u64) -> Vec<Json> {
        let mut changes = Vec::new();
        loop {
            let event = self.next().await.unwrap();
            match event.name.as_str() {
                "change" => changes.push(event.data),
                "seq" if event.id >= seq => return changes,
                "seq" => {}
                other => panic!("{other}: {}", event.data),
            }
        }
    }
}

fn insert(id: u32) -> String {
    format!("REPLACE INTO auth___keys (\"id\",\"b\") VALUES({id},x'00ff')")
}

async fn started(dir: &std::path::Path) -> (Ledger, Agent) {
    let mut ledger = Ledger::new(dir);
    ledger.append(&[TABLE]);
    let agent = Agent::start(&dir.join("ldb"), ledger.url()).await;
    agent.reaches(1).await;
    (ledger, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_as_they_come_and_again_after_a_break() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let mut all = Events::open(agent.read, "/v1/watch?after=1&changes=true", &[]).await;
    let first = all.next().await.unwrap();
    assert_eq!((first.name.as_str(), &first.data["seq"]), ("seq", &json!(1)));
    let mut numbers = Events::open(agent.read, "/v1/watch?after=1", &[]).await;
    let mut others =
        Events::open(agent.read, "/v1/watch?after=1&changes=true&table=other", &[]).await;
    ledger.append(&[insert(7)]);
    ledger.append(&["DELETE FROM auth___keys WHERE \"id\" = 7 AND \"b\" = x'00ff'"]);
    let changes = all.until(3).await;
    let key = json!([{"name": "id", "type": "INTEGER", "value": 7}, {"name": "b", "type": "BLOB(255)", "value": "AP8="}]);
    assert_eq!(changes.len(), 2, "{changes:?}");
    for (change, op) in changes.iter().zip(["upsert", "delete"]) {
        assert_eq!((&change["op"], &change["key"]), (&json!(op), &key));
        assert_eq!((&change["family"], &change["table"]), (&json!("auth"), &json!("keys")));
    }
    assert_eq!(numbers.until(3).await, Vec::<Json>::new());
    assert_eq!(others.until(3).await, Vec::<Json>::new());
    // A client that connects again names the last that it saw, which counts more than its address.
    let mut again =
        Events::open(agent.read, "/v1/watch?after=1&changes=true", &[("last-event-id", "2")]).await;
    let again = again.until(3).await;
    assert_eq!((again.len(), &again[0]["op"]), (1, &json!("delete")));
    // The end of the agent is the end of the stream.
    agent.stop().await;
    assert_eq!(all.next().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_held_any_more_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    ledger.append(&[insert(1)]);
    agent.reaches(2).await;
    agent.stop().await;
    // A new process holds nothing of what the one before told.
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.enters("following").await;
    let mut events = Events::open(agent.read, "/v1/watch?after=1&changes=true", &[]).await;
    assert_eq!(events.next().await.unwrap().name, "seq");
    let told = events.next().await.unwrap();
    assert_eq!((told.name.as_str(), &told.data["oldest"]), ("fell_behind", &json!(2)));
    assert!(told.data["message"].as_str().unwrap().contains("read again what you keep"));
    // And it goes on from there.
    ledger.append(&[insert(2)]);
    assert_eq!(events.until(3).await.len(), 1);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_passes_on_what_the_agents_socket_tells() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, agent) = started(dir.path()).await;
    let stop = CancellationToken::new();
    let (told, tells) = tokio::sync::oneshot::channel();
    let args = SidecarArgs {
        ldb: agent.dir.clone(),
        bind: "127.0.0.1:0".parse().unwrap(),
        socket: None,
        admin_bind: None,
        serve: ServeArgs::default(),
    };
    let task = tokio::spawn(sidecar::run(args, stop.clone(), |up| told.send(up).unwrap()));
    let addr = tells.await.unwrap().addr.unwrap();
    let mut events = Events::open(addr, "/v1/watch?after=1&changes=true&family=auth", &[]).await;
    ledger.append(&[insert(7)]);
    assert_eq!(events.until(2).await.len(), 1);
    let status = crate::client::ask(addr, "GET /v1/status", "").await.json();
    assert_eq!((&status["state"], &status["seq"]), (&json!("sidecar"), &json!(2)));
    assert_eq!(status["agent"]["position"]["seq"], 2);
    stop.cancel();
    task.await.unwrap().unwrap();
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_without_an_agent_tells_sequences_and_says_so() {
    let node = Sidecar::start(filled()).await;
    let mut events = Events::open(node.addr, "/v1/watch?changes=true", &[]).await;
    let mode = events.next().await.unwrap();
    assert_eq!((mode.name.as_str(), &mode.data["changes"]), ("mode", &json!(false)));
    assert_eq!(events.next().await.unwrap().id, 5);
    node.test.insert("billing", "plans", &[Value::Text("team".into())]).unwrap();
    let told = events.next().await.unwrap();
    assert_eq!((told.name.as_str(), told.data), ("seq", json!({"seq": 6})));
    assert_eq!(node.get("/v1/status").await.json()["agent"], Json::Null);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_watchers_than_allowed_are_429() {
    let serve = ServeArgs { read_max_watchers: 1, ..ServeArgs::default() };
    let node = Sidecar::serving(filled(), serve).await;
    let first = Events::open(node.addr, "/v1/watch", &[]).await;
    let answer = node.get("/v1/watch").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "too_many_watchers"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(first);
    // Whoever left is seen when something is sent.
    testkit::eventually(SOON, async || {
        node.test.insert("billing", "plans", &[Value::Text("x".into())])?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut client = Client::connect(node.addr).await;
        let status = client.open("GET /v1/watch", &[], "").await.status();
        anyhow::ensure!(status == 200, "{status}");
        Ok(())
    })
    .await
    .unwrap();
    node.stop().await;
}

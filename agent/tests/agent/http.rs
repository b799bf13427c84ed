//! The read API, as a client of the original's sidecar uses it, and the admin port.

use crate::agent::{Agent, request};
use crate::ledger::Ledger;

async fn started(dir: &std::path::Path) -> (Ledger, Agent) {
    let mut ledger = Ledger::new(dir);
    ledger.append(&["CREATE TABLE auth___keys (\"zone\" VARCHAR(191), \"id\" INTEGER, \"key\" BLOB(255), \"ratio\" REAL, PRIMARY KEY(\"zone\",\"id\"));"]);
    ledger.append(&["REPLACE INTO auth___keys (\"zone\",\"id\",\"key\",\"ratio\") VALUES('eu',9223372036854775807,x'00ff',10)"]);
    ledger.append(&[
        "REPLACE INTO auth___keys (\"zone\",\"id\",\"key\",\"ratio\") VALUES('eu',2,NULL,0.5)",
    ]);
    let agent = Agent::start(&dir.join("ldb"), ledger.url()).await;
    agent.reaches(3).await;
    (ledger, agent)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_have_the_shapes_of_the_original() {
    let dir = tempfile::tempdir().unwrap();
    let (_ledger, agent) = started(dir.path()).await;
    let by_key = "/get-row-by-key/auth/keys";
    let by_prefix = "/get-rows-by-key-prefix/Auth/KEYS";
    let check = async |path: &str, body: &str, status: u16, want: &str| {
        let answer = request(agent.read, "POST", path, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, want), "{path} {body}");
        answer
    };
    let first = r#"{"id":9223372036854775807,"key":"AP8=","ratio":10,"zone":"eu"}"#;
    let second = r#"{"id":2,"key":null,"ratio":0.5,"zone":"eu"}"#;
    check(by_key, r#"{"Key":[{"Value":"eu"},{"Value":9223372036854775807}]}"#, 200, first).await;
    check(by_key, r#"{"key":[{"value":"eu"},{"VALUE":2.0}]}"#, 200, second).await;
    check(by_key, r#"{"key":[{"value":"eu"},{"value":"2"}]}"#, 200, second).await;
    let both = format!("[{second},{first}]");
    check(by_prefix, r#"{"key":[{"value":"eu"}]}"#, 200, &both).await;
    check(by_prefix, r#"{"key":[]}"#, 200, &both).await;
    check(by_prefix, "{}", 200, &both).await;
    check(by_prefix, r#"{"key":[{"value":"us"}]}"#, 200, "[]").await;
    let missing = check(by_key, r#"{"key":[{"value":"eu"},{"value":3}]}"#, 404, "").await;
    assert!(missing.head.to_lowercase().contains("x-ctlstore: not found"), "{}", missing.head);
    check(by_key, r#"{"key":[{"value":"eu"},{"value":1.5}]}"#, 404, "").await;
    check(by_key, r#"{"key":[{"value":null},{"value":1}]}"#, 404, "").await;

    let wrong = async |path: &str, body: &str, words: &str| {
        let answer = request(agent.read, "POST", path, body).await;
        assert_eq!(answer.status, 500, "{path} {body}");
        assert!(answer.body.contains(words) && answer.body.ends_with('\n'), "{}", answer.body);
    };
    wrong(by_key, r#"{"key":[{"value":"eu"}]}"#, "give a value for \"id\"").await;
    wrong(by_key, r#"{"key":[{"value":"eu"},{"value":1},{"value":1}]}"#, "too many").await;
    wrong(by_key, r#"{"key":[{"value":"eu"},{"binary":"AP8="}]}"#, "takes an integer, not bytes")
        .await;
    wrong(by_key, r#"{"key":[{"binary":"?"}]}"#, "not standard base64").await;
    wrong(by_key, "not json", "the body is not JSON").await;
    wrong(by_key, "[]", "the body is not of the form").await;
    wrong("/get-row-by-key/auth/none", r#"{"key":[]}"#, "no table auth___none").await;
    wrong("/get-row-by-key/nobody/keys", r#"{"key":[]}"#, "no family nobody").await;
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_looked_up_in_base64_or_as_text() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    ledger.append(&[
        "CREATE TABLE auth___blobs (\"k\" BLOB(255), PRIMARY KEY(\"k\"));",
        "REPLACE INTO auth___blobs (\"k\") VALUES(x'6162')",
    ]);
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.reaches(2).await;
    for key in [r#"{"Binary":"YWI="}"#, r#"{"Value":"ab"}"#, r#"{"Value":1,"Binary":"YWI="}"#] {
        let body = format!(r#"{{"Key":[{key}]}}"#);
        let answer = request(agent.read, "POST", "/get-row-by-key/auth/blobs", &body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"k":"YWI="}"#), "{key}");
    }
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_and_health_wait_for_the_first_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::new(dir.path());
    let agent = Agent::start(&dir.path().join("ldb"), ledger.url()).await;
    agent.enters("following").await;
    let get = async |path: &str| request(agent.read, "GET", path, "").await;
    let latency = get("/get-ledger-latency").await;
    let want = "get ledger latency: no ledger updates have been received yet\n";
    assert_eq!((latency.status, latency.body.as_str()), (500, want));
    assert_eq!((get("/ping").await.status, get("/healthcheck").await.status), (500, 500));
    // Ready all the same: what there is can be read.
    assert_eq!(request(agent.admin, "GET", "/readyz", "").await.status, 200);

    ledger.append(&[crate::ledger::TABLE]);
    agent.reaches(1).await;
    assert_eq!((get("/ping").await.status, get("/healthcheck").await.body.as_str()), (200, ""));
    let latency: serde_json::Value =
        serde_json::from_str(&get("/get-ledger-latency").await.body).unwrap();
    assert_eq!(latency["unit"], "seconds");
    assert!(latency["value"].as_f64().unwrap() > 0.0);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_metrics_tell_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, agent) = started(dir.path()).await;
    agent.enters("following").await;
    let status = agent.status().await;
    assert_eq!(status["position"]["seq"], 3);
    assert_eq!(status["position"]["chain"], ledger.chain.to_string());
    assert_eq!((&status["ledger"]["head"], &status["missing_entries"]), (&3.into(), &0.into()));
    assert_eq!(status["generation"], 1);
    assert!(status["wal_bytes"].as_u64().unwrap() > 0 && status["lag_seconds"].as_f64().is_some());
    let metrics = request(agent.admin, "GET", "/metrics", "").await.body;
    for line in [
        "ctlstore_agent_position 3\n",
        "ctlstore_agent_ledger_head 3\n",
        "ctlstore_agent_entries_applied_total 3\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
    for name in [
        "ctlstore_agent_lag_seconds ",
        "ctlstore_agent_contact_seconds ",
        "ctlstore_agent_wal_bytes ",
    ] {
        assert!(metrics.contains(name), "{name}{metrics}");
    }
    std::fs::remove_file(&ledger.path).unwrap();
    agent.enters("ctldb_away").await;
    let metrics = request(agent.admin, "GET", "/metrics", "").await.body;
    assert!(metrics.contains("ctlstore_agent_fetch_errors_total{kind=\"away\"}"), "{metrics}");
    assert!(metrics.contains("ctlstore_agent_state{state=\"ctldb_away\"} 1\n"), "{metrics}");
    assert_eq!(request(agent.admin, "GET", "/livez", "").await.status, 200);
    agent.stop().await;
}

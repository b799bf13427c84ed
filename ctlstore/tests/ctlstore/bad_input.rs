//! What users get wrong, through the whole product: each mistake has its answer, and nothing is half done after any.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::http::Request;
use testkit::program::Program;

use crate::running::{Dev, Folder, batch, path, plan};

/// A table whose columns and key are given as YAML.
fn table(name: &str, columns: &str, key: &str) -> String {
    format!(
        "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlTable\nmetadata:\n  name: bad\nspec:\n  familyRef: {{name: billing}}\n  name: {name}\n  columns: [{columns}]\n  keyColumns: [{key}]\n"
    )
}

#[tokio::test]
async fn a_bad_manifest_makes_nothing() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    let id = "{name: id, type: String}";
    let wide: Vec<_> = (0..13).map(|n| format!("{{name: c{n}, type: ByteString}}")).collect();
    let key: Vec<_> = (0..13).map(|n| format!("c{n}")).collect();
    let many: Vec<_> = (0..100).map(|n| format!("{{name: c{n}, type: String}}")).collect();
    let cases: &[(String, &str)] = &[
        (table("a__b", id, "id"), "spec.name: a table name has lower-case letters"),
        (table("Plans", id, "id"), "spec.name"),
        (table("1plans", id, "id"), "spec.name"),
        (table(&"x".repeat(51), id, "id"), "spec.name"),
        (table("plans2", &format!("{id}, {id}"), "id"), "spec.columns[1]"),
        (table("plans2", id, "other"), "keyColumns must name columns of the table"),
        (table("plans2", "{name: id, type: Text}", "id"), "must be of type String, Integer or"),
        (table("plans2", "{name: id, type: Decimal}", "id"), "must be of type String, Integer or"),
        (table("plans2", &wide.join(", "), &key.join(", ")), "Ready=False TableTooWide"),
        (table("plans2", &many.join(", "), "c0"), "Ready=False TableTooWide"),
        (table("plans2", "{name: id, type: Blob}", "id"), "Blob"),
        ("just text\n".to_owned(), "apiVersion"),
        ("a: [\n".to_owned(), "not YAML"),
    ];
    folder.read(&["wait", "--seq", "2"]).await;
    let before = folder.read(&["status", "--output", "json"]).await.stdout;
    for (number, (text, words)) in cases.iter().enumerate() {
        // A name of its own, so that each mistake is news.
        let name = format!("bad-{number}");
        let file = folder.manifests().join(format!("{name}.yaml"));
        std::fs::write(&file, text.replace("name: bad\n", &format!("name: {name}\n"))).unwrap();
        let said = |line: &str| (line.contains(&name) && line.contains(words)).then_some(());
        dev.program.line(said).await.unwrap();
        std::fs::remove_file(file).unwrap();
    }
    let after = folder.read(&["status", "--output", "json"]).await.stdout;
    assert_eq!(seq_and_tables(&before), seq_and_tables(&after));
}

fn seq_and_tables(status: &str) -> (Value, Value) {
    let status: Value = serde_json::from_str(status).unwrap();
    (status["position"].clone(), status["tables"].clone())
}

#[tokio::test]
async fn a_bad_batch_writes_nothing() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    let last = dev.write(&batch()).unwrap();
    let with = |column: &str, value: Value| {
        let mut plan = plan("bad", 1);
        plan["mutations"][0]["values"][column] = value;
        // A good one before it, so that a half of the batch could be written.
        let good = batch()["mutations"][0].clone();
        plan["mutations"].as_array_mut().unwrap().insert(0, good);
        plan.to_string()
    };
    let mut elsewhere = plan("bad", 1);
    elsewhere["mutations"][0]["table"] = "nope".into();
    let stale = json!({"check_cookie": "c3RhbGU=", "cookie": "bmV3", "mutations": plan("bad", 1)["mutations"]});
    let cases: Vec<(String, u16, &str)> = vec![
        (elsewhere.to_string(), 404, "nope"),
        (with("seats", "many".into()), 400, "seats"),
        (with("seats", json!(1.5)), 400, "seats"),
        (with("name", "x".repeat(192).into()), 400, "191"),
        (with("logo", "%%%".into()), 400, "logo"),
        (with("id", Value::Null), 400, "id"),
        (
            with("seats", 1.into()).replace("\"seats\":1,", "\"seats\":9223372036854775808,"),
            400,
            "seats",
        ),
        (with("price", 1.into()).replace("\"price\":1,", "\"price\":NaN,"), 400, ""),
        ("no JSON".to_owned(), 400, ""),
        (json!({"mutations": []}).to_string(), 400, "mutation"),
        (stale.to_string(), 409, "Cookie conflict"),
    ];
    for (body, status, words) in cases {
        let answer = dev.post("/families/billing/mutations", body.as_bytes()).unwrap();
        let text = answer.text();
        assert_eq!(answer.status, status, "{body}: {text}");
        assert!(text.contains(words), "no {words:?} in {text}");
        assert_eq!(answer.header("ctlstore-seq"), None, "{body}");
    }
    let headers = [("ctlstore-writer", "trial"), ("ctlstore-secret", "another")];
    let good = plan("bad", 1).to_string();
    let (path_, body) = ("/families/billing/mutations", good.as_bytes());
    let stranger = Request { method: "POST", path: path_, headers: &headers, body };
    let refused = stranger.send(dev.executive).unwrap();
    assert!([401, 403, 404].contains(&refused.status), "{}: {}", refused.status, refused.text());

    nothing_was_written(&folder, &dev, last).await;
    dev.program.signal(Signal::SIGTERM).unwrap();
}

async fn nothing_was_written(folder: &Folder, dev: &Dev, last: u64) {
    assert_eq!(dev.write(&plan("good", 1)).unwrap(), last + 1);
    let waited = folder.read(&["wait", "--seq", &(last + 1).to_string()]).await;
    assert_eq!(waited.code(), Some(0), "{waited:?}");
    let bad = folder.read(&["get", "billing", "plans", "bad"]).await;
    assert_eq!(bad.code(), Some(3), "{bad:?}");
    let url = folder.url_file();
    let verified =
        Program::run(&["ledger", "verify", "--ctldb-url-file", path(&url)]).await.unwrap();
    assert_eq!(verified.code(), Some(0), "{verified:?}");
}

//! `ctlstore mutate`: each line once, whatever happens in between.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use testkit::eventually;
use testkit::http::Request;
use testkit::program::Program;

use crate::executive::{Executive, line, row};

const SOON: Duration = Duration::from_secs(60);
/// Faster than the default lets a writer be.
const FAST: &[&str] = &["--writer-limit", "1000000"];

fn lines(range: std::ops::Range<i64>) -> String {
    range.map(|number| line(number, number)).collect()
}

fn rows(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|number| row(number, number)).collect()
}

#[tokio::test]
async fn a_run_that_is_killed_again_and_again_writes_each_line_once() {
    let executive = Executive::open(FAST).await.prepared().await;
    let file = executive.file("rows.jsonl", &lines(0..600));
    let args = [executive.mutate(&file), vec!["--batch".to_owned(), "3".to_owned()]].concat();
    let (mut kills, mut before) = (0, 0);
    while before < 500 {
        let mut run = Program::ctlstore(&args).unwrap();
        let more = eventually(SOON, async || {
            let written = executive.rows().await.len();
            ensure!(written > before, "{written} rows");
            Ok(written)
        });
        more.await.unwrap();
        run.kill().unwrap();
        kills += 1;
        before = executive.rows().await.len();
        // Never half of a batch.
        assert_eq!(before % 3, 0);
    }
    assert!(kills > 1, "{kills}");
    let ended = executive.mutated(&file, &["--batch", "3"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains(" lines were written before\n"), "{ended:?}");
    assert_eq!(executive.rows().await, rows(0..600));
}

#[tokio::test]
async fn an_executive_that_is_killed_is_waited_for_and_each_line_is_written_once() {
    let mut executive = Executive::open(FAST).await.prepared().await;
    let file = executive.file("rows.jsonl", &lines(0..300));
    let port = executive.url.rsplit(':').next().unwrap().to_owned();
    let args = [executive.mutate(&file), vec!["--batch".to_owned(), "1".to_owned()]].concat();
    let mut run = Program::ctlstore(&args).unwrap();
    for enough in [20, 100] {
        eventually(SOON, async || {
            ensure!(executive.rows().await.len() > enough);
            Ok(())
        })
        .await
        .unwrap();
        executive.program.kill().unwrap();
        let (url, bind) = (executive.home.path().join("url"), format!("127.0.0.1:{port}"));
        let args = ["executive", "--open-admin", "--ctldb-url-file", url.to_str().unwrap()];
        let more = ["--bind", &bind, "--admin-bind", "127.0.0.1:0"];
        executive.program = Program::ctlstore(&[&args, &more, FAST].concat()).unwrap();
    }
    let ended = run.end(SOON).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("not written yet, trying again"), "{ended:?}");
    assert_eq!(executive.rows().await, rows(0..300));
}

#[tokio::test]
async fn an_input_is_told_from_another_and_may_grow() {
    let executive = Executive::open(FAST).await.prepared().await;
    let file = executive.file("rows.jsonl", lines(0..5).trim_end());
    let said = async |file: &Path, more: &[&str]| {
        let ended = executive.mutated(file, more).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.stdout
    };
    assert!(said(&file, &[]).await.starts_with("5 rows are written in 1 batch (ledger entry "));
    assert_eq!(
        said(&file, &[]).await,
        "0 rows are written in 0 batches\n5 lines were written before\n"
    );
    executive.file("rows.jsonl", &lines(0..7));
    assert!(said(&file, &[]).await.starts_with("2 rows"));
    // Another input begins anew, in a pipe as well as in a file.
    let other = executive.file("other.jsonl", &lines(7..9));
    assert!(said(&other, &[]).await.starts_with("2 rows"));
    for rows in ["3 rows", "0 rows"] {
        let piped = executive.piped(&lines(9..12), &[]);
        let said = String::from_utf8(piped.stdout).unwrap();
        assert!(said.starts_with(rows), "{said} {}", String::from_utf8_lossy(&piped.stderr));
    }
    assert_eq!(executive.rows().await, rows(0..12));
    // A run that was killed behind its last line is finished by the next.
    let cookie = |set: Option<&[u8]>| {
        let headers = [("ctlstore-writer", "importer"), ("ctlstore-secret", "a-secret")];
        let method = if set.is_some() { "POST" } else { "GET" };
        let request =
            Request { method, path: "/cookie", headers: &headers, body: set.unwrap_or_default() };
        request.send(executive.addr()).unwrap().ok().unwrap().text()
    };
    let unfinished = cookie(None).replace("\"done\":true", "\"done\":false");
    cookie(Some(unfinished.as_bytes()));
    let piped = executive.piped(&lines(9..12), &[]);
    assert!(piped.status.success(), "{piped:?}");
    assert!(cookie(None).contains("\"done\":true"));
    let again = said(&file, &["--from-start", "--output", "json"]).await;
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["rows"], &again["lines_before"]), (&7.into(), &0.into()));
    assert_eq!(executive.rows().await.len(), 19);
}

#[tokio::test]
async fn a_bad_line_is_named_and_all_before_it_is_written() {
    let executive = Executive::open(FAST).await.prepared().await;
    let cases = [
        ("{\"table\": \"plans\"\n", "line 4 of ", "is no change"),
        (&line("x", 1).replace("seats\":1", "seats\":\"many\"") as &str, "line 4 of ", "seats"),
        (&line("x", 1).replace("plans", "nope"), "line 4 of ", "nope"),
        (&line("x".repeat(192), 1), "line 4 of ", "191"),
    ];
    for (number, (bad, place, words)) in (1_i64..).zip(cases) {
        let first = 10 * number;
        // An empty line is a line, and no change.
        let text = lines(first..first + 2) + "\n";
        let file = executive
            .file(&format!("{number}.jsonl"), &(text.clone() + bad + &line(first + 2, first + 2)));
        let ended = executive.mutated(&file, &["--from-start"]).await;
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(place) && ended.stderr.contains(words), "{ended:?}");
        assert_eq!(executive.rows().await.len(), usize::try_from(3 * (number - 1) + 2).unwrap());
        // Another input does not get between, and the corrected one goes on.
        let other = executive.file("other.jsonl", &lines(0..1));
        let refused = executive.mutated(&other, &[]).await;
        assert!(refused.stderr.contains("of another input: finish that one first"), "{refused:?}");
        std::fs::write(&file, text + &line(first + 2, first + 2)).unwrap();
        let ended = executive.mutated(&file, &[]).await;
        assert!(ended.stdout.starts_with("1 row is written"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_the_executive_says() {
    let slow = ["--writer-limit", "20", "--writer-limit-period", "2s"];
    let executive = Executive::open(&slow).await.prepared().await;
    let file = executive.file("rows.jsonl", &lines(0..50));
    let began = Instant::now();
    // 100 at once would never pass.
    let ended = executive.mutated(&file, &["--batch", "100"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("rate limit exceeded"), "{ended:?}");
    assert_eq!(executive.rows().await, rows(0..50));
    // 50 rows need three windows, of which the second is whole.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());

    let more = executive.file("more.jsonl", &lines(50..150));
    let ended = executive.mutated(&more, &["--patience", "1s"]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("gave up after 1s"), "{ended:?}");
}

#[tokio::test]
async fn columns_that_a_table_does_not_have_are_named_or_refused() {
    let executive = Executive::open(FAST).await.prepared().await;
    let text = line("a", 1).replace("\"id\"", "\"colour\":\"red\",\"id\"");
    let file = executive.file("rows.jsonl", &text);
    let strict = executive.mutated(&file, &["--strict"]).await;
    assert_eq!(strict.code(), Some(1), "{strict:?}");
    assert!(strict.stderr.contains("line 1 of") && strict.stderr.contains("colour"), "{strict:?}");
    let ended = executive.mutated(&file, &["--reason", "ticket 7"]).await;
    assert!(ended.stdout.ends_with("no such columns: plans.colour\n"), "{ended:?}");
    let history = executive.done(&["history", "billing", "plans", "a", "--output", "json"]).await;
    let version: serde_json::Value = serde_json::from_str(history.trim()).unwrap();
    assert_eq!((&version["reason"], &version["writer"]), (&"ticket 7".into(), &"importer".into()));
}

//! Logs of a service that runs: their form, and finer ones without a restart.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use testkit::program::Program;

use crate::running::path;

/// An agent without a ctldb, which says so when it is asked to tell more.
fn agent(dir: &std::path::Path, more: &[&str]) -> Program {
    let url = dir.join("url");
    fs::write(&url, format!("sqlite:{}\n", dir.join("none.sqlite").display())).unwrap();
    let ldb = dir.join("ldb");
    let args = ["agent", "--ldb-dir", path(&ldb), "--ctldb-url-file", path(&url)];
    let args = [&args[..], &["--poll-interval", "50ms", "--read-socket", "false"], more].concat();
    Program::ctlstore(&args).unwrap()
}

fn told(program: &Program, wanted: &str) -> usize {
    program.stderr().lines().filter(|line| line.contains(wanted)).count()
}

#[tokio::test]
async fn the_level_changes_with_its_file_and_not_with_nonsense() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("filter");
    let mut agent = agent(dir.path(), &["--log-filter-file", path(&file)]);
    let seen = |words: &'static str| move |line: &str| line.contains(words).then_some(());
    agent.line(seen("agent started")).await.unwrap();
    assert_eq!(told(&agent, "\"level\":\"TRACE\""), 0);

    fs::write(&file, "warn,tokio=trace,mio=trace,daemon=info\n").unwrap();
    agent.line(seen("the log filter has changed")).await.unwrap();
    fs::write(&file, "daemon=loud\n").unwrap();
    agent.line(seen("the log filter stays as it is")).await.unwrap();
    fs::remove_file(&file).unwrap();
    agent
        .line(seen("\"filter\":\"info\",\"before\":\"warn,tokio=trace,mio=trace,daemon=info\""))
        .await
        .unwrap();

    let lines = agent.stderr();
    // Every line is one object, whatever happened.
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "{line}");
        }
    }
    let complaint = lines.lines().find(|line| line.contains("stays as it is")).unwrap();
    assert!(
        complaint.contains("daemon=loud") && complaint.contains("expected one of"),
        "{complaint}"
    );
    assert_eq!(told(&agent, "stays as it is"), 1, "told once, not every second");
    agent.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(agent.end(Duration::from_secs(30)).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn plain_logs_are_for_people_and_a_bad_filter_on_the_command_line_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut plain = agent(dir.path(), &["--log-format", "plain"]);
    plain.line(|line| line.contains("agent started").then_some(())).await.unwrap();
    assert!(!plain.stderr().contains("{\""), "{}", plain.stderr());
    drop(plain);
    let ended =
        agent(dir.path(), &["--log", "agent=loud"]).end(Duration::from_secs(30)).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("cannot read log filter \"agent=loud\", write it like"),
        "{ended:?}"
    );
}

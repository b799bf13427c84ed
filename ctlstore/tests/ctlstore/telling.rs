//! `ctlstore status`: by the directory, by an address, and on and on.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::program::Program;

use crate::running::{Folder, batch, path};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_directory_an_agent_and_an_executive_tell_the_same() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&batch()).unwrap();
    folder.read(&["wait", "--seq", &seq.to_string()]).await;

    let local = folder.read(&["status", "--output", "json"]).await;
    let local = json(&local.stdout);
    assert_eq!(local["seq"], seq);
    assert!(local["lag_seconds"].as_f64().unwrap() < 60.0, "{local}");
    assert_eq!(local["clock_behind_seconds"], 0.0);
    assert!(local["agent_seen_seconds"].as_f64().unwrap() < 30.0, "{local}");

    let agent = format!("http://{}", dev.read);
    let status = async |url: &str| {
        let ended = Program::run(&["status", "--url", url, "--output", "json"]).await.unwrap();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        json(&ended.stdout)
    };
    let of_agent = status(&agent).await;
    assert_eq!(of_agent["position"], local["position"]);
    assert_eq!(of_agent["state"], "following");
    assert!(of_agent["nothing_new_seconds"].as_f64().unwrap() < 30.0, "{of_agent}");
    let of_executive = status(&format!("http://{}", dev.executive)).await;
    assert_eq!(of_executive["seq"], seq);

    let words = Program::run(&["status", "--url", &agent]).await.unwrap();
    assert!(words.stdout.contains("following") && words.stdout.contains(" ago\n"), "{words:?}");

    let ldb = folder.ldb();
    let args = ["status", "--ldb", path(&ldb), "--watch"];
    let mut watch = Program::ctlstore(&args).unwrap();
    let at = format!("seq {seq}  newest entry ");
    watch.line(|line| line.starts_with(&at).then_some(())).await.unwrap();
    let mut remote = Program::ctlstore(&["status", "--url", &agent, "--watch"]).unwrap();
    remote.line(|line| line.ends_with("following").then_some(())).await.unwrap();

    dev.program.signal(Signal::SIGTERM).unwrap();
    dev.program.end(Duration::from_secs(30)).await.unwrap();
    // Who is away is told, and asked again.
    remote.line(|line| line.contains("connect").then_some(())).await.unwrap();
    watch.kill().unwrap();
    remote.kill().unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_named_with_the_cure() {
    let check = async |args: &[&str], code: i32, words: &str| {
        let ended = Program::run(&[&["status"], args].concat()).await.unwrap();
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        assert!(ended.stderr.contains(words), "no {words:?} in {ended:?}");
    };
    check(&["--ldb", "/nowhere"], 1, "no LDB at /nowhere: start `ctlstore agent").await;
    check(&["--url", "http://127.0.0.1:1"], 1, "http://127.0.0.1:1").await;
    check(&["--url", "127.0.0.1:1"], 1, "http://HOST").await;
    check(&["--url", "unix:agent.sock"], 1, "write a socket's address as unix:/PATH").await;
    check(&["--url", "unix:/nowhere.sock"], 1, "connect to /nowhere.sock").await;
    check(&["--token-file", "x"], 2, "--url").await;
}

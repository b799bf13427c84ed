//! `ctlstore ledger prune`, on the ctldb of a running `ctlstore dev`, with nodes that follow it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use testkit::eventually;
use testkit::http::Request;
use testkit::program::{Ended, Program};

use crate::running::{Dev, Folder, batch, path, plan};

const SOON: Duration = Duration::from_secs(30);
const BLIND: [&str; 2] = ["--without-snapshots", "--without-nodes"];

async fn prune(folder: &Folder, more: &[&str]) -> Ended {
    let url = folder.url_file();
    let args = [&["ledger", "prune", "--ctldb-url-file", path(&url)], more].concat();
    Program::run(&args).await.unwrap()
}

fn ask(to: std::net::SocketAddr, path: &str) -> anyhow::Result<Value> {
    let ask = Request { method: "GET", path, headers: &[], body: b"" };
    Ok(serde_json::from_slice(&ask.send(to)?.ok()?.body)?)
}

/// The agent of another node of the same ctldb.
struct Node {
    dir: PathBuf,
    agent: Program,
}

impl Node {
    async fn start(folder: &Folder, dir: &Path) -> Self {
        let url = folder.url_file();
        let any = "127.0.0.1:0";
        let args = ["agent", "--ldb-dir", path(dir), "--ctldb-url-file", path(&url)];
        let more = ["--read-bind", any, "--admin-bind", any, "--log-format", "json"];
        let agent = Program::ctlstore(&[&args[..], &more].concat()).unwrap();
        Self { dir: dir.to_owned(), agent }
    }

    async fn reaches(&self, seq: u64) {
        let args =
            ["wait", "--seq", &seq.to_string(), "--timeout", "30s", "--ldb", path(&self.dir)];
        // Until the agent made its file, there is nothing to wait on.
        eventually(SOON, async || {
            let ended = Program::run(&args).await?;
            anyhow::ensure!(ended.code() == Some(0), "{ended:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    async fn stop(mut self) {
        self.agent.signal(Signal::SIGTERM).unwrap();
        self.agent.end(SOON).await.unwrap();
    }
}

#[tokio::test]
async fn it_refuses_to_guess_what_is_needed() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let keep = ["--keep", "7d", "--dry-run"];
    let check = async |more: &[&str], code, words: &str| {
        let ended = prune(&folder, &[&keep[..], more].concat()).await;
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(words), "{words}: {ended:?}");
    };
    check(&[], 1, "with --snapshot-url").await;
    check(&["--without-snapshots"], 1, "with --node-positions-file").await;
    check(&["--without-nodes"], 1, "with --snapshot-url").await;
    check(&["--without-nodes", "--snapshot-url", "s3://key:hunter2@b"], 1, "user or password")
        .await;
    let both = ["--without-nodes", "--without-snapshots", "--snapshot-url", "file:///x"];
    check(&both, 2, "cannot be used with").await;
    let none = ["--without-nodes", "--snapshot-url", "file:///nonexistent/folder"];
    check(&none, 1, "cannot be found out what snapshots there are").await;
    let empty = folder.manifests().join("snapshots");
    std::fs::create_dir(&empty).unwrap();
    let empty = format!("file://{}", empty.display());
    let words = "no verified snapshot of this history, and two are needed";
    check(&["--without-nodes", "--snapshot-url", &empty], 0, words).await;
    check(&BLIND, 0, "entries after 0 are too young to go").await;
    let file = folder.manifests().join("positions");
    std::fs::write(&file, "# nodes\n\nnode-1 seven\n").unwrap();
    let named = ["--without-snapshots", "--node-positions-file", path(&file)];
    check(&named, 1, "line 3 of").await;
    let status = ask(dev.executive, "/v1/status").unwrap();
    assert_eq!(status["pruned_through"], 0);
}

#[tokio::test]
async fn entries_go_nodes_follow_and_one_that_is_behind_says_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    assert_eq!(dev.write(&batch()).unwrap(), 9);
    let home = tempfile::tempdir().unwrap();
    let slow = Node::start(&folder, &home.path().join("slow")).await;
    slow.reaches(9).await;
    slow.stop().await;
    let position = ask(dev.executive, "/v1/status").unwrap()["position"].clone();
    let last = write(&dev, 10);
    folder.read(&["wait", "--seq", &last.to_string()]).await;

    // The slow node keeps what it needs, and no more.
    let file = folder.manifests().join("positions");
    std::fs::write(&file, format!("slow {}\n", position.as_str().unwrap())).unwrap();
    let nodes = ["--without-snapshots", "--node-positions-file", path(&file)];
    let args = [&["--keep", "1ms"], &nodes[..], &["--output", "json"]].concat();
    let would: Value = json_of(&prune(&folder, &[&args[..], &["--dry-run"]].concat()).await);
    assert_eq!((&would["entries"], &would["dry_run"]), (&json!(9), &json!(true)), "{would}");
    let done = json_of(&prune(&folder, &args).await);
    assert_eq!((&done["entries"], &done["pruned_through"]), (&json!(9), &json!(9)), "{done}");
    assert_eq!(done["limits"][0]["limit"], "nodes", "{done}");
    assert_eq!(done["pruned_before"], 0);
    let slow = Node::start(&folder, &slow_dir(&home)).await;
    slow.reaches(last).await;
    slow.stop().await;

    // Further on, without asking for nodes: the one that is behind stops with the reason, and serves what it has.
    let last = write(&dev, 10);
    folder.read(&["wait", "--seq", &last.to_string()]).await;
    let done = prune(&folder, &[&["--keep", "1ms"], &BLIND[..]].concat()).await;
    let words = format!("kept from {last} to {last}, because the last entry always stays");
    assert!(done.stdout.contains(&words), "{done:?}");
    let mut slow = Node::start(&folder, &slow_dir(&home)).await;
    let said = |line: &str| {
        let wanted = format!("ctldb has no entries up to {} any more", last - 1);
        line.contains(&wanted).then_some(())
    };
    slow.agent.line(said).await.unwrap();
    let row = ["get", "billing", "plans", "team", "--ldb", path(&slow.dir)];
    assert_eq!(Program::run(&row).await.unwrap().code(), Some(0));
    slow.stop().await;

    // Those who look for what is gone are told.
    let admin = format!("http://{}", dev.executive);
    let run =
        async |args: &[&str]| Program::run(&[args, &["--url", &admin]].concat()).await.unwrap();
    let shown = run(&["ledger", "show", "3"]).await;
    let words = format!("no entry 3: entries up to {} were pruned", last - 1);
    assert!(shown.code() == Some(3) && shown.stderr.contains(&words), "{shown:?}");
    let history = run(&["history", "billing", "plans", "team"]).await;
    let words = format!("entries up to {} were pruned, and older versions with them", last - 1);
    assert!(history.code() == Some(3) && history.stderr.contains(&words), "{history:?}");
    let url = folder.url_file();
    let whole = Program::run(&["ledger", "verify", "--ctldb-url-file", path(&url)]).await.unwrap();
    assert_eq!(whole.stdout, format!("the chain holds: 1 entries, from {last} to {last}\n"));
    // And all that follows goes on as before.
    let next = write(&dev, 3);
    let followed = folder.read(&["wait", "--seq", &next.to_string(), "--timeout", "30s"]).await;
    assert_eq!(followed.code(), Some(0), "{followed:?}");
}

fn slow_dir(home: &tempfile::TempDir) -> PathBuf {
    home.path().join("slow")
}

/// So many batches of one entry; the last one's sequence.
fn write(dev: &Dev, count: i64) -> u64 {
    (0..count).fold(0, |_, seats| dev.write(&plan("solo", seats)).unwrap())
}

fn json_of(ended: &Ended) -> Value {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

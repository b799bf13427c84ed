//! The commands of `docs/writing.md`, `docs/operating.md`, `docs/observing.md` and `docs/node-api.md`, run one after the other as they stand there.

use std::path::Path;
use std::process::Command;

use testkit::program;

use crate::running::{Folder, batch, example};

/// The commands of the page, each with the lines that its output must have.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in page.lines().map(str::trim_start) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            _ if line.starts_with("```") => inside = line == "```console",
            (Some(command), _) if inside => commands.push((command.to_owned(), Vec::new())),
            (None, Some((_, output))) if inside => output.push(line.to_owned()),
            _ => {}
        }
    }
    commands
}

#[tokio::test]
async fn what_the_page_on_writing_says_is_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let place = tempfile::tempdir().unwrap();
    let page = page("writing.md").replace("127.0.0.1:3000", &dev.executive.to_string());
    hold(&page, 10, place.path());
}

#[tokio::test]
async fn what_the_page_on_operating_says_is_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    dev.write(&batch()).unwrap();
    let place = tempfile::tempdir().unwrap();
    std::fs::copy(folder.url_file(), place.path().join("ctldb-url")).unwrap();
    hold(&page("operating.md"), 5, place.path());
}

#[tokio::test]
async fn what_the_page_on_the_nodes_api_says_is_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let batches = example().join("batches").display().to_string();
    let places = [
        ("127.0.0.1:3000", dev.executive.to_string()),
        ("127.0.0.1:1331", dev.read.to_string()),
        ("127.0.0.1:1332", free.to_string()),
        (".dev/ldb", folder.ldb().display().to_string()),
        ("examples/billing/batches", batches),
    ];
    let page = page("node-api.md");
    let page = places.iter().fold(page, |page, (from, to)| page.replace(from, to));
    let place = tempfile::tempdir().unwrap();
    hold(&page, 10, place.path());
}

#[tokio::test]
async fn what_the_page_on_changes_says_is_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    let places = [
        ("127.0.0.1:3000", dev.executive.to_string()),
        ("127.0.0.1:1331", dev.read.to_string()),
        (".dev/ldb", folder.ldb().display().to_string()),
        ("examples/billing/batches", example().join("batches").display().to_string()),
    ];
    let page = page("changes.md");
    let page = places.iter().fold(page, |page, (from, to)| page.replace(from, to));
    let place = tempfile::tempdir().unwrap();
    hold(&page, 5, place.path());
}

#[tokio::test]
async fn what_the_page_on_observing_says_is_so() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    dev.write(&batch()).unwrap();
    let places = [
        ("127.0.0.1:3000", dev.executive.to_string()),
        ("127.0.0.1:1331", dev.read.to_string()),
        ("$PWD/.dev/ldb", folder.ldb().display().to_string()),
        (".dev/ldb", folder.ldb().display().to_string()),
    ];
    let page = page("observing.md");
    let page = places.iter().fold(page, |page, (from, to)| page.replace(from, to));
    let place = tempfile::tempdir().unwrap();
    hold(&page, 5, place.path());
}

#[tokio::test]
async fn what_the_page_on_snapshots_says_is_so() {
    let folder = Folder::new();
    let _dev = folder.start().await;
    let snapshots = folder.data().join("snapshots");
    let uploaded = testkit::eventually(std::time::Duration::from_secs(60), async || {
        let histories = std::fs::read_dir(snapshots.join("snapshots/v1"))?;
        let found = histories.flatten().any(|history| history.path().join("latest.json").exists());
        anyhow::ensure!(found, "no snapshot yet");
        Ok(())
    });
    uploaded.await.unwrap();
    let shown = snapshots.display().to_string();
    let page = page("snapshots.md").replace("$PWD/.dev/snapshots", &shown);
    let page = page.replace(" .dev/snapshots", &format!(" {shown}"));
    let place = tempfile::tempdir().unwrap();
    std::fs::copy(folder.url_file(), place.path().join("ctldb-url")).unwrap();
    hold(&page, 5, place.path());
}

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// Runs the commands of a page in this folder; each prints what the page says.
fn hold(page: &str, least: usize, place: &Path) {
    let commands = commands(page);
    assert!(commands.len() > least, "{commands:?}");
    // One shell, for what a command exports is for those after it.
    let script: String =
        commands.iter().map(|(command, _)| format!("{command}\necho '@@'\n")).collect();
    let binary = program::ctlstore().unwrap();
    let path = binary.parent().unwrap().display().to_string();
    let script = format!("exec 2>&1\nPATH='{path}':\"$PATH\"\n{script}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(place);
    let ran = shell.output().unwrap();
    let all = String::from_utf8(ran.stdout).unwrap();
    let outputs: Vec<&str> = all.split("@@\n").collect();
    assert_eq!(outputs.len(), commands.len() + 1, "{all}");
    for ((command, want), output) in commands.iter().zip(outputs) {
        for line in want {
            assert!(output.contains(line), "no {line:?} in what {command:?} printed:\n{output}");
        }
    }
}

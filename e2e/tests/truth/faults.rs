//! The faults, one after the other.

use anyhow::{Result, ensure};
use e2e::eventually;
use testkit::http::Request;
use testkit::program::Program;
use testkit::s3::S3Server;

use crate::books::Books;
use crate::disk::{SlowDisk, SmallDisk};
use crate::node::{Node, SOON};
use crate::story::Story;

/// It follows, and stands at the sequence.
fn follows(seq: u64) -> impl Fn(&Story) -> bool {
    move |story| story.state() == "following" && story.position() == Some(seq)
}

/// All is well, and fresh.
fn is_fresh(story: &Story) {
    assert!(story.message().is_empty(), "{story:#?}");
    assert!(story.seconds("nothing_new_seconds").unwrap() < 30.0, "{story:#?}");
    assert_eq!(story.status["missing_entries"], 0, "{story:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctldb_goes_away_and_comes_back() -> Result<()> {
    let books = Books::new().await?;
    let node = Node::start(&books, None, &[], &[]).await?;
    let seq = books.write("before", 10).await?;
    is_fresh(&node.tells(follows(seq)).await?);

    books.server.kill();
    let away = node.tells(|story| story.state() == "ctldb_away").await?;
    assert_eq!(away.position(), Some(seq));
    assert!(!away.message().is_empty() && away.live.contains("replay: blocked for "), "{away:#?}");
    let errors = away.metric("fetch_errors_total{kind=\"away\"}").unwrap();
    assert!(errors >= 1.0, "{away:#?}");
    // Both lags rise, and neither is called a restart's business.
    let later = node.tells(|later| {
        let rose = |name: &str| later.seconds(name) > away.seconds(name).map(|was| was + 1.0);
        rose("lag_seconds") && rose("nothing_new_seconds")
    });
    assert_eq!(later.await?.state(), "ctldb_away");

    books.server.restart()?;
    let after = eventually(SOON, async || books.write("after", 10).await).await?;
    is_fresh(&node.tells(follows(after)).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_entry_is_told_everywhere_until_it_is_skipped() -> Result<()> {
    let books = Books::new().await?;
    let node = Node::start(&books, None, &[], &[]).await?;
    let seq = books.write("before", 10).await?;
    node.tells(follows(seq)).await?;

    let poison = books.poison().await?;
    let after = books.write("after", 10).await?;
    let stopped = node.tells(|story| story.state() == "poisoned").await?;
    assert_eq!(stopped.position(), Some(seq));
    assert_eq!(stopped.status["missing_entries"], after - seq);
    let cure = format!("ctlstore ledger skip {poison} --reason TEXT");
    assert!(stopped.message().contains(&cure) && stopped.live.contains(&cure), "{stopped:#?}");

    books.skip(poison).await?;
    let gone_on = node.tells(follows(after)).await?;
    is_fresh(&gone_on);
    assert_eq!(gone_on.metric("entries_skipped_total"), Some(1.0), "{gone_on:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_is_a_lag_and_no_reason_to_restart() -> Result<()> {
    let books = Books::new().await?;
    let disk = SlowDisk::new()?;
    let (library, file) = (disk.library(), disk.file());
    let between = [("LD_PRELOAD", library.as_path()), ("TRUTH_SLOW", file.as_path())];
    let node = Node::start(&books, None, &[], &between).await?;
    let seq = books.write("before", 10).await?;
    let sound = node.tells(follows(seq)).await?;
    let slow = |story: &Story| story.metric("apply_seconds_sum").unwrap();

    disk.millis(1500)?;
    let written = books.write("slow", 10).await?;
    // While the writer waits for its disk, the ledger is seen to have more, by all.
    let behind = node.tells(|story| story.status["missing_entries"].as_u64() > Some(0)).await?;
    assert_eq!(behind.position(), Some(seq), "{behind:#?}");
    assert_eq!(behind.state(), "following", "{behind:#?}");
    let behind_for = behind.seconds("nothing_new_seconds");
    node.tells(|story| story.seconds("nothing_new_seconds") > behind_for).await?;
    disk.millis(0)?;
    let caught_up = node.tells(follows(written)).await?;
    is_fresh(&caught_up);
    assert!(slow(&caught_up) - slow(&sound) > 1.4, "the metrics do not say that it took long");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_mended_without_a_restart() -> Result<()> {
    let books = Books::new().await?;
    let disk = SmallDisk::new(32)?;
    let node = Node::start(&books, Some(&disk.path().join("ldb")), &[], &[]).await?;
    let seq = books.write("before", 10).await?;
    node.tells(follows(seq)).await?;

    disk.fill()?;
    let mut last = seq;
    for number in 0..3 {
        last = books.write(&format!("row{number}"), 60_000).await?;
    }
    let full = node.tells(|story| story.state() == "ldb_trouble").await?;
    assert!(full.position() < Some(last), "{full:#?}");
    assert_eq!(full.status["ldb"]["condition"], "no_space", "{full:#?}");
    assert!(full.metric("ldb_errors_total").unwrap() >= 1.0, "{full:#?}");
    // What was there is served.
    let body = br#"{"Key":[{"Value":"before"}]}"#;
    let path = "/get-row-by-key/fam/tbl";
    let row = Request { method: "POST", path, headers: &[], body }.send(node.read_addr())?;
    assert_eq!(row.status, 200, "{row:?}");

    disk.make_room()?;
    is_fresh(&node.tells(follows(last)).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_goes_away_and_only_snapshots_suffer() -> Result<()> {
    let books = Books::new().await?;
    let store = S3Server::start()?;
    let bucket = store.create_bucket()?;
    let url = store.url(&bucket, store.addr())?;
    let flags =
        ["--snapshot-url", &url, "--snapshot-upload", "always", "--snapshot-interval", "2s"];
    let node = Node::start(&books, None, &flags, &[]).await?;
    let seq = books.write("before", 10).await?;
    let snapshot_at = |story: &Story| story.status["snapshot"]["position"]["seq"].as_u64();
    node.tells(|story| follows(seq)(story) && snapshot_at(story) == Some(seq)).await?;

    store.sigstop()?;
    let away = books.write("away", 10).await?;
    let told =
        node.tells(|story| follows(away)(story) && story.status["snapshot"]["message"].is_string());
    let told = told.await?;
    assert_eq!(snapshot_at(&told), Some(seq), "{told:#?}");
    assert!(told.message().is_empty(), "replay has no trouble: {told:#?}");

    store.sigcont()?;
    let back = books.write("back", 10).await?;
    let mended = node.tells(|story| snapshot_at(story) >= Some(back)).await?;
    is_fresh(&mended);
    assert!(mended.status["snapshot"]["message"].is_null(), "{mended:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_the_same_story() -> Result<()> {
    let books = Books::new().await?;
    let home = tempfile::tempdir()?;
    let ldb = home.path().join("ldb");
    let node = Node::start(&books, Some(&ldb), &[], &[]).await?;
    let seq = books.write("before", 10).await?;
    node.tells(follows(seq)).await?;
    books.poison().await?;
    let stopped = node.tells(|story| story.state() == "poisoned").await?;
    let ldb = ldb.display().to_string();
    let ended = Program::run(&["doctor", "--ldb", &ldb]).await?;
    ensure!(ended.code() == Some(3), "{ended:?}");
    let line = "FAIL  read api      the agent answers: poisoned";
    ensure!(ended.stdout.lines().any(|found| found == line), "{ended:?}");
    ensure!(ended.stdout.contains(stopped.message()), "{ended:?}");
    Ok(())
}

//! A process that stops inside its transaction holds others up for seconds, never for hours.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ctldb::{CrashPoints, CtlDb, Options};
use ledger::CtlDbUrl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::place::Place;
use crate::replay::consistent;
use crate::shape::{batch, item, items, shop};

const URL: &str = "CTLSTORE_TEST_FROZEN_URL";
const LOCKED: &str = "the ledger lock is mine";

/// Killed when dropped, also when it is stopped.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn others_write_within_15_seconds_of_a_freeze() -> Result<()> {
    let place = Place::server()?;
    let ctldb = place.migrated().await?;
    let items = shop(&ctldb).await?;
    let Place::Server(database) = &place else { panic!("BUG: Place::server() makes a server") };

    let mut child = Command::new(std::env::current_exe()?)
        .args(["frozen::child_that_stops_inside_its_transaction", "--exact", "--ignored"])
        .arg("--nocapture")
        .env(URL, &database.url)
        .stdout(Stdio::piped())
        .spawn()?;
    let output = BufReader::new(child.stdout.take().context("no output")?);
    let victim = Victim(child);
    let locked = output.lines().map_while(Result::ok).any(|line| line.contains(LOCKED));
    assert!(locked, "the child ended early");
    kill(Pid::from_raw(i32::try_from(victim.0.id())?), Signal::SIGSTOP)?;

    let start = Instant::now();
    let done = ctldb.mutate(&batch(vec![item(&items, "after", 1)])).await?;
    let waited = start.elapsed();
    eprintln!("written {waited:?} after the freeze");
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    assert!(waited > Duration::from_secs(4), "{waited:?}: the child did not hold the lock");
    assert_eq!(done.first_seq.get(), 2, "nothing of the frozen batch is left");
    consistent(&place, &ctldb).await
}

/// Started by the test above, in a process of its own.
#[tokio::test]
#[ignore = "a part of another test"]
async fn child_that_stops_inside_its_transaction() -> Result<()> {
    let Some(url) = std::env::var_os(URL) else { return Ok(()) };
    let url = CtlDbUrl::parse(&url.to_string_lossy())?;
    let crash = CrashPoints::new(|point| {
        if point == "mutate: a row was written" {
            println!("{LOCKED}");
            std::thread::sleep(Duration::from_secs(3600));
        }
        false
    });
    let ctldb = CtlDb::open_with(url, Options { crash, ..Options::default() })?;
    let items = std::sync::Arc::new(items());
    ctldb.mutate(&batch(vec![item(&items, "frozen", 1)])).await?;
    Ok(())
}

//! The LDB under load: two hundred reader threads in twenty processes, ten plain clients that hold transactions for half a
//! minute, one process stopped inside a read, while batches come at a rate; first with the agent's own limits, then with
//! limits that make it leave its file again and again.
//!
//! No read fails, no batch is torn, nobody sees a step back, the WAL keeps its limit, and nothing is left behind.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use nix::sys::signal::Signal;
use serde_json::Value;
use testkit::program::Program;
use tokio::time::{Instant, sleep};

use crate::feed::Fed;
use crate::node::{Node, SOON};
use crate::watch::{Watch, Watched};

const PROCESSES: u64 = 20;
const THREADS: u64 = 10;
/// Between two reads of a thread, in milliseconds; the hot one of each process waits a twentieth.
const PAUSE: u64 = 60;
const HOLDERS: u64 = 10;
const HOLD_SECONDS: u64 = 30;
const BATCHES_PER_SECOND: u32 = 500;
/// How long a process is stopped inside a read.
const STOPPED: Duration = Duration::from_secs(20);

/// The hard limit that a small file has by itself.
const OWN_LIMIT: u64 = 12 << 20;
/// A plain client that never looks at `ctl` is told by an error after so long.
const RETIRED_FOR: Duration = Duration::from_secs(5);
/// On a busy machine a client may be put aside between its read and its look at the clock.
const SLACK: Duration = Duration::from_secs(2);

const POLL: [&str; 2] = ["--poll-interval", "10ms"];
const SWITCHING: [&str; 8] = [
    "--poll-interval",
    "10ms",
    "--wal-soft-limit",
    "1MiB",
    "--wal-hard-limit",
    "4MiB",
    "--retired-for",
    "5s",
];
const SWITCHING_LIMIT: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn no_read_fails_under_load_and_through_switches() -> Result<()> {
    soak(Duration::from_secs(60)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes twenty minutes: just soak"]
async fn no_read_fails_for_twenty_minutes() -> Result<()> {
    soak(Duration::from_secs(600)).await
}

/// Each of the two phases takes so long.
async fn soak(phase: Duration) -> Result<()> {
    let mut node = Node::new().await?;
    node.start_agent(&POLL).await?;
    let seq = node.pairs.write(0, 1).await?;
    node.caught_up(seq).await?;
    let crowd = Crowd::start(&node)?;

    let first = under(&node, (phase, OWN_LIMIT), 2).await?;
    say("with the agent's own limits", &node, &first)?;
    ensure!(first.watched.wal_max <= OWN_LIMIT, "the WAL grew to {}", first.watched.wal_max);

    node.start_agent(&SWITCHING).await?;
    let stop = node.file("stop-keeping");
    let mut keeper = node.load("keep", 2, 20, &stop)?;
    let second = under(&node, (phase, SWITCHING_LIMIT), 2 + i64::from(first.fed.batches)).await?;
    say("with a hard limit of 4 MiB", &node, &second)?;
    ensure!(
        second.watched.wal_max <= SWITCHING_LIMIT,
        "the WAL grew to {}",
        second.watched.wal_max
    );
    ensure!(second.watched.generations >= 3, "it switched too seldom: {:?}", second.watched);
    fs::write(&stop, "")?;
    let kept = report(&mut keeper).await?;
    ensure!(kept["failed"] == 0 && kept["torn"] == 0, "{kept}");
    ensure!(kept["told"].as_u64() >= Some(1), "nobody told the clients that stayed: {kept}");
    let oldest = Duration::from_millis(kept["oldest_ms"].as_u64().context("no age")?);
    // A file is as late as the node was when it was replaced.
    let most = RETIRED_FOR + second.watched.slowest() + SLACK;
    ensure!(oldest <= most, "a retired file served a row of {oldest:?}: {kept}");

    node.caught_up(second.fed.seq).await?;
    crowd.end().await?;
    nothing_is_left(&node).await
}

/// What a phase came to.
struct Phase {
    fed: Fed,
    watched: Watched,
}

/// Feeds for so long, and stops a reader inside a read meanwhile.
async fn under(node: &Node, (phase, limit): (Duration, u64), first: i64) -> Result<Phase> {
    let ends = Instant::now() + phase;
    let watch = Watch::start(node.ldb(), limit);
    let feed = node.pairs.feed(BATCHES_PER_SECOND, first);
    let stop = node.file(&format!("stop-{first}"));
    let mut stopped = node.load("hold", 1, 1, &stop)?;
    stopped.line(|line| line.contains("holding").then_some(())).await?;
    stopped.signal(Signal::SIGSTOP)?;
    sleep(STOPPED).await;
    stopped.signal(Signal::SIGCONT)?;
    sleep(ends - Instant::now()).await;
    fs::write(&stop, "")?;
    faultless(&report(&mut stopped).await?)?;
    let (fed, watched) = (feed.stop()?, watch.stop()?);
    Ok(Phase { fed, watched })
}

/// The readers that are there from the beginning to the end.
struct Crowd {
    programs: Vec<Program>,
    stop: std::path::PathBuf,
}

impl Crowd {
    fn start(node: &Node) -> Result<Self> {
        let stop = node.file("stop-reading");
        let readers = (0..PROCESSES).map(|_| node.load("read", THREADS, PAUSE, &stop));
        let mut programs = readers.collect::<Result<Vec<_>>>()?;
        programs.push(node.load("hold", HOLDERS, HOLD_SECONDS, &stop)?);
        Ok(Self { programs, stop })
    }

    async fn end(mut self) -> Result<()> {
        fs::write(&self.stop, "")?;
        let mut reads = 0;
        let mut slowest = 0;
        for program in &mut self.programs {
            let seen = report(program).await?;
            faultless(&seen)?;
            reads += seen["reads"].as_u64().unwrap_or(0);
            slowest = slowest.max(seen["slowest_ms"].as_u64().unwrap_or(0));
        }
        tell(&format!("readers: {reads} reads, none failed; the slowest took {slowest} ms"));
        Ok(())
    }
}

async fn report(program: &mut Program) -> Result<Value> {
    let ended = program.end(SOON).await?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    let last = ended.stdout.lines().last().context("it reports nothing")?;
    serde_json::from_str(last).with_context(|| format!("it reports {last}"))
}

fn faultless(seen: &Value) -> Result<()> {
    let faults = ["failed", "torn", "backwards"].iter().any(|fault| seen[fault] != 0);
    ensure!(!faults && seen["reads"].as_u64() >= Some(1), "{seen}");
    ensure!(seen["stale_files"].as_array().is_some_and(Vec::is_empty), "left open: {seen}");
    Ok(())
}

fn say(what: &str, node: &Node, phase: &Phase) -> Result<()> {
    let Fed { batches, rate, .. } = phase.fed;
    tell(&format!("{what}: {batches} batches, {rate:.0}/s; {}", phase.watched));
    // Applying is the agent's own word; from commit to sight is ours.
    let metrics = node.metrics()?;
    let [half, most] = [50, 99].map(|percent| applied_within(&metrics, percent));
    let (half, most) = (half.context("no time of applying")?, most.context("no such time")?);
    tell(&format!("  the agent applied half within {half} s, 99 of 100 within {most} s"));
    let errors = node.agent()?.stderr();
    // It may not replace its file twice in ten seconds; between, it may have to wait for those who pin the WAL.
    let wrong =
        |line: &&str| line.contains(r#""ERROR""#) && !line.contains("near --wal-hard-limit");
    let errors: Vec<_> = errors.lines().filter(wrong).collect();
    ensure!(errors.is_empty(), "the agent complains: {errors:?}");
    Ok(())
}

/// The bucket that holds so many of a hundred looks at the ledger: what came with them was applied within this, in seconds.
fn applied_within(metrics: &str, percent: u64) -> Option<&str> {
    let buckets = metrics.lines().filter_map(|line| {
        let bucket = line.strip_prefix("ctlstore_agent_apply_seconds_bucket{le=\"")?;
        let (bound, count) = bucket.split_once("\"} ")?;
        Some((bound, count.parse::<u64>().ok()?))
    });
    let buckets: Vec<_> = buckets.collect();
    let (_, all) = buckets.last()?;
    let enough = |(_, count): &&(&str, u64)| count * 100 >= all * percent;
    buckets.iter().find(enough).map(|(bound, _)| *bound)
}

/// One generation, and the agent holds no other one open.
async fn nothing_is_left(node: &Node) -> Result<()> {
    eventually(SOON, async || {
        let generations = node.generations()?;
        let [served] = &generations[..] else { anyhow::bail!("there are {generations:?}") };
        let served = format!("/{served}/");
        for link in fs::read_dir(format!("/proc/{}/fd", node.agent()?.pid()))? {
            let Ok(file) = fs::read_link(link?.path()) else { continue };
            let file = file.to_string_lossy();
            let stale =
                file.contains("/gen-") && (!file.contains(&served) || file.contains("deleted"));
            ensure!(!stale, "the agent has {file} open");
        }
        Ok(())
    })
    .await
}

#[expect(
    clippy::print_stdout,
    reason = "what was measured, for who runs the tests with --nocapture"
)]
fn tell(text: &str) {
    println!("{text}");
}

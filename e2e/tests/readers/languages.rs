//! The programs of examples/readers, each beside a live agent: they read its rows, see each change, and go on through a
//! restart of the agent and a switch to another generation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use testkit::program::Program;

use crate::feed::{FAMILY, PAIRS};
use crate::node::{Node, SOON};

pub(crate) const LANGUAGES: [&str; 4] = ["python", "go", "node", "java"];

/// Small enough that a few seconds of writes behind a held transaction make the agent leave the file.
const SWITCH: [&str; 6] =
    ["--poll-interval", "20ms", "--wal-soft-limit", "64KiB", "--wal-hard-limit", "256KiB"];

#[tokio::test(flavor = "multi_thread")]
async fn each_language_follows_the_agent() -> Result<()> {
    let mut node = Node::new().await?;
    node.start_agent(&SWITCH).await?;
    let seq = node.pairs.write(3, 1).await?;
    node.caught_up(seq).await?;
    let followers = followers(&node)?;
    for follower in &followers {
        follower.has_seen(seq, "3\tleft\t1\t").await?;
    }

    node.stop_agent().await?;
    let away = node.pairs.write(4, 2).await?;
    for follower in &followers {
        let now = follower.once(&node)?;
        ensure!(now.contains(&format!("seq={seq} ")), "{}: {now}", follower.language);
    }
    node.start_agent(&SWITCH).await?;
    for follower in &followers {
        follower.has_seen(away, "4\tright\t2\t").await?;
    }
    node.kill_agent()?;
    node.start_agent(&SWITCH).await?;

    switch(&node).await?;
    let after = node.pairs.write(5, i64::MAX).await?;
    for follower in &followers {
        follower.has_seen(after, &format!("5\tleft\t{}\t", i64::MAX)).await?;
        follower.never_went_back()?;
    }
    Ok(())
}

/// Makes the agent leave its file: a reader holds a transaction while others write.
async fn switch(node: &Node) -> Result<()> {
    let before = node.generations()?;
    let stop = node.file("stop-holding");
    let mut holder = node.load("hold", 1, 120, &stop)?;
    holder.line(|line| line.contains("holding").then_some(())).await?;
    let feed = node.pairs.feed(200, 10);
    let switched = eventually(SOON, async || {
        let now = node.generations()?;
        ensure!(now.iter().any(|generation| !before.contains(generation)), "{now:?} as before");
        Ok(())
    });
    switched.await?;
    let fed = feed.stop()?;
    std::fs::write(&stop, "").context("end the holder")?;
    let ended = holder.end(SOON).await?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    node.caught_up(fed.seq).await
}

/// The folder of the built programs, one in it for each language.
pub(crate) fn tools() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/readers.sh");
    let built = Command::new(script).output().context("run hack/readers.sh")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(PathBuf::from(String::from_utf8(built.stdout)?.trim()))
}

struct Follower {
    language: &'static str,
    program: Program,
    tools: PathBuf,
}

fn followers(node: &Node) -> Result<Vec<Follower>> {
    let tools = tools()?;
    let start = |language| {
        let program = Program::start(language, &command(node, &tools, language, "follow"))?;
        Ok(Follower { language, program, tools: tools.clone() })
    };
    LANGUAGES.into_iter().map(start).collect()
}

fn command(node: &Node, tools: &Path, language: &str, mode: &str) -> Command {
    let mut command = node.in_a_pod(Some(tools));
    command.arg(node.file("tools").join(language).join("ldb")).arg(mode);
    command.arg(node.mounted()).arg(format!("{FAMILY}___pairs"));
    command
}

impl Follower {
    /// It has printed a state of this sequence or a later one, and a row that begins so after it.
    async fn has_seen(&self, seq: u64, row: &str) -> Result<()> {
        eventually(SOON, async || {
            let printed = self.program.stdout();
            let state = printed.lines().position(|line| seq_of(line).is_some_and(|at| at >= seq));
            let words = || format!("{}: {}\n{}", self.language, printed, self.program.stderr());
            let state = state.with_context(words)?;
            let found = printed.lines().skip(state).any(|line| line.starts_with(row));
            ensure!(found, "{}", words());
            Ok(())
        })
        .await
    }

    /// Runs it anew for one look.
    fn once(&self, node: &Node) -> Result<String> {
        let output = command(node, &self.tools, self.language, "once").output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {errors}", self.language);
        let printed = String::from_utf8(output.stdout)?;
        let rows = usize::try_from(2 * PAIRS)?;
        ensure!(printed.lines().count() == 1 + rows, "{}: {printed}", self.language);
        Ok(printed)
    }

    fn never_went_back(&self) -> Result<()> {
        let printed = self.program.stdout();
        let seqs: Vec<_> = printed.lines().filter_map(seq_of).collect();
        ensure!(seqs.is_sorted(), "{}: {seqs:?}", self.language);
        ensure!(printed.contains("generation=1 "), "{}: {printed}", self.language);
        let last = printed.lines().rfind(|line| seq_of(line).is_some()).unwrap_or_default();
        ensure!(!last.contains("generation=1 "), "{}: {last}", self.language);
        Ok(())
    }
}

fn seq_of(line: &str) -> Option<u64> {
    line.strip_prefix("seq=")?.split(' ').next()?.parse().ok()
}

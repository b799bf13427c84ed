//! Those beside the directory who can be asked: the agent by its socket, and by flags ctldb, the snapshots' store and the
//! executive. Each is asked once and may take a few seconds.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ctldb::CtlDb;
use daemon::log::Chain;
use ledger::{History, Seq};
use serde_json::Value;
use store::{Catalog, Location, Pointer};

use crate::args::Doctor;
use crate::client::probe;
use crate::doctor::facts::{Facts, Rows};
use crate::doctor::finding::Finding;
use crate::repair;

/// Whoever takes longer does not answer. Longer than ctldb's own patience, whose words say more.
const PATIENCE: Duration = Duration::from_secs(10);

type Answer<T> = Option<Result<T, String>>;

/// What those said who were asked; an error is its text, with causes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reached {
    pub(crate) agent: Answer<Value>,
    pub(crate) ctldb: Answer<Ledger>,
    pub(crate) store: Answer<Newest>,
    pub(crate) executive: Answer<()>,
}

/// Where ctldb stands.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    pub(crate) history: History,
    pub(crate) last: Seq,
    pub(crate) pruned_through: Seq,
}

/// The newest snapshot of the LDB's history.
#[derive(Debug, Clone)]
pub(crate) struct Newest(pub(crate) Option<Seq>);

/// Asks all who can be asked.
pub(crate) async fn ask(args: &Doctor, facts: &Facts) -> Reached {
    let socket = facts.socket.as_ref().map(|_| facts.dir.join(reader::layout::SOCKET));
    let agent = async {
        let socket = socket.as_deref()?;
        Some(answer(probe::socket_json(socket, "/v1/status")).await)
    };
    let ctldb = async {
        let file = args.ctldb_url_file.as_deref()?;
        Some(answer(ledger(file)).await)
    };
    let store = async {
        let url = args.snapshot_url.as_deref()?;
        Some(answer(newest(url, history(facts))).await)
    };
    let executive = async {
        let url = args.executive_url.as_deref()?;
        Some(answer(healthy(url, args)).await)
    };
    let (agent, ctldb, store, executive) = tokio::join!(agent, ctldb, store, executive);
    Reached { agent, ctldb, store, executive }
}

async fn answer<T>(asked: impl Future<Output = Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| Chain(error.as_ref()).to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

async fn ledger(file: &Path) -> Result<Ledger> {
    let meta = CtlDb::open(repair::url(file)?)?.meta().await?;
    let last = meta.last_seq();
    Ok(Ledger { history: meta.history, last, pruned_through: meta.pruned_through })
}

fn history(facts: &Facts) -> Option<History> {
    let rows = facts.rows.as_ref()?.as_ref().ok()?;
    Some(rows.position?.history)
}

async fn newest(url: &str, history: Option<History>) -> Result<Newest> {
    let store = store::open(&Location::parse(url)?);
    let Some(history) = history else {
        // Any listing will do; a prefix that nobody has is a short one.
        store.list("snapshots/v1/none/", &mut |_| ()).await.context("list snapshots")?;
        return Ok(Newest(None));
    };
    match Catalog::new(store, history)
        .pointer()
        .await
        .context("read the pointer to the newest snapshot")?
    {
        Pointer::Absent => Ok(Newest(None)),
        Pointer::At(manifest, _) => Ok(Newest(Some(manifest.position.seq))),
        Pointer::Damaged(error, _) => {
            Err(error).context("the pointer to the newest snapshot is damaged")
        }
    }
}

async fn healthy(url: &str, args: &Doctor) -> Result<()> {
    probe::get(url, args.ca_file.as_deref(), "healthcheck").await.map(drop)
}

/// What is to be said of the answers. Pure.
pub(crate) fn findings(facts: &Facts) -> Vec<Finding> {
    let Reached { agent, ctldb, store, executive } = &facts.reached;
    let rows = facts.rows.as_ref().and_then(|rows| rows.as_ref().ok());
    let mut findings = Vec::new();
    findings.push(of_agent(facts, agent.as_ref()));
    findings.extend(ctldb.as_ref().map(|ledger| of_ctldb(ledger, rows)));
    findings.extend(store.as_ref().map(of_store));
    findings.extend(executive.as_ref().map(|healthy| match healthy {
        Ok(()) => Finding::ok("executive", "it is ready"),
        Err(why) => Finding::fail(
            "executive",
            why,
            "see its log and /readyz; nothing can be written through it",
        ),
    }));
    findings
}

fn of_agent(facts: &Facts, status: Option<&Result<Value, String>>) -> Finding {
    const CHECK: &str = "read api";
    match status {
        None => Finding::warn(
            CHECK,
            format!("{} is not there", facts.dir.join(reader::layout::SOCKET).display()),
            "start the agent; the original's has none",
        ),
        Some(Err(why)) => {
            let cure =
                "restart the agent; without it programs that read over HTTP on this node do not";
            Finding::fail(CHECK, format!("nobody answers at the socket: {why}"), cure)
        }
        Some(Ok(status)) => match (status["state"].as_str(), status["message"].as_str()) {
            (Some(state @ ("following" | "starting")), _) => {
                Finding::ok(CHECK, format!("the agent answers: {state}"))
            }
            (state, message) => Finding::fail(
                CHECK,
                format!("the agent answers: {}", state.unwrap_or("without a state")),
                message.unwrap_or("see its log").to_owned(),
            ),
        },
    }
}

fn of_ctldb(ledger: &Result<Ledger, String>, rows: Option<&Rows>) -> Finding {
    const CHECK: &str = "ctldb";
    let ledger = match ledger {
        Ok(ledger) => ledger,
        Err(why) => {
            let cure =
                "check the URL in the file, the server and the way to it; reads go on without";
            return Finding::fail(CHECK, why, cure);
        }
    };
    let found = format!("its ledger ends at {}", ledger.last);
    let Some(rows) = rows else { return Finding::ok(CHECK, found) };
    let mine = rows.position.map(|position| position.history);
    match mine {
        Some(mine) if mine != ledger.history => Finding::warn(
            CHECK,
            format!("it is history {}, the LDB is of {mine}", ledger.history),
            "after `ctlstore ctldb new-history` the agent follows or begins anew; else it is pointed at another ctldb",
        ),
        _ if ledger.last < rows.seq => Finding::fail(
            CHECK,
            format!("{found}, before the LDB's {}", rows.seq),
            "it is a replica that lags, or was restored: then run `ctlstore ctldb new-history`",
        ),
        _ if rows.seq < ledger.pruned_through => Finding::fail(
            CHECK,
            format!(
                "it has no entries up to {} any more, and the LDB is at {}",
                ledger.pruned_through, rows.seq
            ),
            "the agent needs a snapshot: give it --snapshot-url",
        ),
        _ => Finding::ok(
            CHECK,
            format!("{found}, {} entries after the LDB", ledger.last.since(rows.seq)),
        ),
    }
}

fn of_store(newest: &Result<Newest, String>) -> Finding {
    const CHECK: &str = "snapshots";
    match newest {
        Ok(Newest(Some(seq))) => Finding::ok(CHECK, format!("the newest one is at {seq}")),
        Ok(Newest(None)) => Finding::warn(
            CHECK,
            "there is none of this history",
            "let an agent upload them (--snapshot-upload); a fresh node replays the whole ledger until then",
        ),
        Err(why) => Finding::fail(
            CHECK,
            why,
            "check the URL, the credentials and the way to the store; nodes that run do not need it",
        ),
    }
}

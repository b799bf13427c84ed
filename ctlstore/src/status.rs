//! `ctlstore status`: where a node's LDB stands and how its agent is, by the directory or by an address; also an executive's.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use daemon::log::Chain;
use ledger::LeaderTs;
use reader::Ldb;
use reader::layout;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::args::{Output, Status};
use crate::client::{credentials::Credentials, probe};
use crate::outcome::Outcome;
use crate::print;

/// Between two lines of `--watch`.
const PAUSE: Duration = Duration::from_secs(1);
/// Names of which people want more than the JSON's last word.
const WORDS: [(&str, &str); 5] = [
    ("lag_seconds", "newest entry"),
    ("nothing_new_seconds", "nothing new"),
    ("clock_behind_seconds", "clock behind"),
    ("agent_seen_seconds", "agent seen"),
    ("last_entry_age_seconds", "newest entry"),
];

/// `ctlstore status`
pub(crate) fn status(args: &Status, out: &mut dyn Write) -> Result<Outcome> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if !args.watch {
        let status = runtime.block_on(ask(args))?;
        match args.source.output {
            Output::Json => writeln!(out, "{status}")?,
            Output::Table => print::facts(&facts(&status), out)?,
        }
        return Ok(Outcome::Done);
    }
    loop {
        let status = runtime
            .block_on(ask(args))
            .unwrap_or_else(|error| json!({ "error": Chain(error.as_ref()).to_string() }));
        match args.source.output {
            Output::Json => writeln!(out, "{status}")?,
            Output::Table => writeln!(out, "{}", line(&status))?,
        }
        out.flush()?;
        std::thread::sleep(PAUSE);
    }
}

async fn ask(args: &Status) -> Result<Value> {
    let Status { source, url, ca_file, token_file, watch: _ } = args;
    let Some(url) = url else { return local(&source.ldb).await };
    if let Some(socket) = probe::socket_of(url)? {
        return probe::socket_json(&socket, "/v1/status").await;
    }
    let token = token_file.as_deref().map(Credentials::token).transpose()?;
    let shown = (ca_file.as_deref(), token.unwrap_or(Credentials::None));
    probe::json(url, shown, &["v1", "status"]).await
}

/// What the files say, and under `agent` what the agent says of itself, if it answers at its socket.
async fn local(dir: &std::path::Path) -> Result<Value> {
    let ldb = Ldb::open(dir)?;
    let mut tables = Vec::new();
    for family in ldb.families()? {
        let of_family = ldb.family(family.as_str())?.tables()?;
        tables.extend(of_family.iter().map(|table| format!("{family}___{table}")));
    }
    let written = ldb.last_update()?;
    let lag = written.map(|written| age(written, SystemTime::now()));
    let seconds = |micros: Option<i64>| {
        micros.map(|micros| Duration::from_micros(micros.max(0).unsigned_abs()).as_secs_f64())
    };
    let lag_seconds = seconds(lag);
    let agent = probe::socket_json(&dir.join(layout::SOCKET), "/v1/status").await;
    Ok(json!({
        "ldb": dir,
        "position": ldb.position()?,
        "seq": ldb.seq()?,
        "lag_seconds": lag_seconds,
        // As it was called before.
        "latency_seconds": lag_seconds,
        "clock_behind_seconds": seconds(lag.map(i64::wrapping_neg)),
        "agent_seen_seconds": ldb.agent_seen().map(|seen| seen.as_secs_f64()),
        "generation": ldb.generation(),
        "tables": tables,
        "agent": agent.ok(),
    }))
}

/// In microseconds; below zero for an entry of the future, by this machine's clock.
fn age(written: LeaderTs, now: SystemTime) -> i64 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(written.as_micros())
}

/// Names and values for people: what is nested under its path, nulls left out, spans of time in words.
fn facts(status: &Value) -> Vec<(String, String)> {
    let mut facts = Vec::new();
    flatten("", status, &mut facts);
    facts
}

fn flatten(path: &str, value: &Value, facts: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(object) => {
            for (name, value) in object {
                if name == "latency_seconds" {
                    continue;
                }
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, facts);
            }
        }
        Value::Array(values) => {
            facts.push((path.to_owned(), values.len().to_string()));
            let values = values.iter().map(|value| (String::new(), plain(value)));
            facts.extend(values);
        }
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|_| path.ends_with("_seconds"));
            let spans = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let text = spans.map_or_else(|| number.to_string(), |span| spoken(path, span));
            facts.push((named(path), text));
        }
        Value::Bool(_) | Value::String(_) => facts.push((path.to_owned(), plain(value))),
    }
}

fn spoken(path: &str, span: Duration) -> String {
    let ago = if path.ends_with("clock_behind_seconds") { "" } else { " ago" };
    format!("{}{ago}", print::age(span))
}

/// `agent.lag_seconds` is `agent: newest entry`.
fn named(path: &str) -> String {
    let (before, name) = path.rsplit_once('.').unwrap_or(("", path));
    let word = WORDS.iter().find(|(key, _)| *key == name).map(|(_, word)| *word);
    let name = word.unwrap_or_else(|| name.trim_end_matches("_seconds"));
    if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => print::line(text),
        other => print::line(&other.to_string()),
    }
}

/// One line of `--watch`. The agent knows more than the files do.
fn line(status: &Value) -> String {
    if let Some(error) = status["error"].as_str() {
        return print::line(error);
    }
    let agent = if status["agent"].is_object() { &status["agent"] } else { status };
    let span = |name: &str| {
        let seconds = agent[name].as_f64().or_else(|| status[name].as_f64())?;
        Some(print::age(Duration::try_from_secs_f64(seconds).ok()?))
    };
    let seq = [&status["seq"], &agent["position"]["seq"]].into_iter().find_map(Value::as_u64);
    let mut parts = vec![format!("seq {}", seq.unwrap_or(0))];
    for (name, word) in WORDS {
        if let Some(span) = span(name).filter(|_| name != "agent_seen_seconds") {
            parts.push(format!("{word} {span}"));
        }
    }
    parts.extend(agent["missing_entries"].as_u64().map(|missing| format!("missing {missing}")));
    parts.extend(agent["state"].as_str().map(str::to_owned));
    parts.extend(agent["message"].as_str().map(print::line));
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_get_paths_and_spans_and_no_nulls() {
        let status = json!({
            "ldb": "/x", "position": null, "seq": 7, "lag_seconds": 61.5, "latency_seconds": 61.5,
            "clock_behind_seconds": 0.25, "tables": ["a___b"],
            "agent": {"state": "poisoned", "message": "entry 8\u{1b}[31m", "nothing_new_seconds": 3.0, "ledger": {"head": 9}},
        });
        let facts = facts(&status);
        let text: Vec<_> = facts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let want = [
            "ldb=/x",
            "seq=7",
            "newest entry=1m1s ago",
            "clock behind=0.2s",
            "tables=1",
            "=a___b",
            "agent.state=poisoned",
            "agent.message=entry 8\\u{1b}[31m",
            "agent.nothing new=3.0s ago",
            "agent.ledger.head=9",
        ];
        assert_eq!(text, want);
        let want = "seq 7  newest entry 1m1s  nothing new 3.0s  clock behind 0.2s  poisoned  entry 8\\u{1b}[31m";
        assert_eq!(line(&status), want);
        assert_eq!(line(&json!({"error": "no LDB"})), "no LDB");
    }

    #[test]
    fn an_entry_of_the_future_has_an_age_below_zero() {
        let now = UNIX_EPOCH + Duration::from_secs(10);
        assert_eq!(age(LeaderTs::from_micros(9_000_000), now), 1_000_000);
        assert_eq!(age(LeaderTs::from_micros(12_000_000), now), -2_000_000);
    }
}

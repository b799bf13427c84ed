//! `ctlstore history`: the versions of one row that are still in the ledger, the newest first.

use std::io::Write;

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::args::{History, Output, TableName};
use crate::client::http::Ask;
use crate::client::{admin, run};
use crate::outcome::Outcome;
use crate::print;

#[derive(Debug, Deserialize)]
struct Versions {
    /// What is older is gone; told since ledgers are pruned.
    #[serde(default)]
    pruned_through: u64,
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    seq: u64,
    at: Option<String>,
    op: String,
    values: Option<Map<String, Value>>,
    writer: Option<String>,
    principal: Option<String>,
    source_address: Option<String>,
    reason: Option<String>,
}

/// `ctlstore history FAMILY TABLE KEY…`
pub(crate) fn history(args: History, out: &mut dyn Write) -> Result<Outcome> {
    let History { table: TableName { family, table }, key, admin: flags } = args;
    let http = admin(&flags)?;
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let path = [&["v1", "history", &family, &table], key.as_slice()].concat();
    let answer: Value = run(async { Ok(http.read(Ask::get(&path)).await?) })?;
    let Versions { pruned_through, versions } = serde_json::from_value(answer.clone())?;
    let gone = match pruned_through {
        0 => String::new(),
        through => format!("entries up to {through} were pruned, and older versions with them"),
    };
    if versions.is_empty() {
        let key = print::line(&key.join(" "));
        let what = format!("no version of row {key} of {family}___{table} is in the ledger");
        let why = if gone.is_empty() { gone } else { format!(": {gone}") };
        return Ok(Outcome::NotFound(what + &why));
    }
    match flags.output {
        Output::Json => {
            let versions = answer["versions"].as_array().into_iter().flatten();
            versions.into_iter().try_for_each(|version| writeln!(out, "{version}"))?;
        }
        Output::Table => {
            print::table(&lines(&versions), out)?;
            if !gone.is_empty() {
                writeln!(out, "\n{gone}")?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn lines(versions: &[Version]) -> Vec<Vec<String>> {
    let head = ["seq", "time", "what", "values", "who", "from", "why"].map(str::to_owned).to_vec();
    let body = versions.iter().map(|version| {
        let Version { seq, at, op, values, writer, principal, source_address, reason } = version;
        let who = match (writer, principal) {
            (Some(writer), _) => writer,
            (None, Some(principal)) => principal,
            (None, None) => &String::new(),
        };
        let text = |text: &Option<String>| print::line(text.as_deref().unwrap_or_default());
        vec![
            seq.to_string(),
            text(at),
            op.clone(),
            values.as_ref().map(shown).unwrap_or_default(),
            print::line(who),
            text(source_address),
            text(reason),
        ]
    });
    std::iter::once(head).chain(body).collect()
}

/// The values as JSON, which is one line whatever they hold.
fn shown(values: &Map<String, Value>) -> String {
    let pair = |(name, value): (&String, &Value)| format!("{name}={value}");
    values.iter().map(pair).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_is_one_line() {
        let answer = json!({"versions": [
            {"seq": 7, "at": "2026-01-02T03:04:05.000006Z", "op": "upsert", "values": {"id": "a\nb", "n": 1},
             "writer": "importer", "principal": "importer", "source_address": "10.0.0.1", "request_id": "x", "reason": "a\u{1b}"},
            {"seq": 5, "at": null, "op": "drop", "values": null, "writer": null, "principal": "alice",
             "source_address": null, "request_id": "y", "reason": null}]});
        let Versions { versions, .. } = serde_json::from_value(answer).unwrap();
        let lines = lines(&versions);
        let time = "2026-01-02T03:04:05.000006Z";
        let values = r#"id="a\nb" n=1"#;
        assert_eq!(lines[1], ["7", time, "upsert", values, "importer", "10.0.0.1", "a\\u{1b}"]);
        assert_eq!(lines[2], ["5", "", "drop", "", "alice", "", ""]);
    }
}

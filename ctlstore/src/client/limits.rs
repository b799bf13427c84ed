//! `ctlstore limits …`: how large tables may grow, and how many rows writers may write.

use std::io::Write;
use std::time::Duration;

use anyhow::{Result, bail};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{Admin, Limits, Output, TableLimits, TableName, WriterLimits};
use crate::client::http::Ask;
use crate::client::{admin, run, say};
use crate::outcome::Outcome;
use crate::print;

/// What stands in the list for the limit of all that have none of their own.
const ALL: &str = "(all others)";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Size {
    max_size: u64,
    warn_size: u64,
}

#[derive(Debug, Deserialize)]
struct Sizes {
    global: Size,
    tables: Option<Vec<TableSize>>,
}

#[derive(Debug, Deserialize)]
struct TableSize {
    family: String,
    table: String,
    #[serde(flatten)]
    size: Size,
}

#[derive(Debug, Deserialize)]
struct Rate {
    amount: u64,
    /// In nanoseconds.
    period: u64,
}

#[derive(Debug, Deserialize)]
struct Rates {
    global: Rate,
    writers: Option<Vec<WriterRate>>,
}

#[derive(Debug, Deserialize)]
struct WriterRate {
    writer: String,
    #[serde(rename = "rate-limit")]
    rate: Rate,
}

/// `ctlstore limits …`
pub(crate) fn limits(args: Limits, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        Limits::Table(TableLimits::List { admin }) => list::<Sizes>("tables", &admin, out),
        Limits::Table(TableLimits::Set { table, max_size, warn_size, admin }) => {
            let warn_size = warn_size.unwrap_or(max_size / 2);
            if warn_size > max_size {
                bail!("--warn-size is above --max-size: nobody would be warned, make it smaller");
            }
            let json = json!({ "max-size": max_size, "warn-size": warn_size });
            let TableName { family, table: name } = &table;
            let words = format!("table {family}___{name} may grow to {max_size} bytes");
            let path = ["limits", "tables", family, name];
            change(Ask::new(Method::POST, &path).json(&json), (words, json), &admin, out)
        }
        Limits::Table(TableLimits::Delete { table, admin }) => {
            let TableName { family, table: name } = &table;
            let words = format!("table {family}___{name} has no limits of its own any more");
            let path = ["limits", "tables", family, name];
            let json = json!({ "family": family, "table": name });
            change(Ask::new(Method::DELETE, &path), (words, json), &admin, out)
        }
        Limits::Writer(WriterLimits::List { admin }) => list::<Rates>("writers", &admin, out),
        Limits::Writer(WriterLimits::Set { writer, rows, period, admin }) => {
            let nanoseconds = u64::try_from(period.as_nanos())?;
            let json = json!({ "amount": rows, "period": nanoseconds });
            let words = format!("writer {writer} may write {rows} rows in {period:?}");
            let path = ["limits", "writers", &writer];
            change(Ask::new(Method::POST, &path).json(&json), (words, json), &admin, out)
        }
        Limits::Writer(WriterLimits::Delete { writer, admin }) => {
            let words = format!("writer {writer} has no limit of its own any more");
            let ask = Ask::new(Method::DELETE, &["limits", "writers", &writer]);
            change(ask, (words, json!({ "writer": writer })), &admin, out)
        }
    }
}

fn change(
    ask: Ask,
    (words, json): (String, Value),
    flags: &Admin,
    out: &mut dyn Write,
) -> Result<Outcome> {
    let http = admin(flags)?;
    run(async { Ok(http.send(ask).await?) })?;
    say(flags.output, (words, &json), out)?;
    Ok(Outcome::Done)
}

fn list<T>(what: &str, flags: &Admin, out: &mut dyn Write) -> Result<Outcome>
where
    T: for<'de> Deserialize<'de> + Into<Vec<Vec<String>>>,
{
    let http = admin(flags)?;
    let answer: Value = run(async { Ok(http.read(Ask::get(&["limits", what])).await?) })?;
    match flags.output {
        Output::Json => writeln!(out, "{answer}")?,
        Output::Table => print::table(&serde_json::from_value::<T>(answer)?.into(), out)?,
    }
    Ok(Outcome::Done)
}

impl From<Sizes> for Vec<Vec<String>> {
    fn from(Sizes { global, tables }: Sizes) -> Self {
        let line = |name: String, Size { max_size, warn_size }: Size| {
            vec![name, max_size.to_string(), warn_size.to_string()]
        };
        let head = ["table", "max bytes", "warn bytes"].map(str::to_owned).to_vec();
        let tables = tables.into_iter().flatten();
        let tables = tables.map(|of| line(format!("{}___{}", of.family, of.table), of.size));
        [head].into_iter().chain(tables).chain([line(ALL.to_owned(), global)]).collect()
    }
}

impl From<Rates> for Vec<Vec<String>> {
    fn from(Rates { global, writers }: Rates) -> Self {
        let line = |name: String, Rate { amount, period }: Rate| {
            vec![name, amount.to_string(), format!("{:?}", Duration::from_nanos(period))]
        };
        let head = ["writer", "rows", "in"].map(str::to_owned).to_vec();
        let writers = writers.into_iter().flatten().map(|of| line(of.writer, of.rate));
        [head].into_iter().chain(writers).chain([line(ALL.to_owned(), global)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_listed_with_those_of_all_others_last() {
        let answer = json!({"global": {"max-size": 100, "warn-size": 50},
            "tables": [{"max-size": 7, "warn-size": 5, "family": "billing", "table": "plans"}]});
        let lines: Vec<Vec<String>> = serde_json::from_value::<Sizes>(answer).unwrap().into();
        assert_eq!(lines[1..], [["billing___plans", "7", "5"], [ALL, "100", "50"]]);
        let answer =
            json!({"global": {"amount": 1000, "period": 60_000_000_000_u64}, "writers": null});
        let lines: Vec<Vec<String>> = serde_json::from_value::<Rates>(answer).unwrap().into();
        assert_eq!(lines[1..], [[ALL, "1000", "60s"]]);
    }
}

//! The commands that read a node's LDB: `get`, `scan`, `status`, `wait`.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ledger::{Column, ColumnType, Seq, TableSchema};
use reader::{Family, KeyValue, Ldb};

use crate::args::{Get, Output, Scan, Source, Status, Wait};
use crate::outcome::Outcome;
use crate::print;

/// How often `wait` looks.
const LOOK: Duration = Duration::from_millis(5);

/// `ctlstore get FAMILY TABLE KEY…`
pub(crate) fn get(args: &Get, out: &mut dyn Write) -> Result<Outcome> {
    let (family, schema) = open(&args.source, &args.family, &args.table)?;
    let key = key(&schema, &args.key)?;
    let Some(row) = family.row(&args.table, &borrowed(&key))? else { return Ok(Outcome::NotFound) };
    print::rows(&schema, &[row], args.source.output, out)?;
    Ok(Outcome::Done)
}

/// `ctlstore scan FAMILY TABLE [KEY…]`
pub(crate) fn scan(args: &Scan, out: &mut dyn Write) -> Result<Outcome> {
    let (family, schema) = open(&args.source, &args.family, &args.table)?;
    let key = key(&schema, &args.key)?;
    let rows = family.rows(&args.table, &borrowed(&key))?;
    print::rows(&schema, &rows, args.source.output, out)?;
    Ok(Outcome::Done)
}

/// `ctlstore status`
pub(crate) fn status(args: &Status, out: &mut dyn Write) -> Result<Outcome> {
    let ldb = Ldb::open(&args.source.ldb)?;
    let position = ldb.position()?;
    let seq = ldb.seq()?;
    let latency = ldb.latency()?;
    let families = ldb.families()?;
    let tables = families
        .iter()
        .map(|name| Ok(ldb.family(name.as_str())?.tables()?.len()))
        .sum::<Result<usize>>()?;
    if args.source.output == Output::Json {
        let json = serde_json::json!({
            "ldb": args.source.ldb,
            "position": position,
            "seq": seq,
            "latency_seconds": latency.map(|latency| latency.as_secs_f64()),
            "generation": ldb.generation(),
            "families": families,
            "tables": tables,
        });
        writeln!(out, "{json}")?;
        return Ok(Outcome::Done);
    }
    let history =
        position.map_or_else(|| "none yet".to_owned(), |position| position.history.to_string());
    let latency = latency
        .map_or_else(|| "no entry applied yet".to_owned(), |latency| format!("{latency:.1?}"));
    let facts = [
        ("ldb", args.source.ldb.display().to_string()),
        ("history", history),
        ("seq", seq.to_string()),
        ("age of the newest entry", latency),
        ("generation", ldb.generation().to_string()),
        ("families", families.len().to_string()),
        ("tables", tables.to_string()),
    ];
    print::facts(&facts, out)?;
    Ok(Outcome::Done)
}

/// `ctlstore wait --seq N`. The LDB need not exist yet: an init container may come before the agent.
pub(crate) fn wait(args: &Wait, out: &mut dyn Write) -> Result<Outcome> {
    let wanted = Seq::try_from(args.seq)?;
    let deadline = Instant::now() + args.timeout;
    let mut ldb = None;
    loop {
        match ldb.take().map_or_else(|| Ldb::open(&args.ldb), Ok) {
            Ok(open) => {
                let seq = open.seq()?;
                if seq >= wanted {
                    writeln!(out, "{seq}")?;
                    return Ok(Outcome::Done);
                }
                ldb = Some(open);
            }
            Err(error) if error.is_not_found() || error.is_unavailable() => {}
            Err(error) => return Err(error.into()),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Outcome::NotFound);
        }
        thread::sleep(LOOK.min(left));
    }
}

fn open(source: &Source, family: &str, table: &str) -> Result<(Family, TableSchema)> {
    let family = Ldb::open(&source.ldb)?.family(family)?;
    let schema = family.schema(table)?;
    Ok((family, schema))
}

/// A value of a key, as it was typed.
enum Typed {
    Text(String),
    Integer(i64),
    Bytes(Vec<u8>),
}

fn key(schema: &TableSchema, typed: &[String]) -> Result<Vec<Typed>> {
    let columns: Vec<_> = schema.key_columns().collect();
    ensure!(
        typed.len() <= columns.len(),
        "the key of {} has {} columns ({}), but {} values were given",
        schema.table(),
        columns.len(),
        columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", "),
        typed.len()
    );
    columns.iter().zip(typed).map(|(column, text)| parse(column, text)).collect()
}

fn parse(column: &Column, text: &str) -> Result<Typed> {
    let name = column.name.as_str();
    match column.column_type {
        ColumnType::Integer => {
            let integer = text
                .parse()
                .with_context(|| format!("key column {name:?} is an Integer, {text:?} is none"))?;
            Ok(Typed::Integer(integer))
        }
        ColumnType::ByteString | ColumnType::Binary => match text.strip_prefix("0x") {
            Some(digits) => bytes(digits).map(Typed::Bytes).with_context(|| {
                format!("key column {name:?}: {text:?} is not 0x and pairs of hexadecimal digits")
            }),
            None => Ok(Typed::Bytes(text.as_bytes().to_vec())),
        },
        ColumnType::String | ColumnType::Text => Ok(Typed::Text(text.to_owned())),
        ColumnType::Decimal => bail!("key column {name:?} is a Decimal, which cannot be in a key"),
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16)
                .ok()
        })
        .collect()
}

fn borrowed(key: &[Typed]) -> Vec<KeyValue<'_>> {
    let borrow = |typed| match typed {
        &Typed::Integer(integer) => KeyValue::from(integer),
        Typed::Text(text) => KeyValue::from(text.as_str()),
        Typed::Bytes(bytes) => KeyValue::from(bytes.as_slice()),
    };
    key.iter().map(borrow).collect()
}

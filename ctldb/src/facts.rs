//! All that batches are judged by, read in one round trip: where the ledger stands, the writers, the tables.

use std::sync::Arc;
use std::time::SystemTime;

use ledger::{LdbTable, Position, WriterName};

use crate::connection::{Outcome, SqlRow, SqlValue, Step};
use crate::limits::size_limit;
use crate::prepared::{Claim, Memory, Prepared};
use crate::rate_limit::effective;
use crate::session::Session;
use crate::writers::Writer;
use crate::{Error, Limits, Meta, RateLimit, SizeLimit, TableRecord, meta, registry, writers};

/// What ctldb says at one moment.
pub(crate) struct Facts {
    pub(crate) meta: Meta,
    /// The window in which writers' rows are counted now, if they are counted.
    pub(crate) limits: Option<Limits>,
    pub(crate) now: SystemTime,
    writers: Vec<SqlRow>,
    tables: Vec<TableFacts>,
}

pub(crate) struct TableFacts {
    pub(crate) record: TableRecord,
    /// How large it was when it was measured, and its own limit.
    pub(crate) bytes: Option<u64>,
    pub(crate) limit: Option<SizeLimit>,
}

/// What a writer may write and has written in this window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) limit: RateLimit,
    /// None: nothing, and there is no row.
    pub(crate) rows: Option<u64>,
}

pub(crate) const ACTION: &str = "look up writers and their tables";

/// What is kept of writers and tables, at most.
const MOST: usize = 256;

// The columns of a writer: its name, those of [`writers::COLUMNS`], its limit and its rows.
const NAME: usize = 0;
const COOKIE: usize = 2;
const LAST_DIGEST: usize = 4;
const LAST_SEQ: usize = 5;
const IS_OURS: usize = 6;
const OWN_RATE: usize = writers::COLUMNS_COUNT + 1;

impl Session {
    /// Without any lock: what is read is out of date at once.
    pub(crate) async fn look_at(&mut self, batches: &[Arc<Prepared>]) -> Result<Facts, Error> {
        let now = SystemTime::now();
        let limits = self.options().limits;
        let answer = self.script(&steps(batches, limits, now)).await;
        match answer.map_err(|fault| Error::bookkeeping(ACTION, fault)) {
            Ok(outcomes) => Facts::read(outcomes, limits, now),
            Err(Error::NotMigrated) => Err(self.why_not_migrated().await),
            Err(error) => Err(error),
        }
    }

    /// The same under the ledger lock. When it fails, no transaction is open.
    pub(crate) async fn look_again(&mut self, steps: &[Step]) -> Result<Vec<Outcome>, Error> {
        let answer = self.script(steps).await;
        if answer.is_err() {
            self.rollback().await;
        }
        answer.map_err(|fault| Error::bookkeeping(ACTION, fault))
    }
}

impl Facts {
    pub(crate) fn read(
        outcomes: Vec<Outcome>,
        limits: Option<Limits>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let mut rows = outcomes.into_iter().map(|outcome| outcome.rows);
        let mut next = || rows.next().unwrap_or_default();
        let (meta, tables, writers) = (next(), next(), next());
        let meta = meta::checked(meta.first().ok_or(Error::NotMigrated)?)?;
        let table = |row: &SqlRow| {
            let width = registry::COLUMNS.len();
            Ok(TableFacts {
                record: registry::read(row)?,
                bytes: row.optional(width, SqlRow::unsigned)?,
                limit: row.optional(width + 1, size_limit)?,
            })
        };
        let tables = tables.iter().map(table).collect::<Result<_, Error>>()?;
        Ok(Self { meta, limits, now, writers, tables })
    }

    /// Is all there that these batches are judged by?
    pub(crate) fn cover(&self, batches: &[Arc<Prepared>]) -> bool {
        batches.iter().all(|batch| {
            let writer =
                |claim: &Claim| matches!(self.row_of(&claim.credentials.writer), Ok(Some(_)));
            batch.claim.as_ref().is_none_or(writer)
                && batch.tables.iter().all(|table| self.table(table).is_some())
        })
    }

    /// Are writers' rows counted in the same window then?
    pub(crate) fn is_of_window(&self, limits: Option<Limits>, now: SystemTime) -> bool {
        let bucket = |limits: Limits, at| limits.rate.window(at).bucket;
        self.limits.map(|limits| bucket(limits, self.now))
            == limits.map(|limits| bucket(limits, now))
    }

    /// Adds what was known before and still holds. False: it would be too much, and nothing was added.
    pub(crate) fn absorb(&mut self, before: Self) -> bool {
        if before.writers.len() + before.tables.len() > MOST {
            return false;
        }
        let Self { tables, writers, .. } = before;
        for facts in tables {
            if self.table(facts.record.schema.table()).is_none() {
                self.tables.push(facts);
            }
        }
        for row in writers {
            if !self.writers.iter().any(|known| known.0[NAME] == row.0[NAME]) {
                self.writers.push(row);
            }
        }
        true
    }

    /// Takes in what a batch leaves behind.
    pub(crate) fn learn(&mut self, batch: &Prepared, memory: Option<&Memory>, last: Position) {
        self.meta.last = Some(last);
        let (Some(claim), Some(memory)) = (&batch.claim, memory) else { return };
        let name = SqlValue::from(claim.credentials.writer.as_str());
        let Some(SqlRow(row)) = self.writers.iter_mut().find(|row| row.0[NAME] == name) else {
            return;
        };
        if let Some(cookie) = claim.cookie.as_deref() {
            row[COOKIE] = cookie.into();
        }
        row[LAST_DIGEST] = batch.digest.as_slice().into();
        row[LAST_SEQ] = last.seq.to_i64().into();
        row[IS_OURS] = name;
        if let Some(usage) = memory.usage {
            row[OWN_RATE + 1] = SqlValue::Int(batch.amount(usage));
        }
    }

    pub(crate) fn table(&self, table: &LdbTable) -> Option<&TableFacts> {
        self.tables.iter().find(|facts| facts.record.schema.table() == table)
    }

    /// The writer, if it showed its secret.
    pub(crate) fn writer(&self, who: &crate::Credentials) -> Result<Writer, Error> {
        let row = self.row_of(&who.writer)?.ok_or(Error::WriterNotFound)?;
        Writer::read(&row.part(1..OWN_RATE), who)
    }

    pub(crate) fn usage(&self, writer: &WriterName) -> Result<Option<Usage>, Error> {
        let (Some(limits), Some(row)) = (self.limits, self.row_of(writer)?) else {
            return Ok(None);
        };
        let own = row.optional(OWN_RATE, SqlRow::int)?;
        let rows = row.optional(OWN_RATE + 1, SqlRow::unsigned)?;
        Ok(Some(Usage { limit: effective(own, limits.rate), rows }))
    }

    fn row_of(&self, writer: &WriterName) -> Result<Option<&SqlRow>, Error> {
        for row in &self.writers {
            if row.text(NAME)? == writer.as_str() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// In the order in which [`Facts::read`] takes their rows.
pub(crate) fn steps(
    batches: &[Arc<Prepared>],
    limits: Option<Limits>,
    now: SystemTime,
) -> Vec<Step> {
    let meta = meta::select();
    let mut tables: Vec<&LdbTable> = batches.iter().flat_map(|batch| &batch.tables).collect();
    tables.sort_unstable();
    tables.dedup();
    let places = vec!["?"; tables.len()].join(", ");
    let columns = registry::COLUMNS.map(|column| format!("t.{column}")).join(", ");
    let sizes = match limits {
        None => "NULL, NULL, NULL".to_owned(),
        Some(_) => "s.bytes, l.max_size_bytes, l.warn_size_bytes".to_owned(),
    };
    let joins = match limits {
        None => "",
        Some(_) => {
            "LEFT JOIN ctlstore_table_sizes s ON s.table_name = t.table_name LEFT JOIN max_table_sizes l ON l.family_name = t.family AND l.table_name = SUBSTR(t.table_name, LENGTH(t.family) + 4) "
        }
    };
    let sql = format!(
        "SELECT {columns}, {sizes} FROM ctlstore_tables t {joins}WHERE t.table_name IN ({places})"
    );
    let names: Vec<SqlValue> = tables.iter().map(|table| table.to_string().into()).collect();
    let mut steps = vec![Step::new(meta, []), Step::new(sql, names)];
    let claims = batches.iter().filter_map(|batch| batch.claim.as_ref());
    let writers: Vec<_> = claims.map(|claim| &claim.credentials.writer).collect();
    if !writers.is_empty() {
        steps.push(writers_step(&writers, limits, now));
    }
    steps
}

fn writers_step(writers: &[&WriterName], limits: Option<Limits>, now: SystemTime) -> Step {
    let columns = writers::COLUMNS;
    let (usage, joins) = match limits {
        None => ("NULL, NULL", ""),
        Some(_) => (
            "r.max_rows_per_minute, u.amount",
            "LEFT JOIN max_writer_rates r ON r.writer_name = m.writer LEFT JOIN writer_usage u ON u.writer_name = m.writer AND u.bucket = ? ",
        ),
    };
    let places = vec!["?"; writers.len()].join(", ");
    let sql = format!(
        "SELECT m.writer, {columns}, {usage} FROM mutators m LEFT JOIN ctlstore_writers w ON w.writer = m.writer {joins}WHERE m.writer IN ({places})"
    );
    let bucket = limits.map(|limits| SqlValue::Int(limits.rate.window(now).bucket));
    let names = writers.iter().map(|writer| SqlValue::from(writer.as_str()));
    Step::new(sql, bucket.into_iter().chain(names).collect::<Vec<_>>())
}

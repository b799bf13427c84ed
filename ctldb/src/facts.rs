//! All that batches are judged by, read in one round trip: where the ledger stands, the writers, the tables.

use std::sync::Arc;
use std::time::SystemTime;

use ledger::{LdbTable, WriterName};

use crate::connection::{Outcome, SqlRow, SqlValue, Step};
use crate::limits::size_limit;
use crate::prepared::Prepared;
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

/// Behind the columns of [`writers::COLUMNS`], after the name.
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

    /// Takes the ledger lock as the first statement of a transaction and reads under it, in the same round trip.
    pub(crate) async fn lock_and_look(
        &mut self,
        batches: &[Arc<Prepared>],
        reserved: &[&LdbTable],
    ) -> Result<Facts, Error> {
        let now = SystemTime::now();
        let limits = self.options().limits;
        let steps = steps(batches, limits, now);
        match self.lock_ledger(reserved, &steps).await {
            Ok(outcomes) => {
                let facts = Facts::read(outcomes, limits, now);
                if facts.is_err() {
                    self.rollback().await;
                }
                facts
            }
            Err(Error::NotMigrated) => Err(self.why_not_migrated().await),
            Err(error) => Err(error),
        }
    }
}

impl Facts {
    fn read(
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
            if row.text(0)? == writer.as_str() {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// In the order in which [`Facts::read`] takes their rows.
fn steps(batches: &[Arc<Prepared>], limits: Option<Limits>, now: SystemTime) -> Vec<Step> {
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

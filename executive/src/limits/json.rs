//! Limits as the original's API shows them. Periods are nanoseconds.

use ctldb::{RateLimit, SizeLimit, TableLimit, WriterLimit};
use schemars::JsonSchema;
use serde::Serialize;

/// Sizes in bytes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Size {
    max_size: u64,
    warn_size: u64,
}

/// The limit of every table and those of single ones.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TableLimits {
    global: Size,
    /// `null` when there are none.
    tables: Option<Vec<TableSize>>,
}

/// The limit of a table.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TableLimit")]
pub(crate) struct TableSize {
    #[serde(flatten)]
    size: Size,
    family: String,
    table: String,
}

/// So many rows in so many nanoseconds.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rate {
    amount: u64,
    period: u64,
}

/// The limit of every writer and those of single ones.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WriterLimits {
    global: Rate,
    /// `null` when there are none.
    writers: Option<Vec<WriterRate>>,
}

/// The limit of a writer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "WriterLimit")]
pub(crate) struct WriterRate {
    writer: String,
    rate_limit: Rate,
}

impl TableLimits {
    pub(super) fn new(global: SizeLimit, limits: &[TableLimit]) -> Self {
        let tables = limits.iter().map(|TableLimit { table, limit, .. }| TableSize {
            size: Size::from(*limit),
            family: table.family().to_string(),
            table: table.table().to_string(),
        });
        Self { global: global.into(), tables: some(tables.collect()) }
    }
}

impl WriterLimits {
    pub(super) fn new(global: RateLimit, limits: &[WriterLimit]) -> Self {
        let writers = limits.iter().map(|WriterLimit { writer, limit, .. }| WriterRate {
            writer: writer.to_string(),
            rate_limit: Rate::from(*limit),
        });
        Self { global: global.into(), writers: some(writers.collect()) }
    }
}

impl From<SizeLimit> for Size {
    fn from(SizeLimit { max_bytes, warn_bytes }: SizeLimit) -> Self {
        Self { max_size: max_bytes, warn_size: warn_bytes }
    }
}

impl From<RateLimit> for Rate {
    fn from(RateLimit { rows, period }: RateLimit) -> Self {
        Self { amount: rows, period: u64::try_from(period.as_nanos()).unwrap_or(u64::MAX) }
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

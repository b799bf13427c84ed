//! How many rows a writer may write in a while: the arithmetic of rates and windows, and the limits that single writers
//! have, in `max_writer_rates`. As the original's, exact in window and rounding. Who set a limit is beside it: what an
//! object says wins over what was said over HTTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ledger::WriterName;

use crate::connection::{SqlRow, SqlValue};
use crate::session::Session;
use crate::{CtlDb, Error, Fence, OwnerId};

/// A writer's rows in a period of time. Each upsert and each delete is a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// So many.
    pub rows: u64,
    /// In this time.
    pub period: Duration,
}

/// The limit of a writer, and who set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterLimit {
    /// The writer. One that an object set a limit for may not be registered yet.
    pub writer: WriterName,
    /// What it may write in a minute.
    pub limit: RateLimit,
    /// Who says so.
    pub set_by: OwnerId,
}

impl Default for RateLimit {
    /// The original's.
    fn default() -> Self {
        Self { rows: 1000, period: MINUTE }
    }
}

/// A stretch of time in which rows are counted. It begins at a multiple of the period, counted from the year 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its first second, as it stands in `writer_usage`.
    pub(crate) bucket: i64,
    /// Until the next one begins.
    pub(crate) left: Duration,
}

const MINUTE: Duration = Duration::from_secs(60);
/// From the beginning of the year 1 to that of 1970.
const EPOCH_SECONDS: u64 = 62_135_596_800;
const LIST: &str = "list the limits of writers";
const SET: &str = "set the limit of a writer";

impl RateLimit {
    /// The same rate over another period. Halves are rounded to the even neighbour.
    #[must_use]
    pub fn over(self, period: Duration) -> Self {
        if self.period == period {
            return self;
        }
        let from = self.period.as_nanos().max(1);
        let exact = u128::from(self.rows).saturating_mul(period.as_nanos());
        let (whole, rest) = (exact / from, exact % from);
        let up = match (rest * 2).cmp(&from) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => whole % 2,
            std::cmp::Ordering::Greater => 1,
        };
        Self { rows: u64::try_from(whole + up).unwrap_or(u64::MAX), period }
    }

    pub(crate) fn window(self, now: SystemTime) -> Window {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let since = since + Duration::from_secs(EPOCH_SECONDS);
        let period = self.period.as_nanos().max(1);
        let into = since.as_nanos() % period;
        let start = since.saturating_sub(nanos(into));
        let bucket = i128::from(start.as_secs()) - i128::from(EPOCH_SECONDS);
        Window { bucket: i64::try_from(bucket).unwrap_or(0), left: nanos(period - into) }
    }
}

fn nanos(number: u128) -> Duration {
    let seconds = u64::try_from(number / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(number % 1_000_000_000).unwrap_or(0))
}

impl CtlDb {
    /// The writers that have a limit of their own, by name.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn writer_limits(&self) -> Result<Vec<WriterLimit>, Error> {
        let sql = select("ORDER BY r.writer_name");
        let rows = self.session().await?.query(LIST, &sql, &[]).await?;
        rows.iter().map(writer_limit).collect()
    }

    /// Sets the limit of a writer, or removes it. Says whether there was one before. An object may do so before the writer
    /// is registered, so that it never writes without.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the executive asks and there is no such writer, the limit is another object's, the
    /// period is zero, or the fence no longer holds.
    pub async fn set_writer_limit(
        &self,
        writer: &WriterName,
        limit: Option<RateLimit>,
        by: &OwnerId,
        fence: Fence,
    ) -> Result<bool, Error> {
        if limit.is_some_and(|limit| limit.period.is_zero()) {
            return Err(Error::PeriodZero);
        }
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.set_rate(writer, limit, by).await;
        session.end(SET, result).await
    }
}

impl Session {
    async fn set_rate(
        &mut self,
        writer: &WriterName,
        limit: Option<RateLimit>,
        by: &OwnerId,
    ) -> Result<bool, Error> {
        let name = || SqlValue::from(writer.as_str());
        if *by == OwnerId::Executive {
            self.known_writer(writer).await?;
        }
        let before = self.query(SET, &select("WHERE r.writer_name = ?"), &[name()]).await?;
        let before = before.first().map(writer_limit).transpose()?;
        if let Some(WriterLimit { set_by, .. }) = &before
            && *set_by != OwnerId::Executive
            && set_by != by
        {
            return Err(Error::LimitOwned { writer: writer.clone(), owner: set_by.clone() });
        }
        for table in ["max_writer_rates", "ctlstore_rate_owners"] {
            let sql = format!("DELETE FROM {table} WHERE writer_name = ?");
            self.execute(SET, &sql, &[name()]).await?;
        }
        if let Some(limit) = limit {
            let rows = i64::try_from(limit.over(MINUTE).rows).unwrap_or(i64::MAX);
            let sql =
                "INSERT INTO max_writer_rates (writer_name, max_rows_per_minute) VALUES (?, ?)";
            self.execute(SET, sql, &[name(), rows.into()]).await?;
            let owner = serde_json::to_string(by)
                .map_err(|error| Error::Corrupt { what: error.to_string() })?;
            let sql = "INSERT INTO ctlstore_rate_owners (writer_name, owner_json) VALUES (?, ?)";
            self.execute(SET, sql, &[name(), owner.into()]).await?;
        }
        Ok(before.is_some())
    }
}

/// As [`writer_limit`] reads it.
fn select(rest: &str) -> String {
    format!(
        "SELECT r.writer_name, r.max_rows_per_minute, o.owner_json FROM max_writer_rates r LEFT JOIN ctlstore_rate_owners o ON o.writer_name = r.writer_name {rest}"
    )
}

fn writer_limit(row: &SqlRow) -> Result<WriterLimit, Error> {
    let corrupt = |what: String| Error::Corrupt { what };
    let writer = WriterName::parse(row.text(0)?).map_err(|error| corrupt(error.to_string()))?;
    let limit = RateLimit { rows: per_minute(row.int(1)?), period: MINUTE };
    // The original's rows have no owner: they came over HTTP.
    let owner = row.optional(2, SqlRow::text)?.map(serde_json::from_str).transpose();
    let owner = owner.map_err(|error| corrupt(format!("the owner of a limit: {error}")))?;
    Ok(WriterLimit { writer, limit, set_by: owner.unwrap_or(OwnerId::Executive) })
}

/// A limit as it stands in `max_writer_rates`. The original could write negative ones, which let nothing pass.
pub(crate) fn per_minute(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// What a writer may write in the period that is configured: its own limit, or else everybody's.
pub(crate) fn effective(own: Option<i64>, default: RateLimit) -> RateLimit {
    match own {
        Some(rows) => RateLimit { rows: per_minute(rows), period: MINUTE }.over(default.period),
        None => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rows: u64, seconds: u64) -> RateLimit {
        RateLimit { rows, period: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_rate_is_scaled_and_halves_go_to_the_even() {
        let over = |rows, from, to| rate(rows, from).over(Duration::from_secs(to)).rows;
        assert_eq!(over(60, 60, 1), 1);
        assert_eq!(over(1000, 60, 60), 1000);
        assert_eq!(over(10, 5, 60), 120);
        assert_eq!([30, 90, 150, 210].map(|rows| over(rows, 60, 1)), [0, 2, 2, 4]);
        assert_eq!([29, 31].map(|rows| over(rows, 60, 1)), [0, 1]);
        assert_eq!(over(30, 60, 7), 4, "3.5");
        assert_eq!(over(u64::MAX, 1, 60), u64::MAX);
    }

    #[test]
    fn a_window_begins_at_a_multiple_since_the_year_1() {
        let window = |seconds: u64, period| {
            rate(1, period).window(UNIX_EPOCH + Duration::from_secs(seconds))
        };
        assert_eq!(window(1000, 7), Window { bucket: 997, left: Duration::from_secs(4) });
        assert_eq!(window(1000, 60), Window { bucket: 960, left: Duration::from_secs(20) });
        assert_eq!(window(960, 60), Window { bucket: 960, left: Duration::from_secs(60) });
        let half = RateLimit { rows: 1, period: Duration::from_millis(500) };
        let now = UNIX_EPOCH + Duration::from_millis(10_750);
        assert_eq!(half.window(now), Window { bucket: 10, left: Duration::from_millis(250) });
    }
}

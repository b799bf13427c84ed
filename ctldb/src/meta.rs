//! The one row of `ctlstore_meta`: which ledger this is and where it stands.

use ledger::{Chain, Digest, History, Position, Seq};

use crate::connection::SqlRow;
use crate::migrate::check_version;
use crate::session::Session;
use crate::{CtlDb, Epoch, Error};

/// Which ledger this is and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The version of the schema.
    pub version: u32,
    /// The least version of ours that can work with it.
    pub min_compatible: u32,
    /// The ledger's identity.
    pub history: History,
    /// Its last entry; none while it is empty.
    pub last: Option<Position>,
    /// Entries up to here were pruned.
    pub pruned_through: Seq,
    /// The reign of the leading operator.
    pub epoch: Epoch,
    /// The ledger that this one continues.
    pub parent: Option<Parent>,
}

impl Meta {
    /// The last sequence; zero while the ledger is empty.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.last.map_or(Seq::ZERO, |last| last.seq)
    }

    /// The chain at the last sequence.
    #[must_use]
    pub fn chain(&self) -> Chain {
        self.last.map_or(Chain::GENESIS, |last| last.chain)
    }
}

/// Where a history branched off another. A copy of the parent at or below this point may follow on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The ledger before.
    pub history: History,
    /// Its last sequence that still counts.
    pub seq: Seq,
    /// The chain there.
    pub chain: Chain,
}

const ACTION: &str = "read ctlstore_meta";
/// As [`read`] takes them.
pub(crate) const COLUMNS: [&str; 11] = [
    "version",
    "min_compatible",
    "history",
    "last_seq",
    "last_digest",
    "chain",
    "pruned_through",
    "epoch",
    "parent_history",
    "parent_seq",
    "parent_chain",
];

impl CtlDb {
    /// Which ledger this is and where it stands.
    ///
    /// # Errors
    /// ctldb is away, not migrated, of the original, or too new for us.
    pub async fn meta(&self) -> Result<Meta, Error> {
        self.session().await?.meta().await
    }

    /// Is ctldb there? Says nothing about what it holds.
    ///
    /// # Errors
    /// It is away.
    pub async fn ping(&self) -> Result<(), Error> {
        self.session().await?.query("ping ctldb", "SELECT 1", &[]).await.map(|_| ())
    }
}

impl Session {
    pub(crate) async fn meta(&mut self) -> Result<Meta, Error> {
        let rows = match self.query(ACTION, &select(), &[]).await {
            Err(Error::NotMigrated) => return Err(self.why_not_migrated().await),
            other => other?,
        };
        checked(rows.first().ok_or(Error::NotMigrated)?)
    }

    pub(crate) async fn why_not_migrated(&mut self) -> Error {
        let sql = "SELECT COUNT(*) FROM ctlstore_dml_ledger WHERE 1 = 0";
        match self.query(ACTION, sql, &[]).await {
            Ok(_) => Error::Original,
            Err(error) => error,
        }
    }
}

pub(crate) fn select() -> String {
    format!("SELECT {} FROM ctlstore_meta WHERE id = 1", COLUMNS.join(", "))
}

/// Reads the row, if it is one that we can work with.
pub(crate) fn checked(row: &SqlRow) -> Result<Meta, Error> {
    let meta = read(row)?;
    check_version(meta.min_compatible)?;
    Ok(meta)
}

fn read(row: &SqlRow) -> Result<Meta, Error> {
    let history = history(row.text(2)?)?;
    let last_seq = seq(row.int(3)?)?;
    let last = (last_seq > Seq::ZERO).then(|| {
        let digest = Digest::from_slice(row.bytes(4)?).ok_or_else(|| corrupt("last_digest"))?;
        let chain = Chain::from_slice(row.bytes(5)?).ok_or_else(|| corrupt("chain"))?;
        Ok::<_, Error>(Position { history, seq: last_seq, digest, chain })
    });
    let parent = row.optional(8, SqlRow::text)?.map(|text| {
        Ok::<_, Error>(Parent {
            history: self::history(text)?,
            seq: seq(row.int(9)?)?,
            chain: Chain::from_slice(row.bytes(10)?).ok_or_else(|| corrupt("parent_chain"))?,
        })
    });
    Ok(Meta {
        version: version(row.unsigned(0)?)?,
        min_compatible: version(row.unsigned(1)?)?,
        history,
        last: last.transpose()?,
        pruned_through: seq(row.int(6)?)?,
        epoch: Epoch::new(row.unsigned(7)?),
        parent: parent.transpose()?,
    })
}

fn history(text: &str) -> Result<History, Error> {
    text.parse().map_err(|_| corrupt("history"))
}

pub(crate) fn seq(number: i64) -> Result<Seq, Error> {
    Seq::try_from(number).map_err(|error| Error::Corrupt { what: error.to_string() })
}

fn version(number: u64) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| corrupt("version"))
}

fn corrupt(column: &str) -> Error {
    Error::Corrupt { what: format!("ctlstore_meta has an impossible value in {column}") }
}

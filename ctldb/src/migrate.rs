//! Makes a ctldb of an empty database and brings an older one to our version, under the schema lock. The agent never
//! comes here.
//!
//! `ctlstore_meta` is made first and its row is written last, so a migration that was cut off is told from a database
//! of the original, and goes on where it was.

use crate::bookkeeping::{Bookkeeping, META, ORIGINAL, OURS, SECOND};
use crate::dialect::Dialect;
use crate::session::Session;
use crate::{CtlDb, Error};

/// The schema version that this release makes.
pub const VERSION: u32 = 2;
/// The oldest version whose release can work with what this release makes: a roll-back by one release is safe.
pub const MIN_COMPATIBLE: u32 = 1;

/// What [`CtlDb::migrate`] found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrated {
    /// The database was empty and holds a ctldb now.
    Created,
    /// It was of an older version.
    Upgraded {
        /// Of this one.
        from: u32,
    },
    /// It is of our version.
    Current,
    /// It is of a newer version that we can work with.
    NewerButCompatible {
        /// Of this one.
        version: u32,
    },
}

/// What each version adds to the one before; the first stands at index 0. A step is never changed once it was released.
/// It is run as a whole and again after a crash, so it names tables, which are made where they are missing.
const STEPS: [&[&[Bookkeeping]]; 2] = [&[&ORIGINAL, &OURS], &[&SECOND]];

const ACTION: &str = "migrate ctldb";

/// Can we work with a ctldb that demands this version?
///
/// A new schema version comes with a new minor release: version N with release 0.N.
pub(crate) fn check_version(min_compatible: u32) -> Result<(), Error> {
    match min_compatible > VERSION {
        true => Err(Error::TooNew { min_compatible, release: format!("0.{min_compatible}") }),
        false => Ok(()),
    }
}

impl CtlDb {
    /// Makes a ctldb of an empty database, or brings an older one to our version. Processes that start together take
    /// turns.
    ///
    /// # Errors
    /// ctldb is away; the server has no NO PAD binary collation; the database is of the original, or too new for us.
    pub async fn migrate(&self) -> Result<Migrated, Error> {
        // Most of the time there is nothing to do. Then nobody need wait for the schema lock, which a long ALTER may hold.
        if let Some(done) = self.session().await?.migrated().await? {
            return Ok(done);
        }
        let mut session = self.schema_session(ACTION).await?;
        let collation = session.collation().await?;
        if !session.dialect().ddl_in_transaction() {
            return session.migrate(collation).await;
        }
        // Where DDL can be part of a transaction, that keeps other processes out; there is no other lock between them.
        let begun = session.begin_with(&[]).await;
        let result = match begun.map_err(|fault| Error::statement(ACTION, fault)) {
            Ok(_) => session.migrate(collation).await,
            Err(error) => Err(error),
        };
        session.end(ACTION, result).await
    }
}

impl Session {
    /// What there is, if it needs no migration. The version is written last, so all that belongs to it is there.
    async fn migrated(&mut self) -> Result<Option<Migrated>, Error> {
        match self.version().await {
            Ok(Some((VERSION, _))) => Ok(Some(Migrated::Current)),
            Ok(Some((version, min_compatible))) if version > VERSION => {
                check_version(min_compatible)?;
                Ok(Some(Migrated::NewerButCompatible { version }))
            }
            Ok(_) | Err(Error::NotMigrated) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn migrate(&mut self, collation: &str) -> Result<Migrated, Error> {
        let tables = self.our_tables().await?;
        if !tables.iter().any(|name| name == META.name) {
            if ORIGINAL.iter().any(|table| tables.iter().any(|name| name == table.name)) {
                return Err(Error::Original);
            }
            self.create(&META, collation).await?;
        }
        match self.version().await? {
            None => {
                self.steps(0, collation).await?;
                self.first_rows().await?;
                Ok(Migrated::Created)
            }
            Some((version, min_compatible)) if version > VERSION => {
                check_version(min_compatible)?;
                Ok(Migrated::NewerButCompatible { version })
            }
            Some((VERSION, _)) => Ok(Migrated::Current),
            Some((from, _)) => {
                self.steps(from, collation).await?;
                self.raise_version().await?;
                Ok(Migrated::Upgraded { from })
            }
        }
    }

    async fn our_tables(&mut self) -> Result<Vec<String>, Error> {
        let sql = match self.dialect() {
            Dialect::MySql => {
                "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()"
            }
            Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
        };
        let rows = self.query(ACTION, sql, &[]).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }

    async fn create(&mut self, table: &Bookkeeping, collation: &str) -> Result<(), Error> {
        let sql = table.create(self.dialect(), collation);
        self.execute(ACTION, &sql, &[]).await?;
        self.pass("migrate: a table was made")
    }

    async fn version(&mut self) -> Result<Option<(u32, u32)>, Error> {
        let sql = "SELECT version, min_compatible FROM ctlstore_meta WHERE id = 1";
        let rows = self.query(ACTION, sql, &[]).await?;
        let number = |number| {
            u32::try_from(number)
                .map_err(|_| Error::Corrupt { what: "ctlstore_meta.version".to_owned() })
        };
        let read = rows.first().map(|row| Ok((number(row.int(0)?)?, number(row.int(1)?)?)));
        read.transpose()
    }

    /// Runs the steps after a version. What is there already stays as it is.
    async fn steps(&mut self, from: u32, collation: &str) -> Result<(), Error> {
        let there = self.our_tables().await?;
        let done = usize::try_from(from).unwrap_or(usize::MAX);
        // Collected, for an iterator of this type held across an await is not known to be Send.
        let tables: Vec<_> =
            STEPS.iter().skip(done).copied().flatten().copied().flatten().collect();
        for table in tables {
            if !there.iter().any(|name| name == table.name) {
                self.create(table, collation).await?;
            }
        }
        Ok(())
    }

    async fn first_rows(&mut self) -> Result<(), Error> {
        // Not a locked transaction: the row that is the lock comes with it.
        let sql = match self.dialect() {
            Dialect::MySql => "INSERT IGNORE INTO locks (id, clock) VALUES ('ledger', 0)",
            Dialect::Sqlite => "INSERT OR IGNORE INTO locks (id, clock) VALUES ('ledger', 0)",
        };
        self.execute(ACTION, sql, &[]).await?;
        self.pass("migrate: the ledger lock was made")?;
        const META_ROW: &str = "INSERT INTO ctlstore_meta (id, version, min_compatible, history, last_seq, last_digest, chain, pruned_through, epoch) VALUES (1, ?, ?, ?, 0, ?, ?, 0, 0)";
        let params = [
            i64::from(VERSION).into(),
            i64::from(MIN_COMPATIBLE).into(),
            uuid::Uuid::new_v4().to_string().into(),
            ledger::Chain::GENESIS.as_bytes().as_slice().into(),
            ledger::Chain::GENESIS.as_bytes().as_slice().into(),
        ];
        self.execute(ACTION, META_ROW, &params).await?;
        self.pass("migrate: the row of ctlstore_meta was written")
    }

    async fn raise_version(&mut self) -> Result<(), Error> {
        let sql = "UPDATE ctlstore_meta SET version = ?, min_compatible = ? WHERE id = 1";
        let params = [i64::from(VERSION).into(), i64::from(MIN_COMPATIBLE).into()];
        self.execute(ACTION, sql, &params).await?;
        self.pass("migrate: the version was raised")
    }
}

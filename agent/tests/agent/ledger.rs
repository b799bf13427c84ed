//! A ledger in a SQLite file, written entry by entry, ours or the original's.

use std::path::{Path, PathBuf};

use ::ledger::{Chain, CtlDbUrl, Entry, History, LeaderTs, Seq, Statement};
use rusqlite::{Connection, params};

pub(crate) struct Ledger {
    pub(crate) path: PathBuf,
    connection: Connection,
    legacy: bool,
    pub(crate) entries: Vec<Entry>,
    pub(crate) chain: Chain,
}

const LEDGER: &str = "CREATE TABLE ctlstore_dml_ledger (seq INTEGER PRIMARY KEY, leader_ts DATETIME, statement TEXT NOT NULL)";
const OURS: &str = "
    CREATE TABLE ctlstore_meta (id INTEGER PRIMARY KEY, version INT, min_compatible INT, history VARCHAR(36), last_seq BIGINT,
        last_digest BLOB, chain BLOB, pruned_through BIGINT, epoch BIGINT, parent_history VARCHAR(36), parent_seq BIGINT, parent_chain BLOB);
    CREATE TABLE ctlstore_batches (first_seq BIGINT PRIMARY KEY, last_seq BIGINT UNIQUE, chain BLOB);
    CREATE TABLE ctlstore_skips (seq BIGINT PRIMARY KEY, reason VARCHAR(1024));";

impl Ledger {
    pub(crate) fn new(dir: &Path) -> Self {
        let history = "0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11";
        let ledger = Self::create(dir, false);
        ledger.sql(OURS);
        let zeros = "00".repeat(32);
        ledger.sql(&format!(
            "INSERT INTO ctlstore_meta VALUES (1, 1, 1, '{history}', 0, x'{zeros}', x'{zeros}', 0, 0, NULL, NULL, NULL)"
        ));
        ledger
    }

    pub(crate) fn legacy(dir: &Path) -> Self {
        Self::create(dir, true)
    }

    fn create(dir: &Path, legacy: bool) -> Self {
        let path = dir.join("ctldb.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.pragma_update(None, "synchronous", "off").unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection.execute_batch(LEDGER).unwrap();
        Self { path, connection, legacy, entries: Vec::new(), chain: Chain::GENESIS }
    }

    pub(crate) fn url(&self) -> CtlDbUrl {
        CtlDbUrl::Sqlite(self.path.clone())
    }

    pub(crate) fn head(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq.get())
    }

    /// Appends a batch in one transaction, at the next sequence.
    pub(crate) fn append<T: AsRef<str>>(&mut self, texts: &[T]) {
        self.append_above(self.head(), texts);
    }

    /// Appends a batch after a jump of the sequence.
    pub(crate) fn append_above<T: AsRef<str>>(&mut self, above: u64, texts: &[T]) {
        let Self { connection, entries, chain, legacy, .. } = self;
        let transaction = connection.transaction().unwrap();
        let first = above + 1;
        let mut seq = above;
        for text in texts {
            seq += 1;
            let micros = 1_760_000_000_000_000 + i64::try_from(seq).unwrap();
            let entry = Entry {
                seq: Seq::new(seq).unwrap(),
                leader_ts: LeaderTs::from_micros(micros),
                statement: text.as_ref().to_owned(),
            };
            let sql = "INSERT INTO ctlstore_dml_ledger VALUES (?, ?, ?)";
            let values = params![entry.seq.to_i64(), entry.leader_ts.to_string(), entry.statement];
            transaction.prepare_cached(sql).unwrap().execute(values).unwrap();
            *chain = chain.link(entry.digest());
            entries.push(entry);
        }
        if !*legacy {
            let (last, bytes) = (entries.last().unwrap(), chain.as_bytes().as_slice());
            let values = params![i64::try_from(first).unwrap(), last.seq.to_i64(), bytes];
            transaction.execute("INSERT INTO ctlstore_batches VALUES (?, ?, ?)", values).unwrap();
            let sql = "UPDATE ctlstore_meta SET last_seq = ?, last_digest = ?, chain = ?";
            let digest = last.digest();
            transaction.execute(sql, params![last.seq.to_i64(), digest.as_bytes(), bytes]).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// Appends statements as the executive does: one alone, several in a frame.
    pub(crate) fn batch(&mut self, statements: Vec<Statement>) {
        let texts: Vec<_> = ::ledger::framed(statements).iter().map(ToString::to_string).collect();
        self.append(&texts);
    }

    pub(crate) fn sql(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// Whole copy at this moment, as a replica that is promoted later.
    pub(crate) fn copy(&self, dir: &Path) -> Self {
        let path = dir.join("copy.sqlite");
        self.sql(&format!("VACUUM INTO '{}'", path.display()));
        let connection = Connection::open(&path).unwrap();
        let (legacy, chain, entries) = (self.legacy, self.chain, self.entries.clone());
        Self { path, connection, legacy, entries, chain }
    }

    /// The other ledger stands where this one stood.
    pub(crate) fn fail_over_to(&self, other: &mut Ledger) {
        // A database that is replaced as a whole, its WAL too.
        other.sql("PRAGMA journal_mode = delete");
        for suffix in ["-wal", "-shm"] {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            drop(std::fs::remove_file(name));
        }
        std::fs::rename(&other.path, &self.path).unwrap();
        other.path = self.path.clone();
        other.connection = Connection::open(&other.path).unwrap();
    }

    /// What `ctlstore ctldb new-history` does.
    pub(crate) fn new_history(&self, above: u64) -> History {
        let id = "7c1f3c55-0000-4000-8000-00000000beef";
        self.sql(&format!(
            "UPDATE ctlstore_meta SET parent_history = history, parent_seq = last_seq, parent_chain = chain,
                 history = '{id}', last_seq = max(last_seq, {above})"
        ));
        id.parse().unwrap()
    }
}

pub(crate) const TABLE: &str =
    "CREATE TABLE fam___tbl (\"id\" VARCHAR(191), \"n\" INTEGER, PRIMARY KEY(\"id\"));";

pub(crate) fn upsert(id: &str, n: i64) -> String {
    format!("REPLACE INTO fam___tbl (\"id\",\"n\") VALUES('{id}',{n})")
}

/// A transaction of the ledger.
pub(crate) fn frame(texts: impl IntoIterator<Item = String>) -> Vec<String> {
    let begin = std::iter::once(Statement::BEGIN.to_owned());
    begin.chain(texts).chain(std::iter::once(Statement::COMMIT.to_owned())).collect()
}

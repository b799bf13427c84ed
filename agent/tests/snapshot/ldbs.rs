//! LDB files at rest.

use std::path::{Path, PathBuf};

use agent::snapshot::{Catalog, Download, Frozen, Published, Rate, SnapshotError, Upload};
use ledger::snapshot::Method;
use ledger::{Chain, Digest, History, Position, Seq};
use reader::layout;
use rusqlite::Connection;
use tempfile::TempDir;

/// Small, so that a small file has many.
pub(crate) const PIECE: u64 = 64 << 10;

pub(crate) const UPLOAD: Upload =
    Upload { piece_bytes: PIECE, rate: Rate { bytes_per_second: None } };

/// An LDB that grows.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) history: History,
    seq: u64,
}

impl Node {
    /// With so many rows of about 200 bytes, at entry 1.
    pub(crate) fn new(rows: i64) -> Self {
        let mut node = Self { dir: TempDir::new().unwrap(), history: History::Legacy, seq: 0 };
        let open = node.open();
        open.pragma_update(None, "journal_mode", "wal").unwrap();
        for sql in [layout::CREATE_SEQ, layout::CREATE_LAST_UPDATE, layout::CREATE_META] {
            open.execute(sql, []).unwrap();
        }
        let table = "CREATE TABLE fam___tbl (\"id\" INTEGER, \"name\" VARCHAR(191), \"body\" BLOB, PRIMARY KEY(\"id\"))";
        open.execute(table, []).unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
            INSERT INTO fam___tbl SELECT i, 'name ' || i, randomblob(180) FROM n";
        open.execute(fill, [rows]).unwrap();
        drop(open);
        node.step(0..0);
        node
    }

    pub(crate) fn open(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ldb.db")
    }

    pub(crate) fn position(&self) -> Position {
        let seq = Seq::new(self.seq).unwrap();
        let digest = Digest::from_bytes(*blake3::hash(&self.seq.to_le_bytes()).as_bytes());
        Position { history: self.history, seq, digest, chain: Chain::GENESIS.link(digest) }
    }

    /// One entry further, with these rows changed.
    pub(crate) fn step(&mut self, rows: std::ops::Range<i64>) {
        self.seq += 1;
        let at = self.position();
        let open = self.open();
        let change = "UPDATE fam___tbl SET body = randomblob(180) WHERE id >= ?1 AND id < ?2";
        open.execute(change, [rows.start, rows.end]).unwrap();
        let meta = "INSERT OR REPLACE INTO _ldb_meta VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let values = rusqlite::params![
            layout::META_FORMAT,
            at.history.to_string(),
            at.seq.to_i64(),
            at.digest.as_bytes(),
            at.chain.as_bytes()
        ];
        open.execute(meta, values).unwrap();
        open.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }

    pub(crate) fn frozen(&self) -> Frozen {
        Frozen { path: self.file(), position: self.position(), method: Method::Copy }
    }

    pub(crate) async fn publish(&self, catalog: &Catalog) -> Result<Published, SnapshotError> {
        UPLOAD.publish(catalog, &self.frozen()).await
    }

    pub(crate) fn is_same(&self, file: &Path) -> bool {
        std::fs::read(file).unwrap() == std::fs::read(self.file()).unwrap()
    }
}

pub(crate) fn download(dir: &TempDir) -> Download {
    Download { dir: dir.path().join("incoming"), parallel: 4, progress: std::sync::Arc::default() }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

//! The same rows in LMDB, a B-tree in mapped memory: what a point read costs at least.
#![allow(unsafe_code, reason = "opening a mapped file is unsafe: nobody else may change it")]

use std::path::Path;

use anyhow::{Context as _, Result};
use heed::types::{Bytes, Str};
use heed::{Database, Env, EnvOpenOptions, RoTxn, WithTls};

use crate::ldb::node::{ROWS, key, text};
use crate::ldb::point::{Point, sum};

const MAP_SIZE: usize = 64 << 20;

/// The rows: the number's eight bytes, then the text.
pub(crate) struct Lmdb {
    database: Database<Str, Bytes>,
    transaction: RoTxn<'static, WithTls>,
}

impl Lmdb {
    /// Makes the file in this folder, and fills it.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_SIZE);
        // SAFETY: the folder is ours alone.
        let env: Env = unsafe { options.open(folder) }.context("open LMDB")?;
        let mut transaction = env.write_txn()?;
        let database: Database<Str, Bytes> = env.create_database(&mut transaction, None)?;
        for number in 0..ROWS {
            let mut value = u64::from(number).to_le_bytes().to_vec();
            value.extend(text(number).as_bytes());
            database.put(&mut transaction, &key(number), &value)?;
        }
        transaction.commit()?;
        Ok(Self { database, transaction: env.static_read_txn()? })
    }
}

impl Point for Lmdb {
    fn read(&mut self, key: &str) -> Result<u64> {
        let value = self.database.get(&self.transaction, key)?.context("no row")?;
        let (number, text) = value.split_first_chunk().context("no number")?;
        Ok(sum(std::str::from_utf8(text)?.len(), i64::from_le_bytes(*number)))
    }
}

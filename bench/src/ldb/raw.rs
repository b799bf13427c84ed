//! SQLite's C API as the quickest program would use it: one prepared statement, held, and nothing around it.
#![allow(unsafe_code, reason = "the C API without any layer is what is measured")]

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr;

use anyhow::{Result, bail};
use rusqlite::ffi;

use crate::ldb::node::{FAMILY, TABLE};
use crate::ldb::point::{Point, sum};

/// Around the reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Autocommit,
    InTransaction,
}

/// A connection and its statement.
pub(crate) struct Raw {
    database: *mut ffi::sqlite3,
    statement: *mut ffi::sqlite3_stmt,
}

impl Raw {
    pub(crate) fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let uri = format!("file:{}/current/ldb.db?mode=ro&readonly_shm=1", dir.display());
        let uri = CString::new(uri)?;
        let flags = ffi::SQLITE_OPEN_READONLY | ffi::SQLITE_OPEN_URI | ffi::SQLITE_OPEN_NOMUTEX;
        let mut raw = Self { database: ptr::null_mut(), statement: ptr::null_mut() };
        // SAFETY: the text ends with a zero, and the place for the handle is our own; it is closed on drop in any case.
        let code = unsafe {
            ffi::sqlite3_open_v2(uri.as_ptr(), &raw mut raw.database, flags, ptr::null())
        };
        raw.check(code)?;
        if mode == Mode::InTransaction {
            // SAFETY: the handle is open, the text ends with a zero, and nothing is called back.
            let code = unsafe {
                let sql = c"BEGIN".as_ptr();
                ffi::sqlite3_exec(raw.database, sql, None, ptr::null_mut(), ptr::null_mut())
            };
            raw.check(code)?;
        }
        let sql =
            CString::new(format!("SELECT text, number FROM {FAMILY}___{TABLE} WHERE id = ?"))?;
        // SAFETY: as above; the statement is finalized on drop.
        let code = unsafe {
            let statement = &raw mut raw.statement;
            ffi::sqlite3_prepare_v2(raw.database, sql.as_ptr(), -1, statement, ptr::null_mut())
        };
        raw.check(code)?;
        Ok(raw)
    }

    fn check(&self, code: i32) -> Result<()> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: SQLite keeps the text until the next call on this handle.
        let text = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(self.database)) };
        bail!("SQLite says {code}: {}", text.to_string_lossy());
    }
}

impl Point for Raw {
    fn read(&mut self, key: &str) -> Result<u64> {
        let length = i32::try_from(key.len())?;
        // SAFETY: the key outlives the statement's run, which ends with the reset; columns are looked at while it stands on
        // a row.
        unsafe {
            let bound = ffi::sqlite3_bind_text(
                self.statement,
                1,
                key.as_ptr().cast(),
                length,
                ffi::SQLITE_STATIC(),
            );
            self.check(bound)?;
            while ffi::sqlite3_step(self.statement) != ffi::SQLITE_ROW {
                // What a reader that may not write the shared memory meets beside a writer, and tries again.
                let code = ffi::sqlite3_extended_errcode(self.database);
                ffi::sqlite3_reset(self.statement);
                if !matches!(code, 5 | 14 | 15 | 261 | 264 | 1288) {
                    bail!("no row {key}, SQLite says {code}");
                }
            }
            let text = ffi::sqlite3_column_text(self.statement, 0);
            let bytes = usize::try_from(ffi::sqlite3_column_bytes(self.statement, 0))?;
            let text = std::str::from_utf8(std::slice::from_raw_parts(text, bytes))?.len();
            let number = ffi::sqlite3_column_int64(self.statement, 1);
            self.check(ffi::sqlite3_reset(self.statement))?;
            Ok(sum(text, number))
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: both take null, and nobody has them any more.
        unsafe {
            ffi::sqlite3_finalize(self.statement);
            ffi::sqlite3_close(self.database);
        }
    }
}

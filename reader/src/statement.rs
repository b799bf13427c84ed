//! A prepared statement that is held beside its connection, and its rows, borrowed where SQLite holds them.
//!
//! rusqlite ties a statement to a borrow of its connection, so a struct cannot hold both; and it copies what is bound and
//! reads text through a call that copies it once more. Here a point read costs what SQLite itself costs.
#![allow(unsafe_code, reason = "SQLite's C interface; what must hold is said at each call")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ffi};

use crate::Error;

/// Must be dropped before its connection: fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Statement(NonNull<ffi::sqlite3_stmt>);

// SAFETY: SQLite statements know no thread; whoever holds the session (behind a mutex) holds this.
unsafe impl Send for Statement {}

impl Statement {
    pub(crate) fn prepare(connection: &Connection, sql: &str) -> Result<Self, Error> {
        let length = c_int::try_from(sql.len()).expect("BUG: statements are short");
        let mut raw = null_mut();
        // SAFETY: the connection is open while it is borrowed, the text is as long as said, and nobody else uses the
        // connection, which is not Sync.
        let (code, handle) = unsafe {
            let handle = connection.handle();
            let text = sql.as_ptr().cast();
            let flags = ffi::SQLITE_PREPARE_PERSISTENT;
            (ffi::sqlite3_prepare_v3(handle, text, length, flags, &mut raw, null_mut()), handle)
        };
        match NonNull::new(raw) {
            Some(raw) if code == ffi::SQLITE_OK => Ok(Self(raw)),
            // SAFETY: the handle of an open connection.
            _ => Err(unsafe { failure(handle, code) }),
        }
    }

    /// Runs it with these values. They are bound where they lie, so they must outlive the rows.
    pub(crate) fn query<'a>(
        &'a mut self,
        values: impl Iterator<Item = Result<ValueRef<'a>, Error>>,
    ) -> Result<Cursor<'a>, Error> {
        // Resets the statement also when a value is refused.
        let cursor = Cursor { raw: self.0, borrow: PhantomData };
        for (index, value) in values.enumerate() {
            let index = c_int::try_from(index + 1).expect("BUG: keys are short");
            // SAFETY: the statement is live and not running. What is bound here without a copy lives for 'a; each run
            // binds every place anew before it steps, so a pointer of an earlier run is never followed.
            let code = unsafe { bind(self.0.as_ptr(), index, value?) };
            cursor.check(code)?;
        }
        Ok(cursor)
    }

    /// Runs one without values for its effect.
    pub(crate) fn run(&mut self) -> Result<(), Error> {
        self.query(std::iter::empty())?.next().map(|_| ())
    }

    /// Runs one without values for the one integer that it returns.
    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        let mut cursor = self.query(std::iter::empty())?;
        match (cursor.next()?, cursor.value(0)) {
            (true, ValueRef::Integer(integer)) => Ok(integer),
            _ => Err(Error::Sqlite(rusqlite::Error::QueryReturnedNoRows)),
        }
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        // SAFETY: prepared by us, not used afterwards; the connection is still open.
        unsafe { ffi::sqlite3_finalize(self.0.as_ptr()) };
    }
}

/// The rows of a statement that runs. Ends the run when it is dropped.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    raw: NonNull<ffi::sqlite3_stmt>,
    borrow: PhantomData<&'a mut Statement>,
}

impl Cursor<'_> {
    /// Goes on to the next row, if there is one.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<bool, Error> {
        // SAFETY: a live statement, whose bound values live as long as `self`.
        match unsafe { ffi::sqlite3_step(self.raw.as_ptr()) } {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => Ok(false),
            code => self.check(code).map(|()| false),
        }
    }

    /// A column of the row. Null where there is no such column.
    #[inline]
    pub(crate) fn value(&self, column: usize) -> ValueRef<'_> {
        let raw = self.raw.as_ptr();
        let Ok(column) = c_int::try_from(column) else { return ValueRef::Null };
        // SAFETY: a live statement; SQLite answers NULL for columns out of range. The bytes stay until the next step,
        // which needs `&mut self`, and nothing here converts a value to another type. `column_blob` gives the bytes of a
        // text too, without making room for a NUL at its end.
        unsafe {
            let bytes = || {
                let bytes = ffi::sqlite3_column_blob(raw, column).cast::<u8>();
                let length = usize::try_from(ffi::sqlite3_column_bytes(raw, column)).unwrap_or(0);
                if bytes.is_null() { &[][..] } else { std::slice::from_raw_parts(bytes, length) }
            };
            match ffi::sqlite3_column_type(raw, column) {
                ffi::SQLITE_INTEGER => ValueRef::Integer(ffi::sqlite3_column_int64(raw, column)),
                ffi::SQLITE_FLOAT => ValueRef::Real(ffi::sqlite3_column_double(raw, column)),
                ffi::SQLITE_TEXT => ValueRef::Text(bytes()),
                ffi::SQLITE_BLOB => ValueRef::Blob(bytes()),
                _ => ValueRef::Null,
            }
        }
    }

    #[inline]
    fn check(&self, code: c_int) -> Result<(), Error> {
        if code == ffi::SQLITE_OK {
            return Ok(());
        }
        // SAFETY: a live statement's connection is open.
        Err(unsafe { failure(ffi::sqlite3_db_handle(self.raw.as_ptr()), code) })
    }
}

impl Drop for Cursor<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a live statement. The code is that of the last step, which was told already.
        unsafe { ffi::sqlite3_reset(self.raw.as_ptr()) };
    }
}

/// # Safety
/// The statement is live and not running, and the value outlives its next run.
#[inline]
unsafe fn bind(raw: *mut ffi::sqlite3_stmt, index: c_int, value: ValueRef<'_>) -> c_int {
    let length = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    // SAFETY: as the caller promises; SQLITE_STATIC means that SQLite does not copy.
    unsafe {
        match value {
            ValueRef::Null => ffi::sqlite3_bind_null(raw, index),
            ValueRef::Integer(integer) => ffi::sqlite3_bind_int64(raw, index, integer),
            ValueRef::Real(number) => ffi::sqlite3_bind_double(raw, index, number),
            ValueRef::Text(text) => {
                let (bytes, utf8) = (text.as_ptr().cast(), ffi::SQLITE_UTF8);
                let utf8 = std::ffi::c_uchar::try_from(utf8).unwrap_or(1);
                ffi::sqlite3_bind_text64(
                    raw,
                    index,
                    bytes,
                    length(text),
                    ffi::SQLITE_STATIC(),
                    utf8,
                )
            }
            ValueRef::Blob(bytes) => ffi::sqlite3_bind_blob64(
                raw,
                index,
                bytes.as_ptr().cast(),
                length(bytes),
                ffi::SQLITE_STATIC(),
            ),
        }
    }
}

/// # Safety
/// The connection is open, or null.
#[cold]
unsafe fn failure(handle: *mut ffi::sqlite3, code: c_int) -> Error {
    // SAFETY: SQLite's own text, copied before anything else is called.
    let message = unsafe { CStr::from_ptr(ffi::sqlite3_errmsg(handle)) };
    let message = message.to_string_lossy().into_owned();
    Error::Sqlite(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(message)))
}

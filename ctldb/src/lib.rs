//! The system of record: schema, rows and ledger in MySQL or SQLite.

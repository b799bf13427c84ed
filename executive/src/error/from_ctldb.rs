//! What a client is told when ctldb says no. The causes, which may name hosts, users or statements, stay in the log.

use std::time::Duration;

use crate::error::{Code, Error};

/// After a lock or a schema change, and while ctldb is away.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);

impl Error {
    /// A failure that the client did not cause and cannot cure.
    pub(crate) fn internal() -> Self {
        Self::new(Code::Internal, "internal error, see the executive's log by the request id")
    }
}

impl From<ctldb::Error> for Error {
    fn from(error: ctldb::Error) -> Self {
        use ctldb::Error as Db;
        let answer = |code, text: &str| Error::new(code, text);
        let own_words = |code| Error::new(code, error.to_string());
        let answer = match &error {
            Db::Unavailable { .. } => own_words(Code::Unavailable).retry_after(LATER),
            Db::Contended { .. } => own_words(Code::Unavailable).retry_after(SOON),
            Db::Unsure { .. } => own_words(Code::Unsure),
            Db::NotMigrated
            | Db::TooNew { .. }
            | Db::Original
            | Db::Collation
            | Db::LedgerLock
            | Db::LedgerTaken { .. } => own_words(Code::Unavailable).retry_after(LATER),
            Db::FamilyNotFound(_) => answer(Code::FamilyNotFound, "Family not found"),
            Db::TableNotFound(table) => {
                Error::new(Code::TableNotFound, format!("Table not found: {}", table.table()))
            }
            Db::TableExists(_) => answer(Code::TableExists, "Table already exists"),
            Db::ColumnExists { column, .. } => answer(Code::ColumnExists, "Column already exists")
                .field(format!("fields.{column}")),
            Db::Foreign { .. } => own_words(Code::TableExists),
            Db::WriterUnknown(_) => answer(Code::WriterNotFound, "Writer not found"),
            Db::RateLimited { retry_after, .. } => {
                answer(Code::RateLimited, "rate limit exceeded").retry_after(*retry_after)
            }
            Db::PeriodZero => own_words(Code::LimitInvalid).field("period"),
            Db::TableFull { table, limit, .. } => Error::new(
                Code::TableFull,
                format!("table '{table}' has exceeded the max size of {limit}"),
            ),
            Db::OwnedByObject { .. } => own_words(Code::TableOwned),
            Db::LimitOwned { .. } => own_words(Code::LimitOwned),
            Db::Retained { .. } => own_words(Code::TableRetained),
            Db::WriterNotFound => answer(Code::WriterUnauthorized, "Writer not found"),
            Db::WriterExists(_) => {
                answer(Code::WriterExists, "Writer already exists with different credentials")
            }
            Db::WriterBound { .. } => own_words(Code::WriterBound),
            Db::SecretLength => own_words(Code::SecretInvalid),
            Db::CookieConflict => {
                answer(Code::CookieConflict, "Cookie conflict").field("check_cookie")
            }
            Db::CookieTooLong { .. } => {
                answer(Code::CookieTooLong, "Maximum cookie length is 1024 bytes")
            }
            Db::EmptyBatch => own_words(Code::NoMutations),
            Db::SchemaMoved(_) | Db::SchemaBusy { .. } | Db::WaitingForLock { .. } => {
                own_words(Code::SchemaBusy).retry_after(SOON)
            }
            Db::Refused(ledger::Refusal::TooWide(_)) => own_words(Code::TableTooWide),
            Db::Refused(_) => own_words(Code::SchemaInvalid),
            Db::StatementTooLarge { .. } => {
                answer(Code::StatementTooLarge, "Request generated too large of a DML statement")
            }
            Db::Ddl { .. } | Db::TooLargeToClear { .. } => own_words(Code::Internal),
            Db::Database { .. }
            | Db::Deposed { .. }
            | Db::Corrupt { .. }
            | Db::OtherFamily { .. }
            | Db::Poisonous { .. }
            | Db::SeqNotFound(_)
            | Db::LedgerReplaced
            | Db::ChainBroken { .. }
            | Db::Crashed(_) => Error::internal(),
        };
        answer.because(error)
    }
}

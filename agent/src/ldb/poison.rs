//! Which failures of SQLite are an entry's own.

use rusqlite::ErrorCode;

/// Does the entry itself fail, whatever the state of the disk? It would fail on every node.
pub(crate) fn is_poison(error: &rusqlite::Error) -> bool {
    let code = match error {
        // What SQLite does not understand when it prepares a statement.
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    };
    match code {
        // No such table or column, a table that is there already, a key that is null, text for a row's number.
        Some(
            ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::AuthorizationForStatementDenied,
        ) => true,
        Some(_) | None => false,
    }
}

/// SQLite's words without the statement, which is long.
pub(crate) fn words(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        other => other.to_string(),
    }
}

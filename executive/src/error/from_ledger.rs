//! What a client is told of names and tables that cannot be: in the original's words wherever it has the rule. The part of
//! the request that is to blame is named beside them.

use ledger::{NameError, NameKind, NameRule, SchemaError, TooWide};

use crate::error::{Code, Error};

/// What is wrong with a name.
pub(crate) fn of_name(error: &NameError) -> String {
    let (what, characters) = match error.kind {
        NameKind::Family => ("Family", "letters, numbers, and single underscore"),
        NameKind::Table => ("Table", "letters, numbers, and single underscore"),
        NameKind::Column => ("Field", "letters, numbers, and underscore"),
        NameKind::Writer => ("Writer", "characters that a header can carry"),
        // The original leaves this one to MySQL.
        NameKind::LdbTable => return error.to_string(),
    };
    match error.rule {
        NameRule::Characters => format!("{what} names must be only {characters}"),
        NameRule::TooLong(max) => format!("{what} names can only be up to {max} characters"),
        NameRule::TooShort(min) => format!("{what} names must be at least {min} characters"),
        NameRule::Reserved => error.to_string(),
    }
}

/// What is wrong with a table.
fn of_schema(error: &SchemaError) -> String {
    match error {
        SchemaError::NoKey { .. } => "table must have at least one key field".to_owned(),
        SchemaError::KeyColumnMissing { column, .. } => {
            format!("Primary key field '{column}' not specified as a field")
        }
        SchemaError::KeyType { column_type, .. } => {
            format!("Fields of type '{}' cannot be a key field", column_type.api_name())
        }
        SchemaError::DuplicateColumn { .. } | SchemaError::DuplicateKeyColumn { .. } => {
            error.to_string()
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        let field = match error.kind {
            NameKind::Column => format!("fields.{}", error.text),
            kind => kind.to_string(),
        };
        Self::new(Code::NameInvalid, of_name(&error)).field(field)
    }
}

impl From<SchemaError> for Error {
    fn from(error: SchemaError) -> Self {
        let field = match &error {
            SchemaError::DuplicateColumn { column, .. } => format!("fields.{column}"),
            SchemaError::NoKey { .. } => "keyFields".to_owned(),
            SchemaError::DuplicateKeyColumn { column, .. }
            | SchemaError::KeyColumnMissing { column, .. }
            | SchemaError::KeyType { column, .. } => format!("keyFields.{column}"),
        };
        Self::new(Code::SchemaInvalid, of_schema(&error)).field(field)
    }
}

impl From<TooWide> for Error {
    fn from(error: TooWide) -> Self {
        Self::new(Code::TableTooWide, error.to_string()).field("fields")
    }
}

//! Parts of messages.

use std::time::Duration;

use ledger::{ColumnName, ColumnType, History, Mark};

pub(super) fn behind(by: Duration) -> String {
    if by == Duration::MAX {
        "without any entry, so infinitely far".to_owned()
    } else {
        format!("{by:?}")
    }
}

pub(super) fn place(mark: &Mark) -> String {
    format!("{} of history {}", mark.seq, mark.history)
}

pub(super) fn other_history((wanted, seen): &(History, History)) -> String {
    format!(
        ", in history {seen} and not {wanted}: does its agent say that the ledger went another way?"
    )
}

pub(super) fn names(columns: &[ColumnName]) -> String {
    columns.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) fn cure(key: &[ColumnName], got: usize) -> String {
    match key.get(got) {
        Some(missing) => format!("give a value for {:?}", missing.as_str()),
        None => "leave out those that are too many".to_owned(),
    }
}

pub(super) fn wants(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::String | ColumnType::Text => "text",
        ColumnType::Integer => "an integer",
        ColumnType::Binary | ColumnType::ByteString => "bytes",
        ColumnType::Decimal => "a number",
    }
}

//! One line for each change, on the log target `audit`: what was changed, by whom, from where, and why. Never a value of a
//! row, never a secret.

use std::fmt::Display;

use ctldb::Author;
use ledger::Mark;

/// A change that was made.
pub(crate) struct Change<'a> {
    /// What was done, such as `create table`.
    pub(crate) action: &'static str,
    /// To what.
    pub(crate) object: &'a dyn Display,
    /// Where it stands in the ledger, if it does.
    pub(crate) mark: Option<Mark>,
    /// Rows written and rows deleted.
    pub(crate) rows: Option<(usize, usize)>,
}

/// Writes the line.
pub(crate) fn changed(author: &Author, change: &Change<'_>) {
    let Author { writer, principal, source_address, request_id, reason } = author;
    let Change { action, object, mark, rows } = change;
    tracing::info!(
        target: "audit",
        action,
        object = %object,
        seq = mark.map(|mark| mark.seq.get()),
        upserts = rows.map(|(upserts, _)| upserts),
        deletes = rows.map(|(_, deletes)| deletes),
        principal,
        writer = writer.as_ref().map(ledger::WriterName::as_str),
        source_address,
        request_id,
        reason,
        "changed"
    );
}

/// A change of something that is not in the ledger.
pub(crate) fn set(author: &Author, action: &'static str, object: &dyn Display) {
    changed(author, &Change { action, object, mark: None, rows: None });
}

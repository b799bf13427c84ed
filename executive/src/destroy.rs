//! Routes that lose rows: clearing and dropping tables. They are off unless `--allow-destructive` is given, and leave alone
//! what a `CtlTable` object says stays.

use axum::extract::State;
use ctldb::{Author, Deletion, Error as DbError, Fence, OwnerId, SchemaChange, SchemaChangeKind};
use ledger::{FamilyName, LdbTable, Mark, Seq};

use crate::answer::Written;
use crate::app::App;
use crate::audit::{self, Change};
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::tables::{self, decode::ldb_table};
use crate::ticket::Ticket;

/// Deletes the rows of a table.
pub(crate) async fn clear_table(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
) -> Result<Written, Error> {
    app.may_clear()?;
    let table = ldb_table(&family, &table)?;
    let mark = clear_one(&app, &ticket, &table, &caller.admin()).await;
    Ok(Written(Some(mark.map_err(|error| missing(error, &table))?)))
}

/// Deletes the rows of all tables of a family, one table after the other. A table that must keep its rows stops it before
/// the first.
pub(crate) async fn clear_family(
    State(app): State<App>,
    ticket: Ticket,
    Segments(family): Segments<String>,
    caller: Caller,
) -> Result<Written, Error> {
    app.may_clear()?;
    let family = FamilyName::parse_folded(&family)?;
    let mut records = app.ask(&ticket, app.db.tables(Some(&family))).await?;
    records.retain(|record| record.schema_seq > Seq::ZERO);
    for record in &records {
        let mut owners = record.owners.iter();
        let retains = owners
            .find(|owner| owner.id != OwnerId::Executive && owner.deletion == Deletion::Retain);
        if let Some(owner) = retains {
            let (table, owner) = (record.schema.table().clone(), owner.id.clone());
            return Err(DbError::Retained { table, owner }.into());
        }
    }
    let author = caller.admin();
    let mut last = None;
    for record in records {
        last = Some(clear_one(&app, &ticket, record.schema.table(), &author).await?);
    }
    Ok(Written(last))
}

/// Drops a table.
pub(crate) async fn drop_table(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
) -> Result<Written, Error> {
    if !app.destructive {
        return Err(Error::new(Code::DestructiveDisabled, "Dropping tables is not enabled."));
    }
    let table = ldb_table(&family, &table)?;
    let change =
        SchemaChange { table: table.clone(), by: OwnerId::Executive, kind: SchemaChangeKind::Drop };
    let applied = tables::change(&app, &ticket, ("drop table", change), caller.admin()).await;
    Ok(Written(Some(applied.map_err(|error| missing(error, &table))?.mark)))
}

async fn clear_one(
    app: &App,
    ticket: &Ticket,
    table: &LdbTable,
    author: &Author,
) -> Result<Mark, Error> {
    app.hold.check()?;
    let (db, of, by) = (app.db.clone(), table.clone(), author.clone());
    let clear = async move { db.clear_table(&of, &OwnerId::Executive, &by, Fence::Open).await };
    let mark = app.carry_out(ticket, clear).await??.mark;
    app.metrics.reached(mark.seq);
    let change = Change { action: "clear table", object: table, mark: Some(mark), rows: None };
    audit::changed(author, &change);
    Ok(mark)
}

impl App {
    fn may_clear(&self) -> Result<(), Error> {
        match self.destructive {
            true => Ok(()),
            false => Err(Error::new(Code::DestructiveDisabled, "Clearing tables is not enabled.")),
        }
    }
}

/// The original runs the two names together.
fn missing(error: Error, table: &LdbTable) -> Error {
    match error.code() {
        Code::TableNotFound => {
            let text = format!("table \"{}{}\" not found", table.family(), table.table());
            Error::new(Code::TableNotFound, text)
        }
        _ => error,
    }
}

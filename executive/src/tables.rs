//! Tables over HTTP: `POST` and `PUT /families/{f}/tables/{t}`, `POST /tables`.
//!
//! A table that a `CtlTable` object owns is changed there and nowhere else.

pub(crate) mod decode;

use axum::body::Body;
use axum::extract::State;
use ctldb::{Applied, Author, Deletion, Fence, Owner, OwnerId, SchemaChange, SchemaChangeKind};
use ctldb::{Error as DbError, TableRecord};
use ledger::{Column, FamilyName, LdbTable, Mark, TableSchema};

use crate::answer::Written;
use crate::app::App;
use crate::audit::{self, Change};
use crate::body;
use crate::caller::Caller;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::ticket::Ticket;
use decode::{Named, Wanted, ldb_table};

/// Creates a table.
pub(crate) async fn create(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<Written, Error> {
    let table = ldb_table(&family, &table)?;
    let body = body::read(body, &ticket).await?;
    let schema = Wanted::parse(&body)?.schema(table)?;
    let mark = create_one(&app, &ticket, schema, caller.admin()).await?;
    Ok(Written(Some(mark)))
}

/// Creates several tables, one after the other, and stops at the first that cannot be.
pub(crate) async fn create_all(
    State(app): State<App>,
    ticket: Ticket,
    caller: Caller,
    body: Body,
) -> Result<Written, Error> {
    let body = body::read(body, &ticket).await?;
    let lines = Named::parse_all(&body)?;
    let author = caller.admin();
    let mut last = None;
    for (index, line) in lines.iter().enumerate() {
        let made = async {
            let made = create_one(&app, &ticket, line.schema()?, author.clone()).await;
            made.map_err(|error| error.context(&line.while_doing("creating table")))
        };
        last = Some(made.await.map_err(|error| error.field(format!("[{index}]")))?);
    }
    Ok(Written(last))
}

/// Adds columns to a table: all of them or none.
pub(crate) async fn add_fields(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
    caller: Caller,
    body: Body,
) -> Result<Written, Error> {
    let table = ldb_table(&family, &table)?;
    let body = body::read(body, &ticket).await?;
    let columns = Wanted::parse(&body)?.columns()?;
    let Some(record) = app.ask(&ticket, app.db.table(&table)).await? else {
        return nowhere(&app, &ticket, &table, &columns).await;
    };
    if columns.is_empty() {
        return Ok(Written(None));
    }
    check_addition(&record, &columns)?;
    let kind = SchemaChangeKind::AddColumns(columns);
    let added = SchemaChange { table, by: OwnerId::Executive, kind };
    let Applied { mark, .. } =
        change(&app, &ticket, ("add columns", added), caller.admin()).await?;
    Ok(Written(Some(mark)))
}

async fn create_one(
    app: &App,
    ticket: &Ticket,
    schema: TableSchema,
    author: Author,
) -> Result<Mark, Error> {
    let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
    let table = schema.table().clone();
    let kind = SchemaChangeKind::Create { schema, owner };
    let created = SchemaChange { table, by: OwnerId::Executive, kind };
    change(app, ticket, ("create table", created), author).await.map(|applied| applied.mark)
}

/// Changes a table, and says so; the text is what is done to it.
pub(crate) async fn change(
    app: &App,
    ticket: &Ticket,
    (action, change): (&'static str, SchemaChange),
    author: Author,
) -> Result<Applied, Error> {
    app.hold.check()?;
    let (db, table, by) = (app.db.clone(), change.table.clone(), author.clone());
    let changed = async move { db.change_schema(&change, &by, Fence::Open).await };
    let applied = app.carry_out(ticket, changed).await??;
    app.metrics.reached(applied.mark.seq);
    let mark = Some(applied.mark);
    audit::changed(&author, &Change { action, object: &table, mark, rows: None });
    Ok(applied)
}

/// There is no such table. The original only looks for the family when there is nothing to add.
async fn nowhere(
    app: &App,
    ticket: &Ticket,
    table: &LdbTable,
    columns: &[Column],
) -> Result<Written, Error> {
    let families: Vec<FamilyName> = app.ask(ticket, app.db.families()).await?;
    if !families.contains(table.family()) {
        return Err(Error::new(Code::FamilyNotFound, "Family does not exist"));
    }
    if columns.is_empty() {
        return Ok(Written(None));
    }
    Err(DbError::TableNotFound(table.clone()).into())
}

/// May these columns be added over HTTP?
fn check_addition(record: &TableRecord, columns: &[Column]) -> Result<(), Error> {
    let TableRecord { schema, owners, .. } = record;
    let table = schema.table();
    if let Some(Owner { id, .. }) = owners.iter().find(|owner| owner.id != OwnerId::Executive) {
        let (table, owner) = (table.clone(), id.clone());
        return Err(DbError::OwnedByObject { table, owner }.into());
    }
    if let Some(column) = columns.iter().find(|column| schema.column(&column.name).is_some()) {
        let (table, column) = (table.clone(), column.name.clone());
        return Err(DbError::ColumnExists { table, column }.into());
    }
    Ok(schema.with_columns(columns.iter().cloned())?.check_width()?)
}

#[cfg(test)]
mod tests {
    use ledger::{ColumnName, ColumnType, Seq};

    use super::*;

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column { name: ColumnName::parse(name).unwrap(), column_type }
    }

    fn record(owners: Vec<OwnerId>) -> TableRecord {
        let table = ldb_table("billing", "rates").unwrap();
        let key = column("id", ColumnType::Integer);
        let name = key.name.clone();
        TableRecord {
            schema: TableSchema::new(table, vec![key], vec![name]).unwrap(),
            owners: owners.into_iter().map(|id| Owner { id, deletion: Deletion::Retain }).collect(),
            schema_seq: Seq::FIRST,
            intent: None,
        }
    }

    #[test]
    fn a_table_of_an_object_is_changed_there() {
        let object = OwnerId::Object {
            cluster: "west".to_owned(),
            namespace: "team-a".to_owned(),
            name: "rates".to_owned(),
        };
        let added = [column("price", ColumnType::Decimal)];
        let refused =
            check_addition(&record(vec![OwnerId::Executive, object]), &added).unwrap_err();
        assert_eq!(refused.code(), Code::TableOwned);
        assert!(refused.to_string().contains("CtlTable team-a/rates of cluster west"), "{refused}");
        check_addition(&record(vec![OwnerId::Executive]), &added).unwrap();
        check_addition(&record(vec![]), &added).unwrap();
    }

    #[test]
    fn columns_are_added_once_and_within_the_width() {
        let record = record(vec![OwnerId::Executive]);
        let code = |columns: &[Column]| check_addition(&record, columns).unwrap_err().code();
        assert_eq!(code(&[column("id", ColumnType::Text)]), Code::ColumnExists);
        let twice = column("price", ColumnType::Decimal);
        assert_eq!(code(&[twice.clone(), twice]), Code::SchemaInvalid);
        let wide: Vec<_> = (0..90).map(|n| column(&format!("c{n}"), ColumnType::String)).collect();
        assert_eq!(code(&wide), Code::TableTooWide);
    }
}

//! `GET /schema/table/{f}/{t}` and `GET /schema/family/{f}`: tables as the registry has them.

use axum::Json;
use axum::extract::State;
use ctldb::TableRecord;
use ledger::{FamilyName, Seq};
use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::error::{Code, Error};
use crate::path::Segments;
use crate::tables::decode::ldb_table;
use crate::ticket::Ticket;

/// A table in the words of the original's API. `POST /tables` takes it back.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Table")]
pub(crate) struct TableJson {
    family: String,
    name: String,
    fields: Vec<(String, &'static str)>,
    /// In the key's order, which is the order that readers use.
    #[serde(rename = "keyFields")]
    key_fields: Vec<String>,
}

/// One table.
pub(crate) async fn table(
    State(app): State<App>,
    ticket: Ticket,
    Segments((family, table)): Segments<(String, String)>,
) -> Result<Json<TableJson>, Error> {
    let table = ldb_table(&family, &table)?;
    let record = app.ask(&ticket, app.db.table(&table)).await?.filter(is_there);
    let missing = || Error::new(Code::TableNotFound, format!("{table}: table does not exist\n"));
    record.as_ref().map(|record| Json(TableJson::from(record))).ok_or_else(missing)
}

/// The tables of a family, by name; `null` when there are none, as in the original.
pub(crate) async fn family(
    State(app): State<App>,
    ticket: Ticket,
    Segments(family): Segments<String>,
) -> Result<Json<Option<Vec<TableJson>>>, Error> {
    let family = FamilyName::parse_folded(&family)?;
    let mut records = app.ask(&ticket, app.db.tables(Some(&family))).await?;
    records.retain(is_there);
    records.sort_by(|one, other| one.schema.table().cmp(other.schema.table()));
    let tables: Vec<_> = records.iter().map(TableJson::from).collect();
    Ok(Json((!tables.is_empty()).then_some(tables)))
}

/// A table that is still being created is not there.
fn is_there(record: &TableRecord) -> bool {
    record.schema_seq > Seq::ZERO
}

impl From<&TableRecord> for TableJson {
    fn from(TableRecord { schema, .. }: &TableRecord) -> Self {
        let columns = schema.columns().iter();
        Self {
            family: schema.table().family().to_string(),
            name: schema.table().table().to_string(),
            fields: columns.map(|c| (c.name.to_string(), c.column_type.api_name())).collect(),
            key_fields: schema.key().iter().map(ToString::to_string).collect(),
        }
    }
}

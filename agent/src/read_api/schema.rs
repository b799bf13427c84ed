//! `GET /v1/schema[/{family}[/{table}]]`: what can be read here, in the words of the executive's API.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use ledger::TableSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::read_api::app::App;
use crate::read_api::error::Error;
use crate::read_api::path::Target;

/// The families that are served and have tables.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Families {
    families: Vec<String>,
}

/// The tables of a family.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tables {
    tables: Vec<Table>,
}

/// A table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Table {
    family: String,
    name: String,
    /// Name and type of each column.
    #[schemars(schema_with = "pairs")]
    fields: Vec<(String, &'static str)>,
    /// In the key's order.
    #[serde(rename = "keyFields")]
    key_fields: Vec<String>,
}

fn pairs(_: &mut SchemaGenerator) -> Schema {
    let pair = json_schema!({
        "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2,
    });
    json_schema!({ "type": "array", "items": pair })
}

/// `GET /v1/schema`
pub(crate) async fn families(State(app): State<App>) -> Result<Json<Families>, Error> {
    let all = app.read_long(|app| Ok(app.ldb.families()?)).await?;
    let served = all.iter().filter(|family| app.check_served(family).is_ok());
    Ok(Json(Families { families: served.map(ToString::to_string).collect() }))
}

/// `GET /v1/schema/{family}`
pub(crate) async fn family(State(app): State<App>, uri: Uri) -> Result<Json<Tables>, Error> {
    let Target { family, .. } = Target::of(&uri)?;
    let read = move |app: &App| {
        let family = app.family(&family)?;
        let names = family.tables()?;
        let tables =
            names.iter().map(|name| Ok(Table::from(&*family.shared_schema(name.as_str())?)));
        tables.collect::<Result<Vec<_>, Error>>()
    };
    Ok(Json(Tables { tables: app.read_long(read).await? }))
}

/// `GET /v1/schema/{family}/{table}`
pub(crate) async fn table(State(app): State<App>, uri: Uri) -> Result<Json<Table>, Error> {
    let Target { family, table, .. } = Target::of(&uri)?;
    Ok(Json(Table::from(&*app.family(&family)?.shared_schema(&table)?)))
}

impl From<&TableSchema> for Table {
    fn from(schema: &TableSchema) -> Self {
        let columns = schema.columns().iter();
        Self {
            family: schema.table().family().to_string(),
            name: schema.table().table().to_string(),
            fields: columns.map(|c| (c.name.to_string(), c.column_type.api_name())).collect(),
            key_fields: schema.key().iter().map(ToString::to_string).collect(),
        }
    }
}

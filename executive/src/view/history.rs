//! `GET /v1/history/{f}/{t}/{key…}`: the versions of a row that are still in the ledger, the newest first.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use ctldb::{RowOperation, RowVersion};
use ledger::{Column, ColumnType, Key, LdbTable, Seq, TableSchema, Value};
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;

use super::query::Numbers;
use super::value::object;
use super::{Who, rfc3339};
use crate::app::App;
use crate::error::{Code, Error};
use crate::tables::decode::ldb_table;
use crate::ticket::Ticket;

const DEFAULT_VERSIONS: u64 = 100;
const MAX_VERSIONS: u64 = 1000;
/// Segments of the path before the key: `/v1/history/{f}/{t}`.
const BEFORE_KEY: usize = 5;

/// The versions of a row.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RowHistory")]
pub(crate) struct Versions {
    family: String,
    table: String,
    key: Map<String, serde_json::Value>,
    /// Versions of entries up to here are gone: they were pruned.
    pruned_through: u64,
    /// The newest first.
    versions: Vec<Version>,
}

/// A version of a row.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RowVersion")]
struct Version {
    seq: u64,
    at: String,
    op: Op,
    /// The row from then on; `null` when there was none.
    values: Option<Map<String, serde_json::Value>>,
    /// Who did it; `null` for what the original wrote.
    #[serde(flatten)]
    who: Option<Who>,
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Op {
    Upsert,
    Delete,
    Clear,
    Drop,
}

/// Which row, as its path names it.
#[derive(Debug)]
pub(crate) struct Place {
    table: LdbTable,
    key: Vec<String>,
}

/// The versions of a row.
pub(crate) async fn versions(
    State(app): State<App>,
    ticket: Ticket,
    Place { table, key }: Place,
    mut query: Numbers,
) -> Result<Json<Versions>, Error> {
    let limit = query.take("limit", DEFAULT_VERSIONS, 1..=MAX_VERSIONS)?;
    query.end()?;
    let limit = usize::try_from(limit).expect("BUG: the bounds are small");
    let record = app.ask(&ticket, app.db.table(&table)).await?;
    let Some(record) = record.filter(|record| record.schema_seq > Seq::ZERO) else {
        return Err(ctldb::Error::TableNotFound(table).into());
    };
    let schema = &record.schema;
    let key = typed(schema, &key)?;
    let versions = app.ask(&ticket, app.db.row_history(schema, &key, limit)).await?;
    let pruned_through = app.ask(&ticket, app.db.meta()).await?.pruned_through.get();
    Ok(Json(Versions {
        family: table.family().to_string(),
        table: table.table().to_string(),
        key: object(schema.key().iter().zip(key.values())),
        pruned_through,
        versions: versions.into_iter().map(Version::from).collect(),
    }))
}

impl FromRequestParts<App> for Place {
    type Rejection = Error;

    /// From the path as it was sent: decoded as a whole, a slash within a value would look like one between two.
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        let decode = |segment: &str| {
            let text = percent_decode_str(segment).decode_utf8();
            text.map(|text| text.into_owned())
                .map_err(|_| Error::new(Code::NameInvalid, "the path is not percent-encoded UTF-8"))
        };
        let segments = parts.uri.path().split('/').map(decode);
        let mut segments = segments.collect::<Result<Vec<_>, _>>()?;
        let key = segments.split_off(BEFORE_KEY.min(segments.len()));
        let name = |back: usize| {
            let index = segments.len().checked_sub(back);
            index.and_then(|index| segments.get(index)).map_or("", String::as_str)
        };
        Ok(Self { table: ldb_table(name(2), name(1))?, key })
    }
}

/// The values of a key as they are typed, as `ctlstore get` takes them.
fn typed(schema: &TableSchema, texts: &[String]) -> Result<Key, Error> {
    let columns: Vec<_> = schema.key().iter().map(ToString::to_string).collect();
    if texts.len() != columns.len() {
        let text = format!(
            "the key of {} has the columns {}, send one path segment for each",
            schema.table(),
            columns.join(", ")
        );
        return Err(Error::new(Code::KeyInvalid, text).field("key"));
    }
    let values = schema.key_columns().zip(texts).map(|(column, text)| value(column, text));
    let values = values.collect::<Result<_, _>>()?;
    Key::new(schema, values).map_err(|error| {
        Error::new(Code::KeyInvalid, error.to_string()).field(error.column.to_string())
    })
}

fn value(column: &Column, text: &str) -> Result<Value, Error> {
    let refuse = |what: &str| {
        let name = column.name.as_str();
        let text = format!("key column {name:?} takes {what}, {text:?} is none");
        Error::new(Code::KeyInvalid, text).field(name)
    };
    match column.column_type {
        ColumnType::Integer => {
            text.parse().map(Value::Integer).map_err(|_| refuse("a whole number of 64 bits"))
        }
        ColumnType::ByteString | ColumnType::Binary => match text.strip_prefix("0x") {
            None => Ok(Value::Bytes(text.as_bytes().to_vec())),
            Some(digits) => bytes(digits)
                .map(Value::Bytes)
                .ok_or_else(|| refuse("text, or 0x and pairs of hexadecimal digits")),
        },
        ColumnType::String | ColumnType::Text | ColumnType::Decimal => {
            Ok(Value::Text(text.to_owned()))
        }
    }
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

impl From<RowVersion> for Version {
    fn from(RowVersion { seq, at, operation, values, batch }: RowVersion) -> Self {
        let (op, is_there) = match operation {
            RowOperation::Upsert => (Op::Upsert, true),
            RowOperation::Delete => (Op::Delete, false),
            RowOperation::Clear => (Op::Clear, false),
            RowOperation::Drop => (Op::Drop, false),
        };
        let values = is_there.then(|| object(values.iter().map(|(name, value)| (name, value))));
        Self { seq: seq.get(), at: rfc3339(at), op, values, who: batch.map(Who::from) }
    }
}

#[cfg(test)]
mod tests {
    use ledger::{ColumnName, FamilyName, TableName};

    use super::*;

    fn schema(columns: &[(&str, ColumnType)]) -> TableSchema {
        let column = |(name, column_type): &(&str, ColumnType)| Column {
            name: ColumnName::parse(name).unwrap(),
            column_type: *column_type,
        };
        let columns: Vec<_> = columns.iter().map(column).collect();
        let table =
            LdbTable::new(FamilyName::parse("fam").unwrap(), TableName::parse("tab").unwrap());
        let key = columns.iter().map(|column| column.name.clone()).collect();
        TableSchema::new(table.unwrap(), columns, key).unwrap()
    }

    async fn place(uri: &str) -> Result<(String, Vec<String>), Code> {
        let request = axum::http::Request::builder().uri(uri).body(()).unwrap();
        let app = crate::app::tests::idle();
        let place = Place::from_request_parts(&mut request.into_parts().0, &app).await;
        place.map(|place| (place.table.to_string(), place.key)).map_err(|error| error.code())
    }

    #[tokio::test]
    async fn each_segment_of_the_path_is_a_value_of_the_key() {
        let key = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let found = place("/v1/history/Fam/Tab/a%2Fb/%C3%BC?limit=1").await.unwrap();
        assert_eq!(found, ("fam___tab".to_owned(), key(&["a/b", "ü"])));
        assert_eq!(place("/v1/history/fam/tab/").await.unwrap().1, key(&[""]));
        assert_eq!(place("/v1/history/fam/tab/%ff").await, Err(Code::NameInvalid));
        assert_eq!(place("/v1/history/fam/t/x").await, Err(Code::NameInvalid));
    }

    #[test]
    fn values_are_read_by_their_columns() {
        let schema = schema(&[
            ("a", ColumnType::String),
            ("b", ColumnType::Integer),
            ("c", ColumnType::ByteString),
        ]);
        let read = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            typed(&schema, &texts).map(|key| key.values().to_vec()).map_err(|e| e.code())
        };
        let want =
            vec![Value::Text("x".to_owned()), Value::Integer(-7), Value::Bytes(vec![0, 255])];
        assert_eq!(read(&["x", "-7", "0x00fF"]), Ok(want));
        assert_eq!(read(&["x", "1", "ü"]).unwrap()[2], Value::Bytes("ü".as_bytes().to_vec()));
        for wrong in
            [&["x", "1"][..], &["x", "1", "y", "z"], &["x", "1.0", "y"], &["x", "1", "0x0"]]
        {
            assert_eq!(read(wrong), Err(Code::KeyInvalid), "{wrong:?}");
        }
    }
}

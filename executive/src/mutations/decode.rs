//! From the JSON body of a mutation request to rows and keys, checked against their tables. Pure: the whole batch is
//! refused or accepted before ctldb hears of it.
//!
//! In two steps, because the tables' schemas are fetched between them: [`Order::parse`] reads what was asked for,
//! [`Order::decode`] reads the values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daemon::log::Chain;
use ledger::{
    ColumnName, FamilyName, Key, LdbTable, Mutation, NameError, Problem, Row, TableName,
    TableSchema, ValueError, decode_base64,
};
use serde_json::value::RawValue;

use crate::error::from_ledger::of_name;
use crate::error::{Code, Error};
use crate::json::Object;

/// The most mutations a request may have, as in the original.
pub(crate) const MAX_MUTATIONS: usize = 100;
/// The most bytes a cookie may have, as in the original.
pub(crate) const MAX_COOKIE_BYTES: usize = 1024;

/// What a request asks for; its values are still text.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// Replaces the writer's cookie; absent keeps it.
    pub(crate) cookie: Option<Vec<u8>>,
    /// Must be the writer's cookie.
    pub(crate) check_cookie: Option<Vec<u8>>,
    lines: Vec<Line<'a>>,
}

#[derive(Debug)]
struct Line<'a> {
    table: LdbTable,
    delete: bool,
    values: BTreeMap<ColumnName, &'a RawValue>,
}

/// The schemas that a request needs.
pub(crate) type Schemas = BTreeMap<LdbTable, Arc<TableSchema>>;

/// A request whose values were checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    /// Each mutation with the schema that it was checked against.
    pub(crate) mutations: Vec<(Arc<TableSchema>, Mutation)>,
    /// Columns that no table has; each table's, in order.
    pub(crate) ignored: BTreeSet<(TableName, ColumnName)>,
    /// How many values were passed over for that.
    pub(crate) ignored_values: u64,
}

/// What happens to a value whose column the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It is passed over, as in the original.
    Ignore,
    /// It is refused: the client sent `ctlstore-strict: true`.
    Refuse,
}

/// A request that makes no sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("JSON Error")]
    Body { source: serde_json::Error },
    #[error("JSON Error: {field}")]
    Member { field: String, source: serde_json::Error },
    #[error("Number of requests exceeds maximum")]
    TooMany,
    #[error("no mutations, send at least one")]
    Empty,
    #[error("Maximum cookie length is {MAX_COOKIE_BYTES} bytes")]
    CookieTooLong { field: &'static str },
    #[error("{field} is not standard base64 with padding, encode the bytes so")]
    CookieBase64 { field: &'static str },
    #[error("mutation {index}: {}", of_name(name))]
    Name { index: usize, field: String, name: NameError },
    #[error("mutation {index}: column {column:?} is there more than once in different case, send it once", column = column.as_str())]
    Ambiguous { index: usize, column: ColumnName },
    #[error("mutation {index}: Table not found: {table}", table = table.table())]
    TableNotFound { index: usize, table: LdbTable },
    #[error("mutation {index}: table {table} has no column {column:?}, add it or leave it out", column = column.as_str())]
    UnknownColumn { index: usize, table: LdbTable, column: ColumnName },
    #[error(
        "mutation {index}: Missing field {column}, send a value (null is one, except in a key)"
    )]
    Missing { index: usize, column: ColumnName },
    #[error("mutation {index}")]
    Value { index: usize, source: ValueError },
}

impl<'a> Order<'a> {
    /// Reads the body of a request to this family: counts, names and cookies are checked.
    pub(crate) fn parse(family: &FamilyName, body: &'a [u8]) -> Result<Self, DecodeError> {
        let body = Object::parse(body).map_err(|source| DecodeError::Body { source })?;
        let cookie = read_cookie(&body, "cookie")?;
        let check_cookie = read_cookie(&body, "check_cookie")?;
        let lines: Vec<Object<'a>> = body.read("mutations").map_err(member("mutations"))?;
        match lines.len() {
            0 => return Err(DecodeError::Empty),
            count if count > MAX_MUTATIONS => return Err(DecodeError::TooMany),
            _ => {}
        }
        let lines = lines.iter().enumerate();
        let lines = lines.map(|(index, line)| Line::parse(family, index, line));
        Ok(Self { cookie, check_cookie, lines: lines.collect::<Result<_, _>>()? })
    }

    /// The tables that it touches.
    pub(crate) fn tables(&self) -> BTreeSet<&LdbTable> {
        self.lines.iter().map(|line| &line.table).collect()
    }

    /// How many values it has.
    pub(crate) fn values(&self) -> usize {
        self.lines.iter().map(|line| line.values.len()).sum()
    }

    /// Reads the values. A table that is not among the schemas does not exist.
    pub(crate) fn decode(
        &self,
        schemas: &Schemas,
        unknown: Unknown,
    ) -> Result<Decoded, DecodeError> {
        let mut decoded = Decoded {
            mutations: Vec::with_capacity(self.lines.len()),
            ignored: BTreeSet::new(),
            ignored_values: 0,
        };
        for (index, Line { table, delete, values }) in self.lines.iter().enumerate() {
            let Some(schema) = schemas.get(table) else {
                return Err(DecodeError::TableNotFound { index, table: table.clone() });
            };
            for column in values.keys().filter(|column| schema.column(column).is_none()) {
                if unknown == Unknown::Refuse {
                    let (table, column) = (table.clone(), column.clone());
                    return Err(DecodeError::UnknownColumn { index, table, column });
                }
                decoded.ignored.insert((table.table().clone(), column.clone()));
                decoded.ignored_values += 1;
            }
            let mutation = if *delete {
                Key::from_json(schema, values).map(Mutation::Delete)
            } else {
                Row::from_json(schema, values).map(Mutation::Upsert)
            };
            let mutation = mutation.map_err(|error| DecodeError::value(index, error))?;
            decoded.mutations.push((Arc::clone(schema), mutation));
        }
        Ok(decoded)
    }
}

impl<'a> Line<'a> {
    fn parse(family: &FamilyName, index: usize, line: &Object<'a>) -> Result<Self, DecodeError> {
        let at = |name: &str| format!("mutations[{index}].{name}");
        let table: String = line.read("table").map_err(member(&at("table")))?;
        let table = TableName::parse_folded(&table)
            .and_then(|table| LdbTable::new(family.clone(), table))
            .map_err(|name| DecodeError::Name { index, field: at("table"), name })?;
        let delete = line.read("delete").map_err(member(&at("delete")))?;
        let object: Object<'a> = line.read("values").map_err(member(&at("values")))?;
        Ok(Self { table, delete, values: values(index, &object)? })
    }
}

/// Folds the names of the columns. A name that comes twice as it is counts once, the last, as in the original. Names
/// that only fold to the same column are refused: the original took either, by chance.
fn values<'a>(
    index: usize,
    object: &Object<'a>,
) -> Result<BTreeMap<ColumnName, &'a RawValue>, DecodeError> {
    let mut spelling: BTreeMap<ColumnName, &str> = BTreeMap::new();
    let mut values = BTreeMap::new();
    for (name, value) in object.members() {
        let column = ColumnName::parse_folded(name).map_err(|error| DecodeError::Name {
            index,
            field: format!("mutations[{index}].values.{name}"),
            name: error,
        })?;
        match spelling.insert(column.clone(), name) {
            Some(other) if other != name => return Err(DecodeError::Ambiguous { index, column }),
            Some(_) | None => values.insert(column, value),
        };
    }
    Ok(values)
}

fn member(field: &str) -> impl Fn(serde_json::Error) -> DecodeError {
    move |source| DecodeError::Member { field: field.to_owned(), source }
}

fn read_cookie(body: &Object<'_>, field: &'static str) -> Result<Option<Vec<u8>>, DecodeError> {
    let text: Option<String> = body.read(field).map_err(member(field))?;
    let Some(text) = text else { return Ok(None) };
    let bytes = decode_base64(&text).map_err(|_| DecodeError::CookieBase64 { field })?;
    if bytes.len() > MAX_COOKIE_BYTES {
        return Err(DecodeError::CookieTooLong { field });
    }
    Ok(Some(bytes))
}

impl DecodeError {
    fn value(index: usize, source: ValueError) -> Self {
        match source.problem {
            Problem::Missing => Self::Missing { index, column: source.column },
            _ => Self::Value { index, source },
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        // With its causes: they are what the client did wrong.
        let message = Chain(&error).to_string();
        let values =
            |index: usize, column: &ColumnName| format!("mutations[{index}].values.{column}");
        let (code, field) = match error {
            DecodeError::Body { .. } => (Code::JsonInvalid, None),
            DecodeError::Member { field, .. } => (Code::JsonInvalid, Some(field)),
            DecodeError::TooMany => (Code::TooManyMutations, Some("mutations".to_owned())),
            DecodeError::Empty => (Code::NoMutations, Some("mutations".to_owned())),
            DecodeError::CookieTooLong { field } => (Code::CookieTooLong, Some(field.to_owned())),
            DecodeError::CookieBase64 { field } => (Code::ValueInvalid, Some(field.to_owned())),
            DecodeError::Name { field, .. } => (Code::NameInvalid, Some(field)),
            DecodeError::Ambiguous { index, column } => {
                (Code::ValueInvalid, Some(values(index, &column)))
            }
            DecodeError::TableNotFound { index, .. } => {
                (Code::TableNotFound, Some(format!("mutations[{index}].table")))
            }
            DecodeError::UnknownColumn { index, column, .. } => {
                (Code::ColumnUnknown, Some(values(index, &column)))
            }
            DecodeError::Missing { index, column } => {
                (Code::ValueInvalid, Some(values(index, &column)))
            }
            DecodeError::Value { index, source } => {
                (Code::ValueInvalid, Some(values(index, &source.column)))
            }
        };
        let answer = Error::new(code, message);
        match field {
            Some(field) => answer.field(field),
            None => answer,
        }
    }
}

#[cfg(test)]
mod tests;

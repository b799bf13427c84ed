//! A row whose columns are known at run time only.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{ColumnName, TableSchema, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Error;

/// A row: a value for each column, in the columns' order.
///
/// A value is what the LDB holds. In tables that the original ctlstore filled, that may be of another kind than its
/// column: it let text into Integer columns, and stored text that has a NUL as bytes (which read as text here).
///
/// As JSON it is an object in the columns' order; bytes are base64, 64-bit integers exact:
///
/// ```
/// # use reader::{Ldb, testing::TestLdb};
/// # use ledger::{ColumnType, Value};
/// # let test = TestLdb::new()?;
/// # test.table("auth", "keys", &[("id", ColumnType::Integer), ("key", ColumnType::ByteString)], &["id"])?;
/// # test.insert("auth", "keys", &[Value::Integer(i64::MAX), Value::Bytes(vec![0, 255])])?;
/// # let auth = Ldb::open(test.dir())?.family("auth")?;
/// let row = auth.row("keys", &[i64::MAX.into()])?.unwrap();
/// assert_eq!(serde_json::to_string(&row)?, r#"{"id":9223372036854775807,"key":"AP8="}"#);
/// assert_eq!(row.get("key"), Some(&Value::Bytes(vec![0, 255])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    schema: Arc<TableSchema>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(schema: Arc<TableSchema>, values: Vec<Value>) -> Self {
        Self { schema, values }
    }

    /// The table's columns and key.
    #[must_use]
    pub fn schema(&self) -> &TableSchema {
        &self.schema
    }

    /// The values, in the columns' order.
    #[must_use]
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The value of this column; none if the table has no such column.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Value> {
        let columns = self.schema.columns();
        let index = columns.iter().position(|other| other.name.as_str() == column)?;
        self.values.get(index)
    }

    /// Names and values, in the columns' order.
    pub fn iter(&self) -> impl Iterator<Item = (&ColumnName, &Value)> {
        self.schema.columns().iter().map(|column| &column.name).zip(&self.values)
    }

    /// Reads it into a type, as [`Family::get`](crate::Family::get) does.
    ///
    /// # Errors
    /// A column does not fit its field, or a field has no column.
    pub fn decode<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        let columns = self.iter().map(|(name, value)| (name.as_str(), value.into()));
        crate::de::decode(columns)
            .map_err(|source| Error::Decode { table: self.schema.table().clone(), source })
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (name, value) in self.iter() {
            match value {
                Value::Null => map.serialize_entry(name.as_str(), &())?,
                Value::Integer(integer) => map.serialize_entry(name.as_str(), integer)?,
                Value::Decimal(number) => map.serialize_entry(name.as_str(), number)?,
                Value::Text(text) => map.serialize_entry(name.as_str(), text)?,
                Value::Bytes(bytes) => {
                    map.serialize_entry(name.as_str(), &STANDARD.encode(bytes))?;
                }
            }
        }
        map.end()
    }
}

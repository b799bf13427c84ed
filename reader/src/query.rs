//! SQL as it comes, for tools.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::params_from_iter;
use rusqlite::types::{Value as Stored, ValueRef as Raw};

use ledger::Value;

use crate::connect::connect;
use crate::retry::{Next, Retry};
use crate::{Error, Ldb, process};

/// The answer to [`Ldb::query`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// A value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// Pragmas that only tell.
const PRAGMAS: [&str; 8] = [
    "encoding",
    "index_list",
    "page_count",
    "page_size",
    "schema_version",
    "table_info",
    "table_list",
    "table_xinfo",
];

impl Ldb {
    /// Runs one statement of SQL that reads, on a connection of its own. For tools: the tables' names
    /// (`billing___limits`) and our own tables may change, and what families share a file, too.
    ///
    /// ```
    /// # use reader::{Ldb, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// let ldb = Ldb::open(test.dir())?;
    /// let answer = ldb.query("SELECT count(*) AS n FROM billing___limits WHERE tenant > ?1", &[Value::Text("a".into())])?;
    /// assert_eq!((answer.columns[0].as_str(), &answer.rows[0][0]), ("n", &Value::Integer(1)));
    ///
    /// assert!(ldb.query("DELETE FROM billing___limits", &[]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The text is no statement, or one that does more than read.
    pub fn query(&self, sql: &str, values: &[Value]) -> Result<Answer, Error> {
        let mut retry = Retry::new();
        loop {
            let source = match self.query_once(sql, values) {
                Ok(answer) => return Ok(answer),
                Err(error) => error.passing()?,
            };
            if retry.failed() == Next::GiveUp {
                return Err(self.unavailable(retry.tries, source));
            }
        }
    }

    fn query_once(&self, sql: &str, values: &[Value]) -> Result<Answer, Error> {
        process::forks()?;
        let _gate = process::gate();
        let (file, keeper) = self.file();
        let mut connection = connect(&file, keeper)?;
        connection.authorizer(Some(authorize))?;
        let mut statement = connection.prepare(sql)?;
        let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
        let mut found = statement.query(params_from_iter(values.iter().map(stored)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|index| Ok(value(row.get_ref(index)?)));
            rows.push(values.collect::<Result<_, Error>>()?);
        }
        Ok(Answer { columns, rows })
    }
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. }
            if PRAGMAS.contains(&pragma_name.to_ascii_lowercase().as_str()) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

fn value(raw: Raw<'_>) -> Value {
    match raw {
        Raw::Null => Value::Null,
        Raw::Integer(integer) => Value::Integer(integer),
        Raw::Real(number) => Value::Decimal(number),
        Raw::Text(text) => String::from_utf8(text.to_vec())
            .map_or_else(|error| Value::Bytes(error.into_bytes()), Value::Text),
        Raw::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

pub(crate) fn stored(value: &Value) -> Stored {
    match value {
        Value::Null => Stored::Null,
        Value::Integer(integer) => Stored::Integer(*integer),
        Value::Decimal(number) => Stored::Real(*number),
        Value::Text(text) => Stored::Text(text.clone()),
        Value::Bytes(bytes) => Stored::Blob(bytes.clone()),
    }
}

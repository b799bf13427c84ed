//! The DDL of a mirror table: what must run so that the table becomes what an intent says, and running it without
//! keeping others waiting for long.

use ledger::{Column, LdbTable, TableSchema};

use crate::dialect::{Dialect, quoted};
use crate::session::{Session, pause};
use crate::{Error, Fault, IntentKind, Live, TableRecord};

/// How often a change asks for its table. Each try waits for two seconds at most, and others who want the table wait
/// behind it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// A change that somebody is waiting for.
    Ours,
    /// A change that somebody left behind, and that will be tried again soon.
    Theirs,
}

/// MySQL is told how to change a table, so that it never copies one.
const ALGORITHMS: [&str; 2] = [", ALGORITHM=INSTANT", ", ALGORITHM=INPLACE, LOCK=NONE"];

impl Session {
    /// Makes the table what the intent says. Compares before and after, so that it may run any number of times.
    pub(crate) async fn alter(
        &mut self,
        record: &TableRecord,
        kind: &IntentKind,
        patience: Patience,
    ) -> Result<(), Error> {
        let table = record.schema.table();
        match kind {
            IntentKind::Create => match self.live(table).await? {
                Live::Absent => {
                    let collation = self.collation().await?;
                    let sql = create(self.dialect(), &record.schema, collation);
                    self.ddl(table, &[sql], patience).await?;
                    return self.check_made(&record.schema, patience).await;
                }
                live => return check(&live, &record.schema),
            },
            IntentKind::AddColumns(columns) => {
                let missing = missing(&self.live(table).await?, table, columns)?;
                if missing.is_empty() {
                    return Ok(());
                }
                for sql in add_columns(self.dialect(), table, &missing) {
                    self.ddl(table, &sql, patience).await?;
                }
            }
            IntentKind::Drop => {
                if self.live(table).await? == Live::Absent {
                    return Ok(());
                }
                let sql = format!("DROP TABLE {}", quoted(table));
                self.ddl(table, &[sql], patience).await?;
            }
        }
        let live = self.live(table).await?;
        match kind {
            IntentKind::AddColumns(columns) if missing(&live, table, columns)?.is_empty() => Ok(()),
            IntentKind::Drop if live == Live::Absent => Ok(()),
            IntentKind::Create | IntentKind::AddColumns(_) | IntentKind::Drop => {
                let words = "the table is not as it should be after the change".to_owned();
                Err(Error::Ddl { table: table.clone(), words })
            }
        }
    }

    /// Looks at a table that we have just made. One that came out otherwise goes again, empty as it is, or it would stand
    /// in the way of every later try.
    async fn check_made(&mut self, wanted: &TableSchema, patience: Patience) -> Result<(), Error> {
        let table = wanted.table();
        let checked = check(&self.live(table).await?, wanted);
        if checked.is_err() {
            self.ddl(table, &[format!("DROP TABLE {}", quoted(table))], patience).await?;
        }
        checked
    }

    /// Runs one of several forms of the same change: the first that the server can do.
    async fn ddl(
        &mut self,
        table: &LdbTable,
        forms: &[String],
        patience: Patience,
    ) -> Result<(), Error> {
        let limit = self.options().ddl_timeout;
        let mut tries = match patience {
            Patience::Ours => 3,
            Patience::Theirs => 1,
        };
        let mut forms = forms.iter();
        let mut form = forms.next().expect("BUG: a change has a form");
        loop {
            match self.run_for(limit, form, &[]).await {
                Ok(_) => return Ok(()),
                Err(Fault::Contention(_)) if tries > 1 => {
                    tries -= 1;
                    pause().await;
                }
                Err(Fault::Contention(_)) => {
                    let blocker = self.blocker(table).await;
                    return Err(Error::WaitingForLock { table: table.clone(), blocker });
                }
                // Why a server cannot do a change in one form has many numbers; what it refuses in all forms is refused.
                Err(fault @ (Fault::Algorithm(_) | Fault::Refused(_))) => match forms.next() {
                    Some(next) => form = next,
                    None => return Err(Error::Ddl { table: table.clone(), words: fault.words() }),
                },
                Err(
                    fault @ (Fault::Timeout(_)
                    | Fault::Away(_)
                    | Fault::Login(_)
                    | Fault::Exhausted(_)
                    | Fault::Denied(_)),
                ) => return Err(Error::statement("change a table", fault)),
                Err(fault @ (Fault::NoSuchTable(_) | Fault::Duplicate(_))) => {
                    return Err(Error::Ddl { table: table.clone(), words: fault.words() });
                }
            }
        }
    }
}

fn check(live: &Live, wanted: &TableSchema) -> Result<(), Error> {
    let table = wanted.table().clone();
    match live {
        Live::Table(schema) if schema == wanted => Ok(()),
        Live::Table(_) => Err(Error::Foreign { table, what: "it has other columns".to_owned() }),
        Live::Foreign { what } => Err(Error::Foreign { table, what: what.clone() }),
        Live::Absent => {
            let words = "it is not there after it was made".to_owned();
            Err(Error::Ddl { table, words })
        }
    }
}

/// Those of the columns that the table does not have yet.
fn missing(live: &Live, table: &LdbTable, columns: &[Column]) -> Result<Vec<Column>, Error> {
    let foreign = |what: String| Error::Foreign { table: table.clone(), what };
    let schema = match live {
        Live::Table(schema) => schema,
        Live::Absent => return Err(foreign("the table is missing in the database".to_owned())),
        Live::Foreign { what } => return Err(foreign(what.clone())),
    };
    let mut missing = Vec::new();
    for column in columns {
        match schema.column(&column.name) {
            None => missing.push(column.clone()),
            Some(found) if found.column_type == column.column_type => {}
            Some(found) => {
                let Column { name, column_type } = found;
                return Err(foreign(format!("column {:?} is {column_type}", name.as_str())));
            }
        }
    }
    Ok(missing)
}

fn create(dialect: Dialect, schema: &TableSchema, collation: &str) -> String {
    let columns: Vec<_> = schema.columns().iter().map(|column| declared(dialect, column)).collect();
    let key: Vec<_> = schema.key().iter().map(quoted).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})){}",
        quoted(schema.table()),
        columns.join(", "),
        key.join(", "),
        dialect.table_options(collation)
    )
}

/// The statements, each in its forms. SQLite adds one column at a time.
fn add_columns(dialect: Dialect, table: &LdbTable, columns: &[Column]) -> Vec<Vec<String>> {
    let table = quoted(table);
    let add = |column: &Column| format!("ADD COLUMN {}", declared(dialect, column));
    match dialect {
        Dialect::MySql => {
            let all: Vec<_> = columns.iter().map(add).collect();
            let form = |how: &str| format!("ALTER TABLE {table} {}{how}", all.join(", "));
            vec![ALGORITHMS.map(form).to_vec()]
        }
        Dialect::Sqlite => columns
            .iter()
            .map(|column| vec![format!("ALTER TABLE {table} {}", add(column))])
            .collect(),
    }
}

fn declared(dialect: Dialect, column: &Column) -> String {
    format!("{} {}", quoted(&column.name), dialect.column_type(column.column_type))
}

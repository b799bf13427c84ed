//! Runs statements of the generation that is served, and tells what they change. Keys are read here, because only here
//! the table is as it is when the statement runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{ColumnName, ColumnType, LdbTable, Literal, Position, Seq, Statement, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};

use crate::changes::{Change, Op, Recorder, Table};
use crate::ldb::bind;
use crate::ldb::ctl::Ctl;
use crate::ldb::schema::Columns;
use crate::replay::Step;

/// Who is told of changes: followers, if the generation is served, or nobody.
#[derive(Debug, Clone, Default)]
pub(crate) struct Feed(Option<Told>);

#[derive(Debug, Clone)]
struct Told {
    recorder: Arc<Mutex<Recorder>>,
    /// Says of which incarnation sequences are.
    ctl: Arc<Ctl>,
}

impl Feed {
    pub(crate) fn to(recorder: Arc<Mutex<Recorder>>, ctl: Arc<Ctl>) -> Self {
        Self(Some(Told { recorder, ctl }))
    }

    /// Runs a statement and remembers what it changes until the commit.
    pub(crate) fn run(
        &self,
        connection: &Connection,
        columns: &mut Columns,
        (step, statement): (&Step, &Statement),
    ) -> rusqlite::Result<()> {
        let Some(mut recorder) = self.lock() else {
            return bind::run(connection, columns, statement);
        };
        if !recorder.wants(step.position.seq) {
            recorder.pass_over(step.position.seq);
            return bind::run(connection, columns, statement);
        }
        let rows = recorder.wants_rows();
        Run { connection, columns, recorder: &mut recorder, step, rows }.statement(statement)
    }

    /// What was run is about to be committed.
    pub(crate) fn prepare(&self, position: &Position) {
        if let Some(mut recorder) = self.current() {
            recorder.prepare(position.mark());
        }
    }

    /// It is committed, and readers know it.
    pub(crate) fn committed(&self) {
        if let Some(mut recorder) = self.lock() {
            recorder.committed();
        }
    }

    /// What was run is undone.
    pub(crate) fn undone(&self) {
        if let Some(mut recorder) = self.lock() {
            recorder.undone();
        }
    }

    /// The file stands here, by itself.
    pub(crate) fn stands(&self, position: Option<&Position>) {
        if let Some(mut recorder) = self.current() {
            recorder.stands(position.map(Position::mark));
        }
    }

    /// Tries again what failed.
    pub(crate) fn tend(&self) {
        if let Some(mut recorder) = self.lock() {
            recorder.tend();
        }
    }

    /// The ledger ends here, or later.
    pub(crate) fn note_head(&self, head: Seq) {
        if let Some(mut recorder) = self.lock() {
            recorder.note_head(head);
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, Recorder>> {
        Some(self.0.as_ref()?.recorder.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same, in the incarnation of now. Of a page that cannot be read nothing is known, and followers reload.
    fn current(&self) -> Option<MutexGuard<'_, Recorder>> {
        let incarnation = self.0.as_ref()?.ctl.incarnation().unwrap_or_default();
        let mut recorder = self.lock()?;
        recorder.runs(incarnation);
        Some(recorder)
    }
}

/// One statement.
struct Run<'a> {
    connection: &'a Connection,
    columns: &'a mut Columns,
    recorder: &'a mut Recorder,
    step: &'a Step,
    /// Is each row to be told that it touches?
    rows: bool,
}

/// A column of a key and its value, as the ledger has them.
type Condition<'a> = (&'a ColumnName, &'a Literal);

impl Run<'_> {
    fn statement(&mut self, statement: &Statement) -> rusqlite::Result<()> {
        match statement {
            Statement::Begin | Statement::Commit => Ok(()),
            Statement::CreateTable(schema) => {
                self.bind(statement)?;
                let table = self.columns.table(self.connection, schema.table())?;
                self.told(Op::Create, &table, Vec::new());
                Ok(())
            }
            Statement::AddColumn { table, .. } => self.whole(Op::AddColumn, table, statement),
            Statement::DropTable(table) => self.whole(Op::Drop, table, statement),
            Statement::ClearTable(table) => {
                if self.rows {
                    let table = self.columns.table(self.connection, table)?;
                    self.touch_where(&table, &[])?;
                }
                self.whole(Op::Clear, table, statement)
            }
            Statement::Upsert { table, columns, values } => {
                let table = self.columns.table(self.connection, table)?;
                self.upsert(&table, (columns, values), statement)
            }
            Statement::Delete { table, key } => {
                let table = self.columns.table(self.connection, table)?;
                self.delete(&table, key, statement)
            }
        }
    }

    /// Of a table that may not be there, or not afterwards.
    fn whole(&mut self, op: Op, name: &LdbTable, statement: &Statement) -> rusqlite::Result<()> {
        self.bind(statement)?;
        self.told(op, &Arc::new(Table::without_key(name.clone())), Vec::new());
        Ok(())
    }

    fn upsert(
        &mut self,
        table: &Arc<Table>,
        (columns, values): (&[ColumnName], &[Literal]),
        statement: &Statement,
    ) -> rusqlite::Result<()> {
        let value = |name: &ColumnName| {
            let place = columns.iter().position(|column| column == name);
            place.and_then(|place| values.get(place)).unwrap_or(&Literal::Null)
        };
        let key: Vec<Condition<'_>> =
            table.key.iter().map(|column| (&column.name, value(&column.name))).collect();
        if self.rows {
            // The row that is there is removed first.
            self.touch_where(table, &key)?;
        }
        self.bind(statement)?;
        let stored = match plain(table, &key) {
            Some(stored) => stored,
            None => self.keys(table, &key)?.pop().unwrap_or_default(),
        };
        if self.rows {
            self.recorder.touch(table, &stored);
        }
        self.told(Op::Upsert, table, stored);
        Ok(())
    }

    fn delete(
        &mut self,
        table: &Arc<Table>,
        key: &[(ColumnName, Literal)],
        statement: &Statement,
    ) -> rusqlite::Result<()> {
        let key: Vec<Condition<'_>> = key.iter().map(|(name, value)| (name, value)).collect();
        let keys = match plain(table, &key) {
            Some(stored) => vec![stored],
            // Not a key in full, or not as it is stored: the rows say which they are.
            None => self.keys(table, &key)?,
        };
        if self.rows {
            self.touch_where(table, &key)?;
        }
        self.bind(statement)?;
        for stored in keys {
            self.told(Op::Delete, table, stored);
        }
        Ok(())
    }

    fn bind(&mut self, statement: &Statement) -> rusqlite::Result<()> {
        bind::run(self.connection, self.columns, statement)
    }

    fn told(&mut self, op: Op, table: &Arc<Table>, key: Vec<Value>) {
        let (seq, at) = (self.step.position.seq, self.step.leader_ts);
        self.recorder.ran(Change { seq, at, op, table: Arc::clone(table), key });
    }

    fn touch_where(&mut self, table: &Table, conditions: &[Condition<'_>]) -> rusqlite::Result<()> {
        let Self { connection, columns, recorder, .. } = self;
        select(connection, columns, (table, conditions), |key| recorder.touch(table, &key))
    }

    fn keys(
        &mut self,
        table: &Table,
        conditions: &[Condition<'_>],
    ) -> rusqlite::Result<Vec<Vec<Value>>> {
        let mut keys = Vec::new();
        select(self.connection, self.columns, (table, conditions), |key| keys.push(key))?;
        Ok(keys)
    }
}

/// The keys of the rows for which the conditions hold.
fn select(
    connection: &Connection,
    columns: &mut Columns,
    (table, conditions): (&Table, &[Condition<'_>]),
    mut each: impl FnMut(Vec<Value>),
) -> rusqlite::Result<()> {
    // Of a table that is not there the statement itself says so.
    if table.key.is_empty() {
        return Ok(());
    }
    let quoted = |name: &ColumnName| format!("\"{}\"", name.as_str());
    let names: Vec<_> = table.key.iter().map(|column| quoted(&column.name)).collect();
    let mut sql = format!("SELECT {} FROM \"{}\"", names.join(","), table.name);
    for (index, (name, _)) in conditions.iter().enumerate() {
        sql += if index == 0 { " WHERE " } else { " AND " };
        sql += &format!("{} = ?", quoted(name));
    }
    let bound = bind::bind(connection, columns, &table.name, conditions.iter().copied())?;
    let mut prepared = connection.prepare_cached(&sql)?;
    let mut rows = prepared.query(params_from_iter(bound))?;
    while let Some(row) = rows.next()? {
        let value = |place| row.get_ref(place).map(value);
        each((0..table.key.len()).map(value).collect::<rusqlite::Result<_>>()?);
    }
    Ok(())
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(number) => Value::Decimal(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

/// The key as the table stores it, where that can be told from the text: in full, and each value of its column's type.
fn plain(table: &Table, conditions: &[Condition<'_>]) -> Option<Vec<Value>> {
    if conditions.len() != table.key.len() {
        return None;
    }
    let stored = |column: &ledger::Column| {
        let (_, literal) = conditions.iter().find(|(name, _)| **name == column.name)?;
        match (literal, column.column_type) {
            (Literal::Text(text), ColumnType::String) => Some(Value::Text(text.clone())),
            (Literal::Integer(integer), ColumnType::Integer) => Some(Value::Integer(*integer)),
            (Literal::Hex(bytes), ColumnType::ByteString) => Some(Value::Bytes(bytes.clone())),
            _ => None,
        }
    };
    table.key.iter().map(stored).collect()
}

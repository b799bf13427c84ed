//! Random ledgers for property tests, here and in other crates (feature `testing`).
//!
//! What they make is legal, and as nasty as is legal: quotes, NUL, characters that collations take for equal, the ends of
//! the integers, denormal doubles, keys whose order is not that of the columns.

mod check;
mod value;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub use check::check_ledger_text;
pub use value::{double, key, literal, mutation, read_back, row, text, value};

use crate::{
    Column, ColumnName, ColumnType, Entry, FamilyName, LdbTable, LeaderTs, Literal, SchemaError,
    Seq, Statement, TableName, TableSchema,
};

/// The table `fam___tbl` out of a text such as `id:Integer name:String key(id)`.
///
/// # Errors
/// Columns or key make no sense.
///
/// # Panics
/// The text is of another form.
pub fn table(text: &str) -> Result<TableSchema, SchemaError> {
    let name = |text: &str| ColumnName::parse(text).expect("a column's name");
    let (columns, key) = text.split_once("key(").expect("key(...) at the end");
    let column = |text: &str| {
        let (column, column_type) = text.split_once(':').expect("name:Type");
        let mut types = ColumnType::ALL.into_iter();
        let column_type = types.find(|known| known.to_string() == column_type).expect("a type");
        Column { name: name(column), column_type }
    };
    let key = key.strip_suffix(')').expect("key(...) at the end").split(',');
    TableSchema::new(
        LdbTable::parse("fam___tbl").expect("a table's name"),
        columns.split_whitespace().map(column).collect(),
        key.filter(|text| !text.is_empty()).map(name).collect(),
    )
}

/// Names of families.
pub fn family_name() -> impl Strategy<Value = FamilyName> {
    "[a-z](_?[a-z0-9]){2,14}_?".prop_filter_map("reserved", |text| FamilyName::parse(&text).ok())
}

/// Names of tables within a family.
pub fn table_name() -> impl Strategy<Value = TableName> {
    "[a-z](_?[a-z0-9]){2,24}_?".prop_filter_map("illegal", |text| TableName::parse(&text).ok())
}

/// Names of tables; some have all 64 characters.
pub fn ldb_table() -> impl Strategy<Value = LdbTable> {
    let longest = Just(format!("{}___{}", "f".repeat(11), "t".repeat(50)));
    prop_oneof![
        20 => (family_name(), table_name())
            .prop_filter_map("too long", |(family, table)| LdbTable::new(family, table).ok()),
        1 => longest.prop_filter_map("illegal", |text| LdbTable::parse(&text).ok()),
    ]
}

/// Names of columns, words of SQL and of SQLite's own among them.
pub fn column_name() -> impl Strategy<Value = ColumnName> {
    const WORDS: [&str; 10] =
        ["select", "primary", "key", "rowid", "oid", "null", "text", "values", "n", "y"];
    let texts = prop_oneof![
        10 => "[a-z][a-z0-9_]{0,11}",
        2 => select(&WORDS[..]).prop_map(str::to_owned),
        1 => Just("c".repeat(64)),
    ];
    texts.prop_filter_map("reserved", |text| ColumnName::parse(&text).ok())
}

/// Types of columns.
pub fn column_type() -> impl Strategy<Value = ColumnType> {
    select(&ColumnType::ALL[..])
}

/// Columns.
pub fn column() -> impl Strategy<Value = Column> {
    (column_name(), column_type()).prop_map(|(name, column_type)| Column { name, column_type })
}

/// Tables that ctldb can hold: up to 9 columns, up to 4 of them in the key.
pub fn schema() -> impl Strategy<Value = TableSchema> {
    let columns = prop::collection::vec(column(), 1..9);
    (ldb_table(), column_name(), select(&KEY_TYPES[..]), columns)
        .prop_flat_map(|(table, name, column_type, mut columns)| {
            // One column at least can be the key.
            columns.push(Column { name, column_type });
            columns.sort_by(|one, other| one.name.cmp(&other.name));
            columns.dedup_by(|one, other| one.name == other.name);
            let may = |column: &&Column| column.column_type.may_be_key();
            let keys: Vec<_> =
                columns.iter().filter(may).map(|column| column.name.clone()).collect();
            let most = keys.len().min(4);
            let key = subsequence(keys, most.min(1)..=most).prop_shuffle();
            (Just(table), Just(columns).prop_shuffle(), key)
        })
        .prop_filter_map("no key or too wide", |(table, columns, key)| {
            TableSchema::new(table, columns, key).ok().filter(|schema| schema.check_width().is_ok())
        })
}

const KEY_TYPES: [ColumnType; 3] =
    [ColumnType::Integer, ColumnType::String, ColumnType::ByteString];

/// Statements that we write.
pub fn statement() -> impl Strategy<Value = Statement> {
    prop_oneof![
        1 => Just(Statement::Begin),
        1 => Just(Statement::Commit),
        3 => schema().prop_map(Statement::CreateTable),
        2 => (ldb_table(), column())
            .prop_map(|(table, column)| Statement::AddColumn { table, column }),
        12 => schema().prop_flat_map(|schema| {
            mutation(&schema).prop_map(move |mutation| mutation.statement(&schema))
        }),
        1 => ldb_table().prop_map(Statement::ClearTable),
        1 => ldb_table().prop_map(Statement::DropTable),
    ]
}

/// Statements of rows that the grammar takes although we do not write them: any literal in any column.
pub fn foreign_statement() -> impl Strategy<Value = Statement> {
    let pairs = prop::collection::btree_map(column_name(), literal(), 1..6);
    (ldb_table(), pairs, any::<bool>()).prop_map(|(table, pairs, upsert)| {
        if upsert {
            let (columns, values): (Vec<ColumnName>, Vec<Literal>) = pairs.into_iter().unzip();
            Statement::Upsert { table, columns, values }
        } else {
            Statement::Delete { table, key: pairs.into_iter().collect() }
        }
    })
}

/// Times that databases can hold.
pub fn leader_ts() -> impl Strategy<Value = LeaderTs> {
    (LeaderTs::MIN.as_micros()..=LeaderTs::MAX.as_micros()).prop_map(LeaderTs::from_micros)
}

/// Entries of our statements, at any place of a ledger.
pub fn entry() -> impl Strategy<Value = Entry> {
    let seq = (1..=Seq::MAX.get()).prop_filter_map("too large", Seq::new);
    (seq, leader_ts(), statement()).prop_map(|(seq, leader_ts, statement)| Entry {
        seq,
        leader_ts,
        statement: statement.to_string(),
    })
}

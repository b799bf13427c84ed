//! Random values, and rows, keys and mutations of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    Column, ColumnType, Key, Literal, MAX_BYTE_STRING_BYTES, MAX_STRING_CHARACTERS, Mutation, Row,
    TableSchema, Value,
};

/// Pieces that trip up SQL, JSON, collations and databases.
const PIECES: [&str; 41] = [
    "'",
    "''",
    "\\",
    "\\'",
    "\"",
    "`",
    "\0",
    "\n",
    "\r\n",
    "\t",
    "\u{1a}",
    " ",
    "  ",
    ";",
    "--",
    "/*",
    "%",
    "_",
    "?",
    ":a",
    "a",
    "A",
    "á",
    "a\u{301}",
    "ß",
    "ss",
    "ı",
    "I",
    "ﬁ",
    "日本",
    "😀",
    "👩‍👧",
    "\u{200b}",
    "\u{feff}",
    "\u{fffd}",
    "\u{10ffff}",
    "NULL",
    "x'00'",
    ") VALUES(",
    " AND ",
    "1e5",
];

/// Text of up to about 200 characters; it may hold NUL.
pub fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(&PIECES[..]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        2 => "[a-z]{1,20}",
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Finite doubles: any bit pattern, and the ends of the range. Never negative zero.
pub fn double() -> impl Strategy<Value = f64> {
    let known = [
        0.0,
        0.1,
        -0.1,
        1.0,
        1.5,
        1e15,
        1e16,
        1e25,
        1e100,
        -1e100,
        5e-324,
        -5e-324,
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
        9_007_199_254_740_993.0,
        9_223_372_036_854_775_807.0,
        -9_223_372_036_854_775_808.0,
        4_611_686_018_427_387_904.0,
        1_563_217_544_067_280_401.0,
    ];
    let bits = any::<u64>().prop_map(f64::from_bits);
    let short = (-1_000_000_i32..1_000_000).prop_map(|cents| f64::from(cents) / 100.0);
    let doubles = prop_oneof![3 => select(known.to_vec()), 4 => bits, 3 => short];
    doubles.prop_filter_map("not finite", |number| match Value::decimal(number) {
        Some(Value::Decimal(number)) => Some(number),
        Some(_) | None => None,
    })
}

fn integer() -> impl Strategy<Value = i64> {
    let known = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX, (1 << 53) + 1];
    prop_oneof![1 => select(known.to_vec()), 1 => any::<i64>(), 2 => -100_i64..100]
}

/// Values of a column of this type, null among them.
pub fn value(column_type: ColumnType) -> BoxedStrategy<Value> {
    prop_oneof![1 => Just(Value::Null), 9 => present(column_type)].boxed()
}

fn present(column_type: ColumnType) -> BoxedStrategy<Value> {
    match column_type {
        ColumnType::String => {
            let cut = |text: String| text.chars().take(MAX_STRING_CHARACTERS).collect();
            let longest =
                select(vec!["😀", "a", "\0"]).prop_map(|c| c.repeat(MAX_STRING_CHARACTERS));
            prop_oneof![20 => text().prop_map(cut), 1 => longest].prop_map(Value::Text).boxed()
        }
        ColumnType::Text => {
            let long = text().prop_map(|text| text.repeat(1000).chars().take(65_536).collect());
            prop_oneof![40 => text(), 1 => long].prop_map(Value::Text).boxed()
        }
        ColumnType::Integer => integer().prop_map(Value::Integer).boxed(),
        ColumnType::Decimal => double().prop_map(Value::Decimal).boxed(),
        ColumnType::ByteString => {
            vec(any::<u8>(), 0..=MAX_BYTE_STRING_BYTES).prop_map(Value::Bytes).boxed()
        }
        ColumnType::Binary => {
            let short = vec(any::<u8>(), 0..64);
            let long = any::<u8>().prop_map(|byte| vec![byte; 65_536]);
            prop_oneof![40 => short, 1 => long].prop_map(Value::Bytes).boxed()
        }
    }
}

fn values<'a>(
    columns: impl Iterator<Item = &'a Column>,
    schema: &TableSchema,
) -> Vec<BoxedStrategy<Value>> {
    let of = |column: &Column| match schema.key().contains(&column.name) {
        true => present(column.column_type),
        false => value(column.column_type),
    };
    columns.map(of).collect()
}

/// Rows of a table.
pub fn row(schema: &TableSchema) -> BoxedStrategy<Row> {
    let schema = schema.clone();
    let values = values(schema.columns().iter(), &schema);
    values.prop_map(move |values| Row::new(&schema, values).expect("values fit")).boxed()
}

/// Keys of a table.
pub fn key(schema: &TableSchema) -> BoxedStrategy<Key> {
    let schema = schema.clone();
    let values = values(schema.key_columns(), &schema);
    values.prop_map(move |values| Key::new(&schema, values).expect("values fit")).boxed()
}

/// Mutations of a table: three upserts to one delete.
pub fn mutation(schema: &TableSchema) -> BoxedStrategy<Mutation> {
    let upsert = row(schema).prop_map(Mutation::Upsert);
    let delete = key(schema).prop_map(Mutation::Delete);
    prop_oneof![3 => upsert, 1 => delete].boxed()
}

/// Literals, those that only the original writes and those that nobody writes among them.
pub fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        1 => Just(Literal::Null),
        1 => any::<bool>().prop_map(Literal::Bool),
        3 => integer().prop_map(Literal::Integer),
        3 => double().prop_map(Literal::Real),
        3 => text().prop_map(|text| Literal::Text(text.replace('\0', ""))),
        2 => vec(any::<u8>(), 0..64).prop_map(Literal::Hex),
    ]
}

/// The value that a literal of our own is in a column of this type; none if we would not have written it there.
#[must_use]
pub fn read_back(column_type: ColumnType, literal: &Literal) -> Option<Value> {
    match (literal, column_type) {
        (Literal::Null, _) => Some(Value::Null),
        (Literal::Integer(integer), ColumnType::Integer) => Some(Value::Integer(*integer)),
        // A database rounds an integer to the nearest double, and so does reading its text as one.
        (Literal::Integer(integer), ColumnType::Decimal) => {
            integer.to_string().parse().ok().and_then(Value::decimal)
        }
        (Literal::Real(number), ColumnType::Decimal) => Value::decimal(*number),
        (Literal::Text(text), ColumnType::String | ColumnType::Text) => {
            Some(Value::Text(text.clone()))
        }
        (Literal::Hex(bytes), ColumnType::String | ColumnType::Text) => {
            String::from_utf8(bytes.clone()).ok().map(Value::Text)
        }
        (Literal::Hex(bytes), ColumnType::Binary | ColumnType::ByteString) => {
            Some(Value::Bytes(bytes.clone()))
        }
        (Literal::Bool(_) | Literal::Integer(_) | Literal::Real(_) | Literal::Text(_), _)
        | (Literal::Hex(_), ColumnType::Integer | ColumnType::Decimal) => None,
    }
}

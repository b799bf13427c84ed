//! What is sent is what the ledger says and what nodes and ctldb hold, value by value: random batches over HTTP, in every spelling that JSON has for a
//! value, against statements made from the values themselves.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine;
use ledger::{
    Column, ColumnName, ColumnType, Key, LdbTable, Mutation, Row, TableSchema, Value, framed,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::ldb;
use crate::server::{Backend, SECRET, Server};

/// A value, and one way to write it in JSON.
type Spelt = (Value, String);

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn characters() -> impl Strategy<Value = char> {
    // What collations merge, what SQL and JSON quote, what is large, and anything.
    let special = "'\"\\\0\n\r\t %_aAÄä\u{301}ßſ😀\u{fffd}\u{feff}".chars().collect::<Vec<_>>();
    prop_oneof![prop::sample::select(special), any::<char>()]
}

fn text(max: usize) -> BoxedStrategy<Spelt> {
    let free = vec(characters(), 0..max).prop_map(|characters| {
        let text: String = characters.into_iter().collect();
        (Value::Text(text.clone()), quoted(&text))
    });
    let number = any::<i64>().prop_map(|n| (Value::Text(n.to_string()), n.to_string()));
    let truth = any::<bool>().prop_map(|t| (Value::Text(u8::from(t).to_string()), t.to_string()));
    prop_oneof![6 => free, 1 => number, 1 => truth].boxed()
}

fn integer() -> BoxedStrategy<Spelt> {
    let any = prop_oneof![any::<i64>(), Just(i64::MAX), Just(i64::MIN), -2_i64..3];
    (any, 0..4)
        .prop_map(|(n, spelling)| {
            let text = match spelling {
                0 => n.to_string(),
                1 => format!("{n}.0"),
                2 => format!("\"{n}\""),
                _ if n == 0 || n == 1 => (n == 1).to_string(),
                _ => format!("{n}e0"),
            };
            (Value::Integer(n), text)
        })
        .boxed()
}

fn decimal() -> BoxedStrategy<Spelt> {
    let finite = any::<f64>().prop_filter("finite", |number| number.is_finite());
    let numbers =
        prop_oneof![finite, Just(5e-324), Just(1e100), Just(f64::MAX), Just(-0.0), -10.0..10.0];
    (numbers, any::<bool>())
        .prop_map(|(number, string)| {
            let text = format!("{number:e}");
            let text = if string { format!("\"{text}\"") } else { text };
            (Value::decimal(number).unwrap(), text)
        })
        .boxed()
}

fn bytes(max: usize) -> BoxedStrategy<Spelt> {
    let bytes = vec(any::<u8>(), 0..max);
    bytes
        .prop_map(|bytes| {
            let text = quoted(&base64::engine::general_purpose::STANDARD.encode(&bytes));
            (Value::Bytes(bytes), text)
        })
        .boxed()
}

fn or_null(value: BoxedStrategy<Spelt>) -> impl Strategy<Value = Spelt> {
    prop_oneof![8 => value, 1 => Just((Value::Null, "null".to_owned()))]
}

const COLUMNS: [(&str, ColumnType); 6] = [
    ("name", ColumnType::String),
    ("id", ColumnType::Integer),
    ("ratio", ColumnType::Decimal),
    ("note", ColumnType::Text),
    ("icon", ColumnType::Binary),
    ("tag", ColumnType::ByteString),
];
const KEY: [&str; 3] = ["id", "name", "tag"];

fn schema() -> TableSchema {
    let column = |(name, column_type): (&str, ColumnType)| Column {
        name: ColumnName::parse(name).unwrap(),
        column_type,
    };
    let key = KEY.map(|name| ColumnName::parse(name).unwrap()).into();
    let table = LdbTable::parse("fam___all").unwrap();
    TableSchema::new(table, COLUMNS.map(column).into(), key).unwrap()
}

#[derive(Debug, Clone)]
struct Line {
    row: [Spelt; 6],
    delete: bool,
}

fn line() -> impl Strategy<Value = Line> {
    let row = (
        text(190),
        integer(),
        or_null(decimal()),
        or_null(text(300)),
        or_null(bytes(500)),
        bytes(255),
    );
    (row, prop::bool::weighted(0.2)).prop_map(|((name, id, ratio, note, icon, tag), delete)| Line {
        row: [name, id, ratio, note, icon, tag],
        delete,
    })
}

/// What a table should hold: rows by the text of their key.
type Model = RefCell<BTreeMap<String, Vec<Value>>>;

impl Line {
    fn apply(&self, model: &Model) {
        let row: Vec<_> = self.row.iter().map(|(value, _)| value.clone()).collect();
        let key = format!("{:?} {:?} {:?}", row[1], row[0], row[5]);
        match self.delete {
            true => model.borrow_mut().remove(&key),
            false => model.borrow_mut().insert(key, row),
        };
    }

    fn json(&self) -> String {
        let values = COLUMNS.iter().zip(&self.row);
        let values = values.map(|((name, _), (_, text))| format!("\"{name}\":{text}"));
        let values: Vec<_> = values.collect();
        format!(r#"{{"table":"all","delete":{},"values":{{{}}}}}"#, self.delete, values.join(","))
    }

    fn statement(&self, schema: &TableSchema) -> ledger::Statement {
        let values: Vec<_> = self.row.iter().map(|(value, _)| value.clone()).collect();
        let [name, id, _, _, _, tag] = values.clone().try_into().unwrap();
        let mutation = if self.delete {
            Mutation::Delete(Key::new(schema, vec![id, name, tag]).unwrap())
        } else {
            Mutation::Upsert(Row::new(schema, values).unwrap())
        };
        mutation.statement(schema)
    }
}

fn sorted(mut rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

#[test]
fn the_ledger_and_a_node_say_what_was_sent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for backend in Backend::ALL {
        let schema = schema();
        let server = runtime.block_on(async {
            let server = Server::start(backend).await;
            server.send("POST /writers/writer1", &[], SECRET).await.ok();
            server.send("POST /families/fam", &[], "").await.ok();
            let fields = COLUMNS.map(|(name, column_type)| [name, column_type.api_name()]);
            let table = serde_json::json!({"fields": fields, "keyFields": KEY}).to_string();
            server.send("POST /families/fam/tables/all", &[], table).await.ok();
            server
        });
        let history = runtime.block_on(server.db.meta()).unwrap().history;
        let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
        let model = Model::default();
        let outcome = TestRunner::new(config).run(&vec(line(), 1..6), |batch| {
            let lines: Vec<_> = batch.iter().map(Line::json).collect();
            let body = format!(r#"{{"mutations":[{}]}}"#, lines.join(","));
            let answer = runtime.block_on(server.mutate("fam", body));
            prop_assert_eq!(answer.status, 200, "{}", answer.text());

            let want = framed(batch.iter().map(|line| line.statement(&schema)).collect());
            let want: Vec<_> = want.iter().map(ToString::to_string).collect();
            let first =
                ledger::Seq::new(answer.seq() - u64::try_from(want.len()).unwrap()).unwrap();
            let have = runtime.block_on(server.db.entries(first, 1000)).unwrap();
            let last = have.last().unwrap();
            let position = ledger::Mark { history, seq: last.seq, digest: last.digest() };
            prop_assert_eq!(answer.header("ctlstore-position"), Some(&*position.to_string()));
            let have: Vec<_> = have.into_iter().map(|entry| entry.statement).collect();
            prop_assert_eq!(have, want);
            batch.iter().for_each(|line| line.apply(&model));
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
        runtime.block_on(async {
            server.db.verify().await.unwrap();
            let want = sorted(model.into_inner().into_values().collect());
            assert!(want.len() > 50, "{}", want.len());
            let head = server.db.meta().await.unwrap().last_seq();
            let node = sorted(ldb::node_rows(&server.url, head, &schema).await);
            assert_eq!(node, want, "{backend:?}: the node holds something else");
            if let ledger::CtlDbUrl::Sqlite(file) = &server.url {
                assert_eq!(sorted(ldb::rows(file, &schema)), want, "ctldb holds something else");
            }
            server.end().await;
        });
    }
}

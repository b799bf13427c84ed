use crate::testing::table;
use crate::{
    Column, ColumnName, ColumnType, Key, LdbTable, Literal, Mutation, Row, Statement, Value, framed,
};

fn name(text: &str) -> ColumnName {
    ColumnName::parse(text).unwrap()
}

fn tbl() -> LdbTable {
    LdbTable::parse("fam___tbl").unwrap()
}

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

fn upsert(columns: &[&str], values: Vec<Literal>) -> Statement {
    let columns = columns.iter().copied().map(name).collect();
    Statement::Upsert { table: tbl(), columns, values }
}

fn delete(key: Vec<(&str, Literal)>) -> Statement {
    let key = key.into_iter().map(|(column, value)| (name(column), value)).collect();
    Statement::Delete { table: tbl(), key }
}

/// A text of the original means this statement, and this statement is written so.
fn check(written: &str, statement: &Statement) {
    assert_eq!(Statement::parse(written).as_ref(), Ok(statement));
    assert_eq!(statement.to_string(), written);
}

/// A text that only the original writes means this statement; we write it otherwise.
fn check_read_only(written: &str, statement: &Statement) {
    assert_eq!(Statement::parse(written).as_ref(), Ok(statement));
    assert_ne!(statement.to_string(), written);
    assert_eq!(Statement::parse(&statement.to_string()).as_ref(), Ok(statement));
}

#[test]
fn frames_stand_alone_to_the_byte() {
    check("--- BEGIN", &Statement::Begin);
    check("--- COMMIT", &Statement::Commit);
}

#[test]
fn changes_of_tables_are_the_originals() {
    check(
        r#"CREATE TABLE fam___tbl ("id" INTEGER, PRIMARY KEY("id"));"#,
        &Statement::CreateTable(table("id:Integer key(id)").unwrap()),
    );
    let all = "s:String i:Integer d:Decimal t:Text b:Binary y:ByteString key(y,s,i)";
    check(
        concat!(
            r#"CREATE TABLE fam___tbl ("s" VARCHAR(191), "i" INTEGER, "d" REAL, "t" TEXT, "b" BLOB, "#,
            r#""y" BLOB(255), PRIMARY KEY("y","s","i"));"#
        ),
        &Statement::CreateTable(table(all).unwrap()),
    );
    // Columns may bear the names of types and of words of SQL.
    check(
        r#"CREATE TABLE fam___tbl ("text" INTEGER, "primary" TEXT, "key" BLOB, PRIMARY KEY("text"));"#,
        &Statement::CreateTable(table("text:Integer primary:Text key:Binary key(text)").unwrap()),
    );
    for column_type in ColumnType::ALL {
        let column = Column { name: name("c__2"), column_type };
        let written =
            format!(r#"ALTER TABLE fam___tbl ADD COLUMN "c__2" {}"#, column_type.sqlite());
        check(&written, &Statement::AddColumn { table: tbl(), column });
    }
    check("DELETE FROM fam___tbl", &Statement::ClearTable(tbl()));
    check("DROP TABLE IF EXISTS fam___tbl", &Statement::DropTable(tbl()));
}

#[test]
fn rows_are_written_as_the_original_writes_them() {
    for (written, literal) in [
        ("NULL", Literal::Null),
        ("true", Literal::Bool(true)),
        ("false", Literal::Bool(false)),
        ("0", Literal::Integer(0)),
        ("-1", Literal::Integer(-1)),
        ("9223372036854775807", Literal::Integer(i64::MAX)),
        ("-9223372036854775808", Literal::Integer(i64::MIN)),
        ("1563217544067280400", Literal::Integer(1_563_217_544_067_280_400)),
        ("9223372036854776000", Literal::Real(9_223_372_036_854_775_808.0)),
        ("10000000000000000000000000", Literal::Real(1e25)),
        ("0.1", Literal::Real(0.1)),
        ("-1.01", Literal::Real(-1.01)),
        ("''", text("")),
        ("'it''s'", text("it's")),
        (r"'a\b\'''", text(r"a\b\'")),
        ("'line\nline'", text("line\nline")),
        ("'x''00'''", text("x'00'")),
        ("'hello rick''s µ 😀'", text("hello rick's µ 😀")),
        ("x''", Literal::Hex(vec![])),
        ("x'610062'", Literal::Hex(b"a\0b".to_vec())),
        ("x'deadbeef'", Literal::Hex(vec![0xde, 0xad, 0xbe, 0xef])),
    ] {
        let statement = upsert(&["k", "v"], vec![text("a"), literal.clone()]);
        let row = format!(r#"REPLACE INTO fam___tbl ("k","v") VALUES('a',{written})"#);
        let key = format!(r#"DELETE FROM fam___tbl WHERE "k" = 'a' AND "v" = {written}"#);
        check(&row, &statement);
        check(&key, &delete(vec![("k", text("a")), ("v", literal)]));
    }
}

#[test]
fn negative_zero_of_the_original_is_zero() {
    check_read_only(
        r#"REPLACE INTO fam___tbl ("v") VALUES(-0)"#,
        &upsert(&["v"], vec![Literal::Integer(0)]),
    );
}

#[test]
fn a_statement_says_which_table_it_is_about() {
    assert_eq!(Statement::Begin.table(), None);
    assert_eq!(Statement::Commit.table(), None);
    for text in [
        r#"CREATE TABLE fam___tbl ("id" INTEGER, PRIMARY KEY("id"));"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "v" TEXT"#,
        r#"REPLACE INTO fam___tbl ("id") VALUES(1)"#,
        r#"DELETE FROM fam___tbl WHERE "id" = 1"#,
        "DELETE FROM fam___tbl",
        "DROP TABLE IF EXISTS fam___tbl",
    ] {
        assert_eq!(Statement::parse(text).unwrap().table(), Some(&tbl()), "{text}");
    }
}

#[test]
fn mutations_write_all_columns_and_delete_by_the_keys_order() {
    let schema = table("v:Text a:Integer b:String key(b,a)").unwrap();
    let row =
        Row::new(&schema, vec![Value::Null, Value::Integer(7), Value::Text("o'clock".to_owned())]);
    let row = row.unwrap();
    let key = row.key(&schema);
    assert_eq!(
        key,
        Key::new(&schema, vec![Value::Text("o'clock".to_owned()), Value::Integer(7)]).unwrap()
    );
    assert_eq!(
        Mutation::Upsert(row).statement(&schema).to_string(),
        r#"REPLACE INTO fam___tbl ("v","a","b") VALUES(NULL,7,'o''clock')"#
    );
    assert_eq!(
        Mutation::Delete(key).statement(&schema).to_string(),
        r#"DELETE FROM fam___tbl WHERE "b" = 'o''clock' AND "a" = 7"#
    );
}

#[test]
fn only_batches_of_more_than_one_statement_are_framed() {
    let clear = Statement::ClearTable(tbl());
    assert_eq!(framed(vec![]), []);
    assert_eq!(framed(vec![clear.clone()]), std::slice::from_ref(&clear));
    assert_eq!(
        framed(vec![clear.clone(), clear.clone()]),
        [Statement::Begin, clear.clone(), clear, Statement::Commit]
    );
}

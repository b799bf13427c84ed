use expect_test::{Expect, expect};

use super::*;

fn check(texts: &[&str], expected: &Expect) {
    let answer = |text: &&str| match Statement::parse(text) {
        Ok(statement) => panic!("{text} is {statement:?}"),
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&texts.iter().map(answer).collect::<String>());
}

#[test]
fn other_statements_are_refused() {
    let texts = [
        "",
        " ",
        "SELECT 1",
        "PRAGMA writable_schema = 1",
        "ATTACH 'x' AS y",
        "-- BEGIN",
        "--- begin",
        "--- BEGIN ",
        "--- COMMITTED",
        "delete from fam___tbl",
        " DELETE FROM fam___tbl",
        "DELETE FROM fam___tbl ",
        "DELETE FROM fam___tbl;",
        "DELETE FROM fam___tbl\n",
        "DELETE  FROM fam___tbl",
        "DELETE FROM fam___tbl; DROP TABLE IF EXISTS fam___tbl",
        "DELETE FROM _ldb_seq",
        "DELETE FROM sqlite___master",
        "DELETE FROM \"fam___tbl\"",
        "DELETE FROM main.fam___tbl",
        "DROP TABLE fam___tbl",
        "DROP TABLE IF EXISTS fam__tbl",
    ];
    check(
        &texts,
        &expect![[r#"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found ""
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found " "
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "SELECT 1"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "PRAGMA writable_schema ="
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "ATTACH 'x' AS y"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "-- BEGIN"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "--- begin"
        not a ledger statement: at byte 9 expected the end of the statement, found " "
        not a ledger statement: at byte 10 expected the end of the statement, found "TED"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "delete from fam___tbl"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found " DELETE FROM fam___tbl"
        not a ledger statement: at byte 21 expected the end of the statement, found " "
        not a ledger statement: at byte 21 expected the end of the statement, found ";"
        not a ledger statement: at byte 21 expected the end of the statement, found "\n"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "DELETE  FROM fam___tbl"
        not a ledger statement: at byte 21 expected the end of the statement, found "; DROP TABLE IF EXISTS f"
        not a ledger statement: at byte 12 expected a table name (LDB table name "_ldb_seq" is not FAMILY___TABLE: join the two names with three underscores), found "_ldb_seq"
        not a ledger statement: at byte 12 expected a table name (family name "sqlite" is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another), found "sqlite___master"
        not a ledger statement: at byte 12 expected a table name (LDB table name "" is not FAMILY___TABLE: join the two names with three underscores), found "\"fam___tbl\""
        not a ledger statement: at byte 12 expected a table name (LDB table name "main" is not FAMILY___TABLE: join the two names with three underscores), found "main.fam___tbl"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "DROP TABLE fam___tbl"
        not a ledger statement: at byte 21 expected a table name (LDB table name "fam__tbl" is not FAMILY___TABLE: join the two names with three underscores), found "fam__tbl"
    "#]],
    );
}

#[test]
fn rows_outside_the_grammar_are_refused() {
    let texts = [
        r#"REPLACE INTO fam___tbl ("a") VALUES()"#,
        r#"REPLACE INTO fam___tbl () VALUES(1)"#,
        r#"REPLACE INTO fam___tbl (a) VALUES(1)"#,
        r#"REPLACE INTO fam___tbl ("a", "b") VALUES(1,2)"#,
        r#"REPLACE INTO fam___tbl ("a","b") VALUES(1, 2)"#,
        r#"REPLACE INTO fam___tbl ("a","b") VALUES(1)"#,
        r#"REPLACE INTO fam___tbl ("a") VALUES(1,2)"#,
        r#"REPLACE INTO fam___tbl ("a","a") VALUES(1,2)"#,
        r#"REPLACE INTO fam___tbl ("a""b") VALUES(1)"#,
        r#"REPLACE INTO fam___tbl ("A") VALUES(1)"#,
        r#"REPLACE INTO fam___tbl ("db_row_id") VALUES(1)"#,
        r#"REPLACE INTO fam___tbl ("a") VALUES(1),(2)"#,
        r#"INSERT INTO fam___tbl ("a") VALUES(1)"#,
        r#"DELETE FROM fam___tbl WHERE 1"#,
        r#"DELETE FROM fam___tbl WHERE "a" = 1 OR 1"#,
        r#"DELETE FROM fam___tbl WHERE "a" = 1 AND "a" = 2"#,
        r#"DELETE FROM fam___tbl WHERE "a"=1"#,
        r#"DELETE FROM fam___tbl WHERE "a" = "b""#,
        r#"DELETE FROM fam___tbl WHERE "a" > 1"#,
    ];
    check(
        &texts,
        &expect![[r#"
        not a ledger statement: at byte 36 expected a literal, found ")"
        not a ledger statement: at byte 24 expected "\"", found ") VALUES(1)"
        not a ledger statement: at byte 24 expected "\"", found "a) VALUES(1)"
        not a ledger statement: at byte 28 expected "\"", found " \"b\") VALUES(1,2)"
        not a ledger statement: at byte 42 expected a literal, found " 2)"
        not a ledger statement: at byte 41 expected ",", found ")"
        not a ledger statement: at byte 37 expected ")", found ",2)"
        not a ledger statement: at byte 28 expected a column that is not named before, found "\"a\") VALUES(1,2)"
        not a ledger statement: at byte 27 expected ") VALUES(", found "\"b\") VALUES(1)"
        not a ledger statement: at byte 25 expected a column name (column name "" is empty: use at least one character), found "A\") VALUES(1)"
        not a ledger statement: at byte 25 expected a column name (column name "db_row_id" is reserved by MySQL, which keeps it for a hidden column: choose another), found "db_row_id\") VALUES(1)"
        not a ledger statement: at byte 38 expected the end of the statement, found ",(2)"
        not a ledger statement: at byte 0 expected CREATE TABLE, ALTER TABLE, REPLACE INTO, DELETE FROM, DROP TABLE IF EXISTS, --- BEGIN or --- COMMIT, found "INSERT INTO fam___tbl (\""
        not a ledger statement: at byte 28 expected "\"", found "1"
        not a ledger statement: at byte 35 expected the end of the statement, found " OR 1"
        not a ledger statement: at byte 40 expected a column that is not named before, found "\"a\" = 2"
        not a ledger statement: at byte 31 expected " = ", found "=1"
        not a ledger statement: at byte 34 expected a literal, found "\"b\""
        not a ledger statement: at byte 31 expected " = ", found " > 1"
    "#]],
    );
}

const LITERALS: [&str; 32] = [
    "",
    "null",
    "TRUE",
    "nil",
    "+1",
    "-",
    "1.",
    ".5",
    "1e5",
    "1E5",
    "0x10",
    "NaN",
    "Inf",
    "-Inf",
    "--1",
    "1_000",
    "'",
    "'a",
    "'a''",
    "\"a\"",
    "'a\0b'",
    "x'0'",
    "x'0g'",
    "x'AB'",
    "X'ab'",
    "x'ab",
    "x\"ab\"",
    "random()",
    "(1)",
    "1+1",
    "'a'||'b'",
    "CURRENT_TIMESTAMP",
];

#[test]
fn literals_outside_the_grammar_are_refused() {
    let texts =
        LITERALS.map(|literal| format!(r#"REPLACE INTO fam___tbl ("a") VALUES({literal})"#));
    check(
        &texts.each_ref().map(String::as_str),
        &expect![[r#"
        not a ledger statement: at byte 36 expected a literal, found ")"
        not a ledger statement: at byte 36 expected a literal, found "null)"
        not a ledger statement: at byte 36 expected a literal, found "TRUE)"
        not a ledger statement: at byte 36 expected a literal, found "nil)"
        not a ledger statement: at byte 36 expected a literal, found "+1)"
        not a ledger statement: at byte 36 expected a literal, found "-)"
        not a ledger statement: at byte 38 expected a digit, found ")"
        not a ledger statement: at byte 36 expected a literal, found ".5)"
        not a ledger statement: at byte 37 expected ")", found "e5)"
        not a ledger statement: at byte 37 expected ")", found "E5)"
        not a ledger statement: at byte 37 expected ")", found "x10)"
        not a ledger statement: at byte 36 expected a literal, found "NaN)"
        not a ledger statement: at byte 36 expected a literal, found "Inf)"
        not a ledger statement: at byte 36 expected a literal, found "-Inf)"
        not a ledger statement: at byte 36 expected a literal, found "--1)"
        not a ledger statement: at byte 37 expected ")", found "_000)"
        not a ledger statement: at byte 38 expected the closing quote of a string, found ""
        not a ledger statement: at byte 39 expected the closing quote of a string, found ""
        not a ledger statement: at byte 41 expected the closing quote of a string, found ""
        not a ledger statement: at byte 36 expected a literal, found "\"a\")"
        not a ledger statement: at byte 38 expected a string without NUL, which is written in hexadecimal, found "\0b')"
        not a ledger statement: at byte 39 expected one more hexadecimal digit, found "')"
        not a ledger statement: at byte 39 expected one more hexadecimal digit, found "g')"
        not a ledger statement: at byte 38 expected "'", found "AB')"
        not a ledger statement: at byte 36 expected a literal, found "X'ab')"
        not a ledger statement: at byte 40 expected "'", found ")"
        not a ledger statement: at byte 36 expected a literal, found "x\"ab\")"
        not a ledger statement: at byte 36 expected a literal, found "random())"
        not a ledger statement: at byte 36 expected a literal, found "(1))"
        not a ledger statement: at byte 37 expected ")", found "+1)"
        not a ledger statement: at byte 39 expected ")", found "||'b')"
        not a ledger statement: at byte 36 expected a literal, found "CURRENT_TIMESTAMP)"
    "#]],
    );
}

#[test]
fn tables_outside_the_grammar_are_refused() {
    let texts = [
        r#"CREATE TABLE fam___tbl ("a" INTEGER, PRIMARY KEY("a"))"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER, PRIMARY KEY("a"));;"#,
        r#"CREATE TABLE IF NOT EXISTS fam___tbl ("a" INTEGER, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER);"#,
        r#"CREATE TABLE fam___tbl (PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER, PRIMARY KEY());"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER, PRIMARY KEY("b"));"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER, "b" TEXT, PRIMARY KEY("a", "b"));"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER, "a" TEXT, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" REAL, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" BIGINT, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" integer, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" INTEGER NOT NULL, PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl ("a" VARCHAR(192), PRIMARY KEY("a"));"#,
        r#"CREATE TABLE fam___tbl AS SELECT 1"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "a" TEXTX"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "a" BLOB(254)"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "a" BLOB(2555)"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "a" TEXT;"#,
        r#"ALTER TABLE fam___tbl ADD COLUMN "a""#,
        r#"ALTER TABLE fam___tbl ADD COLUMN a TEXT"#,
        r#"ALTER TABLE fam___tbl RENAME TO fam___oth"#,
    ];
    check(
        &texts,
        &expect![[r#"
        not a ledger statement: at byte 52 expected "));", found "))"
        not a ledger statement: at byte 55 expected the end of the statement, found ";"
        not a ledger statement: at byte 13 expected a table name (LDB table name "" is not FAMILY___TABLE: join the two names with three underscores), found "IF NOT EXISTS fam___tbl "
        not a ledger statement: at byte 35 expected ", ", found ");"
        not a ledger statement: at byte 36 expected a legal table (table fam___tbl: key column "a" is not among the columns, add it or remove it from the key), found "\"a\"));"
        not a ledger statement: at byte 49 expected "\"", found "));"
        not a ledger statement: at byte 49 expected a legal table (table fam___tbl: key column "b" is not among the columns, add it or remove it from the key), found "\"b\"));"
        not a ledger statement: at byte 63 expected "\"", found " \"b\"));"
        not a ledger statement: at byte 59 expected a legal table (table fam___tbl: column "a" is there twice, remove one), found "\"a\"));"
        not a ledger statement: at byte 46 expected a legal table (table fam___tbl: column "a" of type Decimal cannot be in the key, use String, Integer or ByteString), found "\"a\"));"
        not a ledger statement: at byte 28 expected VARCHAR(191), INTEGER, REAL, TEXT, BLOB or BLOB(255), found "BIGINT, PRIMARY KEY(\"a\")"
        not a ledger statement: at byte 28 expected VARCHAR(191), INTEGER, REAL, TEXT, BLOB or BLOB(255), found "integer, PRIMARY KEY(\"a\""
        not a ledger statement: at byte 35 expected ", ", found " NOT NULL, PRIMARY KEY(\""
        not a ledger statement: at byte 28 expected VARCHAR(191), INTEGER, REAL, TEXT, BLOB or BLOB(255), found "VARCHAR(192), PRIMARY KE"
        not a ledger statement: at byte 22 expected " (", found " AS SELECT 1"
        not a ledger statement: at byte 41 expected the end of the statement, found "X"
        not a ledger statement: at byte 41 expected the end of the statement, found "(254)"
        not a ledger statement: at byte 41 expected the end of the statement, found "(2555)"
        not a ledger statement: at byte 41 expected the end of the statement, found ";"
        not a ledger statement: at byte 36 expected " ", found ""
        not a ledger statement: at byte 33 expected "\"", found "a TEXT"
        not a ledger statement: at byte 21 expected " ADD COLUMN ", found " RENAME TO fam___oth"
    "#]],
    );
}

#[test]
fn a_double_that_is_too_large_is_refused() {
    let digits = "9".repeat(400);
    let text = format!(r#"REPLACE INTO fam___tbl ("a") VALUES({digits})"#);
    let error = Statement::parse(&text).unwrap_err();
    assert_eq!((error.offset, error.expected.as_str()), (36, "a finite number"));
    assert_eq!(error.found, "9".repeat(24));
}

#[test]
fn numbers_that_nobody_writes_keep_their_value() {
    for (text, literal) in [
        ("007", Literal::Integer(7)),
        ("-00", Literal::Integer(0)),
        ("1.0", Literal::Real(1.0)),
        ("-0.0", Literal::Real(0.0)),
        ("0.10000000000000001", Literal::Real(0.1)),
        ("9007199254740993.0", Literal::Real(9_007_199_254_740_992.0)),
        ("-9223372036854775809", Literal::Real(-9_223_372_036_854_775_808.0)),
    ] {
        let text = format!(r#"REPLACE INTO fam___tbl ("a") VALUES({text})"#);
        let Ok(Statement::Upsert { values, .. }) = Statement::parse(&text) else {
            panic!("{text}")
        };
        assert_eq!(values, [literal]);
    }
}

#[test]
fn a_statement_has_at_most_2000_columns() {
    let row = |count: usize| {
        let columns: Vec<_> = (0..count).map(|index| format!("\"c{index}\"")).collect();
        let text = format!("REPLACE INTO fam___tbl ({}) VALUES(", columns.join(","));
        Statement::parse(&(text + &vec!["1"; count].join(",") + ")"))
    };
    assert!(row(2000).is_ok());
    assert_eq!(row(2001).unwrap_err().expected, "at most 2000 columns");
    assert_eq!(row(200_000).unwrap_err().expected, "at most 2000 columns");
}

#[test]
fn a_refusal_is_short_however_long_the_text() {
    let long = "é".repeat(1_000_000);
    for text in [
        long.clone(),
        format!("DELETE FROM {}", "f".repeat(1_000_000)),
        format!("DELETE FROM fam___tbl WHERE \"{}\" = 1", "c".repeat(1_000_000)),
        format!("DELETE FROM fam___tbl WHERE \"c\" = '{long}"),
    ] {
        assert!(Statement::parse(&text).unwrap_err().to_string().len() < 1000);
    }
}

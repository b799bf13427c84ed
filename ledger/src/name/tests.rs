use expect_test::{Expect, expect};

use super::*;

/// One line for each text: what it becomes, or why not.
fn check<T: fmt::Display>(
    parse: impl Fn(&str) -> Result<T, NameError>,
    texts: &[&str],
    expected: &Expect,
) {
    let line = |text: &&str| match parse(text) {
        Ok(name) => format!("{text:?} -> {name}\n"),
        Err(error) => format!("{error}\n"),
    };
    expected.assert_eq(&texts.iter().map(line).collect::<String>());
}

#[test]
fn families_follow_the_rules() {
    let long = "f".repeat(30);
    let longer = "f".repeat(31);
    let texts = [
        "abc",
        "a_1",
        "fam_",
        &long,
        "",
        "ab",
        &longer,
        "Fam",
        "1fam",
        "_fam",
        "f__m",
        "f-m",
        "f m",
        "fäm",
        "fam\n",
        "sqlite",
        "sqlite_",
        "sqlite_x",
        "sqlitex",
        "my_sqlite",
    ];
    check(
        FamilyName::parse,
        &texts,
        &expect![[r#"
        "abc" -> abc
        "a_1" -> a_1
        "fam_" -> fam_
        "ffffffffffffffffffffffffffffff" -> ffffffffffffffffffffffffffffff
        family name "" is too short: use at least 3 characters
        family name "ab" is too short: use at least 3 characters
        family name "fffffffffffffffffffffffffffffff" is too long: use at most 30 characters
        family name "Fam" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "1fam" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "_fam" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "f__m" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "f-m" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "f m" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "fäm" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "fam\n" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        family name "sqlite" is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another
        family name "sqlite_" is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another
        family name "sqlite_x" is reserved by SQLite, which keeps sqlite and sqlite_... for itself: choose another
        "sqlitex" -> sqlitex
        "my_sqlite" -> my_sqlite
    "#]],
    );
}

#[test]
fn tables_follow_the_rules() {
    let long = "t".repeat(50);
    let longer = "t".repeat(51);
    let texts =
        ["abc", &long, "sqlite", "sqlite_x", "", "ab", &longer, "Tbl", "9tbl", "t__l", "t.l"];
    check(
        TableName::parse,
        &texts,
        &expect![[r#"
        "abc" -> abc
        "tttttttttttttttttttttttttttttttttttttttttttttttttt" -> tttttttttttttttttttttttttttttttttttttttttttttttttt
        "sqlite" -> sqlite
        "sqlite_x" -> sqlite_x
        table name "" is too short: use at least 3 characters
        table name "ab" is too short: use at least 3 characters
        table name "ttttttttttttttttttttttttttttttttttttttttttttttttttt" is too long: use at most 50 characters
        table name "Tbl" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        table name "9tbl" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        table name "t__l" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
        table name "t.l" has forbidden characters: use lower-case letters, digits and single underscores, and begin with a letter
    "#]],
    );
}

#[test]
fn columns_follow_the_rules() {
    let long = "c".repeat(64);
    let longer = "c".repeat(65);
    let texts = [
        "a",
        "a__b",
        "n",
        "select",
        "primary",
        "rowid",
        &long,
        "",
        &longer,
        "A",
        "1a",
        "_a",
        "a\"b",
        "db_row_id",
        "db_trx_id",
        "db_roll_ptr",
        "fts_doc_id",
        "db_row_id2",
    ];
    check(
        ColumnName::parse,
        &texts,
        &expect![[r#"
        "a" -> a
        "a__b" -> a__b
        "n" -> n
        "select" -> select
        "primary" -> primary
        "rowid" -> rowid
        "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" -> cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        column name "" is empty: use at least one character
        column name "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" is too long: use at most 64 characters
        column name "A" has forbidden characters: use lower-case letters, digits and underscores, and begin with a letter
        column name "1a" has forbidden characters: use lower-case letters, digits and underscores, and begin with a letter
        column name "_a" has forbidden characters: use lower-case letters, digits and underscores, and begin with a letter
        column name "a\"b" has forbidden characters: use lower-case letters, digits and underscores, and begin with a letter
        column name "db_row_id" is reserved by MySQL, which keeps it for a hidden column: choose another
        column name "db_trx_id" is reserved by MySQL, which keeps it for a hidden column: choose another
        column name "db_roll_ptr" is reserved by MySQL, which keeps it for a hidden column: choose another
        column name "fts_doc_id" is reserved by MySQL, which keeps it for a hidden column: choose another
        "db_row_id2" -> db_row_id2
    "#]],
    );
}

#[test]
fn writers_are_counted_in_characters_and_keep_their_case() {
    let long = "ü".repeat(50);
    let longer = "ü".repeat(51);
    let texts = ["abc", "My Writer/1", "日本語", &long, "", "ab", "日本", &longer];
    check(
        WriterName::parse,
        &texts,
        &expect![[r#"
        "abc" -> abc
        "My Writer/1" -> My Writer/1
        "日本語" -> 日本語
        "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" -> üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü
        writer name "" is too short: use at least 3 characters
        writer name "ab" is too short: use at least 3 characters
        writer name "日本" is too short: use at least 3 characters
        writer name "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" is too long: use at most 50 characters
    "#]],
    );
}

#[test]
fn characters_come_before_length() {
    let rule = |text: &str| FamilyName::parse(text).unwrap_err().rule;
    assert_eq!(rule(&"F".repeat(31)), NameRule::Characters);
    assert_eq!(rule("F"), NameRule::Characters);
}

#[test]
fn names_from_http_are_folded_and_refusals_show_them_as_they_came() {
    assert_eq!(FamilyName::parse_folded("FAMily").unwrap().as_str(), "family");
    assert_eq!(ColumnName::parse_folded("ID").unwrap().as_str(), "id");
    let refusal = TableName::parse_folded("T__L").unwrap_err();
    assert_eq!(refusal.text, "T__L");
    // Only ASCII is folded: the Kelvin sign would become a k.
    assert!(FamilyName::parse_folded("\u{212a}elvin").is_err());
}

#[test]
fn a_refusal_repeats_at_most_100_characters() {
    let refusal = FamilyName::parse(&"é".repeat(1_000_000)).unwrap_err();
    assert_eq!(refusal.text.chars().count(), 100);
}

#[test]
fn serde_goes_through_the_rules() {
    let name: ColumnName = serde_json::from_str("\"id\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"id\"");
    assert!(serde_json::from_str::<ColumnName>("\"Id\"").is_err());
    assert!(serde_json::from_str::<WriterName>("\"ab\"").is_err());
}

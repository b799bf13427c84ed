use expect_test::{Expect, expect};

use super::*;
use crate::testing::table;

/// The table says in a word each what it has: `id:Integer name:String key(id)`.
fn check(text: &str, expected: &Expect) {
    let answer = match table(text) {
        Ok(schema) => match schema.check_width() {
            Ok(()) => format!("{} columns", schema.columns().len()),
            Err(wide) => wide.to_string(),
        },
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&answer);
}

/// `count` columns of a type; the names begin with `prefix`.
fn many(count: usize, prefix: &str, column_type: &str) -> String {
    (0..count).map(|index| format!("{prefix}{index}:{column_type} ")).collect()
}

fn names(count: usize, prefix: &str) -> String {
    (0..count).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>().join(",")
}

#[test]
fn a_table_needs_a_key_of_its_own_columns() {
    check("id:Integer key(id)", &expect!["1 columns"]);
    check("a:String b:Integer c:ByteString key(c,a,b)", &expect!["3 columns"]);
    check(
        "id:Integer id:Integer key(id)",
        &expect![[r#"table fam___tbl: column "id" is there twice, remove one"#]],
    );
    check("id:Integer key()", &expect!["table fam___tbl: no key column, name at least one"]);
    check(
        "id:Integer key(id,id)",
        &expect![[r#"table fam___tbl: key column "id" is there twice, remove one"#]],
    );
    check(
        "id:Integer key(name)",
        &expect![[
            r#"table fam___tbl: key column "name" is not among the columns, add it or remove it from the key"#
        ]],
    );
    check(
        "key(id)",
        &expect![[
            r#"table fam___tbl: key column "id" is not among the columns, add it or remove it from the key"#
        ]],
    );
}

#[test]
fn some_types_cannot_be_a_key() {
    for (column_type, legal) in
        ColumnType::ALL.into_iter().zip([true, true, false, false, false, true])
    {
        assert_eq!(table(&format!("k:{column_type} key(k)")).is_ok(), legal, "{column_type}");
    }
    check(
        "k:Decimal key(k)",
        &expect![[
            r#"table fam___tbl: column "k" of type Decimal cannot be in the key, use String, Integer or ByteString"#
        ]],
    );
    check(
        "a:Integer k:Text key(a,k)",
        &expect![[
            r#"table fam___tbl: column "k" of type Text cannot be in the key, use String, Integer or ByteString"#
        ]],
    );
    check(
        "k:Binary key(k)",
        &expect![[
            r#"table fam___tbl: column "k" of type Binary cannot be in the key, use String, Integer or ByteString"#
        ]],
    );
}

#[test]
fn a_key_has_at_most_3072_bytes_and_16_columns() {
    // 4 * 764 + 2 * 8 = 3072
    let key = |integers: usize| {
        let columns = many(4, "s", "String") + &many(integers, "i", "Integer");
        format!("{columns}key({},{})", names(4, "s"), names(integers, "i"))
    };
    check(&key(2), &expect!["6 columns"]);
    check(
        &key(3),
        &expect![
            "the key of table fam___tbl takes up to 3080 bytes, at most 3072 are possible: use fewer String columns in the key (764 bytes each)"
        ],
    );
    // 12 * 255 = 3060
    check(
        &format!("{}key({})", many(12, "b", "ByteString"), names(12, "b")),
        &expect!["12 columns"],
    );
    check(
        &format!("{}key({})", many(13, "b", "ByteString"), names(13, "b")),
        &expect![
            "the key of table fam___tbl takes up to 3315 bytes, at most 3072 are possible: use fewer String columns in the key (764 bytes each)"
        ],
    );
    check(&format!("{}key({})", many(16, "i", "Integer"), names(16, "i")), &expect!["16 columns"]);
    check(
        &format!("{}key({})", many(17, "i", "Integer"), names(17, "i")),
        &expect!["the key of table fam___tbl has 17 columns, at most 16 are possible: shorten it"],
    );
}

#[test]
fn a_row_has_at_most_65535_bytes() {
    let row = |integers: usize, strings: usize, byte_strings: usize, texts: usize| {
        let columns = [
            many(integers, "i", "Integer"),
            many(strings, "s", "String"),
            many(byte_strings, "b", "ByteString"),
            many(texts, "t", "Text"),
        ];
        format!("{}key(i0)", columns.concat())
    };
    // 51 * 8 + 85 * 766 + 135 null bits = 65535
    check(&row(51, 85, 0, 0), &expect!["136 columns"]);
    // 25 * 8 + 85 * 766 + 19 * 11 + 128 null bits = 65535; the key has no null bit, else it were 65536.
    check(&row(25, 85, 0, 19), &expect!["129 columns"]);
    // 47 * 8 + 85 * 766 + 3 * 11 + 134 null bits = 65536
    check(
        &row(47, 85, 0, 3),
        &expect![
            "a row of table fam___tbl takes up to 65536 bytes, at most 65535 are possible: use Text or Binary for wide columns, or split the table"
        ],
    );
    // 55 * 8 + 84 * 766 + 2 * 256 + 20 * 11 + 160 null bits = 65536
    check(
        &row(55, 84, 2, 20),
        &expect![
            "a row of table fam___tbl takes up to 65536 bytes, at most 65535 are possible: use Text or Binary for wide columns, or split the table"
        ],
    );
    check(
        &row(1, 86, 0, 0),
        &expect![
            "a row of table fam___tbl takes up to 65895 bytes, at most 65535 are possible: use Text or Binary for wide columns, or split the table"
        ],
    );
}

#[test]
fn a_row_has_at_most_8125_bytes_in_a_page() {
    // 8 + 31 * 256 + 4 + 18 = 7966; MariaDB refuses 32 of them.
    check(&format!("i0:Integer {}key(i0)", many(31, "b", "ByteString")), &expect!["32 columns"]);
    check(
        &format!("i0:Integer {}key(i0)", many(32, "b", "ByteString")),
        &expect![
            "a row of table fam___tbl takes up to 8222 bytes in a database page, at most 8125 are possible: split the table"
        ],
    );
    // 8 + 196 * 41 + 25 + 18 = 8087
    check(&format!("i0:Integer {}key(i0)", many(196, "t", "Text")), &expect!["197 columns"]);
    check(
        &format!("i0:Integer {}key(i0)", many(197, "t", "Text")),
        &expect![
            "a row of table fam___tbl takes up to 8128 bytes in a database page, at most 8125 are possible: split the table"
        ],
    );
    // Columns of the key count whole: 4 * 766 + 122 * 41 + 3 * 8 + 125 null bits + 18 = 8124
    let columns = |integers: usize| {
        let wide = many(4, "s", "String") + &many(122, "t", "Binary");
        format!("{wide}{}key({})", many(integers, "i", "Integer"), names(4, "s"))
    };
    check(&columns(3), &expect!["129 columns"]);
    check(
        &columns(4),
        &expect![
            "a row of table fam___tbl takes up to 8132 bytes in a database page, at most 8125 are possible: split the table"
        ],
    );
}

#[test]
fn a_table_has_at_most_256_columns() {
    check(&format!("{}key(i0)", many(256, "i", "Integer")), &expect!["256 columns"]);
    check(
        &format!("{}key(i0)", many(257, "i", "Integer")),
        &expect!["table fam___tbl has 257 columns, at most 256 are possible: split it"],
    );
}

#[test]
fn the_order_of_the_key_is_its_own() {
    let schema = table("a:Integer b:String c:Text key(b,a)").unwrap();
    let key: Vec<_> = schema.key_columns().map(|column| column.name.as_str()).collect();
    assert_eq!(key, ["b", "a"]);
}

#[test]
fn only_a_single_integer_key_is_the_row_number() {
    let integer = |text: &str| table(text).unwrap().has_integer_key();
    assert!(integer("a:Integer b:String key(a)"));
    assert!(!integer("a:Integer b:Integer key(a,b)"));
    assert!(!integer("a:String key(a)"));
}

#[test]
fn columns_are_added_at_the_end() {
    let schema = table("a:Integer key(a)").unwrap();
    let wider = table("a:Integer b:String c:Text key(a)").unwrap();
    assert_eq!(schema.with_columns(wider.columns()[1..].to_vec()), Ok(wider.clone()));
    let refusal = schema.with_columns(wider.columns()[..1].to_vec()).unwrap_err();
    assert!(matches!(refusal, SchemaError::DuplicateColumn { .. }));
}

#[test]
fn serde_goes_through_the_rules() {
    let schema = table("a:Integer b:String key(a)").unwrap();
    let json = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<TableSchema>(&json).unwrap(), schema);
    let keyless = json.replace(r#""key":["a"]"#, r#""key":[]"#);
    assert!(serde_json::from_str::<TableSchema>(&keyless).is_err());
}

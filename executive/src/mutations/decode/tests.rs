//! The table of good and bad requests: what they decode to, or the answer that they get.

use std::fmt::Write;

use expect_test::{Expect, expect};
use ledger::{Column, ColumnType};
use proptest::prelude::*;

use super::*;

fn family() -> FamilyName {
    FamilyName::parse("billing").unwrap()
}

/// `rates`: every type, key (region, tier); `flags`: one integer key.
fn schemas() -> Schemas {
    let table = |name: &str, columns: &[(&str, ColumnType)], key: &[&str]| {
        let table = LdbTable::new(family(), TableName::parse(name).unwrap()).unwrap();
        let column = |&(name, column_type): &(&str, ColumnType)| Column {
            name: ColumnName::parse(name).unwrap(),
            column_type,
        };
        let key = key.iter().map(|name| ColumnName::parse(name).unwrap()).collect();
        let columns = columns.iter().map(column).collect();
        let schema = TableSchema::new(table.clone(), columns, key).unwrap();
        (table, Arc::new(schema))
    };
    let rates = [
        ("region", ColumnType::String),
        ("tier", ColumnType::Integer),
        ("price", ColumnType::Decimal),
        ("note", ColumnType::Text),
        ("icon", ColumnType::Binary),
        ("tag", ColumnType::ByteString),
    ];
    let flags = [("id", ColumnType::Integer), ("name", ColumnType::String)];
    [table("rates", &rates, &["tier", "region"]), table("flags", &flags, &["id"])].into()
}

type Cookie = Option<Vec<u8>>;

fn decode(body: &str, unknown: Unknown) -> Result<(Decoded, Cookie, Cookie), Error> {
    let order = Order::parse(&family(), body.as_bytes())?;
    let decoded = order.decode(&schemas(), unknown)?;
    Ok((decoded, order.cookie, order.check_cookie))
}

fn show(body: &str, unknown: Unknown) -> String {
    let mut out = String::new();
    match decode(body, unknown) {
        Err(error) => {
            let status = error.code().status().as_u16();
            writeln!(out, "{status} {}: {error} {:?}", error.code().as_str(), error.blamed())
                .unwrap();
        }
        Ok((decoded, cookie, check)) => {
            for (schema, mutation) in &decoded.mutations {
                writeln!(out, "{}", mutation.statement(schema)).unwrap();
            }
            if !decoded.ignored.is_empty() {
                let ignored =
                    decoded.ignored.iter().map(|(table, column)| format!("{table}.{column}"));
                writeln!(out, "ignored {}", ignored.collect::<Vec<_>>().join(", ")).unwrap();
            }
            if cookie.is_some() || check.is_some() {
                writeln!(out, "cookie {cookie:?} check {check:?}").unwrap();
            }
        }
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "an expectation is written in place")]
fn check(body: &str, want: Expect) {
    want.assert_eq(&show(body, Unknown::Ignore));
}

/// One mutation of `flags` with these values.
fn flag(values: &str) -> String {
    format!(r#"{{"mutations":[{{"table":"flags","values":{values}}}]}}"#)
}

/// An upsert of `rates` where one value is replaced.
fn rate(column: &str, value: &str) -> String {
    let all = [
        ("region", "\"eu\""),
        ("tier", "1"),
        ("price", "1"),
        ("note", "null"),
        ("icon", "null"),
        ("tag", "null"),
    ];
    let all = all.map(|(name, default)| {
        format!("\"{name}\":{}", if name == column { value } else { default })
    });
    format!(r#"{{"mutations":[{{"table":"rates","values":{{{}}}}}]}}"#, all.join(","))
}

#[test]
fn upserts_and_deletes_become_statements() {
    check(
        r#"{"cookie":"AQI=","check_cookie":"","mutations":[
            {"table":"Rates","delete":false,"values":{"REGION":"it's","tier":9223372036854775807,"price":10.0,"note":"a\u0000b","icon":"AP8=","tag":""}},
            {"table":"rates","delete":true,"values":{"tier":-9223372036854775808,"region":"","price":"whatever"}},
            {"table":"flags","values":{"id":1e3,"name":true}}]}"#,
        expect![[r#"
            REPLACE INTO billing___rates ("region","tier","price","note","icon","tag") VALUES('it''s',9223372036854775807,10,x'610062',x'00ff',x'')
            DELETE FROM billing___rates WHERE "tier" = -9223372036854775808 AND "region" = ''
            REPLACE INTO billing___flags ("id","name") VALUES(1000,'1')
            cookie Some([1, 2]) check Some([])
        "#]],
    );
}

#[test]
fn absent_and_null_are_alike_as_in_the_original() {
    let want = "REPLACE INTO billing___flags (\"id\",\"name\") VALUES(1,NULL)\n";
    for body in [
        r#"{"mutations":[{"table":"flags","values":{"id":1,"name":null}}]}"#,
        r#"{"cookie":null,"check_cookie":null,"other":[{}],"MUTATIONS":[{"Table":"FLAGS","DELETE":null,"Values":{"ID":1,"Name":null}}]}"#,
    ] {
        assert_eq!(show(body, Unknown::Ignore), want);
    }
}

#[test]
fn bodies_that_are_no_request() {
    check(
        "",
        expect![[r#"
        400 json_invalid: JSON Error: EOF while parsing a value at line 1 column 0 None
    "#]],
    );
    check(
        "{\"mutations\":[",
        expect![[r#"
        400 json_invalid: JSON Error: EOF while parsing a list at line 1 column 14 None
    "#]],
    );
    check(
        "[]",
        expect![[r#"
            400 json_invalid: JSON Error: invalid type: sequence, expected an object at line 1 column 2 None
        "#]],
    );
    check(
        "{\"mutations\":[{}]} x",
        expect![[r#"
        400 json_invalid: JSON Error: trailing characters at line 1 column 20 None
    "#]],
    );
    check(
        "null",
        expect![[r#"
        400 json_invalid: JSON Error: null is no request, send an object None
    "#]],
    );
    check(
        r#"{"mutations":[]}"#,
        expect![[r#"
        400 no_mutations: no mutations, send at least one Some("mutations")
    "#]],
    );
    check(
        r#"{"mutations":{}}"#,
        expect![[r#"
        400 json_invalid: JSON Error: mutations: invalid type: map, expected a sequence at line 1 column 0 Some("mutations")
    "#]],
    );
    check(
        r#"{"mutations":[{"table":7}]}"#,
        expect![[r#"
        400 json_invalid: JSON Error: mutations[0].table: invalid type: integer `7`, expected a string at line 1 column 1 Some("mutations[0].table")
    "#]],
    );
    check(
        r#"{"mutations":[{"table":"flags","delete":"yes"}]}"#,
        expect![[r#"
        400 json_invalid: JSON Error: mutations[0].delete: invalid type: string "yes", expected a boolean at line 1 column 5 Some("mutations[0].delete")
    "#]],
    );
    check(
        r#"{"mutations":[{"table":"flags","values":[1]}]}"#,
        expect![[r#"
            400 json_invalid: JSON Error: mutations[0].values: invalid type: sequence, expected an object at line 1 column 1 Some("mutations[0].values")
        "#]],
    );
    check(
        &flag(r#"{"id":NaN}"#),
        expect![[r#"
        400 json_invalid: JSON Error: expected value at line 1 column 47 None
    "#]],
    );
}

#[test]
fn a_hundred_mutations_are_the_most() {
    let many = |count: usize| {
        let line = r#"{"table":"flags","values":{"id":1,"name":"x"}}"#;
        format!(r#"{{"mutations":[{}]}}"#, vec![line; count].join(","))
    };
    assert_eq!(decode(&many(100), Unknown::Ignore).unwrap().0.mutations.len(), 100);
    check(
        &many(101),
        expect![[r#"
        413 too_many_mutations: Number of requests exceeds maximum Some("mutations")
    "#]],
    );
}

#[test]
fn cookies_are_base64_of_at_most_1024_bytes() {
    let with = |cookie: &str| {
        format!(
            r#"{{"check_cookie":"{cookie}","mutations":[{{"table":"flags","delete":true,"values":{{"id":1}}}}]}}"#
        )
    };
    check(
        &with("!"),
        expect![[r#"
        400 value_invalid: check_cookie is not standard base64 with padding, encode the bytes so Some("check_cookie")
    "#]],
    );
    check(
        &with("AQI"),
        expect![[r#"
        400 value_invalid: check_cookie is not standard base64 with padding, encode the bytes so Some("check_cookie")
    "#]],
    );
    check(
        &with("AQ\\nI=\\r\\n"),
        expect![[r#"
        DELETE FROM billing___flags WHERE "id" = 1
        cookie None check Some([1, 2])
    "#]],
    );
    // 1024 bytes are 1368 characters; 1025 too.
    assert!(decode(&with(&format!("{}AA==", "AAAA".repeat(341))), Unknown::Ignore).is_ok());
    check(
        &with(&format!("{}AAA=", "AAAA".repeat(341))),
        expect![[r#"
        400 cookie_too_long: Maximum cookie length is 1024 bytes Some("check_cookie")
    "#]],
    );
}

#[test]
fn names_are_checked_and_folded() {
    check(
        r#"{"mutations":[{"table":"no__good","values":{}}]}"#,
        expect![[r#"
            400 name_invalid: mutation 0: Table names must be only letters, numbers, and single underscore Some("mutations[0].table")
        "#]],
    );
    check(
        r#"{"mutations":[{"values":{}}]}"#,
        expect![[r#"
            400 name_invalid: mutation 0: Table names must be at least 3 characters Some("mutations[0].table")
        "#]],
    );
    check(
        &flag(r#"{"id":1,"name":"x","so bad":1}"#),
        expect![[r#"
            400 name_invalid: mutation 0: Field names must be only letters, numbers, and underscore Some("mutations[0].values.so bad")
        "#]],
    );
    check(
        r#"{"mutations":[{"table":"flags","delete":true,"values":{"id":1}},{"table":"nowhere","values":{}}]}"#,
        expect![[r#"
        404 table_not_found: mutation 1: Table not found: nowhere Some("mutations[1].table")
    "#]],
    );
}

#[test]
fn a_name_twice_counts_once_but_only_in_the_same_spelling() {
    check(
        &flag(r#"{"id":1,"name":"first","name":"last"}"#),
        expect![[r#"
        REPLACE INTO billing___flags ("id","name") VALUES(1,'last')
    "#]],
    );
    check(
        &flag(r#"{"id":1,"name":"first","Name":"last"}"#),
        expect![[r#"
        400 value_invalid: mutation 0: column "name" is there more than once in different case, send it once Some("mutations[0].values.name")
    "#]],
    );
}

#[test]
fn unknown_columns_are_ignored_and_named_unless_strict() {
    let body = r#"{"mutations":[
        {"table":"flags","values":{"id":1,"name":"x","colour":[1],"Size":2}},
        {"table":"flags","delete":true,"values":{"id":1,"colour":"red"}}]}"#;
    check(
        body,
        expect![[r#"
        REPLACE INTO billing___flags ("id","name") VALUES(1,'x')
        DELETE FROM billing___flags WHERE "id" = 1
        ignored flags.colour, flags.size
    "#]],
    );
    expect![[r#"
        400 column_unknown: mutation 0: table billing___flags has no column "colour", add it or leave it out Some("mutations[0].values.colour")
    "#]]
    .assert_eq(&show(body, Unknown::Refuse));
}

#[test]
fn every_column_is_needed_and_keys_are_never_null() {
    check(
        &flag(r#"{"id":1}"#),
        expect![[r#"
            400 value_invalid: mutation 0: Missing field name, send a value (null is one, except in a key) Some("mutations[0].values.name")
        "#]],
    );
    check(
        &flag(r#"{"id":null,"name":"x"}"#),
        expect![[r#"
        400 value_invalid: mutation 0: column "id" (Integer): a key column cannot be null, send a value Some("mutations[0].values.id")
    "#]],
    );
    check(
        r#"{"mutations":[{"table":"rates","delete":true,"values":{"tier":1}}]}"#,
        expect![[r#"
            400 value_invalid: mutation 0: Missing field region, send a value (null is one, except in a key) Some("mutations[0].values.region")
        "#]],
    );
}

#[test]
fn values_that_do_not_fit() {
    let bad = |column, value: &str| match decode(&rate(column, value), Unknown::Ignore) {
        Ok(ok) => panic!("{column} took {value}: {ok:?}"),
        Err(error) => {
            (error.code().as_str(), error.to_string(), error.blamed().unwrap().to_owned())
        }
    };
    for (column, value, problem) in [
        ("tier", "9223372036854775808", "beyond 64 bits"),
        ("tier", "-9223372036854775809", "beyond 64 bits"),
        ("tier", "1.5", "not a whole number"),
        ("tier", "\"07\"", "not exactly an integer"),
        ("tier", "{}", "an object is not possible"),
        ("price", "1e999", "not a finite double"),
        ("price", "\"NaN\"", "not a number"),
        ("price", "\"inf\"", "not a number"),
        ("region", "[1]", "an array is not possible"),
        ("region", "\"\\ud800\"", "half of a surrogate pair"),
        ("note", "{}", "an object is not possible"),
        ("icon", "\"AQI\"", "not standard base64"),
        ("icon", "\"_-==\"", "not standard base64"),
        ("icon", "7", "a number is not possible"),
        ("tag", "true", "true or false is not possible"),
    ] {
        let (code, message, field) = bad(column, value);
        assert!(message.contains(problem), "{column} {value}: {message}");
        assert_eq!((code, field), ("value_invalid", format!("mutations[0].values.{column}")));
    }
    let long = |count| format!("\"{}\"", "ü".repeat(count));
    assert!(decode(&rate("region", &long(191)), Unknown::Ignore).is_ok());
    assert!(bad("region", &long(192)).1.contains("more than 191 characters"));
}

/// The clauses of what is converted, one by one; what each value becomes stands in the ledger's text.
#[test]
fn values_are_converted_as_the_original_does() {
    let take = |column: &str, value: &str| {
        let text = show(&rate(column, value), Unknown::Ignore);
        let (_, values) = text.split_once("VALUES(").unwrap_or_else(|| panic!("{value}: {text}"));
        let (values, _) = values.rsplit_once(')').unwrap();
        let default = ["'eu'", "1", "1", "NULL", "NULL", "NULL"];
        let columns = ["region", "tier", "price", "note", "icon", "tag"];
        let at = columns.iter().position(|name| *name == column).unwrap();
        // The others stay as they are.
        let before: String = default[..at].iter().map(|value| format!("{value},")).collect();
        let after: String = default[at + 1..].iter().map(|value| format!(",{value}")).collect();
        let value = values.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&after));
        value.unwrap_or_else(|| panic!("{values}")).to_owned()
    };
    for (column, value, want) in [
        // integer <- an integral number, true and false, a string of exactly an int64
        ("tier", "10.0", "10"),
        ("tier", "1e3", "1000"),
        ("tier", "-0", "0"),
        ("tier", "-9223372036854775808", "-9223372036854775808"),
        ("tier", "9007199254740993", "9007199254740993"),
        ("tier", "92233720368547758.07e2", "9223372036854775807"),
        ("tier", "true", "1"),
        ("tier", "false", "0"),
        ("tier", "\"-7\"", "-7"),
        ("tier", "\"9223372036854775807\"", "9223372036854775807"),
        // decimal <- a finite number, true and false, a numeric string
        ("price", "0.1", "0.1"),
        ("price", "true", "1"),
        ("price", "false", "0"),
        ("price", "\"1e3\"", "1000"),
        ("price", "1e-400", "0"),
        ("price", "null", "NULL"),
        // string and text <- a string, a number in the ledger's words, true and false
        ("region", "10.0", "'10'"),
        ("region", "1e25", "'10000000000000000000000000'"),
        ("region", "0.1", "'0.1'"),
        ("region", "9007199254740993", "'9007199254740993'"),
        ("region", "true", "'1'"),
        ("region", "\"a\\u0000b\"", "x'610062'"),
        ("region", "\"\\ud83d\\ude00\"", "'\u{1f600}'"),
        ("note", "false", "'0'"),
        ("note", "-1.5", "'-1.5'"),
        ("note", "\"\"", "''"),
        // binary and bytestring <- base64, with line ends and loose last bits as Go takes it
        ("icon", "\"AP8=\"", "x'00ff'"),
        ("icon", "\"AP\\r\\n8=\"", "x'00ff'"),
        ("tag", "\"AR==\"", "x'01'"),
        ("tag", "\"\"", "x''"),
    ] {
        assert_eq!(take(column, value), want, "{column} <- {value}");
    }
}

#[test]
fn bodies_made_to_hurt_are_refused_or_passed_over() {
    const DEPTH: usize = 300_000;
    let deep = "[".repeat(DEPTH) + &"]".repeat(DEPTH);
    let objects = "{\"a\":".repeat(DEPTH) + "1" + &"}".repeat(DEPTH);
    let digits = "7".repeat(1_000_000);
    let code = |body: &str| decode(body, Unknown::Ignore).err().map(|error| error.code());
    for deep in [&deep, &objects] {
        for body in [
            deep.clone(),
            format!("{{\"mutations\":{deep}}}"),
            format!("{{\"mutations\":[{deep}]}}"),
            flag(deep),
            rate("note", deep),
        ] {
            let code = code(&body).unwrap();
            assert_eq!(code.status().as_u16(), 400);
        }
        // Nobody asked for it, as in the original.
        assert_eq!(code(&flag(&format!("{{\"id\":1,\"name\":\"x\",\"other\":{deep}}}"))), None);
    }
    for column in ["tier", "price", "region", "note"] {
        for number in [&digits, "1e400", "-1e400", "1e99999999999999999999"] {
            assert_eq!(code(&rate(column, number)), Some(Code::ValueInvalid), "{column}");
        }
    }
    for value in ["01", "1.", ".5", "+1", "0x1", "Infinity", "-", "'x'", "\"\\x\"", "\"\n\""] {
        assert_eq!(code(&rate("tier", value)), Some(Code::JsonInvalid), "{value}");
    }
    // No error repeats the whole of it.
    let long = flag(&format!("{{\"{digits}\":1}}"));
    let error = decode(&long, Unknown::Ignore).unwrap_err();
    assert!(error.to_string().len() + error.blamed().unwrap().len() < 5000);
}

/// Pieces of requests, and of nonsense.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"mutations\":[",
        "{\"table\":\"flags\",",
        "\"values\":{",
        "\"delete\":true",
        "\"cookie\":\"AQ==\"",
        "\"id\":1",
        "\"name\":\"x\"",
        "null",
        "1e400",
        "-0",
        "\"\\ud800\"",
        "\"Name\":",
        "{\"mutations\":[{\"table\":\"flags\",\"values\":{\"id\":",
        "}}]}",
    ];
    let piece = prop_oneof![
        prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| n.to_string()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_body_makes_it_panic(body in pieces()) {
        let _ = show(&body, Unknown::Ignore);
        let _ = show(&body, Unknown::Refuse);
        let _ = show(&flag(&body), Unknown::Ignore);
    }
}

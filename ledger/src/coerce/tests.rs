use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::ColumnName;
use crate::testing::text;

fn coerce_text(column_type: ColumnType, json: &str) -> Result<Value, ValueError> {
    let json: Box<RawValue> = serde_json::from_str(json).unwrap();
    coerce(&Column { name: ColumnName::parse("v").unwrap(), column_type }, &json)
}

/// One line for each JSON value: what it becomes in columns of these types, or what is the matter.
fn check(types: &[ColumnType], jsons: &[&str], expected: &Expect) {
    let cell = |json: &str, column_type: &ColumnType| match coerce_text(*column_type, json) {
        Ok(value) => format!(" | {value:?}"),
        Err(error) => format!(" | {:?}", error.problem),
    };
    let line = |json: &&str| {
        let cells: String = types.iter().map(|column_type| cell(json, column_type)).collect();
        format!("{json}{cells}\n")
    };
    expected.assert_eq(&jsons.iter().map(line).collect::<String>());
}

const SCALARS: [ColumnType; 3] = [ColumnType::Integer, ColumnType::Decimal, ColumnType::String];

const NUMBERS: [&str; 36] = [
    "0",
    "-0",
    "0.0",
    "-0.0",
    "0e0",
    "0e99999999999999999999",
    "10",
    "-10",
    "10.0",
    "1e1",
    "1E+1",
    "1e3",
    "1e-1",
    "100e-1",
    "1.5",
    "0.1",
    "15e-1",
    "1.50e1",
    "0.0000000000000000000000000000001e31",
    "9007199254740993",
    "1563217544067280401",
    "9223372036854775807",
    "9223372036854775807.0",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775808.000",
    "-9223372036854775809",
    "922337203685477580.7e1",
    "1e18",
    "1e19",
    "1e25",
    "1e100",
    "1e400",
    "1e99999999999999999999",
    "1e-99999999999999999999",
    "5e-324",
];

const OTHERS: [&str; 7] = ["null", "true", "false", "[]", "[1]", "{}", "{\"a\":1}"];

const STRINGS: [&str; 18] = [
    r#""""#,
    r#""a""#,
    r#""it's""#,
    r#""a\\b\"c\/d\n""#,
    r#""a\u0000b""#,
    r#""\u00fc\ud83d\ude00😀""#,
    r#""\ud83d""#,
    r#""\ude00\ud83d""#,
    r#""\ud83dx""#,
    r#""12""#,
    r#""-12""#,
    r#"" 12""#,
    r#""+12""#,
    r#""012""#,
    r#""-0""#,
    r#""1e3""#,
    r#""9223372036854775808""#,
    r#""１２""#,
];

const NUMERIC: [&str; 15] = [
    r#""1.5""#,
    r#""-1e-3""#,
    r#""+1""#,
    r#""-0.0""#,
    r#"".5""#,
    r#""5.""#,
    r#"".""#,
    r#""e5""#,
    r#""1e400""#,
    r#""inf""#,
    r#""NaN""#,
    r#""infinity""#,
    r#""0x10""#,
    r#""1_0""#,
    r#""1,5""#,
];

const ENCODED: [&str; 19] = [
    r#""""#,
    r#""AQID""#,
    r#""AQI=""#,
    r#""AQ==""#,
    r#""+/+/""#,
    // The original, too, ignores line ends and bits that say nothing.
    r#""AQ\r\nID\n""#,
    r#""AQJ=""#,
    r#""AR==""#,
    r#""AQI""#,
    r#""AQ=""#,
    r#""AQID=""#,
    r#""AQ I""#,
    r#""-_-_""#,
    r#""A""#,
    r#""====""#,
    r#""\u00fcAA=""#,
    r#""\ud83d""#,
    "1",
    "1.5",
];

#[test]
fn numbers_become_what_the_column_holds() {
    check(
        &SCALARS,
        &NUMBERS,
        &expect![[r#"
        0 | Integer(0) | Decimal(0.0) | Text("0")
        -0 | Integer(0) | Decimal(0.0) | Text("0")
        0.0 | Integer(0) | Decimal(0.0) | Text("0")
        -0.0 | Integer(0) | Decimal(0.0) | Text("0")
        0e0 | Integer(0) | Decimal(0.0) | Text("0")
        0e99999999999999999999 | Integer(0) | Decimal(0.0) | Text("0")
        10 | Integer(10) | Decimal(10.0) | Text("10")
        -10 | Integer(-10) | Decimal(-10.0) | Text("-10")
        10.0 | Integer(10) | Decimal(10.0) | Text("10")
        1e1 | Integer(10) | Decimal(10.0) | Text("10")
        1E+1 | Integer(10) | Decimal(10.0) | Text("10")
        1e3 | Integer(1000) | Decimal(1000.0) | Text("1000")
        1e-1 | Fraction | Decimal(0.1) | Text("0.1")
        100e-1 | Integer(10) | Decimal(10.0) | Text("10")
        1.5 | Fraction | Decimal(1.5) | Text("1.5")
        0.1 | Fraction | Decimal(0.1) | Text("0.1")
        15e-1 | Fraction | Decimal(1.5) | Text("1.5")
        1.50e1 | Integer(15) | Decimal(15.0) | Text("15")
        0.0000000000000000000000000000001e31 | Integer(1) | Decimal(1.0) | Text("1")
        9007199254740993 | Integer(9007199254740993) | Decimal(9007199254740992.0) | Text("9007199254740993")
        1563217544067280401 | Integer(1563217544067280401) | Decimal(1.5632175440672804e18) | Text("1563217544067280401")
        9223372036854775807 | Integer(9223372036854775807) | Decimal(9.223372036854776e18) | Text("9223372036854775807")
        9223372036854775807.0 | Integer(9223372036854775807) | Decimal(9.223372036854776e18) | Text("9223372036854775807")
        9223372036854775808 | IntegerRange | Decimal(9.223372036854776e18) | Text("9223372036854776000")
        -9223372036854775808 | Integer(-9223372036854775808) | Decimal(-9.223372036854776e18) | Text("-9223372036854775808")
        -9223372036854775808.000 | Integer(-9223372036854775808) | Decimal(-9.223372036854776e18) | Text("-9223372036854775808")
        -9223372036854775809 | IntegerRange | Decimal(-9.223372036854776e18) | Text("-9223372036854776000")
        922337203685477580.7e1 | Integer(9223372036854775807) | Decimal(9.223372036854776e18) | Text("9223372036854775807")
        1e18 | Integer(1000000000000000000) | Decimal(1e18) | Text("1000000000000000000")
        1e19 | IntegerRange | Decimal(1e19) | Text("10000000000000000000")
        1e25 | IntegerRange | Decimal(1e25) | Text("10000000000000000000000000")
        1e100 | IntegerRange | Decimal(1e100) | Text("10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000")
        1e400 | IntegerRange | NotFinite | NotFinite
        1e99999999999999999999 | IntegerRange | NotFinite | NotFinite
        1e-99999999999999999999 | Fraction | Decimal(0.0) | Text("0")
        5e-324 | Fraction | Decimal(5e-324) | TooManyCharacters(191)
    "#]],
    );
}

#[test]
fn truths_are_one_and_zero_and_null_is_null() {
    check(
        &SCALARS,
        &OTHERS,
        &expect![[r#"
        null | Null | Null | Null
        true | Integer(1) | Decimal(1.0) | Text("1")
        false | Integer(0) | Decimal(0.0) | Text("0")
        [] | Kind("an array") | Kind("an array") | Kind("an array")
        [1] | Kind("an array") | Kind("an array") | Kind("an array")
        {} | Kind("an object") | Kind("an object") | Kind("an object")
        {"a":1} | Kind("an object") | Kind("an object") | Kind("an object")
    "#]],
    );
}

#[test]
fn strings_are_text_or_exactly_a_number() {
    check(
        &SCALARS,
        &STRINGS,
        &expect![[r#"
        "" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("")
        "a" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("a")
        "it's" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("it's")
        "a\\b\"c\/d\n" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("a\\b\"c/d\n")
        "a\u0000b" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("a\0b")
        "\u00fc\ud83d\ude00😀" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("ü😀😀")
        "\ud83d" | Surrogate | Surrogate | Surrogate
        "\ude00\ud83d" | Surrogate | Surrogate | Surrogate
        "\ud83dx" | Surrogate | Surrogate | Surrogate
        "12" | Integer(12) | Decimal(12.0) | Text("12")
        "-12" | Integer(-12) | Decimal(-12.0) | Text("-12")
        " 12" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text(" 12")
        "+12" | Kind("a string that is not exactly an integer") | Decimal(12.0) | Text("+12")
        "012" | Kind("a string that is not exactly an integer") | Decimal(12.0) | Text("012")
        "-0" | Kind("a string that is not exactly an integer") | Decimal(0.0) | Text("-0")
        "1e3" | Kind("a string that is not exactly an integer") | Decimal(1000.0) | Text("1e3")
        "9223372036854775808" | IntegerRange | Decimal(9.223372036854776e18) | Text("9223372036854775808")
        "１２" | Kind("a string that is not exactly an integer") | Kind("a string that is not a number") | Text("１２")
    "#]],
    );
    check(
        &[ColumnType::Decimal],
        &NUMERIC,
        &expect![[r#"
        "1.5" | Decimal(1.5)
        "-1e-3" | Decimal(-0.001)
        "+1" | Decimal(1.0)
        "-0.0" | Decimal(0.0)
        ".5" | Decimal(0.5)
        "5." | Decimal(5.0)
        "." | Kind("a string that is not a number")
        "e5" | Kind("a string that is not a number")
        "1e400" | NotFinite
        "inf" | Kind("a string that is not a number")
        "NaN" | Kind("a string that is not a number")
        "infinity" | Kind("a string that is not a number")
        "0x10" | Kind("a string that is not a number")
        "1_0" | Kind("a string that is not a number")
        "1,5" | Kind("a string that is not a number")
    "#]],
    );
}

#[test]
fn bytes_come_in_base64() {
    check(
        &[ColumnType::ByteString],
        &ENCODED,
        &expect![[r#"
        "" | Bytes([])
        "AQID" | Bytes([1, 2, 3])
        "AQI=" | Bytes([1, 2])
        "AQ==" | Bytes([1])
        "+/+/" | Bytes([251, 255, 191])
        "AQ\r\nID\n" | Bytes([1, 2, 3])
        "AQJ=" | Bytes([1, 2])
        "AR==" | Bytes([1])
        "AQI" | Base64
        "AQ=" | Base64
        "AQID=" | Base64
        "AQ I" | Base64
        "-_-_" | Base64
        "A" | Base64
        "====" | Base64
        "\u00fcAA=" | Base64
        "\ud83d" | Surrogate
        1 | Kind("a number")
        1.5 | Kind("a number")
    "#]],
    );
    check(
        &[ColumnType::ByteString],
        &OTHERS,
        &expect![[r#"
        null | Null
        true | Kind("true or false")
        false | Kind("true or false")
        [] | Kind("an array")
        [1] | Kind("an array")
        {} | Kind("an object")
        {"a":1} | Kind("an object")
    "#]],
    );
    for json in ENCODED.iter().chain(&OTHERS) {
        let problem = |error: ValueError| error.problem;
        assert_eq!(
            coerce_text(ColumnType::Binary, json).map_err(problem),
            coerce_text(ColumnType::ByteString, json).map_err(problem)
        );
    }
}

#[test]
fn a_refusal_names_column_type_and_cure() {
    let message =
        |column_type, json| coerce_text(column_type, json).unwrap_err().to_string() + "\n";
    let messages = [
        message(ColumnType::Integer, "1.5"),
        message(ColumnType::Integer, "1e19"),
        message(ColumnType::Integer, "[]"),
        message(ColumnType::Integer, r#""a""#),
        message(ColumnType::Decimal, "1e400"),
        message(ColumnType::Decimal, r#""NaN""#),
        message(ColumnType::String, "{}"),
        message(ColumnType::String, r#""\ud83d""#),
        message(ColumnType::Binary, "true"),
        message(ColumnType::Binary, "1"),
        message(ColumnType::ByteString, r#""?""#),
    ];
    expect![[r#"
        column "v" (Integer): not a whole number, send one without a fraction
        column "v" (Integer): beyond 64 bits, send a number from -9223372036854775808 to 9223372036854775807
        column "v" (Integer): an array is not possible here, send a whole number
        column "v" (Integer): a string that is not exactly an integer is not possible here, send a whole number
        column "v" (Decimal): not a finite double, send a number up to 1.7976931348623157e308
        column "v" (Decimal): a string that is not a number is not possible here, send a number
        column "v" (String): an object is not possible here, send a string
        column "v" (String): half of a surrogate pair, send both halves or the character itself
        column "v" (Binary): true or false is not possible here, send a base64 string
        column "v" (Binary): a number is not possible here, send a base64 string
        column "v" (ByteString): not standard base64 with padding, encode the bytes so
    "#]].assert_eq(&messages.concat());
}

#[test]
fn a_text_takes_what_a_string_takes() {
    for json in NUMBERS.iter().chain(&OTHERS).chain(&STRINGS).filter(|json| **json != "5e-324") {
        let problem = |error: ValueError| error.problem;
        assert_eq!(
            coerce_text(ColumnType::Text, json).map_err(problem),
            coerce_text(ColumnType::String, json).map_err(problem)
        );
    }
    // The text of the smallest double has 326 characters.
    let Ok(Value::Text(text)) = coerce_text(ColumnType::Text, "5e-324") else { panic!("no text") };
    assert_eq!(text, format!("0.{}5", "0".repeat(323)));
}

#[test]
fn lengths_are_those_of_the_value_not_of_its_json() {
    let string = |count: usize| {
        coerce_text(ColumnType::String, &format!("\"{}\"", r"\ud83d\ude00".repeat(count)))
    };
    assert_eq!(string(191), Ok(Value::Text("😀".repeat(191))));
    assert_eq!(string(192).unwrap_err().problem, Problem::TooManyCharacters(191));
    let bytes = |base64: &str| coerce_text(ColumnType::ByteString, &format!("\"{base64}\""));
    assert_eq!(bytes(&"AAAA".repeat(85)), Ok(Value::Bytes(vec![0; 255])));
    assert_eq!(
        bytes(&("AAAA".repeat(85) + "AA==")).unwrap_err().problem,
        Problem::TooManyBytes(255)
    );
}

#[test]
fn a_number_of_a_million_digits_is_refused_or_read_at_once() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(coerce_text(ColumnType::Integer, &format!("1.{zeros}")), Ok(Value::Integer(1)));
    let refused = |json: &str| coerce_text(ColumnType::Integer, json).unwrap_err().problem;
    assert_eq!(refused(&format!("1{zeros}")), Problem::IntegerRange);
    assert_eq!(refused(&format!("0.{zeros}1")), Problem::Fraction);
}

proptest! {
    #[test]
    fn every_integer_survives_exactly(integer: i64, zeros in 0_usize..4, exponent in 0_usize..4) {
        let zeros = "0".repeat(zeros);
        for json in [
            integer.to_string(),
            format!("\"{integer}\""),
            format!("{integer}.{zeros}0"),
            format!("{integer}{}e-{exponent}", "0".repeat(exponent)),
        ] {
            prop_assert_eq!(coerce_text(ColumnType::Integer, &json), Ok(Value::Integer(integer)));
        }
        let text = coerce_text(ColumnType::String, &integer.to_string());
        prop_assert_eq!(text, Ok(Value::Text(integer.to_string())));
    }

    #[test]
    fn every_double_survives_exactly(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        for json in [format!("{number:e}"), number.to_string(), format!("\"{number:e}\"")] {
            prop_assert_eq!(coerce_text(ColumnType::Decimal, &json), Ok(Value::decimal(number).unwrap()));
        }
    }

    #[test]
    fn every_text_survives_exactly(text in text()) {
        let json = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(coerce_text(ColumnType::Text, &json), Ok(Value::Text(text)));
    }

    #[test]
    fn a_whole_number_is_whole_in_every_form(digits in "-?[1-9][0-9]{0,5}", point in 0_usize..8, exponent in -9_i64..9) {
        // The number as digits with a point somewhere and an exponent, against plain arithmetic.
        let (sign, digits) = digits.strip_prefix('-').map_or(("", &digits[..]), |rest| ("-", rest));
        let padded = format!("{}{digits}", "0".repeat(8_usize.saturating_sub(digits.len())));
        let (before, after) = padded.split_at(padded.len() - point);
        let before = before.trim_start_matches('0');
        let before = if before.is_empty() { "0" } else { before };
        let after = if after.is_empty() { "0" } else { after };
        let json = format!("{sign}{before}.{after}e{exponent}");
        let shift = exponent - i64::try_from(point).unwrap();
        let number: i128 = format!("{sign}{digits}").parse().unwrap();
        let power = 10_i128.pow(u32::try_from(shift.unsigned_abs()).unwrap());
        let expected = match shift {
            0.. => i64::try_from(number * power).map_err(|_| Problem::IntegerRange),
            _ if number % power == 0 => Ok(i64::try_from(number / power).unwrap()),
            _ => Err(Problem::Fraction),
        };
        let found = coerce_text(ColumnType::Integer, &json).map_err(|error| error.problem);
        prop_assert_eq!(found, expected.map(Value::Integer));
    }
}

use proptest::prelude::*;

use super::*;
use crate::testing::{column_type, read_back, text, value};
use crate::{ColumnType, Statement};

/// The text of a value, and what the grammar makes of it.
fn through_text(value: &Value) -> (String, Literal) {
    let text = Literal::from(value).to_string();
    let statement = format!("REPLACE INTO fam___tbl (\"v\") VALUES({text})");
    match Statement::parse(&statement) {
        Ok(Statement::Upsert { mut values, .. }) => (text, values.remove(0)),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn values_are_written_as_the_original_writes_them() {
    let text = |text: &str| Value::Text(text.to_owned());
    for (value, written) in [
        (Value::Null, "NULL"),
        (Value::Integer(0), "0"),
        (Value::Integer(i64::MAX), "9223372036854775807"),
        (Value::Integer(i64::MIN), "-9223372036854775808"),
        (Value::Integer(1_563_217_544_067_280_401), "1563217544067280401"),
        (Value::Decimal(10.0), "10"),
        (Value::Decimal(0.1), "0.1"),
        (Value::Decimal(-1.01), "-1.01"),
        (Value::Decimal(-0.0), "0"),
        (Value::Decimal(1e25), "10000000000000000000000000"),
        (Value::Decimal(1e-7), "0.0000001"),
        (Value::Decimal(4_611_686_018_427_387_904.0), "4611686018427388000"),
        (text(""), "''"),
        (text("hello"), "'hello'"),
        (text("it's"), "'it''s'"),
        (text("''"), "''''''"),
        (text(r"a\b\'"), r"'a\b\'''"),
        (text("a\nb\r\n\t"), "'a\nb\r\n\t'"),
        (text("日本 😀 \u{301}"), "'日本 😀 \u{301}'"),
        (text("a\0b"), "x'610062'"),
        (text("\0"), "x'00'"),
        (text("'\0ü"), "x'2700c3bc'"),
        (text("NULL"), "'NULL'"),
        (Value::Bytes(vec![]), "x''"),
        (Value::Bytes(vec![0xde, 0xad, 0xbe, 0xef, 0]), "x'deadbeef00'"),
    ] {
        assert_eq!(through_text(&value).0, written, "{value:?}");
    }
}

#[test]
fn the_ends_of_the_doubles_survive() {
    for number in [5e-324, f64::MIN_POSITIVE, 2.225_073_858_507_201e-308, 1e100, f64::MAX, f64::MIN]
    {
        let (text, literal) = through_text(&Value::Decimal(number));
        assert!(!text.contains(['e', 'E']), "{text}");
        assert_eq!(literal, Literal::Real(number));
    }
}

#[test]
fn a_whole_real_does_not_read_back_as_an_integer() {
    assert_eq!(Literal::Real(1.0).to_string(), "1.0");
    assert_eq!(Literal::Real(0.0).to_string(), "0.0");
    assert_eq!(Literal::Real(1e25).to_string(), "10000000000000000000000000");
    assert_eq!(Literal::Real(-9_223_372_036_854_775_808.0).to_string(), "-9223372036854776000");
}

#[test]
fn long_bytes_are_written_whole() {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(Literal::Hex(bytes).to_string(), format!("x'{expected}'"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_value_survives_its_text(
        (column_type, value) in column_type().prop_flat_map(|kind| (Just(kind), value(kind)))
    ) {
        prop_assert_eq!(read_back(column_type, &through_text(&value).1), Some(value));
    }

    #[test]
    fn every_finite_double_survives_bit_by_bit(bits: u64) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let literal = through_text(&Value::Decimal(number)).1;
        let Some(Value::Decimal(back)) = read_back(ColumnType::Decimal, &literal) else {
            return Err(TestCaseError::fail(format!("{literal:?}")));
        };
        // Negative zero alone becomes another: zero.
        prop_assert_eq!(back.to_bits(), (number + 0.0).to_bits());
    }

    #[test]
    fn quotes_are_all_that_text_escapes(text in text()) {
        prop_assume!(!text.contains('\0'));
        let written = Literal::Text(text.clone()).to_string();
        prop_assert_eq!(written, format!("'{}'", text.replace('\'', "''")));
    }
}

//! Statements of our bookkeeping as one text, for the server to run in one round trip. Rows of users' tables never go this
//! way: they are bound.

use std::fmt::Write as _;

use crate::connection::{SqlValue, Step};

/// Puts statements into one text, each parameter in the place of its `?`.
pub(crate) fn joined(first: Option<&str>, steps: &[Step], last: Option<&str>) -> String {
    let mut text = String::from(first.unwrap_or_default());
    for step in steps {
        separate(&mut text);
        write_step(&mut text, step);
    }
    if let Some(last) = last {
        separate(&mut text);
        text += last;
    }
    text
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        *text += "; ";
    }
}

fn write_step(text: &mut String, Step { sql, params }: &Step) {
    let mut params = params.iter();
    for (index, part) in sql.split('?').enumerate() {
        if index > 0 {
            write_value(text, params.next().expect("BUG: a parameter is missing"));
        }
        *text += part;
    }
    assert!(params.next().is_none(), "BUG: a parameter has no place");
}

fn write_value(text: &mut String, value: &SqlValue) {
    let written = match value {
        SqlValue::Null => text.write_str("NULL"),
        SqlValue::Int(int) => write!(text, "{int}"),
        SqlValue::Real(real) => write!(text, "{real:e}"),
        // No backslash and no NUL stands between quotes, so nothing depends on how a server reads them.
        SqlValue::Text(given) if given.contains(['\\', '\0']) => {
            *text += "_utf8mb4 ";
            write_hex(text, given.as_bytes())
        }
        SqlValue::Text(given) => write!(text, "'{}'", given.replace('\'', "''")),
        SqlValue::Bytes(bytes) => write_hex(text, bytes),
    };
    written.expect("BUG: a string takes all that is written");
}

fn write_hex(text: &mut String, bytes: &[u8]) -> std::fmt::Result {
    text.reserve(bytes.len() * 2 + 3);
    *text += "X'";
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    *text += "'";
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_their_places() {
        let steps = [
            Step::new(
                "UPDATE a SET b = ?, c = ? WHERE d = ?",
                ["it's".into(), SqlValue::Null, SqlValue::Int(-7)],
            ),
            Step::new("SELECT ?", [[0xab_u8, 0].as_slice().into()]),
            Step::new("SELECT ?", ["\\'; --".into()]),
        ];
        assert_eq!(
            joined(Some("START TRANSACTION"), &steps, Some("COMMIT")),
            "START TRANSACTION; UPDATE a SET b = 'it''s', c = NULL WHERE d = -7; SELECT X'ab00'; \
             SELECT _utf8mb4 X'5c273b202d2d'; COMMIT"
        );
        assert_eq!(joined(None, &[], Some("COMMIT")), "COMMIT");
    }

    #[test]
    fn a_question_mark_in_a_value_is_no_place() {
        let step = Step::new("SELECT ?, ?", ["what?".into(), "?".into()]);
        assert_eq!(joined(None, &[step], None), "SELECT 'what?', '?'");
    }
}

//! What must hold of any text that a ledger might have. The fuzzer and the property tests ask it.

use crate::{Literal, Statement};

/// Asserts that a text is refused, or that its statement is written in a way that reads back as the same statement; and
/// written to the byte as it came, except for numbers, which have more than one text (`-0`, `1.50`).
///
/// # Panics
/// It does not hold.
pub fn check_ledger_text(text: &str) {
    let Ok(statement) = Statement::parse(text) else { return };
    let written = statement.to_string();
    assert_eq!(Statement::parse(&written).as_ref(), Ok(&statement), "{text:?} became {written:?}");
    if !has_number(&statement) {
        assert_eq!(written, text);
    }
}

fn has_number(statement: &Statement) -> bool {
    let number = |literal: &Literal| matches!(literal, Literal::Integer(_) | Literal::Real(_));
    match statement {
        Statement::Upsert { values, .. } => values.iter().any(number),
        Statement::Delete { key, .. } => key.iter().any(|(_, value)| number(value)),
        Statement::Begin
        | Statement::Commit
        | Statement::CreateTable(_)
        | Statement::AddColumn { .. }
        | Statement::ClearTable(_)
        | Statement::DropTable(_) => false,
    }
}

//! What must be done to a table so that it becomes what is wanted, or why that cannot be. Pure.

use crate::{Column, ColumnName, ColumnType, TableSchema, TooWide};

/// What to do to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is as wanted.
    Nothing,
    /// It is not there: create it.
    Create(TableSchema),
    /// Add these columns, in this order, at its end. Never empty.
    AddColumns(Vec<Column>),
}

/// A change that is never made, because it would lose or reinterpret rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A column would change its type.
    #[error("column {column:?} is {live} and cannot become {wanted}: add a column of another name, or create a new table", column = column.as_str())]
    TypeChanged {
        /// The column.
        column: ColumnName,
        /// What it is.
        live: ColumnType,
        /// What was asked for.
        wanted: ColumnType,
    },
    /// The key would change.
    #[error("the key is ({live}) and cannot become ({wanted}): create a new table", live = list(live), wanted = list(wanted))]
    KeyChanged {
        /// What it is.
        live: Vec<ColumnName>,
        /// What was asked for.
        wanted: Vec<ColumnName>,
    },
    /// Columns would go.
    #[error(
        "the table has {}, which the request lacks, and columns are never removed: add to the request what it lacks",
        list(columns)
    )]
    ColumnsRemoved {
        /// The columns that are there and not wanted.
        columns: Vec<ColumnName>,
    },
    /// The table would be too wide for MySQL.
    #[error(transparent)]
    TooWide(#[from] TooWide),
}

/// Compares a table with what is wanted. The order of columns does not matter, except that new ones are added in the
/// order in which they are wanted. A table that stays as it is may be wider than one that we would make.
///
/// # Errors
/// The change is one that is never made.
pub fn diff(live: Option<&TableSchema>, wanted: &TableSchema) -> Result<Change, Refusal> {
    let Some(live) = live else {
        wanted.check_width()?;
        return Ok(Change::Create(wanted.clone()));
    };
    for column in live.columns() {
        match wanted.column(&column.name) {
            Some(other) if other.column_type != column.column_type => {
                return Err(Refusal::TypeChanged {
                    column: column.name.clone(),
                    live: column.column_type,
                    wanted: other.column_type,
                });
            }
            Some(_) | None => {}
        }
    }
    if live.key() != wanted.key() {
        return Err(Refusal::KeyChanged {
            live: live.key().to_vec(),
            wanted: wanted.key().to_vec(),
        });
    }
    let names =
        |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let mut removed = names(live.columns());
    removed.retain(|name| wanted.column(name).is_none());
    if !removed.is_empty() {
        return Err(Refusal::ColumnsRemoved { columns: removed });
    }
    let mut added = wanted.columns().to_vec();
    added.retain(|column| live.column(&column.name).is_none());
    if added.is_empty() {
        return Ok(Change::Nothing);
    }
    wanted.check_width()?;
    Ok(Change::AddColumns(added))
}

fn list(names: &[ColumnName]) -> String {
    names.iter().map(ColumnName::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::testing::table;

    fn check(live: &str, wanted: &str, expected: &Expect) {
        let live = (!live.is_empty()).then(|| table(live).unwrap());
        let answer = match diff(live.as_ref(), &table(wanted).unwrap()) {
            Ok(Change::Nothing) => "nothing".to_owned(),
            Ok(Change::Create(schema)) => format!("create {} columns", schema.columns().len()),
            Ok(Change::AddColumns(columns)) => {
                let column = |column: &Column| format!(" {}:{}", column.name, column.column_type);
                format!("add{}", columns.iter().map(column).collect::<String>())
            }
            Err(refusal) => refusal.to_string(),
        };
        expected.assert_eq(&answer);
    }

    #[test]
    fn a_missing_table_is_created() {
        check("", "a:Integer b:String key(a)", &expect!["create 2 columns"]);
    }

    #[test]
    fn an_equal_table_is_left_alone_whatever_the_order_of_its_columns() {
        check("a:Integer b:String key(a)", "a:Integer b:String key(a)", &expect!["nothing"]);
        check("a:Integer b:String key(a)", "b:String a:Integer key(a)", &expect!["nothing"]);
    }

    #[test]
    fn new_columns_are_added_in_the_order_in_which_they_are_wanted() {
        check(
            "b:Integer key(b)",
            "z:Text b:Integer a:String key(b)",
            &expect!["add z:Text a:String"],
        );
    }

    #[test]
    fn a_type_never_changes() {
        check(
            "a:Integer b:String key(a)",
            "a:Integer b:Text key(a)",
            &expect![[
                r#"column "b" is String and cannot become Text: add a column of another name, or create a new table"#
            ]],
        );
        check(
            "a:Integer key(a)",
            "a:String b:Text key(a)",
            &expect![[
                r#"column "a" is Integer and cannot become String: add a column of another name, or create a new table"#
            ]],
        );
    }

    #[test]
    fn the_key_never_changes() {
        check(
            "a:Integer b:String key(a)",
            "a:Integer b:String key(a,b)",
            &expect!["the key is (a) and cannot become (a, b): create a new table"],
        );
        check(
            "a:Integer b:String key(a,b)",
            "a:Integer b:String key(b,a)",
            &expect!["the key is (a, b) and cannot become (b, a): create a new table"],
        );
        check(
            "a:Integer key(a)",
            "a:Integer b:String key(b)",
            &expect!["the key is (a) and cannot become (b): create a new table"],
        );
    }

    #[test]
    fn columns_are_never_removed() {
        check(
            "a:Integer b:String c:Text key(a)",
            "a:Integer d:Text key(a)",
            &expect![
                "the table has b, c, which the request lacks, and columns are never removed: add to the request what it lacks"
            ],
        );
    }

    #[test]
    fn a_change_that_makes_a_table_too_wide_is_refused() {
        let wide: String = (0..256).map(|index| format!("c{index}:Integer ")).collect();
        check(
            "",
            &format!("{wide}x:Integer key(x)"),
            &expect!["table fam___tbl has 257 columns, at most 256 are possible: split it"],
        );
        check(
            "x:Integer key(x)",
            &format!("{wide}x:Integer key(x)"),
            &expect!["table fam___tbl has 257 columns, at most 256 are possible: split it"],
        );
    }

    #[test]
    fn a_table_that_is_too_wide_already_may_stay() {
        let wide: String = (0..300).map(|index| format!("c{index}:Integer ")).collect();
        let wide = wide + "key(c0)";
        check(&wide, &wide, &expect!["nothing"]);
    }
}

//! Flags of `ctlstore family …` and `ctlstore table …`.

use clap::Subcommand;
use ledger::ColumnType;

use crate::args::Admin;

#[derive(Debug, Subcommand)]
pub(crate) enum Family {
    /// Make a family; one that is there already is no mistake
    #[command(
        after_help = "Exit code: 0 it is there, 1 error, 2 usage.\n\nExample: ctlstore family create billing --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Create {
        /// Its name.
        family: String,
        #[command(flatten)]
        admin: Admin,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Table {
    /// Make a table; one with the same fields and key is no mistake
    #[command(
        after_help = "Exit code: 0 it is there, 1 error, 2 usage.\n\nExample: ctlstore table create billing plans --field id:string --field seats:integer --key-field id --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Create {
        #[command(flatten)]
        table: TableName,
        #[command(flatten)]
        fields: Fields,
        /// A field of the primary key; once for each, in the order in which readers may ask by a part of it.
        #[arg(long = "key-field", value_name = "NAME", required = true)]
        key_fields: Vec<String>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Add fields at the end of a table: all of them, or none
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore table add-fields billing plans --field notes:text --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    AddFields {
        #[command(flatten)]
        table: TableName,
        #[command(flatten)]
        fields: Fields,
        #[command(flatten)]
        admin: Admin,
    },
    /// Show the fields and the key of a table, or of all tables of a family
    #[command(
        after_help = "Exit code: 0 found, 1 error, 2 usage, 3 not found.\n\nExample: ctlstore table show billing plans --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Show {
        /// The family.
        family: String,
        /// The table; without it, all of the family.
        table: Option<String>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Delete all rows of a table, on every node. The executive must run with --allow-destructive
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore table clear billing plans --yes --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Clear {
        #[command(flatten)]
        table: TableName,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        admin: Admin,
    },
    /// Drop a table and its rows, on every node. The executive must run with --allow-destructive
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore table drop billing plans --yes --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Drop {
        #[command(flatten)]
        table: TableName,
        #[command(flatten)]
        sure: Sure,
        #[command(flatten)]
        admin: Admin,
    },
}

/// A table, by its family and its own name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TableName {
    /// The family.
    pub(crate) family: String,
    /// The table.
    pub(crate) table: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fields {
    /// A field as NAME:TYPE, once for each. The types are string, integer, decimal, text, binary and bytestring.
    #[arg(long = "field", value_name = "NAME:TYPE", required = true, value_parser = field)]
    pub(crate) fields: Vec<Field>,
}

/// A field, as the write API takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) column_type: ColumnType,
}

/// Rows are lost for good, so it takes a word more.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Sure {
    /// Yes, the rows may go for good.
    #[arg(long, required = true)]
    pub(crate) yes: bool,
}

fn field(text: &str) -> Result<Field, String> {
    let (name, type_) = text.split_once(':').ok_or("write NAME:TYPE, such as id:string")?;
    let column_type = ColumnType::from_api_name(type_).ok_or_else(|| {
        let names = ColumnType::ALL.map(ColumnType::api_name).join(", ");
        format!("there is no type {type_:?}, the types are {names}")
    })?;
    Ok(Field { name: name.to_owned(), column_type })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_name_and_a_type() {
        let id = Field { name: "id".to_owned(), column_type: ColumnType::String };
        assert_eq!(field("id:string"), Ok(id));
        assert_eq!(field("id"), Err("write NAME:TYPE, such as id:string".to_owned()));
        assert!(field("id:String").unwrap_err().starts_with("there is no type \"String\""));
    }
}

//! How an object's name becomes a name in SQL, and which names the API server lets in.

/// For `name` of a family: what the original ctlstore accepts, less the names that its readers cannot decode.
pub(crate) const FAMILY: (&str, &str) = (
    "self.matches('^[a-z][a-z0-9]*(_[a-z0-9]+)*$')",
    "a family name has lower-case letters, digits and single underscores, begins with a letter and does not end with an underscore",
);

/// For `name` of a table.
pub(crate) const TABLE: (&str, &str) = (
    "self.matches('^[a-z][a-z0-9]*(_[a-z0-9]+)*_?$')",
    "a table name has lower-case letters, digits and single underscores, and begins with a letter",
);

/// For names of columns.
pub(crate) const COLUMN: (&str, &str) = (
    "self.matches('^[a-z][a-z0-9_]*$')",
    "a column name has lower-case letters, digits and underscores, and begins with a letter",
);

/// The rule for `metadata.name`: with dots and double hyphens refused, no two objects map to one SQL name.
pub(crate) fn object_rule(max: u8) -> String {
    format!(
        "self.metadata.name.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$') && size(self.metadata.name) >= 3 && size(self.metadata.name) <= {max}"
    )
}

/// What that rule says when it refuses.
pub(crate) fn object_message(kind: &str, max: u8) -> String {
    format!(
        "the name of a {kind} has 3 to {max} characters: lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen"
    )
}

/// The name in SQL: the one that was asked for, else the object's own.
pub(crate) fn sql_name(asked: Option<&str>, object: Option<&str>) -> String {
    match asked {
        Some(name) => name.to_owned(),
        None => object.unwrap_or_default().replace('-', "_"),
    }
}

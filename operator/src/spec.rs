//! The rules that the API server enforces by CEL, once more. Pure.
//!
//! Dev mode has no API server, and an object may have slipped in under an older CRD. A test holds this list against
//! the CRDs: each of their rules has its equal here, in the same words.

use std::fmt;

use crds::{
    Column, ColumnType, CtlFamily, CtlFamilySpec, CtlTable, CtlTableSpec, Limits, NamespacesFrom,
};

/// A rule that an object breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Where, as the API server writes it: `spec.columns[2].name`.
    pub(crate) path: String,
    /// What the rule says.
    pub(crate) message: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, message } = self;
        if path.is_empty() { out.write_str(message) } else { write!(out, "{path}: {message}") }
    }
}

const FAMILY_OBJECT: &str = "the name of a CtlFamily has 3 to 30 characters: lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen";
const TABLE_OBJECT: &str = "the name of a CtlTable has 3 to 50 characters: lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen";
const FAMILY_NAME: &str = "a family name has lower-case letters, digits and single underscores, begins with a letter and does not end with an underscore";
const TABLE_NAME: &str =
    "a table name has lower-case letters, digits and single underscores, and begins with a letter";
const COLUMN_NAME: &str =
    "a column name has lower-case letters, digits and underscores, and begins with a letter";
const SELECTOR: &str = "selector goes with from: Selector, and only with it";
const SIZE: &str = "a size is a positive number of bytes, such as 100Mi";
const SIZE_ORDER: &str = "warnSize must not be above maxSize";
const TOGETHER: &str =
    "family and table name may have 61 characters together, shorten one or set a short name";
const KEY_EXISTS: &str = "keyColumns must name columns of the table";
const KEY_TYPES: &str = "a key column must be of type String, Integer or ByteString";
const KEY_ONCE: &str = "keyColumns names a column twice";
const COLUMN_TWICE: &str = "a column of this name is there already";
const WRITER_TWICE: &str = "a limit of this writer is there already";
const FAMILY_NAME_KEPT: &str = "name can be neither added nor dropped, create a new family instead";
const FAMILY_NAME_FIXED: &str = "name cannot be changed, create a new family instead";
const TABLE_NAME_KEPT: &str = "name can be neither added nor dropped, create a new table instead";
const TABLE_NAME_FIXED: &str = "name cannot be changed, create a new table instead";
const FAMILY_REF_FIXED: &str = "familyRef cannot be changed, create a new table instead";
const KEY_FIXED: &str = "keyColumns cannot be changed, create a new table instead";
const NOT_REMOVED: &str = "a column cannot be removed, keep it or create a new table";
const NOT_RETYPED: &str = "the type of a column cannot be changed, add a new column instead";

/// What a family breaks by itself.
pub(crate) fn family(object: &CtlFamily) -> Vec<Violation> {
    let mut rules = Rules::default();
    let CtlFamilySpec {
        name,
        allowed_namespaces,
        deletion_policy: _,
        table_defaults,
        writer_limits,
    } = &object.spec;
    let object_name = object.metadata.name.as_deref().unwrap_or_default();
    rules.hold(is_object_name(object_name, 30), "", FAMILY_OBJECT);
    if let Some(name) = name {
        rules.hold(is_sql_name(name) && !name.ends_with('_'), "spec.name", FAMILY_NAME);
    }
    let selects = allowed_namespaces.from == NamespacesFrom::Selector;
    let selector = allowed_namespaces.selector.is_some();
    rules.hold(selects == selector, "spec.allowedNamespaces", SELECTOR);
    rules.limits(table_defaults.as_ref(), "spec.tableDefaults");
    for (index, limit) in writer_limits.iter().enumerate() {
        let twice = writer_limits[..index].iter().any(|other| other.writer == limit.writer);
        rules.hold(!twice, &format!("spec.writerLimits[{index}]"), WRITER_TWICE);
    }
    rules.0
}

/// What a table breaks by itself.
pub(crate) fn table(object: &CtlTable) -> Vec<Violation> {
    let mut rules = Rules::default();
    let CtlTableSpec { family_ref, name, columns, key_columns, deletion_policy: _, limits } =
        &object.spec;
    let object_name = object.metadata.name.as_deref().unwrap_or_default();
    rules.hold(is_object_name(object_name, 50), "", TABLE_OBJECT);
    let own = name.as_deref().unwrap_or(object_name);
    let together = family_ref.name.chars().count() + 3 + own.chars().count();
    rules.hold(together <= 64, "", TOGETHER);
    if let Some(name) = name {
        rules.hold(is_sql_name(name), "spec.name", TABLE_NAME);
    }
    rules.columns(columns);
    rules.key(key_columns, columns);
    rules.limits(limits.as_ref(), "spec.limits");
    rules.0
}

/// What a family breaks by having been another one.
pub(crate) fn family_update(old: &CtlFamilySpec, new: &CtlFamilySpec) -> Vec<Violation> {
    let mut rules = Rules::default();
    rules.hold(old.name.is_some() == new.name.is_some(), "spec.name", FAMILY_NAME_KEPT);
    rules.hold(fixed(old.name.as_ref(), new.name.as_ref()), "spec.name", FAMILY_NAME_FIXED);
    rules.0
}

/// What a table breaks by having been another one.
pub(crate) fn table_update(old: &CtlTableSpec, new: &CtlTableSpec) -> Vec<Violation> {
    let mut rules = Rules::default();
    let found = |column: &Column| new.columns.iter().find(|other| other.name == column.name);
    let kept = old.columns.iter().all(|column| found(column).is_some());
    let same_type = old
        .columns
        .iter()
        .all(|column| found(column).is_none_or(|other| other.type_ == column.type_));
    rules.hold(old.name.is_some() == new.name.is_some(), "spec.name", TABLE_NAME_KEPT);
    rules.hold(kept, "spec.columns", NOT_REMOVED);
    rules.hold(same_type, "spec.columns", NOT_RETYPED);
    rules.hold(old.family_ref == new.family_ref, "spec.familyRef", FAMILY_REF_FIXED);
    rules.hold(fixed(old.name.as_ref(), new.name.as_ref()), "spec.name", TABLE_NAME_FIXED);
    rules.hold(old.key_columns == new.key_columns, "spec.keyColumns", KEY_FIXED);
    rules.0
}

#[derive(Default)]
struct Rules(Vec<Violation>);

impl Rules {
    fn hold(&mut self, holds: bool, path: &str, message: &'static str) {
        if !holds {
            self.0.push(Violation { path: path.to_owned(), message });
        }
    }

    fn columns(&mut self, columns: &[Column]) {
        for (index, column) in columns.iter().enumerate() {
            let legal = begins_with_letter(&column.name) && column.name.bytes().all(is_name_byte);
            self.hold(legal, &format!("spec.columns[{index}].name"), COLUMN_NAME);
            let twice = columns[..index].iter().any(|other| other.name == column.name);
            self.hold(!twice, &format!("spec.columns[{index}]"), COLUMN_TWICE);
        }
    }

    fn key(&mut self, key: &[String], columns: &[Column]) {
        let found = |name: &String| columns.iter().find(|column| column.name == *name);
        let may_be_key = |column: &Column| match column.type_ {
            ColumnType::String | ColumnType::Integer | ColumnType::ByteString => true,
            ColumnType::Decimal | ColumnType::Text | ColumnType::Binary => false,
        };
        let once = key.iter().enumerate().all(|(index, name)| !key[..index].contains(name));
        self.hold(key.iter().all(|name| found(name).is_some()), "spec.keyColumns", KEY_EXISTS);
        let typed = key.iter().all(|name| found(name).is_none_or(may_be_key));
        self.hold(typed, "spec.keyColumns", KEY_TYPES);
        self.hold(once, "spec.keyColumns", KEY_ONCE);
    }

    fn limits(&mut self, limits: Option<&Limits>, path: &str) {
        let Some(Limits { max_size, warn_size }) = limits else { return };
        let bytes = |size: &Option<_>| size.as_ref().map(crds::limits::bytes).transpose();
        let legal = |size: &Option<_>| !matches!(bytes(size), Err(_) | Ok(Some(0)));
        self.hold(legal(max_size), &format!("{path}.maxSize"), SIZE);
        self.hold(legal(warn_size), &format!("{path}.warnSize"), SIZE);
        if let (Ok(Some(max)), Ok(Some(warn))) = (bytes(max_size), bytes(warn_size)) {
            self.hold(warn <= max, path, SIZE_ORDER);
        }
    }
}

/// The rule of the CRD on a field that may be absent: it looks only where both are there.
fn fixed(old: Option<&String>, new: Option<&String>) -> bool {
    old.is_none() || new.is_none() || old == new
}

fn is_object_name(name: &str, max: usize) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    begins_with_letter(name) && name.split('-').all(label) && (3..=max).contains(&name.len())
}

fn is_sql_name(name: &str) -> bool {
    begins_with_letter(name) && name.bytes().all(is_name_byte) && !name.contains("__")
}

fn begins_with_letter(name: &str) -> bool {
    name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

#[cfg(test)]
mod tests;

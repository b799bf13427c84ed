//! `ctlstore table …`: tables that no CtlTable object declares.

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Result, bail};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::args::{Admin, Field, Fields, Output, Sure, Table, TableName};
use crate::client::http::Ask;
use crate::client::{admin, answer, run, say};
use crate::outcome::Outcome;
use crate::print;

/// A table, in the words of the original's API.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Schema {
    family: String,
    name: String,
    fields: Vec<(String, String)>,
    key_fields: Vec<String>,
}

/// `ctlstore table …`
pub(crate) fn table(args: Table, out: &mut dyn Write) -> Result<Outcome> {
    match args {
        Table::Create { table, fields, key_fields, admin } => {
            create(&table, (&fields, key_fields), &admin, out)
        }
        Table::AddFields { table, fields, admin } => {
            let TableName { family, table: name } = &table;
            let ask = Ask::new(Method::PUT, &["families", family, "tables", name])
                .json(&json!({ "fields": pairs(&fields) }));
            change((ask, &table, "has the fields"), &admin, out)
        }
        Table::Show { family, table, admin } => show(&family, table.as_deref(), &admin, out),
        Table::Clear { table, sure: Sure { yes: _ }, admin } => {
            let TableName { family, table: name } = &table;
            let path = ["clear-rows", "families", family, "tables", name];
            change((Ask::new(Method::DELETE, &path), &table, "has no rows any more"), &admin, out)
        }
        Table::Drop { table, sure: Sure { yes: _ }, admin } => {
            let TableName { family, table: name } = &table;
            let path = ["families", family, "tables", name];
            change((Ask::new(Method::DELETE, &path), &table, "is dropped"), &admin, out)
        }
    }
}

fn create(
    table: &TableName,
    (fields, key_fields): (&Fields, Vec<String>),
    flags: &Admin,
    out: &mut dyn Write,
) -> Result<Outcome> {
    let TableName { family, table: name } = table;
    let http = admin(flags)?;
    let fields = pairs(fields);
    let ask = Ask::new(Method::POST, &["families", family, "tables", name])
        .json(&json!({ "fields": fields, "keyFields": key_fields }));
    let seq = run(async {
        let exists = match http.send(ask).await {
            Ok(made) => return Ok(Some(answer::seq(&made.headers))),
            Err(error) if error.is(StatusCode::CONFLICT) => error,
            Err(error) => return Err(error.into()),
        };
        // A script may run twice, but must not go on with another table than it asked for.
        let there: Schema = http.read(Ask::get(&["schema", "table", family, name])).await?;
        let same = set(&there.fields) == set(&fields) && there.key_fields == key_fields;
        if !same {
            bail!("{exists}, with other fields or another key: compare with ctlstore table show");
        }
        Ok(None)
    })?;
    let words = match seq {
        Some(seq) => format!("table {family}___{name} is made{}", answer::entry(seq)),
        None => format!("table {family}___{name} is there already"),
    };
    let json =
        json!({ "family": family, "table": name, "created": seq.is_some(), "seq": seq.flatten() });
    say(flags.output, (words, &json), out)?;
    Ok(Outcome::Done)
}

fn change(
    (ask, table, done): (Ask, &TableName, &str),
    flags: &Admin,
    out: &mut dyn Write,
) -> Result<Outcome> {
    let http = admin(flags)?;
    let changed = run(async { Ok(http.send(ask).await?) })?;
    let seq = answer::seq(&changed.headers);
    let TableName { family, table: name } = table;
    let words = format!("table {family}___{name} {done}{}", answer::entry(seq));
    say(flags.output, (words, &json!({ "family": family, "table": name, "seq": seq })), out)?;
    Ok(Outcome::Done)
}

fn show(family: &str, table: Option<&str>, flags: &Admin, out: &mut dyn Write) -> Result<Outcome> {
    let http = admin(flags)?;
    let found: Vec<Schema> = match table {
        Some(table) => match run(async {
            Ok(http.read::<Schema>(Ask::get(&["schema", "table", family, table])).await)
        })? {
            Ok(schema) => vec![schema],
            Err(error) if error.is(StatusCode::NOT_FOUND) => Vec::new(),
            Err(error) => return Err(error.into()),
        },
        None => {
            let read =
                run(async { Ok(http.read(Ask::get(&["schema", "family", family])).await?) })?;
            Option::unwrap_or_default(read)
        }
    };
    if found.is_empty() {
        let what = match table {
            Some(table) => format!("no table {family}___{table}"),
            None => format!("no table in family {family}"),
        };
        return Ok(Outcome::NotFound(what));
    }
    match flags.output {
        Output::Json => {
            found
                .iter()
                .try_for_each(|schema| writeln!(out, "{}", serde_json::to_string(schema)?))?;
        }
        Output::Table => print::table(&lines(&found), out)?,
    }
    Ok(Outcome::Done)
}

/// A line for each field.
fn lines(schemas: &[Schema]) -> Vec<Vec<String>> {
    let head = ["table", "field", "type", "key"].map(str::to_owned).to_vec();
    let body = schemas.iter().flat_map(|schema| {
        schema.fields.iter().map(|(name, type_)| {
            let place = schema.key_fields.iter().position(|key| key == name);
            let key = place.map_or_else(String::new, |place| (place + 1).to_string());
            vec![format!("{}___{}", schema.family, schema.name), name.clone(), type_.clone(), key]
        })
    });
    std::iter::once(head).chain(body).collect()
}

fn pairs(fields: &Fields) -> Vec<(String, String)> {
    let pair = |Field { name, column_type }: &Field| {
        (name.to_ascii_lowercase(), column_type.api_name().to_owned())
    };
    fields.fields.iter().map(pair).collect()
}

/// Fields are told apart by their names; their order is nobody's business.
fn set(fields: &[(String, String)]) -> BTreeSet<&(String, String)> {
    fields.iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_shown_a_line_for_each_field() {
        let text = json!({"family": "billing", "name": "plans",
            "fields": [["name", "string"], ["id", "string"]], "keyFields": ["id"]});
        let schema: Schema = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&schema).unwrap(), text);
        let mut out = Vec::new();
        print::table(&lines(&[schema]), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "table            field  type    key\nbilling___plans  name   string\nbilling___plans  id     string  1\n"
        );
    }
}

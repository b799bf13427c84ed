//! The API server itself refuses what can never work, in words that name the cure, and lets pass what should.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod families;
mod input;
mod tables;
mod updates;

use serde_json::{Value, json};

/// A change to a good object; `None` as the wanted message means that it is good, too.
type Case = (&'static str, fn(&mut Value), Option<&'static str>);

const NAME: &str = "lower-case letters, digits and single hyphens, begins with a letter";

fn good_table(name: &str) -> Value {
    json!({
        "apiVersion": "ctlstore.dev/v1alpha1",
        "kind": "CtlTable",
        "metadata": { "name": name },
        "spec": {
            "familyRef": { "name": "billing" },
            "columns": [
                { "name": "id", "type": "String" },
                { "name": "seats", "type": "Integer" },
                { "name": "price", "type": "Decimal" },
            ],
            "keyColumns": ["id", "seats"],
        },
    })
}

fn good_family(name: &str) -> Value {
    json!({
        "apiVersion": "ctlstore.dev/v1alpha1",
        "kind": "CtlFamily",
        "metadata": { "name": name },
        "spec": {},
    })
}

fn columns(count: usize, name: impl Fn(usize) -> String) -> Value {
    let column = |index| json!({ "name": name(index), "type": "String" });
    (0..count).map(column).collect()
}

/// Notes what is wrong with the server's answer, if anything.
fn judge<T>(
    label: &str,
    have: Result<T, kube::Error>,
    want: Option<&str>,
    wrong: &mut Vec<String>,
) {
    match (have, want) {
        (Ok(_), None) => {}
        (Ok(_), Some(_)) => wrong.push(format!("{label}: was accepted")),
        (Err(kube::Error::Api(status)), Some(want)) if status.message.contains(want) => {}
        (Err(err), want) => wrong.push(format!("{label}: wanted {want:?}, have {err}")),
    }
}

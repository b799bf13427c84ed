//! Manifests as users write them.

/// A family; `more` are lines of its spec.
pub(crate) fn family(name: &str, more: &[&str]) -> String {
    document("CtlFamily", &format!("name: {name}"), more)
}

/// A table of the family `billing`, with a String key `id` and these columns, as `name Type`.
pub(crate) fn table(namespace: &str, name: &str, columns: &[&str], more: &[&str]) -> String {
    let mut spec = vec!["familyRef: {name: billing}".to_owned(), "keyColumns: [id]".to_owned()];
    spec.push("columns:".to_owned());
    spec.push("- {name: id, type: String}".to_owned());
    for column in columns {
        let (name, kind) = column.split_once(' ').unwrap();
        spec.push(format!("- {{name: {name}, type: {kind}}}"));
    }
    spec.extend(more.iter().map(|line| (*line).to_owned()));
    let lines: Vec<_> = spec.iter().map(String::as_str).collect();
    document("CtlTable", &format!("name: {name}, namespace: {namespace}"), &lines)
}

fn document(kind: &str, metadata: &str, spec: &[&str]) -> String {
    let spec = match spec {
        [] => " {}".to_owned(),
        lines => format!("\n  {}", lines.join("\n  ")),
    };
    format!(
        "---\napiVersion: ctlstore.dev/v1alpha1\nkind: {kind}\nmetadata: {{{metadata}}}\nspec:{spec}\n"
    )
}

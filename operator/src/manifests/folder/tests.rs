use expect_test::{Expect, expect};

use super::*;

/// What comes of a text: one line for each object and each problem.
#[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
fn check(text: &str, want: Expect) {
    let Contents { objects, problems } = parse(&[(PathBuf::from("t.yaml"), text.to_owned())]);
    let mut lines: Vec<_> = objects
        .iter()
        .map(|(place, object)| {
            let (kind, namespace, name) = object.key();
            format!("{place}: {} {}/{name}", kind.name(), namespace.unwrap_or_default())
        })
        .collect();
    lines.extend(problems.iter().map(ToString::to_string));
    want.assert_eq(&lines.join("\n"));
}

const FAMILY: &str =
    "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlFamily\nmetadata:\n  name: billing\n";

/// A sound table whose spec ends with `more`; its columns begin in line 9.
fn table(columns: &str, more: &str) -> String {
    format!(
        "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlTable\nmetadata:\n  name: plans\nspec:\n  familyRef:\n    name: billing\n  columns:\n{columns}{more}"
    )
}

const COLUMNS: &str = "  - name: id\n    type: String\n";
const KEY: &str = "  keyColumns: [id]\n";

#[test]
fn sound_manifests_are_taken() {
    check(
        &format!("{FAMILY}spec: {{}}\n---\n{}", table(COLUMNS, KEY)),
        expect![[r#"
        t.yaml:1: CtlFamily /billing
        t.yaml:7: CtlTable default/plans"#]],
    );
    let read_back = "  namespace: web\n  uid: abc\n  resourceVersion: \"7\"\n  creationTimestamp: null\nspec:\n";
    let text = table(COLUMNS, KEY).replace("spec:\n", read_back) + "status:\n  schemaSeq: 7\n";
    check(&text, expect!["t.yaml:1: CtlTable web/plans"]);
    check("# nothing\n", expect![""]);
    check(
        r#"{"apiVersion": "ctlstore.dev/v1alpha1", "kind": "CtlFamily", "metadata": {"name": "billing"}, "spec": {}}"#,
        expect!["t.yaml:1: CtlFamily /billing"],
    );
}

#[test]
fn what_is_not_ours_is_named() {
    check(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
        expect![
            "t.yaml:1: ConfigMap of v1 is not ours, only CtlFamily and CtlTable of ctlstore.dev/v1alpha1 are known here"
        ],
    );
    check(
        "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlIndex\n",
        expect![
            "t.yaml:2: CtlIndex is not ours, only CtlFamily and CtlTable of ctlstore.dev/v1alpha1 are known here"
        ],
    );
    check(
        "kind: CtlTable\n",
        expect![
            "t.yaml:1: apiVersion: Required value; only CtlFamily and CtlTable of ctlstore.dev/v1alpha1 are known here"
        ],
    );
    check(
        "just text\n",
        expect![
            "t.yaml:1: apiVersion: Required value; only CtlFamily and CtlTable of ctlstore.dev/v1alpha1 are known here"
        ],
    );
    check(
        "a: [\n",
        expect!["t.yaml:1: this is not YAML: unclosed bracket '[' at char 3 line 1 column 4"],
    );
    check(
        &format!("{FAMILY}spec: {{}}\n---\n{FAMILY}spec: {{}}\n"),
        expect![[r#"
        t.yaml:1: CtlFamily /billing
        t.yaml:7: CtlFamily "billing" is declared at t.yaml:1 already, remove one"#]],
    );
}

#[test]
fn words_that_yaml_takes_for_something_else_are_refused_with_the_cure() {
    for (word, value) in [
        ("n", false),
        ("y", true),
        ("on", true),
        ("off", false),
        ("yes", true),
        ("no", false),
        ("true", true),
    ] {
        let text = table(&format!("{COLUMNS}  - name: {word}\n    type: Text\n"), KEY);
        let Contents { objects, problems } = parse(&[(PathBuf::from("t.yaml"), text)]);
        assert_eq!(objects, []);
        assert_eq!(
            problems[0].to_string(),
            format!(
                "t.yaml:11: spec.columns[1].name: Invalid value: \"boolean\": must be of type string; YAML reads {word} as {value}, quote it: \"{word}\""
            )
        );
    }
    check(
        &table(&format!("{COLUMNS}  - name: \"n\"\n    type: Text\n"), KEY),
        expect!["t.yaml:1: CtlTable default/plans"],
    );
    check(
        &table(&format!("{COLUMNS}  - name: 12\n    type: Text\n"), KEY),
        expect![[
            r#"t.yaml:11: spec.columns[1].name: Invalid value: "integer": must be of type string; YAML reads 12 as 12, quote it: "12""#
        ]],
    );
    check(
        &table(&format!("{COLUMNS}  - name:\n    type: Text\n"), KEY),
        expect![[
            r#"t.yaml:11: spec.columns[1].name: Invalid value: "null": must be of type string"#
        ]],
    );
    check(
        &table(COLUMNS, "  keyColumns: [id, y]\n"),
        expect![[
            r#"t.yaml:11: spec.keyColumns[1]: Invalid value: "boolean": must be of type string; YAML reads y as true, quote it: "y""#
        ]],
    );
}

#[test]
fn what_the_schema_does_not_have_is_refused_with_its_line() {
    check(
        &table(&format!("{COLUMNS}    typ: Text\n"), KEY),
        expect![[r#"t.yaml:11: unknown field "spec.columns[0].typ""#]],
    );
    check(
        &table(COLUMNS, &format!("{KEY}  limit: 3\n")),
        expect![[r#"t.yaml:12: unknown field "spec.limit""#]],
    );
    check(
        &format!("{}extra: 1\n", table(COLUMNS, KEY)),
        expect![[r#"t.yaml:12: unknown field "extra""#]],
    );
    check(
        &table(COLUMNS, KEY).replace("  name: plans\n", "  name: plans\n  nmespace: web\n"),
        expect![[r#"t.yaml:5: unknown field "metadata.nmespace""#]],
    );
    check(
        &table("  - name: id\n    type: Number\n", KEY),
        expect![[
            r#"t.yaml:10: spec.columns[0].type: Unsupported value: "Number": supported values: "String", "Integer", "Decimal", "Text", "Binary", "ByteString""#
        ]],
    );
    check(&table("  - name: id\n", KEY), expect!["t.yaml:9: spec.columns[0].type: Required value"]);
    check(&table(COLUMNS, ""), expect!["t.yaml:6: spec.keyColumns: Required value"]);
    check(
        &table(COLUMNS, "  keyColumns: []\n"),
        expect!["t.yaml:11: spec.keyColumns: should have at least 1 items"],
    );
    check(
        &table(COLUMNS, "  keyColumns: id\n"),
        expect![[r#"t.yaml:11: spec.keyColumns: Invalid value: "string": must be of type array"#]],
    );
    check(FAMILY, expect!["t.yaml:1: spec: Required value"]);
    check(
        "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlFamily\nmetadata: {}\nspec: {}\n",
        expect!["t.yaml:3: metadata.name: Required value"],
    );
    check(
        &format!("{FAMILY}spec:\n  tableDefaults:\n    maxSize: [1]\n"),
        expect![[
            r#"t.yaml:7: spec.tableDefaults.maxSize: Invalid value: "array": must be of type integer or string"#
        ]],
    );
    let limit = |rows| {
        format!("{FAMILY}spec:\n  writerLimits:\n  - writer: importer\n    rowsPerMinute: {rows}\n")
    };
    check(&limit("0"), expect!["t.yaml:1: CtlFamily /billing"]);
    check(
        &limit("-1"),
        expect![
            "t.yaml:8: spec.writerLimits[0].rowsPerMinute: Invalid value: -1: should be greater than or equal to 0"
        ],
    );
    check(
        &limit("1000000000001"),
        expect![
            "t.yaml:8: spec.writerLimits[0].rowsPerMinute: Invalid value: 1000000000001: should be less than or equal to 1000000000000"
        ],
    );
}

#[test]
fn what_the_rules_forbid_is_refused_with_its_line() {
    check(
        &table(&format!("{COLUMNS}  - name: Note\n    type: Text\n"), KEY),
        expect![
            "t.yaml:11: spec.columns[1].name: a column name has lower-case letters, digits and underscores, and begins with a letter"
        ],
    );
    check(
        &table(&format!("{COLUMNS}{COLUMNS}"), KEY),
        expect!["t.yaml:11: spec.columns[1]: a column of this name is there already"],
    );
    check(
        &table(COLUMNS, "  keyColumns: [ide]\n"),
        expect!["t.yaml:11: spec.keyColumns: keyColumns must name columns of the table"],
    );
    check(
        &table("  - name: id\n    type: Decimal\n", KEY),
        expect![
            "t.yaml:11: spec.keyColumns: a key column must be of type String, Integer or ByteString"
        ],
    );
    check(
        &table(COLUMNS, KEY).replace("name: plans", "name: Plans"),
        expect![
            "t.yaml:4: metadata.name: the name of a CtlTable has 3 to 50 characters: lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen"
        ],
    );
    check(
        &table(COLUMNS, &format!("{KEY}  name: a__b\n")),
        expect![
            "t.yaml:12: spec.name: a table name has lower-case letters, digits and single underscores, and begins with a letter"
        ],
    );
    check(
        &table(COLUMNS, &format!("{KEY}  limits:\n    maxSize: lots\n")),
        expect![
            "t.yaml:13: spec.limits.maxSize: a size is a positive number of bytes, such as 100Mi"
        ],
    );
}

#[test]
fn one_bad_document_does_not_hide_the_others() {
    let text = format!("{FAMILY}spec: {{}}\n---\n{}---\nkind: [\n", table("  - name: id\n", KEY));
    let files = [(PathBuf::from("t.yaml"), text)];
    let Contents { objects, problems } = parse(&files);
    assert_eq!(objects.len(), 1);
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn a_folder_is_read_by_name_and_a_file_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.yaml", "a.yml", "c.json", "notes.txt", ".hidden.yaml"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    std::fs::create_dir(dir.path().join("d.yaml")).unwrap();
    let names: Vec<_> = read(dir.path()).unwrap().into_iter().map(|(file, _)| file).collect();
    let want = ["a.yml", "b.yaml", "c.json"].map(|name| dir.path().join(name));
    assert_eq!(names, want);
    assert_eq!(read(&dir.path().join("notes.txt")).unwrap().len(), 1);
    let missing = read(&dir.path().join("nope")).unwrap_err();
    assert!(missing.to_string().contains("nope:1: cannot be read: No such file"), "{missing}");
}

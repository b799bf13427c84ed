use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
fn check(text: &str, want: Expect) {
    let (documents, error) = documents(text);
    let mut lines: Vec<_> = documents.iter().map(|node| node.to_json().to_string()).collect();
    lines.extend(error.map(|YamlError { line, message }| format!("{line}: {message}")));
    want.assert_eq(&lines.join("\n"));
}

#[test]
fn words_mean_what_kubectl_takes_them_for() {
    check(
        "[n, y, on, off, yes, No, TRUE, 'n', \"on\"]",
        expect![[r#"[false,true,true,false,true,false,true,"n","on"]"#]],
    );
    check("[~, null, nullable, '', x y]", expect![[r#"[null,null,"nullable","","x y"]"#]]);
    check(
        "[1, -7, 1_000, 0x1f, 017, 1.5, 1e3, 9223372036854775807]",
        expect!["[1,-7,1000,31,15,1.5,1000.0,9223372036854775807]"],
    );
    check(
        "[100Mi, 1.2.3, 2001-01-01, -x, inf, .inf, 08x]",
        expect![[r#"["100Mi","1.2.3","2001-01-01","-x","inf",".inf","08x"]"#]],
    );
}

#[test]
fn documents_are_taken_apart() {
    check(
        "---\na: 1\n---\n# nothing\n---\nb: [x]\n",
        expect![[r#"{"a":1}
{"b":["x"]}"#]],
    );
    check("", expect![""]);
    check("a: &it {b: 1}\nc: *it\n", expect![[r#"{"a":{"b":1},"c":{"b":1}}"#]]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    check("a: 1\nb: 2\na: 3\n", expect![[r#"3: field "a" is there twice, remove one"#]]);
    check(
        "a: 1\n---\nb: [1\n",
        expect![[r#"
            {"a":1}
            3: this is not YAML: unclosed bracket '[' at char 12 line 3 column 4"#]],
    );
    check("a: !!str 1\n", expect!["1: the tag !!str is not supported, leave it out"]);
    check("? [a]\n: b\n", expect!["1: a field's name must be a word"]);
    let bomb = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, n| {
        let alias = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [alias.as_str(); 10].join(", "))
    });
    check(&bomb, expect!["6: aliases make this too large, write it out"]);
    check(
        &"[".repeat(100),
        expect!["1: this is not YAML: unclosed bracket '[' at char 99 line 1 column 100"],
    );
}

#[test]
fn a_path_leads_to_its_line() {
    let text = "kind: X\nspec:\n  columns:\n  - name: id\n    type: String\n  - {name: b,\n     type: Nope}\n";
    let (documents, _) = documents(text);
    let line = |path| documents[0].line_of(path);
    assert_eq!(line(""), 1);
    assert_eq!(line("kind"), 1);
    assert_eq!(line("spec.columns[0].type"), 5);
    assert_eq!(line("spec.columns[1].type"), 7);
    assert_eq!(line("spec.columns[9].type"), 4);
    assert_eq!(line("spec.nothing"), 3);
    assert_eq!(documents[0].field("kind").and_then(Node::text), Some("X"));
    assert_eq!(documents[0].to_json()["spec"]["columns"][1], json!({"name": "b", "type": "Nope"}));
}

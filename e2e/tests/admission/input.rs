//! What kubectl makes of files.

use e2e::Namespace;
use serde_json::{Value, json};

use crate::good_table;

#[tokio::test]
async fn kubectl_refuses_what_yaml_makes_of_careless_input() {
    let namespace = Namespace::create().await.unwrap();
    let mut wrong = Vec::new();
    // YAML 1.1 takes these for true and false; quoted they are names like any other.
    for (name, quoted) in [("n", "'n'"), ("y", "'y'"), ("on", "'on'"), ("off", "\"off\"")] {
        let mut object = good_table(&format!("t-{name}-x"));
        object["spec"]["columns"][2]["name"] = json!("PLACE");
        let yaml = object.to_string();
        let apply = |text: &str| {
            let scope = format!("--namespace={}", namespace.name);
            let args = ["apply", "--server-side", "--filename=-", &scope];
            namespace.server.kubectl_with(&args, &text.replace("\"PLACE\"", name))
        };
        match apply(&yaml) {
            Ok(_) => wrong.push(format!("{name} was accepted")),
            Err(err)
                if err
                    .to_string()
                    .contains("expected string, got &value.valueUnstructured{Value:") => {}
            Err(err) => wrong.push(format!("{name}: {err}")),
        }
        if let Err(err) = apply(&yaml.replace("\"PLACE\"", quoted)) {
            wrong.push(format!("{quoted}: {err}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn kubectl_names_what_it_does_not_know() {
    let namespace = Namespace::create().await.unwrap();
    let scope = format!("--namespace={}", namespace.name);
    let apply = |object: &Value| {
        let args = ["apply", "--filename=-", &scope];
        namespace.server.kubectl_with(&args, &object.to_string()).unwrap_err().to_string()
    };
    let mut object = good_table("plans");
    object["spec"]["colums"] = json!([]);
    object["spec"]["columns"][1]["typ"] = json!("String");
    let err = apply(&object);
    assert!(err.contains(r#"unknown field "spec.colums""#), "{err}");
    assert!(err.contains(r#"unknown field "spec.columns[1].typ""#), "{err}");

    let mut object = good_table("plans");
    object["spec"]["columns"][1]["name"] = json!("id");
    let err = apply(&object);
    assert!(err.contains(r#"spec.columns[1]: Duplicate value: {"name":"id"}"#), "{err}");
}

//! `ctlstore dev` follows its manifests, and says what is wrong with them.

use std::time::Duration;

use serde_json::Value;
use testkit::eventually;

use crate::running::{Folder, batch, plan};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_column_that_is_added_appears_in_the_file() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    let seq = dev.write(&batch()).unwrap().to_string();
    folder.read(&["wait", "--seq", &seq]).await;

    folder.edit(
        "      type: Binary\n",
        "      type: Binary\n    - name: trial_days\n      type: Integer\n",
    );
    eventually(SOON, async || {
        let row = folder.get("plans", &["team"]).await;
        anyhow::ensure!(row.get("trial_days") == Some(&Value::Null), "{row}");
        anyhow::ensure!(row["name"] == "Team", "{row}");
        Ok(())
    })
    .await
    .unwrap();
    let mut solo = plan("solo", 1);
    solo["mutations"][0]["values"]["trial_days"] = 14.into();
    let seq = dev.write(&solo).unwrap().to_string();
    folder.read(&["wait", "--seq", &seq]).await;
    assert_eq!(folder.get("plans", &["solo"]).await["trial_days"], 14);
    dev.says("CtlTable default/plans: Ready=True Applied: table billing___plans is in the ledger at sequence 10")
        .await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_goes_on_as_it_was() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    dev.register();
    folder.edit("seats\n      type: Integer", "seats\n      type: String");
    let line = dev.says("the change is not taken").await;
    let place = format!("{}:2: spec.columns: ", folder.manifests().join("tables.yaml").display());
    assert!(line.starts_with(&place) && line.contains("type"), "{line}");
    // The table takes what it took before.
    let seq = dev.write(&batch()).unwrap().to_string();
    folder.read(&["wait", "--seq", &seq]).await;
    assert_eq!(folder.get("plans", &["team"]).await["seats"], 25);
}

#[tokio::test]
async fn mistakes_are_named_with_file_line_and_cure() {
    let folder = Folder::new();
    let mut dev = folder.start().await;
    let file = folder.manifests().join("tables.yaml").display().to_string();

    folder.edit("    name: billing\n", "    name: billing\n  colour: red\n");
    let line = dev.says("colour").await;
    assert_eq!(line, format!("{file}:9: unknown field \"spec.colour\""));
    folder.edit("  colour: red\n", "");

    folder.edit("name: seats", "name: n");
    let line = dev.says("YAML reads").await;
    assert_eq!(
        line,
        format!(
            "{file}:14: spec.columns[2].name: Invalid value: \"boolean\": must be of type string; YAML reads n as false, quote it: \"n\""
        )
    );
    // A mistake takes nothing away.
    dev.register();
    let seq = dev.write(&batch()).unwrap().to_string();
    folder.read(&["wait", "--seq", &seq]).await;
    assert_eq!(folder.get("plans", &["team"]).await["seats"], 25);
}

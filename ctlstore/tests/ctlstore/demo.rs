//! `ctlstore demo`: what a newcomer sees first.

use testkit::program::Program;

use crate::running::{example, path};

#[tokio::test]
async fn the_demo_ends_by_itself_and_says_how_long_each_step_took() {
    let example = example();
    let ended = Program::run(&["demo", "--manifests", path(&example)]).await.unwrap();
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let steps: Vec<_> = ended
        .stdout
        .lines()
        .filter_map(|line| line.trim().split_once(" ms  "))
        .map(|(millis, step)| {
            millis.parse::<f64>().unwrap();
            step.replace(path(&example), "EXAMPLE")
        })
        .collect();
    let want = [
        "started ctldb, agent, executive and operator, in this process",
        "from EXAMPLE to tables of ctldb and ledger entries: 2",
        "from EXAMPLE to tables of the node's file ",
        "from an HTTP request with rows to their commit: ledger entry 9",
        "from an HTTP request with rows to the node's file",
    ];
    assert_eq!(steps.len(), want.len(), "{steps:#?}");
    for (step, want) in steps.iter().zip(want) {
        assert!(step.starts_with(want), "{step}");
    }
    for words in [
        "CtlFamily billing: Ready=True Applied",
        "acme    storage_bytes        team     9007199254740993  0x000103",
        "one row by its key, median of 1001 reads: ",
        "whole demo: ",
    ] {
        assert!(ended.stdout.contains(words), "no {words:?} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_demo_that_cannot_go_well_fails_and_says_why() {
    let empty = tempfile::tempdir().unwrap();
    let ended = Program::run(&["demo", "--manifests", path(empty.path())]).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("ctlstore: cannot read the batch "), "{ended:?}");

    let batch = example().join("batches/rows.json");
    let args = ["demo", "--manifests", path(empty.path()), "--batch", path(&batch)];
    let ended = Program::run(&args).await.unwrap();
    assert_eq!(ended.stderr, "ctlstore: there is no resource in the manifests' folder\n");
    let manifest = "apiVersion: ctlstore.dev/v1alpha1\nkind: CtlTable\nmetadata: {name: plans}\n";
    std::fs::write(empty.path().join("t.yaml"), manifest).unwrap();
    let ended = Program::run(&args).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("t.yaml:1: spec: Required value"), "{ended:?}");
    assert_eq!(ended.stderr, "ctlstore: a manifest has a problem, see above\n");
}

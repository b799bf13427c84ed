//! Commands for bad days, on the ctldb of `ctlstore dev`.

use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::Connection;
use testkit::program::{Ended, Program};

use crate::running::{Dev, Folder, batch, path, plan};

async fn stop(mut dev: Dev) {
    dev.program.signal(Signal::SIGTERM).unwrap();
    assert_eq!(dev.program.end(Duration::from_secs(30)).await.unwrap().code(), Some(0));
}

async fn run(folder: &Folder, args: &[&str]) -> Ended {
    let url = folder.url_file();
    Program::run(&[args, &["--ctldb-url-file", path(&url)]].concat()).await.unwrap()
}

#[tokio::test]
async fn the_ledger_is_proven_whole_or_the_damage_is_named() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    assert_eq!(dev.write(&batch()).unwrap(), 9);
    let whole = run(&folder, &["ledger", "verify"]).await;
    assert_eq!(
        (whole.code(), whole.stdout.as_str()),
        (Some(0), "the chain holds: 9 entries, from 1 to 9\n")
    );
    stop(dev).await;

    let ctldb = Connection::open(folder.data().join("ctldb.sqlite")).unwrap();
    let sql = "UPDATE ctlstore_dml_ledger SET statement = replace(statement, 'Team', 'Tram') WHERE seq = 5";
    assert_eq!(ctldb.execute(sql, []).unwrap(), 1);
    let damaged = run(&folder, &["ledger", "verify"]).await;
    assert_eq!((damaged.code(), damaged.stdout.as_str()), (Some(1), ""));
    assert!(damaged.stderr.contains("holds other entries than were written"), "{damaged:?}");
}

#[tokio::test]
async fn a_new_history_begins_above_all_that_was_seen_and_nodes_follow_it() {
    let folder = Folder::new();
    let dev = folder.start().await;
    dev.register();
    dev.write(&batch()).unwrap();
    folder.read(&["wait", "--seq", "9"]).await;
    stop(dev).await;
    let before = folder.read(&["status", "--output", "json"]).await.stdout;

    let begun =
        run(&folder, &["ctldb", "new-history", "--above", "5000", "--reason", "a drill"]).await;
    assert_eq!(begun.code(), Some(0), "{begun:?}");
    assert!(begun.stdout.ends_with("begins, its first entry comes after 5000\n"), "{begun:?}");

    let dev = folder.start().await;
    assert_eq!(dev.write(&plan("solo", 1)).unwrap(), 5001);
    let followed = folder.read(&["wait", "--seq", "5001", "--timeout", "30s"]).await;
    assert_eq!(followed.code(), Some(0), "{followed:?}");
    let after = folder.read(&["status", "--output", "json"]).await.stdout;
    let history = |status: &str| {
        let status: serde_json::Value = serde_json::from_str(status).unwrap();
        status["position"]["history"].as_str().unwrap().to_owned()
    };
    assert_ne!(history(&before), history(&after));
    assert!(begun.stdout.contains(&history(&after)), "{begun:?}");
    assert_eq!(folder.get("plans", &["team"]).await["name"], "Team", "what was there stays");
    let whole = run(&folder, &["ledger", "verify"]).await;
    assert_eq!(whole.stdout, "the chain holds: 10 entries, from 1 to 5001\n", "{whole:?}");
}

#[tokio::test]
async fn a_mistyped_path_makes_no_database() {
    let folder = Folder::new();
    std::fs::create_dir(folder.data()).unwrap();
    let args: [&[&str]; 3] = [
        &["ledger", "verify"],
        &["ledger", "skip", "7", "--reason", "x"],
        &["ctldb", "new-history", "--above", "7"],
    ];
    for args in args {
        let refused = run(&folder, args).await;
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.starts_with("ctlstore: no ctldb at "), "{refused:?}");
    }
    assert_eq!(std::fs::read_dir(folder.data()).unwrap().count(), 0);

    let secret = folder.manifests().join("url");
    std::fs::write(&secret, "mysql://root:hunter2@").unwrap();
    for file in [path(&secret), "/nowhere/url"] {
        let refused = Program::run(&["ledger", "verify", "--ctldb-url-file", file]).await.unwrap();
        assert_eq!(refused.code(), Some(1), "{refused:?}");
        assert!(
            refused.stderr.contains(file) && !refused.stderr.contains("hunter2"),
            "{refused:?}"
        );
    }
}

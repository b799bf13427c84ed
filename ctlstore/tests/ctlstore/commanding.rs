//! The commands that speak to the executive, each done well and done wrong.

use serde_json::{Value, json};
use testkit::mariadb::MariaDb;
use testkit::program::Program;

use crate::executive::{Executive, line};
use crate::running::path;

const DESTRUCTIVE: &[&str] = &["--open-admin", "--allow-destructive"];

async fn on_sqlite() -> Executive {
    let home = tempfile::tempdir().unwrap();
    let ctldb = format!("sqlite:{}", home.path().join("ctldb.sqlite").display());
    Executive::start(home, &ctldb, DESTRUCTIVE).await
}

fn lines_of(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn tables_are_made_changed_shown_and_dropped_on_sqlite() {
    tables(on_sqlite().await).await;
}

#[tokio::test]
async fn tables_are_made_changed_shown_and_dropped_on_mariadb() {
    let database = MariaDb::shared().create_database().unwrap();
    let home = tempfile::tempdir().unwrap();
    tables(Executive::start(home, &database.url, DESTRUCTIVE).await).await;
}

async fn tables(executive: Executive) {
    let run = async |args: &str| executive.run(&args.split(' ').collect::<Vec<_>>()).await;
    let done = async |args: &str| executive.done(&args.split(' ').collect::<Vec<_>>()).await;
    let fails = async |args: &str, code: i32, words: &str| {
        let ended = run(args).await;
        assert_eq!(ended.code(), Some(code), "{args}: {ended:?}");
        assert!(ended.stderr.contains(words) && ended.stdout.is_empty(), "{args}: {ended:?}");
    };
    let create =
        "table create billing plans --field id:string --field seats:integer --key-field id";
    fails(create, 1, "the executive answers 404: Family not found").await;
    assert_eq!(done("family create billing").await, "family billing is made\n");
    assert_eq!(done("family create billing").await, "family billing is there already\n");
    fails("family create 1x", 1, "the executive answers 400: ").await;
    assert_eq!(done(create).await, "table billing___plans is made (ledger entry 1)\n");
    assert_eq!(done(create).await, "table billing___plans is there already\n");
    fails(&create.replace("integer", "text"), 1, "with other fields or another key").await;
    fails(&create.replace("integer", "int"), 2, "there is no type \"int\"").await;

    let add = "table add-fields billing plans --field notes:text --output json";
    let added: Value = serde_json::from_str(&done(add).await).unwrap();
    assert_eq!(added, json!({"family": "billing", "table": "plans", "seq": 2}));
    fails(add, 1, "the executive answers 409: ").await;
    assert_eq!(
        done("table show billing plans").await,
        "table            field  type     key\n\
         billing___plans  id     string   1\n\
         billing___plans  seats  integer\n\
         billing___plans  notes  text\n"
    );
    let shown = lines_of(&done("table show billing --output json").await);
    assert_eq!(shown[0]["keyFields"], json!(["id"]));
    fails("table show billing nope", 3, "no table billing___nope").await;
    fails("table show routing", 3, "no table in family routing").await;

    rows(&executive).await;
    fails("table clear billing plans", 2, "--yes").await;
    done("table clear billing plans --yes").await;
    fails("table clear billing nope --yes", 1, "the executive answers 404").await;
    done("table drop billing plans --yes").await;
    fails("table drop billing plans --yes", 1, "the executive answers 404").await;
}

/// Writers, rows, limits, history and ledger.
async fn rows(executive: &Executive) {
    let done = async |args: &str| executive.done(&args.split(' ').collect::<Vec<_>>()).await;
    let secret = executive.home.path().join("secret");
    let register = format!("writer register importer --secret-file {} --family", path(&secret));
    assert_eq!(
        done(&format!("{register} billing")).await,
        "writer importer is known, and may write billing\n"
    );
    let other = executive.file("other", "another-secret");
    let ended =
        executive.run(&["writer", "register", "importer", "--secret-file", path(&other)]).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("different credentials"), "{ended:?}");

    let row = |seats| line("pro", seats).replace("\"id\"", "\"notes\":\"a\\nb\",\"id\"");
    for seats in [5, 7] {
        let file = executive.file("rows.jsonl", &row(seats));
        let ended = executive.mutated(&file, &[]).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    let history = lines_of(&done("history billing plans pro --output json").await);
    let seats: Vec<_> = history.iter().map(|version| version["values"]["seats"].clone()).collect();
    assert_eq!(seats, [7, 5], "{history:?}");
    let shown = done("history billing plans pro").await;
    assert!(shown.contains(r#"notes="a\nb""#) && shown.contains("importer"), "{shown}");
    let ended = executive.run(&["history", "billing", "plans", "solo"]).await;
    assert_eq!(ended.code(), Some(3), "{ended:?}");

    let tail = done("ledger tail --lines 2 --output json").await;
    let seqs: Vec<_> = lines_of(&tail).iter().map(|entry| entry["seq"].clone()).collect();
    assert_eq!(seqs, [3, 4]);
    assert!(done("ledger tail").await.starts_with("1  "));
    let shown = done("ledger show 4").await;
    assert!(shown.contains("writer     importer\n"), "{shown}");
    assert!(shown.contains("VALUES('pro',7,'a\\nb')"), "{shown}");
    let ended = executive.run(&["ledger", "show", "5"]).await;
    assert_eq!(
        (ended.code(), ended.stderr.as_str()),
        (Some(3), "ctlstore: no entry 5: the last one is 4\n")
    );

    limits(executive).await;
    // It is bound to the one family, and is let into another only when it is told so.
    done("family create routing").await;
    let file = executive.file("rows.jsonl", &row(9));
    let mut args = executive.mutate(&file);
    args[1] = "routing".to_owned();
    let ended = Program::run(&args).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("403") || ended.stderr.contains("404"), "{ended:?}");
}

async fn limits(executive: &Executive) {
    let done = async |args: &str| executive.done(&args.split(' ').collect::<Vec<_>>()).await;
    done("limits table set billing plans --max-size 2Mi --warn-size 1Mi").await;
    assert_eq!(
        done("limits table list").await,
        "table            max bytes  warn bytes\n\
         billing___plans  2097152    1048576\n\
         (all others)     104857600  52428800\n"
    );
    let ended = executive
        .run(&[
            "limits",
            "table",
            "set",
            "billing",
            "plans",
            "--max-size",
            "1Mi",
            "--warn-size",
            "2Mi",
        ])
        .await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("--warn-size is above --max-size"), "{ended:?}");
    done("limits table set billing plans --max-size 1Mi").await;
    assert!(done("limits table list").await.contains("  1048576    524288\n"));
    done("limits table delete billing plans").await;
    done("limits writer set importer --rows 500 --period 1m").await;
    let listed: Value =
        serde_json::from_str(&done("limits writer list --output json").await).unwrap();
    assert_eq!(
        listed["writers"][0]["rate-limit"],
        json!({"amount": 500, "period": 60_000_000_000_u64})
    );
    assert!(done("limits writer list").await.contains("importer      500   60s\n"));
    done("limits writer delete importer").await;
    for args in [
        "limits table set billing nope",
        "limits table delete billing plans",
        "limits writer set nobody --rows 5",
        "limits writer delete importer",
    ] {
        let ended = executive.run(&args.split(' ').collect::<Vec<_>>()).await;
        assert_eq!(ended.code(), Some(1), "{args}: {ended:?}");
        assert!(ended.stderr.starts_with("ctlstore: the executive answers 4"), "{args}: {ended:?}");
    }
}

#[tokio::test]
async fn who_is_not_known_or_cannot_be_reached_is_told_how_to_mend_it() {
    let home = tempfile::tempdir().unwrap();
    let ctldb = format!("sqlite:{}", home.path().join("ctldb.sqlite").display());
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        let file = home.path().join(name);
        std::fs::write(&file, text).unwrap();
        path(&file).to_owned()
    };
    let (cert, key) = (
        write("cert", &certified.cert.pem()),
        write("key", &certified.signing_key.serialize_pem()),
    );
    let tokens = write("tokens", "alice:s3cret\n");
    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (wrong_ca, no_ca) = (write("wrong-ca", &stranger.cert.pem()), write("no-ca", "nothing\n"));
    let wrong = write("wrong-token", "hunter2\n");
    let flags = ["--admin-token-file", &tokens, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let executive = Executive::start(home, &ctldb, &flags).await;
    let create = ["family", "create", "billing"];

    let cases: &[(&[&str], &str)] = &[
        (&["--ca-file", &cert], "the executive answers 401: "),
        (&["--ca-file", &cert, "--token-file", &wrong], "the executive answers 401: "),
        (
            &["--ca-file", &wrong_ca, "--token-file", &tokens],
            "cannot trust the executive at https://",
        ),
        (&["--token-file", &tokens], "cannot trust the executive at https://"),
        (&["--ca-file", &no_ca], "holds no certificate"),
        (&["--ca-file", "/nowhere"], "cannot read certificates from /nowhere"),
        (&["--ca-file", &cert, "--token-file", "/nowhere"], "cannot read /nowhere"),
    ];
    for (more, words) in cases {
        let ended = executive.run(&[&create, *more].concat()).await;
        assert_eq!(ended.code(), Some(1), "{more:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{more:?}: {ended:?}");
        assert!(!ended.stderr.contains("hunter2") && !ended.stderr.contains("s3cret"), "{ended:?}");
    }
    executive.done(&[&create[..], &["--ca-file", &cert, "--token-file", &tokens]].concat()).await;

    for (url, words) in [
        (format!("http://127.0.0.1:{}", testkit::free_port()), "cannot reach the executive"),
        ("http://admin:hunter2@localhost".to_owned(), "--url is not an address"),
        ("localhost:8080".to_owned(), "--url is not an address"),
    ] {
        let ended = Program::run(&[&create[..], &["--url", &url]].concat()).await.unwrap();
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains(words) && !ended.stderr.contains("hunter2"), "{ended:?}");
    }
    let rows = executive.file("rows.jsonl", &line("a", 1));
    let mut args = executive.mutate(&rows);
    let url = args.iter().position(|arg| *arg == executive.url).unwrap();
    args[url] = format!("http://127.0.0.1:{}", testkit::free_port());
    let ended =
        Program::run(&[&args[..], &["--patience".into(), "1s".into()]].concat()).await.unwrap();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("gave up after 1s: cannot reach the executive"), "{ended:?}");
    // A secret is a file, never a word of the command line.
    for flag in ["--token", "--secret"] {
        let ended = executive.run(&[&create[..], &[flag, "s3cret"]].concat()).await;
        assert_eq!(ended.code(), Some(2), "{ended:?}");
    }
}

#[tokio::test]
async fn a_heartbeat_of_its_own_beats_over_http_as_the_originals() {
    let executive = Executive::open(&[]).await;
    let secret = executive.home.path().join("secret");
    let args = ["heartbeat", "--url", &executive.url, "--secret-file", path(&secret)];
    let mut beating =
        Program::ctlstore(&[&args[..], &["--heartbeat-interval", "100ms"]].concat()).unwrap();
    let beats = async || {
        let entries =
            executive.done(&["ledger", "tail", "--lines", "100", "--output", "json"]).await;
        let beats = lines_of(&entries).into_iter().filter(|entry| {
            entry["statement"].as_str().unwrap().starts_with("REPLACE INTO ctlstore___heartbeats")
        });
        beats.count()
    };
    testkit::eventually(std::time::Duration::from_secs(30), async || {
        anyhow::ensure!(beats().await >= 3);
        Ok(())
    })
    .await
    .unwrap();
    beating.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(beating.end(std::time::Duration::from_secs(30)).await.unwrap().code(), Some(0));

    let other = executive.file("other", "another-secret");
    let args = ["heartbeat", "--secret-file", path(&other)];
    let ended = executive.run(&args).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("different credentials"), "{ended:?}");
}

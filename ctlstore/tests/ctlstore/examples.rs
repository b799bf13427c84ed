//! The examples that the help gives, carried out as they stand there, one after the other, against an executive.

use std::process::Command;

use testkit::program::{self, Program};

use crate::executive::{Executive, line};

/// The commands that speak to an executive or to ctldb, in an order in which each has something to do, with what its
/// example prints. The others are services, or read a node's LDB.
const COMMANDS: &[(&str, &str)] = &[
    ("family create", "family billing is made\n"),
    ("table create", "table billing___plans is made (ledger entry 1)\n"),
    ("writer register", "writer importer is known, and may write billing\n"),
    ("mutate", "1 row is written in 1 batch (ledger entry 2)\n"),
    ("table add-fields", "table billing___plans has the fields (ledger entry 3)\n"),
    ("table show", "billing___plans  notes  text\n"),
    ("history", r#"id="pro""#),
    ("ledger tail", "  importer  REPLACE INTO billing___plans"),
    ("ledger show", "writer     importer\n"),
    ("limits table set", "table billing___plans may grow to 104857600 bytes\n"),
    ("limits table list", "billing___plans  104857600  83886080\n"),
    ("limits table delete", "table billing___plans has no limits of its own any more\n"),
    ("limits writer set", "writer importer may write 5000 rows in 60s\n"),
    ("limits writer list", "importer      5000  60s\n"),
    ("limits writer delete", "writer importer has no limit of its own any more\n"),
    ("table clear", "table billing___plans has no rows any more"),
    ("table drop", "table billing___plans is dropped"),
    ("ledger verify", "the chain holds: "),
    ("ledger skip", "agents will pass entry 2 as if it were empty\n"),
    ("ctldb new-history", "its first entry comes after 4711\n"),
];

async fn example(command: &str) -> String {
    let args: Vec<_> = command.split(' ').chain(["--help"]).collect();
    let help = Program::run(&args).await.unwrap().stdout;
    let (_, example) =
        help.split_once("Example: ").unwrap_or_else(|| panic!("{command} has no example: {help}"));
    // It ends the help, which breaks lines to fit.
    let example = example.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(example.starts_with(&format!("ctlstore {command} ")), "{example}");
    example
}

#[tokio::test]
async fn what_the_examples_of_the_help_say_is_so() {
    let home = tempfile::tempdir().unwrap();
    let ctldb = format!("sqlite:{}", home.path().join("ctldb.sqlite").display());
    let etc = home.path().display().to_string();
    std::fs::write(home.path().join("tokens"), "alice:s3cret\n").unwrap();
    std::fs::write(home.path().join("token"), "s3cret\n").unwrap();
    std::fs::write(home.path().join("rows.jsonl"), line("pro", 5)).unwrap();
    std::fs::write(home.path().join("ctldb-url"), &ctldb).unwrap();
    let tokens = format!("{etc}/tokens");
    let flags = ["--admin-token-file", &tokens, "--allow-destructive"];
    let executive = Executive::start(home, &ctldb, &flags).await;
    let binaries = program::ctlstore().unwrap().parent().unwrap().display().to_string();
    for (command, want) in COMMANDS {
        let mut example = example(command).await;
        let here =
            [("/etc/ctlstore", etc.as_str()), ("http://ctlstore-executive:8080", &executive.url)];
        for (there, here) in here {
            example = example.replace(there, here);
        }
        if command.starts_with("ledger") {
            example = example.replace("4711", "2");
        }
        let mut shell = Command::new("sh");
        let script = format!("PATH='{binaries}':\"$PATH\"\n{example}");
        shell.args(["-c", &script]).current_dir(&etc);
        let ran = shell.output().unwrap();
        let (out, err) =
            (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && out.contains(want), "{example}\n{out}{err}");
    }
}

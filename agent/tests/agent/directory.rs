//! The directory: modes, links, lock, what is refused.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::agent::{Agent, config};
use crate::ledger::{Ledger, TABLE};

const CHILD: &str = "AGENT_TEST_DIR";

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The umask is the process's, so the test runs itself again.
#[test]
fn everybody_can_read_whatever_the_umask() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(dir) = std::env::var_os(CHILD) {
        return runtime.block_on(async {
            let dir = std::path::PathBuf::from(dir);
            let mut ledger = Ledger::new(&dir);
            ledger.append(&[TABLE]);
            let agent = Agent::start(&dir.join("a/ldb"), ledger.url()).await;
            agent.reaches(1).await;
            agent.stop().await;
        });
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            "umask 077; exec \"$0\" --exact directory::everybody_can_read_whatever_the_umask",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let ldb = dir.path().join("a/ldb");
    assert_eq!((mode(&ldb), mode(&ldb.join("gen-1"))), (0o755, 0o755));
    for name in ["ctl", "gen-1/ldb.db", "gen-1/ldb.db-wal", "gen-1/ldb.db-shm"] {
        assert_eq!(mode(&ldb.join(name)), 0o644, "{name}");
    }
    assert_eq!(std::fs::read_link(ldb.join("current")).unwrap().to_str(), Some("gen-1"));
    assert_eq!(std::fs::read_link(ldb.join("ldb.db")).unwrap().to_str(), Some("current/ldb.db"));
    let ctl = std::fs::read(ldb.join("ctl")).unwrap();
    assert_eq!((ctl.len(), &ctl[..8]), (4096, b"CTLSTOR1".as_slice()));
    let word = |index: usize| u64::from_le_bytes(ctl[index * 8..][..8].try_into().unwrap());
    assert_eq!([word(1), word(2), word(3), word(5), word(6)], [1, 1, 1, 1, 1]);
    assert!(word(4) > 1_700_000_000_000, "heartbeat in milliseconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_is_refused_by_the_name_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(dir.path());
    let ldb = dir.path().join("ldb");
    let first = Agent::start(&ldb, ledger.url()).await;
    let error = Agent::start_with(config(&ldb, ledger.url())).await.err().unwrap();
    let text = daemon::log::Chain(error.as_ref()).to_string();
    assert!(text.contains(&format!("another agent (process {})", std::process::id())), "{text}");
    first.stop().await;
    Agent::start(&ldb, ledger.url()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(dir.path());
    let refused = async |path: &std::path::Path, words: &str| {
        let error = Agent::start_with(config(path, ledger.url())).await.err().unwrap();
        let text = daemon::log::Chain(error.as_ref()).to_string();
        assert!(text.contains(words), "{text}");
    };
    let original = dir.path().join("original");
    std::fs::create_dir(&original).unwrap();
    std::fs::write(original.join("ldb.db"), "data").unwrap();
    refused(&original, "LDB of the original").await;
    assert_eq!(std::fs::read(original.join("ldb.db")).unwrap(), b"data");
    assert!(!original.join("current").exists());

    let ldb = dir.path().join("ldb");
    Agent::start(&ldb, ledger.url()).await.stop().await;
    let file = rusqlite::Connection::open(ldb.join("ldb.db")).unwrap();
    file.execute_batch("CREATE VIEW fam___view AS SELECT 1").unwrap();
    refused(&ldb, "it has the view \"fam___view\"").await;
    file.execute_batch(
        "DROP VIEW fam___view; CREATE TRIGGER t AFTER INSERT ON _ldb_seq BEGIN SELECT 1; END",
    )
    .unwrap();
    refused(&ldb, "it has the trigger \"t\"").await;
    file.execute_batch("DROP TRIGGER t; CREATE TABLE other (id)").unwrap();
    refused(&ldb, "it has the table \"other\"").await;
    file.execute_batch("DROP TABLE other").unwrap();
    drop(file);
    std::fs::remove_file(ldb.join("ldb.db")).unwrap();
    std::os::unix::fs::symlink("elsewhere", ldb.join("ldb.db")).unwrap();
    refused(&ldb, "it leads to elsewhere").await;
    std::fs::remove_file(ldb.join("ldb.db")).unwrap();
    std::fs::write(ldb.join("ctl"), [0; 4096]).unwrap();
    refused(&ldb, "not a control page").await;

    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    refused(&file, "it is not a directory").await;
}

/// Root may write anything, so the test runs itself again as somebody else.
#[test]
fn a_directory_that_cannot_be_written_is_named_with_the_cure() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(dir) = std::env::var_os(CHILD) {
        return runtime.block_on(async {
            let dir = std::path::PathBuf::from(dir);
            let url = ::ledger::CtlDbUrl::Sqlite(dir.join("none"));
            for path in [dir.clone(), dir.join("new")] {
                let error = Agent::start_with(config(&path, url.clone())).await.err().unwrap();
                let text = daemon::log::Chain(error.as_ref()).to_string();
                assert!(text.contains(&format!("{}", path.display())), "{text}");
                assert!(text.contains("must own the LDB directory"), "{text}");
            }
        });
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // The folder of builds may lie in a home that somebody else cannot enter.
    let program = tempfile::tempdir().unwrap();
    std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let copy = program.path().join("test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut command = Command::new(copy);
    command
        .args(["--exact", "directory::a_directory_that_cannot_be_written_is_named_with_the_cure"]);
    command.env(CHILD, dir.path());
    if Command::new("true").uid(65534).gid(65534).status().is_ok_and(|status| status.success()) {
        command.uid(65534).gid(65534);
    }
    assert!(command.status().unwrap().success());
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

//! The MariaDB of the tests does what tests rely on.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::ensure;
use testkit::eventually;
use testkit::mariadb::MariaDb;

#[test]
fn databases_are_private_and_can_be_copied() {
    let server = MariaDb::shared();
    let one = server.create_database().unwrap();
    let two = server.create_database().unwrap();
    assert_ne!(one.name, two.name);
    assert_eq!(one.url, format!("mysql://root@127.0.0.1:{}/{}", server.port(), one.name));
    server
        .sql(&format!("CREATE TABLE {0}.t (a BLOB); INSERT INTO {0}.t VALUES (x'00ff')", one.name))
        .unwrap();
    let copy = server.copy_database(&one).unwrap();
    assert_eq!(server.sql(&format!("SELECT HEX(a) FROM {}.t", copy.name)).unwrap(), "00FF");
}

#[test]
fn a_refusal_carries_the_message_of_the_server() {
    let err = MariaDb::shared().sql("SELECT * FROM nowhere.nothing").unwrap_err();
    assert!(format!("{err:#}").contains("1146"), "{err:#}");
}

#[test]
fn what_was_committed_survives_kill_and_restart() {
    let server = MariaDb::start().unwrap();
    let database = server.create_database().unwrap();
    server
        .sql(&format!("CREATE TABLE {0}.t (a INT); INSERT INTO {0}.t VALUES (7)", database.name))
        .unwrap();
    server.kill();
    assert!(server.sql("SELECT 1").is_err());
    server.restart().unwrap();
    assert_eq!(server.sql(&format!("SELECT a FROM {}.t", database.name)).unwrap(), "7");
    server.stop().unwrap();
    server.stop().unwrap();
    assert!(server.sigstop().is_err());
}

#[test]
fn options_reach_the_server() {
    let server = MariaDb::start_with(&["--lock-wait-timeout=7"]).unwrap();
    assert_eq!(server.sql("SELECT @@lock_wait_timeout").unwrap(), "7");
}

/// Run by the next test in a process of its own, which it kills.
#[test]
#[ignore = "for the next test alone"]
fn holds_a_server_until_it_is_killed() {
    let server = MariaDb::shared();
    println!("holding {} {}", server.port(), server.sql("SELECT @@datadir").unwrap());
    // Until the other side closes it; at once when nobody runs this on purpose.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn nothing_outlives_a_killed_process() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_server_until_it_is_killed", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find_map(|line| {
        // The harness says the test's name on the same line.
        line.split_once("holding ").map(|(_, rest)| rest.to_owned())
    });
    let line = line.expect("the child tells where its server is");
    let (port, data) = line.split_once(' ').unwrap();
    let (address, data) = (format!("127.0.0.1:{port}"), Path::new(data).to_owned());
    assert!(TcpStream::connect(&address).is_ok() && data.is_dir());

    child.kill().unwrap();
    child.wait().unwrap();
    let gone = eventually(Duration::from_secs(10), async || {
        ensure!(TcpStream::connect(&address).is_err(), "the server is still there");
        ensure!(!data.exists(), "its data is still there");
        Ok(())
    });
    gone.await.unwrap();
}

//! The MariaDB of the tests does what tests rely on.

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

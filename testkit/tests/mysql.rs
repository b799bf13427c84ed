//! The MySQL server that somebody else runs, where the environment names one.

use testkit::mysql::External;

#[test]
fn databases_are_made_on_the_server_that_the_environment_names() {
    let Some(server) = External::from_env().unwrap() else {
        println!("skipped: CTLSTORE_TEST_MYSQL_URL names no server");
        return;
    };
    let database = server.create_database().unwrap();
    assert!(database.url.ends_with(&database.name));
    let found = server.sql(&format!("SHOW DATABASES LIKE '{}'", database.name)).unwrap();
    assert_eq!(found, database.name);
    server.sql(&format!("DROP DATABASE {}", database.name)).unwrap();
}

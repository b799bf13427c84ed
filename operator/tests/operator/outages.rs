//! The database goes away, moves, gets another password, or somebody sits on a table.

use std::time::Duration;

use anyhow::{Result, ensure};
use crds::condition::{ConditionType, Reason};
use operator::Config;
use testkit::eventually;
use testkit::mariadb::MariaDb;

use crate::manifest::{family, table};
use crate::world::{Operator, SOON, World, condition, message};

#[tokio::test(flavor = "multi_thread")]
async fn the_database_goes_and_comes_back() -> Result<()> {
    let mariadb = MariaDb::start()?;
    let world = World::with_database(&mariadb.create_database()?.url).await?;
    let operator = world.operator().await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;
    mariadb.stop()?;
    world.apply(&[table("web", "more", &[], &[]), table("web", "other", &[], &[])])?;
    let waiting = world.table("more", Reason::DatabaseUnavailable).await?;
    let programmed = condition(&waiting, ConditionType::Programmed).unwrap();
    assert_eq!(
        (programmed.status.as_str(), programmed.reason.as_str()),
        ("Unknown", "DatabaseUnavailable")
    );
    assert!(!message(&waiting).contains("root"), "{}", message(&waiting));
    world.table("other", Reason::DatabaseUnavailable).await?;
    operator.says("/metrics", "ctlstore_operator_ctldb_up 0").await?;
    operator.says("/readyz", "HTTP/1.1 200").await?;
    operator.says("/livez", "HTTP/1.1 200").await?;
    mariadb.restart()?;
    world.table("more", Reason::Applied).await?;
    world.table("other", Reason::Applied).await?;
    world.told("CtlTable", "more", &["DatabaseUnavailable", "Applied"]).await?;
    assert_eq!(world.ledger().await?.len(), 3);
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_starts_without_its_database_waits_and_says_so() -> Result<()> {
    let mariadb = MariaDb::start()?;
    let world = World::with_database(&mariadb.create_database()?.url).await?;
    mariadb.stop()?;
    let operator = world.operator().await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::DatabaseUnavailable).await?;
    world.family("billing", Reason::DatabaseUnavailable).await?;
    mariadb.restart()?;
    world.table("plans", Reason::Applied).await?;
    world.family("billing", Reason::Applied).await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_is_followed() -> Result<()> {
    let mariadb = MariaDb::start()?;
    let database = mariadb.create_database()?;
    let world = World::with_database(&database.url).await?;
    let sql = |sql: &str| mariadb.sql(sql);
    sql("CREATE USER op@'%' IDENTIFIED BY 'first'")?;
    sql(&format!("GRANT ALL ON {}.* TO op@'%'", database.name))?;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("url");
    let url = |password: &str| {
        format!("mysql://op:{password}@127.0.0.1:{}/{}\n", mariadb.port(), database.name)
    };
    std::fs::write(&file, url("first"))?;
    let config = Config {
        ctldb: ledger::CtlDbUrl::parse(&url("first"))?,
        ctldb_url_file: Some(file.clone()),
        recheck: Duration::from_secs(2),
        ..world.config()
    };
    let operator = Operator::start(config).await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;

    sql("SET PASSWORD FOR op@'%' = PASSWORD('second')")?;
    // Connections that are open stay open; end them, as a server does in time.
    let mine = "SELECT GROUP_CONCAT('KILL ', id SEPARATOR ';') FROM information_schema.processlist WHERE user = 'op'";
    sql(sql(mine)?.trim())?;
    world.apply(&[table("web", "more", &[], &[])])?;
    let refused = world.table("more", Reason::DatabaseUnavailable).await?;
    assert!(!message(&refused).contains("first"), "{}", message(&refused));
    // A file that makes no sense changes nothing and is no end.
    std::fs::write(&file, "nonsense")?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    std::fs::write(&file, url("second"))?;
    world.table("more", Reason::Applied).await?;
    world.table("plans", Reason::Applied).await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_and_a_foreign_writer_have_names_of_their_own() -> Result<()> {
    let mariadb = MariaDb::start()?;
    let database = mariadb.create_database()?;
    let name = &database.name;
    let sql = |sql: &str| mariadb.sql(sql);
    sql(&format!("CREATE USER op@'%'; GRANT ALL ON {name}.* TO op@'%'"))?;
    let url = format!("mysql://op@127.0.0.1:{}/{name}", mariadb.port());
    let world = World::with_database(&url).await?;
    let config = Config { recheck: Duration::from_secs(2), ..world.config() };
    let operator = Operator::start(config).await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;

    // A connection keeps the rights that it began with.
    let cut = || {
        let mine = "SELECT GROUP_CONCAT('KILL ', id SEPARATOR ';') FROM information_schema.processlist WHERE user = 'op'";
        sql(sql(mine)?.trim())
    };
    sql(&format!("REVOKE CREATE ON {name}.* FROM op@'%'"))?;
    cut()?;
    world.apply(&[table("web", "quotas", &[], &[])])?;
    let refused = world.table("quotas", Reason::PrivilegeMissing).await?;
    assert!(message(&refused).contains("docs/grants.md"), "{}", message(&refused));
    assert!(!message(&refused).contains("127.0.0.1"), "{}", message(&refused));
    sql(&format!("GRANT CREATE ON {name}.* TO op@'%'"))?;
    cut()?;
    world.table("quotas", Reason::Applied).await?;

    let next = format!(
        "USE {name}; INSERT INTO ctlstore_dml_ledger (seq, statement) SELECT last_seq + 1, 'DELETE FROM x' FROM ctlstore_meta"
    );
    sql(&next)?;
    world.apply(&[table("web", "seats", &[], &[])])?;
    let taken = world.table("seats", Reason::LedgerTaken).await?;
    assert!(message(&taken).contains("ctlstore ctldb new-history"), "{}", message(&taken));
    sql(&format!("USE {name}; DELETE FROM ctlstore_dml_ledger WHERE statement = 'DELETE FROM x'"))?;
    world.table("seats", Reason::Applied).await?;
    operator.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_blocks_a_change_is_named() -> Result<()> {
    let world = World::new().await?;
    let operator = world.operator().await?;
    world.apply(&[family("billing", &[]), table("web", "plans", &[], &[])])?;
    world.table("plans", Reason::Applied).await?;
    let database = world.url.rsplit('/').next().unwrap().to_owned();
    let sit = format!(
        "USE {database}; START TRANSACTION; SELECT * FROM billing___plans; SELECT SLEEP(300)"
    );
    let sitting = std::thread::spawn(move || MariaDb::shared().sql(&sit).map(drop));
    let sitters = || {
        MariaDb::shared().sql(&format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{database}' AND info LIKE '%SLEEP(300)' AND info NOT LIKE '%processlist%'"
        ))
    };
    let sitter = eventually(SOON, async || {
        let sitter = sitters()?.trim().to_owned();
        ensure!(!sitter.is_empty(), "nobody sits yet");
        Ok(sitter)
    });
    let sitter = sitter.await?;
    world.apply(&[table("web", "plans", &["note Text"], &[])])?;
    let waiting = world.table("plans", Reason::WaitingForLock).await?;
    assert!(condition(&waiting, ConditionType::Reconciling).is_some());
    assert!(message(&waiting).contains(&sitter), "{sitter}: {}", message(&waiting));
    MariaDb::shared().sql(&format!("KILL {sitter}"))?;
    let _ = sitting.join();
    let done = world.table("plans", Reason::Applied).await?;
    assert_eq!(done.status.unwrap().schema_seq, Some(2));
    world.told("CtlTable", "plans", &["Applied x2", "WaitingForLock"]).await?;
    operator.stop().await
}

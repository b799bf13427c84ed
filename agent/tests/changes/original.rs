//! The original's change log: each line as its documents have it.

use std::path::{Path, PathBuf};

use ::agent::args::{ChangelogFormat, ChangesArgs};
use reader::changes::{Changes, Event, Follow, Op};

use crate::agent::{Agent, SOON, config};
use crate::ledger::Ledger;

const INTEGERS: &str = "CREATE TABLE family1___table1234 (\"field1\" INTEGER, \"field2\" VARCHAR(191), PRIMARY KEY(\"field1\"));";
/// Its key's order is not that of its columns.
const MIXED: &str = "CREATE TABLE family1___mixed (\"b\" BLOB(255), \"n\" INTEGER, \"s\" VARCHAR(191), PRIMARY KEY(\"s\",\"n\",\"b\"));";

fn line(seq: u64, key: &str) -> String {
    format!(
        r#"{{"seq":{seq},"family":"family1","table":"table1234","key":[{{"name":"field1","type":"INTEGER","value":{key}}}]}}"#
    )
}

fn upsert(key: &str) -> String {
    format!("REPLACE INTO family1___table1234 (\"field1\",\"field2\") VALUES({key},'x')")
}

fn changes(path: &Path, size: u64) -> ChangesArgs {
    ChangesArgs {
        changelog_path: Some(path.to_owned()),
        changelog_size: size,
        changelog_format: ChangelogFormat::Original,
        ..ChangesArgs::default()
    }
}

struct Setup {
    dir: tempfile::TempDir,
    log: PathBuf,
    ledger: Ledger,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (log, ledger) = (dir.path().join("change.log"), Ledger::new(dir.path()));
        Self { dir, log, ledger }
    }

    async fn start(&self, size: u64) -> Agent {
        let mut config = config(&self.dir.path().join("ldb"), self.ledger.url());
        config.changes = changes(&self.log, size);
        let agent = Agent::start_with(config).await.unwrap();
        agent.reaches(self.ledger.head()).await;
        agent
    }

    /// The lines, when there are so many.
    async fn lines(&self, count: usize) -> Vec<String> {
        let result = testkit::eventually(SOON, async || {
            let text = std::fs::read_to_string(&self.log)?;
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            anyhow::ensure!(lines.len() == count, "not {count} lines: {text}");
            Ok(lines)
        });
        result.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_written_is_a_line_and_one_that_is_replaced_two() {
    let mut setup = Setup::new();
    setup.ledger.append(&[INTEGERS, &upsert("1234"), &upsert("1234")]);
    setup.ledger.append(&["--- BEGIN".to_owned(), upsert("-7"), "--- COMMIT".to_owned()]);
    let agent = setup.start(1 << 20).await;
    let want = [line(1, "1234"), line(2, "1234"), line(3, "1234"), line(4, "-7")];
    assert_eq!(setup.lines(4).await, want);
    // One that is there, one that is not, and DDL.
    setup.ledger.append(&[
        "DELETE FROM family1___table1234 WHERE \"field1\" = -7",
        "DELETE FROM family1___table1234 WHERE \"field1\" = 99",
        "ALTER TABLE family1___table1234 ADD COLUMN \"field3\" REAL",
        &upsert("5"),
        "DELETE FROM family1___table1234",
        "DROP TABLE IF EXISTS family1___table1234",
    ]);
    // The delete, the row 5, and the rows that clear removes.
    let lines = setup.lines(8).await;
    assert_eq!(lines[4..], [line(5, "-7"), line(6, "5"), line(7, "5"), line(8, "1234")]);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_escaped_as_the_originals_encoder_does() {
    let mut setup = Setup::new();
    let insert = "REPLACE INTO family1___mixed (\"b\",\"n\",\"s\") VALUES(x'00ff',12,'<a href=\"x\">&\\ é\u{2028}\u{1}\n')";
    // As the original's executive passes them on: text for a number, a number for text.
    let odd = "REPLACE INTO family1___mixed (\"b\",\"n\",\"s\") VALUES(x'','12',7)";
    let gone = "DELETE FROM family1___mixed WHERE \"b\" = x'' AND \"n\" = '12' AND \"s\" = 7";
    setup.ledger.append(&[MIXED, insert, odd, gone]);
    let agent = setup.start(1 << 20).await;
    let lines = setup.lines(3).await;
    let line = |seq, b, s| {
        format!(
            r#"{{"seq":{seq},"family":"family1","table":"mixed","key":[{{"name":"b","type":"BLOB(255)","value":"{b}"}},{{"name":"n","type":"INTEGER","value":12}},{{"name":"s","type":"VARCHAR(191)","value":"{s}"}}]}}"#
        )
    };
    let text = r#"\u003ca href=\"x\"\u003e\u0026\\ é\u2028\u0001\n"#;
    assert_eq!(lines, [line(1, "AP8=", text), line(2, "", "7"), line(3, "", "7")]);
    agent.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_begin_anew_at_each_start_and_the_file_when_it_is_full() {
    let mut setup = Setup::new();
    setup.ledger.append(&[INTEGERS, &upsert("1"), &upsert("2")]);
    let agent = setup.start(1 << 20).await;
    setup.lines(2).await;
    agent.stop().await;
    setup.ledger.append(&[upsert("3")]);
    let one = line(1, "1").len() as u64;
    // Room for four lines: the original does not count the end of the line that is added.
    let size = 4 * one + 3;
    let agent = setup.start(size).await;
    assert_eq!(setup.lines(3).await, [line(1, "1"), line(2, "2"), line(1, "3")]);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&setup.log).unwrap());
    assert_eq!(mode & 0o777, 0o644);
    let mut changes = Follow::file(&setup.log).open().unwrap();
    assert_eq!(changes.next_within(std::time::Duration::from_millis(100)).unwrap(), None);
    setup.ledger.append(&[upsert("4")]);
    setup.lines(4).await;
    setup.ledger.append(&[upsert("5")]);
    assert_eq!(setup.lines(1).await, [line(3, "5")]);
    // The consumer sees the file go and come, and each line once.
    assert_eq!([told(&mut changes), told(&mut changes)], ["[Integer(4)]", "[Integer(5)]"]);
    agent.stop().await;
    // A line that is larger than the file may be is left out, and its number with it.
    setup.ledger.append(&[upsert(&"9".repeat(18)), upsert("6")]);
    let agent = setup.start(one + 5).await;
    assert_eq!(setup.lines(1).await, [line(2, "6")]);
    agent.stop().await;
    let want = ["Some(Reload { from: None })", "[Integer(6)]"];
    assert_eq!([told(&mut changes), told(&mut changes)], want);
}

/// The next event: a key, or what it is.
fn told(changes: &mut Changes) -> String {
    match changes.next_within(SOON).unwrap() {
        Some(Event::Change(change)) => {
            assert_eq!((change.seq, change.op), (None, Op::Touch));
            format!("{:?}", change.key_values())
        }
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_does_not_come_next_means_reload() {
    let mut setup = Setup::new();
    setup.ledger.append(&[INTEGERS, &upsert("1")]);
    let agent = setup.start(1 << 20).await;
    setup.lines(1).await;
    let mut changes = Follow::file(&setup.log).open().unwrap();
    assert_eq!(changes.next_within(std::time::Duration::from_millis(50)).unwrap(), None);
    agent.stop().await;
    setup.ledger.append(&[upsert("2")]);
    let agent = setup.start(1 << 20).await;
    setup.lines(2).await;
    assert_eq!(changes.next_within(SOON).unwrap(), Some(Event::Reload { from: None }));
    assert!(matches!(changes.next_within(SOON).unwrap(), Some(Event::Change(_))));
    // The file does not know sequences, so who asks for one is told that it may have missed something.
    let after = ::ledger::Seq::FIRST;
    let mut late = Follow::file(&setup.log).after(after).open().unwrap();
    assert_eq!(late.next_within(SOON).unwrap(), Some(Event::Reload { from: None }));
    agent.stop().await;
}

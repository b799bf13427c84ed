//! What the writer promises of its file: crashes lose and repeat nothing, nobody but it gets in, nothing but its own
//! statements runs.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ledger::{Chain, Entry, History, LeaderTs, Position, Seq, Statement};
use proptest::prelude::*;
use reader::layout::{self, word};

use crate::args::LdbLimits;
use crate::ldb::crash::{Crash, Point};
use crate::ldb::generation::Setting;
use crate::ldb::{Ahead, Error, Outcome, Writer};
use crate::replay::{Action, Step};

mod damage;
mod switch;
mod wal;

const TABLE: &str =
    "CREATE TABLE fam___tbl (\"id\" VARCHAR(191), \"n\" INTEGER, PRIMARY KEY(\"id\"));";

fn upsert(id: u8, n: i64) -> String {
    format!("REPLACE INTO fam___tbl (\"id\",\"n\") VALUES('{id}',{n})")
}

/// Texts as steps from the beginning.
fn steps(texts: &[String]) -> Vec<Step> {
    let (mut seq, mut chain) = (Seq::ZERO, Chain::GENESIS);
    let step = |text: &String| {
        seq = seq.next().unwrap();
        let leader_ts = LeaderTs::from_micros(1_700_000_000_000_000);
        let digest = Entry { seq, leader_ts, statement: text.clone() }.digest();
        chain = chain.link(digest);
        let action = match Statement::parse(text).unwrap() {
            Statement::Begin => Action::Begin,
            Statement::Commit => Action::Commit,
            statement => Action::Run(statement),
        };
        let position = Position { history: History::Legacy, seq, digest, chain };
        Step { position, leader_ts, action }
    };
    texts.iter().map(step).collect()
}

fn ahead(more: bool) -> Ahead {
    if more { Ahead::More } else { Ahead::Nothing }
}

fn applied(writer: &Writer) -> usize {
    usize::try_from(writer.standing().position.map_or(0, |own| own.seq.get())).unwrap()
}

fn open(dir: &Path, limits: &LdbLimits, crash: Crash) -> Result<Writer, Error> {
    Writer::open_with(dir, Setting { limits: limits.clone(), crash })
}

/// Applies the rest, a few steps at a time, as a loop does that is started again after each crash.
fn go_on(dir: &Path, steps: &[Step], piece: usize, crash: Crash) -> Result<(), Error> {
    apply_rest(&mut open(dir, &LdbLimits::default(), crash)?, steps, piece)
}

fn apply_rest(writer: &mut Writer, steps: &[Step], piece: usize) -> Result<(), Error> {
    loop {
        let from = applied(writer);
        let to = steps.len().min(from + piece);
        if from == to {
            return Ok(());
        }
        let outcome = writer.apply(&steps[from..to], ahead(to < steps.len()))?;
        assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
    }
}

fn rows(dir: &Path) -> BTreeMap<String, i64> {
    let ldb = reader::Ldb::open(dir).unwrap();
    let Ok(family) = ldb.family("fam") else { return BTreeMap::new() };
    let rows: Vec<(String, i64)> = family
        .all("tbl")
        .unwrap()
        .iter()
        .map(|row| {
            let row = serde_json::to_value(row).unwrap();
            (row["id"].as_str().unwrap().to_owned(), row["n"].as_i64().unwrap())
        })
        .collect();
    rows.into_iter().collect()
}

/// Two tables' worth of everything: single entries, a frame, a frame cut by the pieces, a delete.
fn mixed() -> Vec<String> {
    let mut texts = vec![TABLE.to_owned(), upsert(1, 1), "--- BEGIN".to_owned()];
    texts.extend((0..5).map(|id| upsert(id, 2)));
    texts.extend(["--- COMMIT".to_owned(), "DELETE FROM fam___tbl WHERE \"id\" = '3'".to_owned()]);
    texts.extend([upsert(9, 9), upsert(9, 10)]);
    texts
}

#[test]
fn a_crash_between_any_two_writes_loses_and_repeats_nothing() {
    use Point::{
        BeforeCommit, BeforePosition, Begun, Committed, FileMade, Linked, Locked, Statement,
        TablesMade, Told,
    };
    let steps = steps(&mixed());
    let points = [
        Locked,
        FileMade,
        TablesMade,
        Linked,
        Begun,
        Statement,
        BeforePosition,
        BeforeCommit,
        Committed,
        Told,
    ];
    let mut crashes = 0;
    for piece in [1, 3, 100] {
        for point in points {
            for nth in 0..12 {
                let dir = tempfile::tempdir().unwrap();
                let dir = dir.path();
                match go_on(dir, &steps, piece, Crash::at(point, nth)) {
                    // The point is not passed so often.
                    Ok(()) => break,
                    Err(Error::Crashed(_)) => crashes += 1,
                    Err(error) => panic!("{error}"),
                }
                go_on(dir, &steps, piece, Crash::default()).unwrap();
                let want: BTreeMap<_, _> = [(0, 2), (1, 2), (2, 2), (4, 2), (9, 10)]
                    .map(|(id, n): (u8, i64)| (id.to_string(), n))
                    .into();
                assert_eq!(rows(dir), want, "{point:?} {nth}");
                let position = reader::Ldb::open(dir).unwrap().position().unwrap();
                assert_eq!(position, steps.last().map(|step| step.position), "{point:?} {nth}");
            }
        }
    }
    assert!(crashes > 80, "{crashes}");
}

#[test]
fn after_a_crash_in_a_frame_nothing_of_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    // The third statement of the frame, which comes in pieces.
    let crashed = go_on(dir.path(), &steps, 4, Crash::at(Point::Statement, 4));
    assert!(matches!(crashed, Err(Error::Crashed(Point::Statement))));
    assert_eq!(rows(dir.path()), [("1".to_owned(), 1)].into());
    assert_eq!(reader::Ldb::open(dir.path()).unwrap().seq().unwrap().get(), 2);
}

#[test]
fn a_sequence_that_steps_back_raises_the_incarnation() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
    let ctl = std::fs::File::options().read(true).write(true).open(dir.path().join("ctl")).unwrap();
    let read = |index: usize| {
        let mut bytes = [0; 8];
        ctl.read_exact_at(&mut bytes, u64::try_from(index * 8).unwrap()).unwrap();
        u64::from_le_bytes(bytes)
    };
    assert_eq!((read(word::SEQ), read(word::INCARNATION)), (12, 1));
    go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
    assert_eq!(read(word::INCARNATION), 1, "nothing stepped back");
    // As if a power cut had taken the last transactions.
    ctl.write_all_at(&50_u64.to_le_bytes(), u64::try_from(word::SEQ * 8).unwrap()).unwrap();
    go_on(dir.path(), &steps, 100, Crash::default()).unwrap();
    assert_eq!((read(word::SEQ), read(word::INCARNATION), read(word::GENERATION)), (12, 2, 1));
}

#[test]
fn the_connection_runs_nothing_but_what_replay_needs() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::open(dir.path(), LdbLimits::default()).unwrap();
    let other = dir.path().join("other.db");
    let attach = format!("ATTACH '{}' AS other", other.display());
    for sql in [
        attach.as_str(),
        "CREATE TABLE plain (id)",
        "CREATE TEMP TABLE fam___tbl (id)",
        "CREATE VIEW fam___tbl AS SELECT 1",
        "CREATE TRIGGER fam___tbl AFTER INSERT ON _ldb_seq BEGIN SELECT 1; END",
        "CREATE INDEX fam___tbl ON _ldb_seq (seq)",
        "CREATE VIRTUAL TABLE fam___tbl USING fts5(a)",
        "DROP TABLE plain",
        "PRAGMA journal_mode = delete",
        "PRAGMA writable_schema = on",
        "UPDATE sqlite_schema SET sql = ''",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "VACUUM",
        "SAVEPOINT one",
    ] {
        let outcome = writer.connection.execute_batch(sql);
        assert!(outcome.is_err(), "{sql}");
    }
    writer.connection.execute_batch("CREATE TABLE fam___tbl (id, PRIMARY KEY(id)); ALTER TABLE fam___tbl ADD COLUMN \"n\" INTEGER; DROP TABLE fam___tbl").unwrap();
    assert!(!other.exists());
}

#[test]
fn the_lock_is_the_directorys_and_ends_with_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let first = Writer::open(dir.path(), LdbLimits::default()).unwrap();
    let text = Writer::open(dir.path(), LdbLimits::default()).unwrap_err().to_string();
    let pid = std::process::id().to_string();
    assert!(text.contains(&format!("process {pid}")), "{text}");
    assert_eq!(std::fs::read_to_string(dir.path().join(layout::LOCK)).unwrap().trim(), pid);
    // What a child process has between its fork and its exec: another handle to the same open file.
    let child = first._lock.file.try_clone().unwrap();
    drop(first);
    Writer::open(dir.path(), LdbLimits::default()).unwrap();
    drop(child);
}

/// A crash between the header of a WAL and what follows it.
#[test]
fn readers_can_open_after_a_crash_that_left_the_wal_a_header_only() {
    let dir = tempfile::tempdir().unwrap();
    let wal = dir.path().join("gen-1/ldb.db-wal");
    for steps in [&steps(&mixed())[..2], &steps(&mixed())] {
        let mut writer = Writer::open(dir.path(), LdbLimits::default()).unwrap();
        apply_rest(&mut writer, steps, 100).unwrap();
        let header = std::fs::read(&wal).unwrap()[..32].to_vec();
        drop(writer);
        assert!(std::fs::metadata(&wal).unwrap().len() < 4096, "the WAL is empty");
        let file = std::fs::File::options().write(true).open(&wal).unwrap();
        file.write_all_at(&header, 0).unwrap();
        let seq = reader::Ldb::open(dir.path()).unwrap().seq().unwrap();
        assert_eq!(Some(seq), steps.last().map(|step| step.position.seq));
    }
}

#[test]
fn readers_can_open_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    go_on(dir.path(), &steps(&mixed()), 100, Crash::default()).unwrap();
    for suffix in ["-wal", "-shm"] {
        assert!(dir.path().join(format!("gen-1/ldb.db{suffix}")).exists(), "{suffix}");
    }
    assert_eq!(rows(dir.path()).len(), 5);
}

#[test]
fn a_file_that_cannot_be_written_heals_when_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let steps = steps(&mixed());
    let mut writer = Writer::open(dir.path(), LdbLimits::default()).unwrap();
    writer.apply(&steps[..2], Ahead::Nothing).unwrap();
    // Another process that writes is what a stray command-line tool would be.
    let stray = rusqlite::Connection::open(dir.path().join("ldb.db")).unwrap();
    stray.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(writer.apply(&steps[2..], Ahead::Nothing).is_err());
    stray.execute_batch("ROLLBACK").unwrap();
    writer.heal().unwrap();
    assert_eq!(applied(&writer), 2);
    writer.apply(&steps[2..], Ahead::Nothing).unwrap();
    assert_eq!(rows(dir.path()).len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Poison anywhere: all before its unit is there, nothing of its unit is, and a skip brings the rest.
    #[test]
    fn poison_anywhere_leaves_whole_units(
        sizes in prop::collection::vec(1..5_usize, 1..12),
        place in any::<prop::sample::Index>(),
        piece in 1..30_usize,
    ) {
        let (mut texts, mut units) = (vec![TABLE.to_owned()], Vec::new());
        for (index, size) in sizes.iter().enumerate() {
            let start = texts.len();
            let id = u8::try_from(index).unwrap();
            let rows = (0..*size).map(|n| upsert(id * 8 + u8::try_from(n).unwrap(), 1)).map(|text| Statement::parse(&text).unwrap());
            texts.extend(ledger::framed(rows.collect()).iter().map(ToString::to_string));
            units.push(start..texts.len());
        }
        let upserts: Vec<_> = (0..texts.len()).filter(|index| texts[*index].starts_with("REPLACE")).collect();
        let bad = upserts[place.index(upserts.len())];
        texts[bad] = texts[bad].replace("\"n\"", "\"none\"");
        let mut steps = steps(&texts);
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path(), LdbLimits::default()).unwrap();
        let unit = units.iter().find(|unit| unit.contains(&bad)).unwrap();
        let found = loop {
            let from = applied(&writer);
            let to = steps.len().min(from + piece);
            if let Outcome::Poison { step, why } = writer.apply(&steps[from..to], ahead(to < steps.len())).unwrap() {
                prop_assert!(why.contains("no column named none"), "{}", why);
                break from + step;
            }
        };
        prop_assert_eq!(found, bad);
        prop_assert_eq!(applied(&writer), unit.start);
        prop_assert!(!writer.standing().in_frame);
        let want = texts[..unit.start].iter().filter(|text| text.starts_with("REPLACE")).count();
        prop_assert_eq!(rows(dir.path()).len(), want);

        steps[bad].action = Action::Skip("test".to_owned());
        drop(writer);
        go_on(dir.path(), &steps, piece, Crash::default()).unwrap();
        prop_assert_eq!(rows(dir.path()).len(), upserts.len() - 1);
    }
}

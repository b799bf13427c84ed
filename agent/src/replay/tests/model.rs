//! Random work against a model in memory: what a ledger says is what the LDB holds, at the position that it names, through
//! crashes at any point and restarts, with looks of any size, in hand or not.

use std::collections::BTreeMap;
use std::path::Path;

use ledger::{Position, Seq, Statement};
use proptest::prelude::*;
use rusqlite::Connection;

use super::{Ledger, frame};
use crate::args::LdbLimits;
use crate::ldb::{Ahead, Crash, Error, Point, Setting, Writer};
use crate::replay::decide::decide;
use crate::replay::plan::Then;
use crate::replay::turn::{self, Next};
use crate::source::Limit;

/// One step of the world.
#[derive(Debug, Clone)]
enum Op {
    /// A batch of the ledger.
    Append(Vec<Change>),
    /// A look of so many entries is applied, more in hand or not.
    Look { entries: u32, in_hand: bool },
    /// What is in hand is settled, and what is due is done.
    Rest,
    /// From here on, the process dies when it passes this point for the n-th time.
    Arm(Point, u32),
    /// The process ends in order and starts again.
    Restart,
}

/// One statement, as numbers that can be shrunk.
#[derive(Debug, Clone)]
enum Change {
    Upsert { table: u8, id: u8, n: i64 },
    Delete { table: u8, id: u8 },
    Clear { table: u8 },
    Drop { table: u8 },
    Create { table: u8 },
}

/// Table, to id, to number.
type Content = BTreeMap<String, BTreeMap<String, i64>>;

/// The rows after each entry, which a transaction of the ledger changes at its end only.
struct Model {
    ledger: Ledger,
    tables: Content,
    at: BTreeMap<Seq, (Content, Position)>,
}

fn name(table: u8) -> String {
    format!("fam___tbl{table}")
}

impl Model {
    fn append(&mut self, changes: &[Change]) {
        let texts: Vec<_> = changes.iter().filter_map(|change| self.change(change)).collect();
        // DDL is never framed, so each entry of such a batch can be seen by itself.
        let alone =
            texts.iter().any(|(text, _)| text.starts_with("CREATE") || text.starts_with("DROP"));
        if alone || texts.len() == 1 {
            for (text, after) in texts {
                self.ledger.append(&[text]);
                self.note(after);
            }
        } else if let Some((_, after)) = texts.last().cloned() {
            self.ledger.append(&frame(texts.into_iter().map(|(text, _)| text)));
            self.note(after);
        }
    }

    /// The statement and the rows after it; none if the writer would refuse it.
    fn change(&mut self, change: &Change) -> Option<(String, Content)> {
        let text = match change {
            Change::Create { table } if !self.tables.contains_key(&name(*table)) => {
                self.tables.insert(name(*table), BTreeMap::new());
                format!(
                    "CREATE TABLE {} (\"id\" VARCHAR(191), \"n\" INTEGER, PRIMARY KEY(\"id\"));",
                    name(*table)
                )
            }
            Change::Create { .. } => return None,
            Change::Drop { table } => {
                self.tables.remove(&name(*table))?;
                format!("DROP TABLE IF EXISTS {}", name(*table))
            }
            Change::Upsert { table, id, n } => {
                self.tables.get_mut(&name(*table))?.insert(id.to_string(), *n);
                format!("REPLACE INTO {} (\"id\",\"n\") VALUES('{id}',{n})", name(*table))
            }
            Change::Delete { table, id } => {
                self.tables.get_mut(&name(*table))?.remove(&id.to_string());
                format!("DELETE FROM {} WHERE \"id\" = '{id}'", name(*table))
            }
            Change::Clear { table } => {
                self.tables.get_mut(&name(*table))?.clear();
                format!("DELETE FROM {}", name(*table))
            }
        };
        assert!(Statement::parse(&text).is_ok(), "{text}");
        Some((text, self.tables.clone()))
    }

    fn note(&mut self, after: Content) {
        let last = self.ledger.entries.last().unwrap();
        let (history, digest, chain) = (self.ledger.history, last.digest(), self.ledger.chain);
        let position = Position { history, seq: last.seq, digest, chain };
        self.at.insert(last.seq, (after, position));
    }

    /// The LDB is what the ledger says at the position that the LDB names.
    fn check(&self, dir: &Path) {
        let connection = Connection::open(dir.join("ldb.db")).unwrap();
        let position = reader::meta::position(&connection).unwrap();
        let Some(position) = position else {
            assert_eq!(content(&connection), Content::new());
            return;
        };
        let (rows, want) = self
            .at
            .get(&position.seq)
            .unwrap_or_else(|| panic!("{} is within a transaction of the ledger", position.seq));
        assert_eq!(&position, want);
        assert_eq!(&content(&connection), rows, "at {}", position.seq);
    }
}

fn content(connection: &Connection) -> Content {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'fam%'";
    let mut names = connection.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let rows = |name: &String| {
        let mut rows = connection.prepare(&format!("SELECT id, n FROM {name}")).unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    names.iter().map(|name| (name.clone(), rows(name))).collect()
}

/// The process: its writer, which may be dead.
struct Process<'a> {
    dir: &'a Path,
    crash: Crash,
    writer: Option<Writer>,
}

impl Process<'_> {
    fn start(&mut self) {
        self.writer = None;
        let limits = LdbLimits { wal_soft_limit: 1 << 16, ..LdbLimits::default() };
        let setting = Setting { limits, crash: self.crash.clone() };
        match Writer::open_with(self.dir, setting) {
            Ok(writer) => self.writer = Some(writer),
            Err(Error::Crashed(_)) => {
                self.crash = Crash::default();
                self.start();
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn look(&mut self, ledger: &Ledger, entries: u32, in_hand: bool) {
        let Some(writer) = &mut self.writer else { return };
        let standing = writer.standing();
        let fetched = ledger.fetched(standing.position, Limit { entries, bytes: 1 << 20 });
        let plan = decide(standing, &fetched);
        let ahead = match (&plan.then, in_hand) {
            (Then::More, true) => Ahead::InHand,
            (Then::More, false) => Ahead::More,
            (Then::Idle, _) => Ahead::Nothing,
            (Then::Stop(stop), _) => panic!("{stop}"),
        };
        let next = turn::apply(writer, &plan, ahead).next;
        assert!(!matches!(next, Ok(Next::Stop(_))), "{next:?}");
    }

    /// Starts again when it died.
    fn revive(&mut self) {
        if self.crash.is_over() {
            self.crash = Crash::default();
            self.start();
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let table = || 0..3_u8;
    prop_oneof![
        8 => (table(), 0..6_u8, any::<i64>()).prop_map(|(table, id, n)| Change::Upsert { table, id, n }),
        2 => (table(), 0..6_u8).prop_map(|(table, id)| Change::Delete { table, id }),
        1 => table().prop_map(|table| Change::Clear { table }),
        1 => table().prop_map(|table| Change::Drop { table }),
        3 => table().prop_map(|table| Change::Create { table }),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    use Point::{
        Backfilled, BeforeCommit, BeforePosition, Begun, Committed, Cut, Locked, Nudged, Statement,
        Told,
    };
    let points = vec![
        Locked,
        Begun,
        Statement,
        BeforePosition,
        BeforeCommit,
        Committed,
        Told,
        Nudged,
        Backfilled,
        Cut,
    ];
    prop_oneof![
        6 => prop::collection::vec(change(), 1..8).prop_map(Op::Append),
        6 => (2..12_u32, any::<bool>()).prop_map(|(entries, in_hand)| Op::Look { entries, in_hand }),
        1 => Just(Op::Rest),
        3 => (prop::sample::select(points), 0..4_u32).prop_map(|(point, nth)| Op::Arm(point, nth)),
        1 => Just(Op::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn position_and_rows_always_agree(ops in prop::collection::vec(op(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut model = Model { ledger: Ledger::new(), tables: Content::new(), at: BTreeMap::new() };
        let mut process = Process { dir: dir.path(), crash: Crash::default(), writer: None };
        process.start();
        for op in ops {
            match op {
                Op::Append(changes) => model.append(&changes),
                Op::Look { entries, in_hand } => process.look(&model.ledger, entries, in_hand),
                Op::Rest => {
                    if let Some(writer) = &mut process.writer {
                        drop(turn::settle(writer));
                        writer.tidy();
                    }
                }
                Op::Arm(point, nth) => {
                    process.crash = Crash::at(point, nth);
                    // A start takes the new point along; what was open is gone, as in a stop.
                    process.start();
                }
                Op::Restart => process.start(),
            }
            model.check(dir.path());
            process.revive();
            model.check(dir.path());
        }
        process.crash = Crash::default();
        process.start();
        for _ in 0..1000 {
            process.look(&model.ledger, 10, false);
        }
        let writer = process.writer.as_ref().unwrap();
        prop_assert_eq!(writer.position.map_or(Seq::ZERO, |own| own.seq), model.ledger.head());
        model.check(dir.path());
    }
}

//! A program that keeps the keys of all rows in memory, by following.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::ledger::Seq;
use reader::Ldb;
use reader::changes::{Change, Changes, Event, Follow, Op};

/// Table to its keys.
pub(crate) type Keys = BTreeMap<String, BTreeSet<String>>;

/// What the LDB has.
pub(crate) fn keys_of(ldb: &Ldb) -> Keys {
    let mut keys = Keys::new();
    for name in ldb.families().unwrap() {
        let family = ldb.family(name.as_str()).unwrap();
        for table in family.tables().unwrap() {
            let schema = family.schema(table.as_str()).unwrap();
            let rows = family.all(table.as_str()).unwrap();
            let key = |row: &reader::Row| {
                let part = |name: &::ledger::ColumnName| row.get(name.as_str()).unwrap().clone();
                format!("{:?}", schema.key().iter().map(part).collect::<Vec<_>>())
            };
            keys.insert(format!("{name}.{table}"), rows.iter().map(key).collect());
        }
    }
    keys
}

/// Where changes come from.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    File(PathBuf),
    Socket,
}

pub(crate) struct Follower {
    ldb: PathBuf,
    way: Way,
    changes: Option<Changes>,
    keys: Keys,
    /// Up to here the keys are told.
    pub(crate) seq: Seq,
    pub(crate) reloads: u32,
    pub(crate) told: u32,
}

impl Follower {
    pub(crate) fn new(ldb: &Path, way: Way) -> Self {
        let (ldb, keys) = (ldb.to_owned(), Keys::new());
        let mut follower =
            Self { ldb, way, changes: None, keys, seq: Seq::ZERO, reloads: 0, told: 0 };
        follower.load();
        follower
    }

    /// Ends following, to go on later from what it kept.
    pub(crate) fn pause(&mut self) {
        self.changes = None;
    }

    /// Takes what comes within this time.
    pub(crate) fn follow(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            let Some(changes) = self.changes() else {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            match changes.next_within(left).unwrap() {
                Some(event) => self.take(event),
                None => return,
            }
        }
    }

    /// Follows until the keys are those of the LDB at this sequence.
    pub(crate) fn catches_up(&mut self, to: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.seq.get() < to {
            assert!(Instant::now() < deadline, "it is at {} and not at {to}", self.seq);
            self.follow(Duration::from_millis(20));
        }
        let ldb = Ldb::open(&self.ldb).unwrap();
        assert_eq!(ldb.seq().unwrap().get(), to);
        assert_eq!(self.keys, keys_of(&ldb), "at {to}, by {:?}", self.way);
    }

    fn changes(&mut self) -> Option<&mut Changes> {
        if self.changes.is_none() {
            let follow = match &self.way {
                Way::File(path) => Follow::file(path),
                Way::Socket => Follow::socket(self.ldb.join(reader::layout::SOCKET)),
            };
            // The agent may be down just now.
            self.changes = follow.after(self.seq).open().ok();
        }
        self.changes.as_mut()
    }

    fn load(&mut self) {
        let ldb = Ldb::open(&self.ldb).unwrap();
        self.seq = ldb.seq().unwrap();
        self.keys = keys_of(&ldb);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Reload { from } => {
                self.reloads += 1;
                self.load();
                // What comes next is told from there.
                self.seq = from.unwrap();
            }
            Event::Position(seq) => {
                assert!(seq >= self.seq, "back from {} to {seq}", self.seq);
                self.seq = seq;
            }
            Event::Change(change) => {
                let seq = change.seq.unwrap();
                assert!(seq >= self.seq, "back from {} to {change:?}", self.seq);
                // What is told is there.
                let there = Ldb::open(&self.ldb).unwrap().seq().unwrap();
                assert!(there >= seq, "{change:?} is told, and the LDB is at {there}");
                self.told += 1;
                self.seq = seq;
                self.apply(&change);
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        let (table, key) =
            (format!("{}.{}", change.family, change.table), format!("{:?}", change.key_values()));
        match change.op {
            Op::Upsert => {
                self.keys.entry(table).or_default().insert(key);
            }
            Op::Delete => {
                self.keys.entry(table).or_default().remove(&key);
            }
            Op::Clear | Op::Create => {
                self.keys.insert(table, BTreeSet::new());
            }
            Op::Drop => {
                self.keys.remove(&table);
            }
            Op::AddColumn => {}
            other => panic!("{other:?} in {change:?}"),
        }
    }
}

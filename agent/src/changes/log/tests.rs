//! Crashes between any two writes: what the next process makes of what it finds.

use std::path::PathBuf;

use ledger::{Chain, Digest, History, LeaderTs};

use super::*;
use crate::changes::Op;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("change.log")
    }

    /// A process that begins with the LDB here.
    fn open(&self, at: u64) -> Log {
        let mut log = Log::new(&self.path(), 1 << 20, 4);
        log.open(position(at)).unwrap();
        log
    }

    /// Of all files: sequences, `R` before that of a reload and `S` before that of a start.
    fn told(&self) -> Vec<String> {
        let mut files: Vec<_> =
            (1..10).map(|number| self.path().with_extension(format!("log.{number}"))).collect();
        files.push(self.path());
        let texts = files.iter().filter_map(|file| std::fs::read_to_string(file).ok());
        let lines: Vec<_> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        let told = lines.iter().map(|line| {
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else {
                return "cut".to_owned();
            };
            let mark = match line["op"].as_str().unwrap() {
                "start" => "S",
                "reload" => "R",
                "position" => "P",
                _ => "",
            };
            format!("{mark}{}", line["seq"])
        });
        told.collect()
    }
}

fn position(seq: u64) -> Option<Mark> {
    let (history, chain) = (History::Legacy, Chain::GENESIS);
    let digest = Digest::from_bytes([u8::try_from(seq).unwrap(); 32]);
    let seq = Seq::new(seq).unwrap();
    (seq != Seq::ZERO).then(|| ledger::Position { history, seq, digest, chain }.mark())
}

fn change(seq: u64) -> Change {
    let table =
        crate::changes::change::tests::table("fam___tbl", &[("n", ledger::ColumnType::Integer)]);
    let key = vec![Value::Integer(seq.try_into().unwrap())];
    Change { seq: Seq::new(seq).unwrap(), at: LeaderTs::UNKNOWN, op: Op::Upsert, table, key }
}

fn prepare(log: &mut Log, seqs: &[u64], end: u64) {
    seqs.iter().for_each(|seq| log.add(&change(*seq)).unwrap());
    log.prepare(&position(end).unwrap()).unwrap();
}

fn apply(log: &mut Log, seqs: &[u64], end: u64) {
    prepare(log, seqs, end);
    log.commit().unwrap();
}

#[test]
fn what_was_committed_and_not_told_is_told_by_the_next_process() {
    let place = Place::new();
    let mut log = place.open(0);
    apply(&mut log, &[1], 1);
    prepare(&mut log, &[3, 4], 5);
    drop(log);
    assert_eq!(place.told(), ["S0", "S0", "1"]);
    let mut log = place.open(5);
    assert_eq!(place.told(), ["S0", "S0", "1", "3", "4", "P5"]);
    apply(&mut log, &[6], 6);
    drop(log);
    // Told whole: nothing is repeated.
    drop(place.open(6));
    drop(place.open(6));
    assert_eq!(place.told(), ["S0", "S0", "1", "3", "4", "P5", "6"]);
}

#[test]
fn what_was_not_committed_is_not_told() {
    let place = Place::new();
    let mut log = place.open(0);
    apply(&mut log, &[1], 1);
    prepare(&mut log, &[2], 2);
    drop(log);
    let mut log = place.open(1);
    assert_eq!(place.told(), ["S0", "S0", "1"]);
    apply(&mut log, &[2], 2);
    log.add(&change(3)).unwrap();
    log.undo();
    apply(&mut log, &[4], 4);
    assert_eq!(place.told(), ["S0", "S0", "1", "2", "4"]);
}

#[test]
fn half_a_line_ends_its_file_and_is_told_whole_in_the_next() {
    let place = Place::new();
    let mut log = place.open(0);
    apply(&mut log, &[1], 1);
    prepare(&mut log, &[2, 3], 3);
    drop(log);
    let whole = std::fs::read(place.path()).unwrap();
    let line = serde_json::to_vec(&change(2)).unwrap();
    std::fs::write(place.path(), [whole, line[..20].to_vec()].concat()).unwrap();
    drop(place.open(3));
    assert_eq!(place.told(), ["S0", "S0", "1", "cut", "S1", "2", "3"]);
}

#[test]
fn an_ldb_and_a_log_that_do_not_fit_together_mean_reload() {
    for at in [1, 3] {
        let place = Place::new();
        let mut log = place.open(0);
        apply(&mut log, &[1], 1);
        apply(&mut log, &[2], 2);
        drop(log);
        drop(place.open(at));
        let (start, reload) = (format!("S{at}"), format!("R{at}"));
        let want = ["S0", "S0", "1", "2", &start, &reload];
        assert_eq!(place.told(), want);
    }
    let place = Place::new();
    std::fs::write(place.path(), "of somebody else\n").unwrap();
    drop(place.open(7));
    assert_eq!(place.told(), ["cut", "S7", "R7"]);
}

#[test]
fn a_transaction_larger_than_memory_and_files_is_told_whole() {
    let place = Place::new();
    let mut log = Log::new(&place.path(), 256 << 10, 100);
    log.open(None).unwrap();
    // A u8 names the position.
    let seqs: Vec<u64> = (1..=5000).collect();
    seqs.iter().for_each(|seq| log.add(&change(*seq)).unwrap());
    log.prepare(&position(200).unwrap()).unwrap();
    assert!(std::fs::metadata(place.path().with_extension("log.pending")).unwrap().len() > 400_000);
    log.commit().unwrap();
    let numbers = place.told().into_iter().filter(|told| !told.starts_with(['S', 'P']));
    assert_eq!(numbers.collect::<Vec<_>>(), seqs.iter().map(u64::to_string).collect::<Vec<_>>());
}

#[test]
fn rows_that_one_entry_deletes_are_all_told_after_a_crash_among_them() {
    let place = Place::new();
    let mut log = place.open(0);
    apply(&mut log, &[1], 1);
    let row = |number| Change { key: vec![Value::Integer(number)], op: Op::Delete, ..change(3) };
    log.add(&change(2)).unwrap();
    (0..3).for_each(|number| log.add(&row(number)).unwrap());
    log.prepare(&position(3).unwrap()).unwrap();
    log.commit().unwrap();
    drop(log);
    // Only the first of them was written.
    let text = std::fs::read_to_string(place.path()).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6);
    std::fs::write(place.path(), lines[..4].concat()).unwrap();
    drop(place.open(3));
    assert_eq!(place.told(), ["S0", "S0", "1", "2", "3", "3", "3", "3"]);
    drop(place.open(3));
    assert_eq!(place.told().len(), 8, "told whole: nothing is repeated");
}

#[test]
fn a_crash_while_a_file_is_begun_is_no_reason_to_reload() {
    let place = Place::new();
    let mut log = place.open(0);
    apply(&mut log, &[1], 1);
    prepare(&mut log, &[2], 2);
    drop(log);
    std::fs::rename(place.path(), place.path().with_extension("log.2")).unwrap();
    drop(place.open(2));
    assert_eq!(place.told(), ["S0", "S0", "1", "S1", "2"]);
}

#[test]
fn an_ldb_whose_sequence_stepped_back_means_reload_wherever_it_stands() {
    let place = Place::new();
    let open = |at, incarnation| {
        let mut log = Log::new(&place.path(), 1 << 20, 9);
        log.runs(incarnation);
        log.open(position(at)).unwrap();
        log
    };
    let mut log = open(0, 1);
    apply(&mut log, &[1], 1);
    log.restart(position(1), "for once").unwrap();
    apply(&mut log, &[2], 2);
    drop(log);
    drop(open(2, 1));
    assert_eq!(place.told(), ["S0", "S0", "1", "S1", "R1", "2"]);
    // The same sequence, and perhaps other entries.
    let mut log = open(2, 2);
    assert_eq!(place.told()[6..], ["S2", "R2"]);
    // Known only later: a file has one epoch.
    log.runs(3);
    apply(&mut log, &[3], 3);
    assert_eq!(place.told()[8..], ["S2", "3"]);
    let text = std::fs::read_to_string(place.path()).unwrap();
    assert!(text.contains(r#""epoch":"legacy.3""#), "{text}");
}

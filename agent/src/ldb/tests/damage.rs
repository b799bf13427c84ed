//! A file that is bad: found or harmless, and made anew from the ledger.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ledger::Seq;

use crate::args::LdbLimits;
use crate::ldb::crash::Crash;
use crate::ldb::tests::{TABLE, applied, apply_rest, go_on, open, steps, upsert};
use crate::ldb::{Condition, Writer};
use crate::replay::Step;

/// Two levels of a tree, rows on pages of their own, and free pages.
fn texts() -> Vec<String> {
    let big = "CREATE TABLE fam___big (\"id\" VARCHAR(191), \"text\" TEXT, PRIMARY KEY(\"id\"));";
    let gone = "CREATE TABLE fam___gone (\"id\" VARCHAR(191), \"text\" TEXT, PRIMARY KEY(\"id\"));";
    let row = |table: &str, n: u8, size: usize| {
        let text = char::from(b'a' + n % 26).to_string().repeat(size);
        format!("REPLACE INTO fam___{table} (\"id\",\"text\") VALUES('{n}','{text}')")
    };
    let mut texts = vec![TABLE.to_owned(), big.to_owned(), gone.to_owned()];
    texts.extend((0..200).map(|n| upsert(n, i64::from(n))));
    texts.extend((0..60).map(|n| row("big", n, 700)));
    texts.extend((60..64).map(|n| row("big", n, 20_000)));
    texts.extend((0..20).map(|n| row("gone", n, 3000)));
    texts.push("DROP TABLE IF EXISTS fam___gone".to_owned());
    texts
}

type Rows = BTreeMap<String, String>;

/// Every value of every row, or why it cannot be read.
fn content(file: &Path) -> rusqlite::Result<Rows> {
    let connection = rusqlite::Connection::open(file)?;
    let mut rows = Rows::new();
    for table in ["fam___tbl", "fam___big"] {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let values: Vec<rusqlite::types::Value> =
                (0..2).map(|i| row.get(i)).collect::<Result<_, _>>()?;
            rows.insert(format!("{table} {:?}", values[0]), format!("{:?}", values[1]));
        }
    }
    Ok(rows)
}

fn flip(file: &Path, offset: u64) {
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 0x21], offset).unwrap();
}

/// Starts on what is there and replays; the writer, sound in the end.
fn heal(dir: &Path, steps: &[Step]) -> Writer {
    let mut writer = open(dir, &LdbLimits::default(), Crash::default()).unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while writer.health().condition != Condition::Sound || applied(&writer) < steps.len() {
        assert!(std::time::Instant::now() < end, "{:?}", writer.health());
        if apply_rest(&mut writer, steps, 100).is_err() {
            drop(writer.heal());
        }
        writer.tidy();
    }
    writer
}

/// Which pages are what, as SQLite's file format says.
fn pages(file: &Path) -> BTreeMap<&'static str, Vec<u64>> {
    let bytes = std::fs::read(file).unwrap();
    let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut free = vec![word(32)];
    let trunk = usize::try_from((word(32) - 1) * 4096).unwrap();
    free.extend((0..word(trunk + 4)).map(|n| word(trunk + 8 + 4 * usize::try_from(n).unwrap())));
    let mut pages = BTreeMap::<_, Vec<u64>>::from([("header", vec![0]), ("schema", vec![100])]);
    for (number, page) in bytes.chunks(4096).enumerate().skip(1) {
        let is_free = free.contains(&u32::try_from(number + 1).unwrap());
        let kind = match page[0] {
            _ if is_free => "freelist",
            2 | 5 => "interior",
            10 | 13 => "leaf",
            _ => "overflow",
        };
        pages.entry(kind).or_default().push(u64::try_from(number * 4096).unwrap());
    }
    pages
}

#[test]
fn a_flipped_bit_in_any_kind_of_page_is_found_or_harmless() {
    let steps = steps(&texts());
    let base = tempfile::tempdir().unwrap();
    go_on(base.path(), &steps, 1000, Crash::default()).unwrap();
    let file = base.path().join("gen-1/ldb.db");
    let (want, whole) = (content(&file).unwrap(), std::fs::read(&file).unwrap());
    let (mut rebuilt, mut harmless) = (BTreeMap::new(), 0);
    let pages = pages(&file);
    assert_eq!(pages.len(), 6, "{pages:?}");
    for (kind, offsets) in pages {
        let places = [0_u64, 1, 3, 5, 8, 18, 21, 28, 40, 61, 97, 4000];
        let page = |n: usize| offsets[n % offsets.len()];
        for (n, place) in
            places.into_iter().enumerate().filter(|(_, place)| kind != "schema" || *place < 3900)
        {
            let dir = tempfile::tempdir().unwrap();
            go_on(dir.path(), &steps[..1], 1, Crash::default()).unwrap();
            drop(std::fs::remove_file(dir.path().join(".clean")));
            let file = dir.path().join("gen-1/ldb.db");
            std::fs::write(&file, &whole).unwrap();
            for beside in ["-wal", "-shm"] {
                std::fs::write(dir.path().join(format!("gen-1/ldb.db{beside}")), "").unwrap();
            }
            flip(&file, page(n) + place);
            let writer = heal(dir.path(), &steps);
            let generation = writer.health().generation;
            drop(writer);
            let have = content(&dir.path().join("current/ldb.db")).unwrap();
            if generation == 1 {
                harmless += 1;
                // Without a checksum SQLite cannot tell a value from another.
                let same = have.iter().filter(|(key, value)| want.get(*key) == Some(value)).count();
                assert!(same + 1 >= want.len() && have.len() <= want.len(), "{kind} {place}");
            } else {
                *rebuilt.entry(kind).or_insert(0) += 1;
                assert!(have == want, "{kind} {place}");
            }
        }
    }
    for kind in ["header", "schema", "interior", "leaf", "overflow", "freelist"] {
        let found = rebuilt.get(kind).copied().unwrap_or(0);
        assert!(
            found > 0 || kind == "overflow" || kind == "schema",
            "no flip in {kind} was found: {rebuilt:?}, {harmless} harmless"
        );
    }
}

#[test]
fn a_flipped_bit_in_the_wal_cuts_it_there() {
    let steps = steps(&texts());
    let base = tempfile::tempdir().unwrap();
    let mut writer = open(base.path(), &LdbLimits::default(), Crash::default()).unwrap();
    apply_rest(&mut writer, &steps, 20).unwrap();
    let wal = std::fs::read(base.path().join("gen-1/ldb.db-wal")).unwrap();
    let database = std::fs::read(base.path().join("gen-1/ldb.db")).unwrap();
    assert!(wal.len() > 100_000);
    let want = content(&base.path().join("gen-1/ldb.db")).unwrap();
    for place in [0, 5, 20, 33, 40, 60, 5000, wal.len() / 3, wal.len() / 2, wal.len() - 5000] {
        let dir = tempfile::tempdir().unwrap();
        go_on(dir.path(), &steps[..1], 1, Crash::default()).unwrap();
        drop(std::fs::remove_file(dir.path().join(".clean")));
        let file = dir.path().join("gen-1/ldb.db");
        std::fs::write(&file, &database).unwrap();
        std::fs::write(dir.path().join("gen-1/ldb.db-wal"), &wal).unwrap();
        std::fs::write(dir.path().join("gen-1/ldb.db-shm"), "").unwrap();
        flip(&dir.path().join("gen-1/ldb.db-wal"), u64::try_from(place).unwrap());
        drop(heal(dir.path(), &steps));
        assert!(content(&dir.path().join("current/ldb.db")).unwrap() == want, "{place}");
    }
}

/// While it is served: SQLite finds it when it comes there.
#[test]
fn damage_that_shows_while_applying_is_healed_and_readers_keep_what_is_good() {
    let steps = steps(&texts());
    let dir = tempfile::tempdir().unwrap();
    go_on(dir.path(), &steps[..250], 1000, Crash::default()).unwrap();
    let mut writer = open(dir.path(), &LdbLimits::default(), Crash::default()).unwrap();
    let ldb = reader::Ldb::open(dir.path()).unwrap();
    for (kind, offsets) in pages_of_leafs(&dir.path().join("gen-1/ldb.db")) {
        assert_eq!(kind, "leaf");
        for offset in offsets {
            flip(&dir.path().join("gen-1/ldb.db"), offset);
        }
    }
    let mut texts = texts();
    texts.extend((0..200).map(|n| upsert(n, i64::from(n) + 1000)));
    let steps = super::steps(&texts);
    let mut was_rebuilding = false;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while applied(&writer) < steps.len() || writer.health().condition != Condition::Sound {
        assert!(std::time::Instant::now() < end, "{:?}", writer.health());
        if apply_rest(&mut writer, &steps, 50).is_err() {
            drop(writer.heal());
            was_rebuilding |= writer.health().condition == Condition::Rebuilding;
            // It steps back for nobody.
            assert!(ldb.seq().unwrap() >= Seq::try_from(250_u64).unwrap());
        }
        writer.tidy();
    }
    assert!(was_rebuilding);
    assert_eq!(writer.health().generation, 2);
    assert_eq!(ldb.seq().unwrap().get(), u64::try_from(steps.len()).unwrap());
}

fn pages_of_leafs(file: &Path) -> BTreeMap<&'static str, Vec<u64>> {
    let mut pages = pages_without_free(file);
    // Those of our own books stay readable: they come first.
    pages.retain(|offset| *offset > 4 * 4096);
    BTreeMap::from([("leaf", pages)])
}

fn pages_without_free(file: &Path) -> Vec<u64> {
    let bytes = std::fs::read(file).unwrap();
    let leafs =
        bytes.chunks(4096).enumerate().skip(1).filter(|(_, page)| matches!(page[0], 10 | 13));
    leafs.map(|(number, _)| u64::try_from(number * 4096).unwrap()).collect()
}

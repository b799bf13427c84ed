//! A process that has stopped reading. In a binary of its own, which has no LDB open but this one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in its helpers")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use reader::Ldb;
use reader::layout::{CTL, CURRENT, word};
use reader::testing::LdbBuilder;

/// The files of an LDB that this process has open.
fn open_files(dir: &Path) -> Vec<String> {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let links = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    let ours = links.filter(|file| file.starts_with(dir));
    ours.map(|file| file.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_process_that_reads_no_more_lets_go_of_a_replaced_file() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, other) = (folder.path().join("ldb"), folder.path().join("other"));
    LdbBuilder::new().build(&dir).unwrap();
    LdbBuilder::new().build(&other).unwrap();
    let ldb = Ldb::open(&dir).unwrap();
    assert!(!open_files(&dir).is_empty());

    // As an agent does it.
    fs::rename(other.join("gen-1"), dir.join("gen-2")).unwrap();
    symlink("gen-2", dir.join("next")).unwrap();
    fs::rename(dir.join("next"), dir.join(CURRENT)).unwrap();
    let ctl = File::options().write(true).open(dir.join(CTL)).unwrap();
    let place = u64::try_from(8 * word::GENERATION).unwrap();
    ctl.write_all_at(&2_u64.to_le_bytes(), place).unwrap();
    drop(ctl);

    // Nobody reads, and no view is open any more.
    let start = Instant::now();
    while !open_files(&dir).is_empty() {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", open_files(&dir));
        std::thread::sleep(Duration::from_millis(50));
    }
    ldb.seq().unwrap();
    assert!(open_files(&dir).iter().all(|file| file.contains("/gen-2/")), "{:?}", open_files(&dir));
}

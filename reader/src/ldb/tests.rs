//! Which connections are kept, and which are let go.

use std::os::unix::fs::{FileExt, symlink};

use super::*;
use crate::layout::word;
use crate::testing::TestLdb;

fn serve(test: &TestLdb, generation: u64, with_file: bool) {
    let name = crate::layout::generation_dir(generation);
    if with_file {
        std::fs::create_dir(test.dir().join(&name)).unwrap();
        let file = test.dir().join(&name).join(LDB);
        test.sql(&format!("VACUUM INTO '{}'", file.display())).unwrap();
    }
    symlink(&name, test.dir().join("next")).unwrap();
    std::fs::rename(test.dir().join("next"), test.dir().join(CURRENT)).unwrap();
    let ctl = std::fs::File::options().write(true).open(test.dir().join(CTL)).unwrap();
    let offset = u64::try_from(word::GENERATION * 8).unwrap();
    ctl.write_all_at(&generation.to_le_bytes(), offset).unwrap();
}

fn idle(ldb: &Ldb) -> Vec<u64> {
    ldb.idle().iter().map(|session| session.generation).collect()
}

#[test]
fn no_connection_to_a_replaced_file_is_kept() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    // As many reads at once need as many connections.
    let mut lent: Vec<_> = (0..3).map(|_| ldb.session().unwrap()).collect();
    ldb.give_back(lent.pop().unwrap());
    ldb.give_back(lent.pop().unwrap());
    assert_eq!(idle(&ldb), [1, 1]);

    serve(&test, 2, true);
    assert_eq!(ldb.seq().unwrap().get(), 0);
    assert_eq!(idle(&ldb), [2]);
    ldb.give_back(lent.pop().unwrap());
    assert_eq!(idle(&ldb), [2]);
}

#[test]
fn no_read_goes_back_behind_a_generation_that_answered() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let before = ldb.session().unwrap();
    serve(&test, 2, true);
    let after = ldb.session().unwrap();
    // A race could leave it there.
    ldb.idle().push(before);
    serve(&test, 3, false);
    assert!(ldb.session().is_err());
    ldb.give_back(after);
    assert_eq!(ldb.session().unwrap().generation, 2);
}

#[test]
fn a_connection_that_failed_in_its_transaction_is_not_kept() {
    let test = TestLdb::new().unwrap();
    let ldb = Ldb::open(test.dir()).unwrap();
    let mut broken = ldb.session().unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        broken.view::<()>(|_| panic!("in the middle")).ok();
    }));
    assert!(panicked.is_err() && !broken.is_idle());
    ldb.give_back(broken);
    assert!(idle(&ldb).is_empty());
}

//! A point read: a row by its key, of which two columns are looked at. The same for all contenders.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reader::{Family, Ldb};

use crate::ldb::node::{FAMILY, ROWS, TABLE, key};
use crate::ldb::raw::{Mode, Raw};

/// Something that reads points.
pub(crate) trait Point {
    /// The length of the row's text plus the row's number, so that nobody can leave out the read.
    fn read(&mut self, key: &str) -> Result<u64>;
}

/// The crate `reader`.
pub(crate) struct Reader(Family);

impl Reader {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        Ok(Self(Ldb::open(dir)?.family(FAMILY)?))
    }
}

impl Point for Reader {
    fn read(&mut self, key: &str) -> Result<u64> {
        let found = self.0.with_row(TABLE, &[key.into()], |row| {
            let (text, number) = (row.str(1)?.len(), row.integer(2)?);
            Ok::<_, reader::Error>(sum(text, number))
        })?;
        Ok(found.context("no row")??)
    }
}

/// The contender of this name, except for LMDB, which keeps no LDB.
pub(crate) fn open(contender: &str, dir: &Path) -> Result<Box<dyn Point>> {
    Ok(match contender {
        READER => Box::new(Reader::open(dir)?),
        RAW_IN_TRANSACTION => Box::new(Raw::open(dir, Mode::InTransaction)?),
        RAW_AUTOCOMMIT => Box::new(Raw::open(dir, Mode::Autocommit)?),
        other => bail!("BUG: no contender is called {other:?}"),
    })
}

pub(crate) const READER: &str = "reader";
pub(crate) const RAW_IN_TRANSACTION: &str = "raw C API, one transaction";
pub(crate) const RAW_AUTOCOMMIT: &str = "raw C API, autocommit";
pub(crate) const LMDB: &str = "LMDB, one transaction";

/// What a read returns.
pub(crate) fn sum(text: usize, number: i64) -> u64 {
    u64::try_from(text).unwrap_or_default() + u64::try_from(number).unwrap_or_default()
}

/// Keys of rows in random order, the same ones each time.
pub(crate) fn keys() -> Vec<String> {
    let mut random = StdRng::seed_from_u64(11);
    (0..ROWS).map(|_| key(random.random_range(0..ROWS))).collect()
}

/// How long each of so many reads takes, after a tenth as many that are not counted. Sorted.
pub(crate) fn times(point: &mut dyn Point, reads: usize) -> Result<Vec<Duration>> {
    let keys = keys();
    let mut times = Vec::with_capacity(reads);
    let mut total = 0;
    for (index, key) in keys.iter().cycle().take(reads + reads / 10).enumerate() {
        let start = Instant::now();
        total += point.read(key)?;
        let time = start.elapsed();
        if index >= reads / 10 {
            times.push(time);
        }
    }
    if total == 0 {
        bail!("nothing was read");
    }
    times.sort_unstable();
    Ok(times)
}

/// The time that so many of a thousand reads keep, in nanoseconds. `times` is sorted.
pub(crate) fn nanos(times: &[Duration], of_thousand: usize) -> f64 {
    let time = times.get(times.len() * of_thousand / 1000).or(times.last());
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e9)
}

//! Plain SQLite clients, by the rules of docs/reading.md and, in [`keep`], against one of them.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::Task;
use crate::seen::{Pair, Seen, age};

/// No code that passes by itself does so for longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Keeps a read transaction open for `time` seconds, then reads on from the file that is served then.
pub(crate) fn hold(task: &Task) -> Seen {
    let (mut seen, mut last) = (Seen::default(), 0);
    while !task.is_over() {
        match hold_once(task) {
            Ok((first, second)) => {
                seen.answer(first, &mut last);
                seen.answer(second, &mut last);
                // It is one state, however long it is looked at.
                seen.torn += u64::from(first != second);
            }
            Err(error) => seen.failure(&error),
        }
    }
    seen
}

fn hold_once(task: &Task) -> Result<(Pair, Pair), rusqlite::Error> {
    let (connection, first) = patiently(|| {
        let connection = open(task)?;
        connection.execute_batch("BEGIN")?;
        let first = pair(&connection, task)?;
        Ok((connection, first))
    })?;
    // The test stops the process when it reads this.
    let _ = writeln!(std::io::stdout(), "holding");
    task.sleep(Duration::from_secs(task.time));
    let second = pair(&connection, task)?;
    connection.execute_batch("COMMIT")?;
    Ok((first, second))
}

/// Reads every `time` milliseconds through a connection that stays, until it is told by an error that its file is retired.
pub(crate) fn keep(task: &Task) -> Seen {
    let mut seen = Seen::default();
    while !task.is_over() {
        let connection = match patiently(|| open(task)) {
            Ok(connection) => connection,
            Err(error) => {
                seen.failure(&error);
                continue;
            }
        };
        let mut last = 0;
        while !task.is_over() {
            let answer = patiently(|| pair(&connection, task));
            match answer {
                Ok(found) => {
                    seen.answer(found, &mut last);
                    seen.oldest = seen.oldest.max(age(found.left.1));
                }
                Err(error) if error.to_string().contains("no such table") => {
                    seen.told += 1;
                    break;
                }
                Err(error) => {
                    seen.failure(&error);
                    break;
                }
            }
            task.sleep(Duration::from_millis(task.time));
        }
    }
    seen
}

fn open(task: &Task) -> Result<Connection, rusqlite::Error> {
    let file = task.dir.join("current/ldb.db");
    let uri = format!("file:{}?mode=ro&readonly_shm=1", file.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

fn pair(connection: &Connection, task: &Task) -> Result<Pair, rusqlite::Error> {
    let sql = format!("SELECT n, at FROM {}___pairs WHERE pair = 0 ORDER BY side", task.family);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut next = || rows.next().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Pair { left: next()?, right: next()? })
}

/// Again after each code that passes by itself.
fn patiently<T>(
    mut work: impl FnMut() -> Result<T, rusqlite::Error>,
) -> Result<T, rusqlite::Error> {
    let (started, mut pause) = (Instant::now(), Duration::ZERO);
    loop {
        match work() {
            Err(error) if passes(&error) && started.elapsed() < PATIENCE => {
                thread::sleep(pause);
                pause = (pause * 2).clamp(Duration::from_millis(1), Duration::from_millis(50));
            }
            outcome => return outcome,
        }
    }
}

fn passes(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failed| match failed.extended_code {
        264 | 1288 => true,
        code => matches!(code & 0xff, 5 | 14 | 15),
    })
}

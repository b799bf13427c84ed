//! Applies steps: as many as come in a short time in one transaction, transactions of the ledger kept whole, and the
//! position stored in the same transaction.

use std::time::{Duration, Instant};

use ledger::{LeaderTs, Position};
use rusqlite::{ErrorCode, params};

use crate::ldb::crash::Point;
use crate::ldb::unit::{Unit, units};
use crate::ldb::{Error, Writer, bind};
use crate::replay::{Action, Standing, Step};

/// What one transaction takes; a unit is never cut.
#[derive(Clone, Copy)]
struct Most {
    steps: usize,
    time: Duration,
}

/// Near the end of the ledger: readers see entries soon.
const NEAR: Most = Most { steps: 1000, time: Duration::from_millis(20) };
/// Far behind it, nobody waits for one entry, and what costs is writing pages: the same page for many entries once.
/// Readers are not held up. Measured on 36,000 entries: twice the rate.
const FAR: Most = Most { steps: 10_000, time: Duration::from_millis(500) };

/// How far it came.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All steps were applied.
    Done,
    /// SQLite refuses what an entry says. What came before it is applied, whole units only.
    Poison { step: usize, why: String },
}

/// A transaction of the ledger whose end was not among the steps; its rows wait in an open transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenFrame {
    position: Position,
    steps: usize,
}

/// What was applied and not committed.
struct Pending {
    /// The first step in it.
    from: usize,
    /// The first step after it.
    to: usize,
    since: Instant,
}

impl Writer {
    /// Where the LDB stands, an open frame included.
    pub(crate) fn standing(&self) -> Standing {
        match self.open {
            Some(frame) => Standing { position: Some(frame.position), in_frame: true },
            None => Standing { position: self.position, in_frame: false },
        }
    }

    /// Applies the steps. A frame whose end is missing stays open if `more` steps come, else it is undone.
    pub(crate) fn apply(&mut self, steps: &[Step], more: bool) -> Result<Outcome, Error> {
        let most = if more { FAR } else { NEAR };
        let mut pending = Pending { from: 0, to: 0, since: Instant::now() };
        for unit in units(steps, self.open.is_some()) {
            if !unit.whole {
                // A long frame gets a transaction of its own: undoing it must not undo what came before.
                self.commit_pending(steps, &mut pending)?;
            }
            if let Some((step, source)) = self.unit(steps, &unit)? {
                self.undo_unit(steps, &unit, &pending)?;
                return Ok(Outcome::Poison { step, why: words(source) });
            }
            if unit.whole {
                pending.to = unit.steps.end;
                // The first part of a frame that was open cannot be applied again, so it is committed at once.
                let continued = self.open.take().is_some();
                let full = pending.to - pending.from >= most.steps;
                if continued || full || pending.since.elapsed() >= most.time {
                    self.commit_pending(steps, &mut pending)?;
                }
            } else if let Some(last) = steps.last() {
                let steps = self.waiting() + unit.steps.len();
                self.open = Some(OpenFrame { position: last.position, steps });
            }
        }
        self.commit_pending(steps, &mut pending)?;
        if !more {
            self.roll_back_open()?;
            // Caught up: what the large transactions needed is not needed any more.
            self.connection.release_memory().map_err(Error::sqlite("write"))?;
        }
        Ok(Outcome::Done)
    }

    /// Undoes a frame whose end does not come.
    pub(crate) fn roll_back_open(&mut self) -> Result<(), Error> {
        if self.open.take().is_none() {
            return Ok(());
        }
        self.roll_back()
    }

    /// How many steps wait in an open frame.
    pub(crate) fn waiting(&self) -> usize {
        self.open.map_or(0, |frame| frame.steps)
    }

    /// Cuts a WAL that readers kept from being cut after the last commit: the next one may be long in coming.
    pub(crate) fn tidy(&mut self) {
        if self.connection.is_autocommit() {
            self.checkpoint.run_idle(&self.connection);
        }
    }

    pub(crate) fn wal_bytes(&self) -> u64 {
        self.checkpoint.wal_bytes()
    }

    /// The step that SQLite refuses, if there is one.
    fn unit(
        &mut self,
        steps: &[Step],
        unit: &Unit,
    ) -> Result<Option<(usize, rusqlite::Error)>, Error> {
        if self.connection.is_autocommit() {
            self.begin()?;
        }
        for index in unit.steps.clone() {
            match &steps[index].action {
                Action::Begin | Action::Commit | Action::Skip(_) => {}
                Action::Run(statement) => {
                    match bind::run(&self.connection, &mut self.columns, statement) {
                        Ok(()) => self.crash.pass(Point::Statement)?,
                        Err(error) if is_poison(&error) => return Ok(Some((index, error))),
                        Err(error) => return Err(Error::sqlite("write")(error)),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Undoes what a poisoned unit did, and commits what was good before it.
    fn undo_unit(&mut self, steps: &[Step], unit: &Unit, pending: &Pending) -> Result<(), Error> {
        self.open = None;
        self.roll_back()?;
        let good = &steps[pending.from..pending.to];
        debug_assert!(good.is_empty() || pending.to == unit.steps.start, "units are in a row");
        for again in units(good, false) {
            if let Some((_, source)) = self.unit(good, &again)? {
                return Err(Error::sqlite("repeat what worked before in")(source));
            }
        }
        let mut pending = Pending { from: 0, to: good.len(), since: pending.since };
        self.commit_pending(good, &mut pending)
    }

    fn commit_pending(&mut self, steps: &[Step], pending: &mut Pending) -> Result<(), Error> {
        if let Some(last) = steps[pending.from..pending.to].last() {
            // The newest time that is known.
            let times = steps[pending.from..pending.to].iter().rev().map(|step| step.leader_ts);
            let time = times.into_iter().find(|time| *time != LeaderTs::UNKNOWN);
            self.commit(last.position, time.unwrap_or(LeaderTs::UNKNOWN))?;
        }
        *pending = Pending { from: pending.to, to: pending.to, since: Instant::now() };
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.execute("BEGIN IMMEDIATE")?;
        self.crash.pass(Point::Begun)
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        // Tables may be undone with it.
        self.columns.forget();
        self.execute("ROLLBACK")
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(|_| ()).map_err(Error::sqlite("write"))
    }

    fn commit(&mut self, position: Position, time: LeaderTs) -> Result<(), Error> {
        self.crash.pass(Point::BeforePosition)?;
        self.store(position, time).map_err(Error::sqlite("write"))?;
        self.crash.pass(Point::BeforeCommit)?;
        self.execute("COMMIT")?;
        self.position = Some(position);
        if time != LeaderTs::UNKNOWN {
            self.last_update = Some(time);
        }
        self.crash.pass(Point::Committed)?;
        self.ctl.tell(position.seq)?;
        self.crash.pass(Point::Told)?;
        self.checkpoint.run(&self.connection);
        Ok(())
    }

    fn store(&self, position: Position, time: LeaderTs) -> rusqlite::Result<()> {
        const META: &str = "REPLACE INTO _ldb_meta (id, format, history, seq, digest, chain) VALUES (1, ?, ?, ?, ?, ?)";
        let Position { history, seq, digest, chain } = position;
        let (format, number) = (reader::layout::META_FORMAT, seq.to_i64());
        let (digest, chain) = (digest.as_bytes().as_slice(), chain.as_bytes().as_slice());
        self.connection.prepare_cached(META)?.execute(params![
            format,
            history.to_string(),
            number,
            digest,
            chain
        ])?;
        let sql = "REPLACE INTO _ldb_seq (id, seq) VALUES (1, ?)";
        self.connection.prepare_cached(sql)?.execute([number])?;
        if time != LeaderTs::UNKNOWN {
            let sql = "REPLACE INTO _ldb_last_update (name, timestamp) VALUES ('ledger', ?)";
            self.connection.prepare_cached(sql)?.execute([time.to_go_text()])?;
        }
        Ok(())
    }
}

/// Does the entry itself fail, whatever the state of the disk? It would fail on every node.
fn is_poison(error: &rusqlite::Error) -> bool {
    let code = match error {
        // What SQLite does not understand when it prepares a statement.
        rusqlite::Error::SqlInputError { error, .. } => Some(error.code),
        other => other.sqlite_error_code(),
    };
    match code {
        // No such table or column, a table that is there already, a key that is null, text for a row's number.
        Some(
            ErrorCode::Unknown
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::AuthorizationForStatementDenied,
        ) => true,
        Some(_) | None => false,
    }
}

/// SQLite's words without the statement, which is long.
fn words(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        other => other.to_string(),
    }
}

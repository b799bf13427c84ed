//! Applies steps: as many as come in a short time in one transaction, transactions of the ledger kept whole, and the
//! position stored in the same transaction.

use std::time::{Duration, Instant};

use ledger::{LeaderTs, Position};

use crate::ldb::adopt::write_position;
use crate::ldb::crash::Point;
use crate::ldb::poison::{is_poison, words};
use crate::ldb::unit::{Unit, units};
use crate::ldb::weight::weight;
use crate::ldb::{Error, Generation};
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
/// Readers are not held up.
const FAR: Most = Most { steps: 100_000, time: Duration::from_millis(250) };
/// What is known of the entries after the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// There are none: readers see everything at once, and a frame without its end is undone.
    Nothing,
    /// There are some, which are fetched when the steps are applied. A frame without its end stays open, alone.
    More,
    /// There are some, fetched already: the transaction stays open for them.
    InHand,
}

impl Ahead {
    /// The same, and nothing stays open for what is in hand.
    pub(crate) fn one_by_one(self) -> Self {
        match self {
            Ahead::InHand => Ahead::More,
            Ahead::Nothing | Ahead::More => self,
        }
    }
}

/// How far it came.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All steps were applied.
    Done,
    /// SQLite refuses what an entry says. What came before it is applied, whole units only.
    Poison { step: usize, why: String },
    /// SQLite refuses what an entry says, and with it was undone what earlier calls left open. To be told which entry it
    /// is, come again from where the LDB stands, with nothing in hand.
    Undone { step: usize },
}

/// What was applied and not committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenTransaction {
    /// After the last step applied.
    position: Position,
    /// The newest time that is known.
    time: LeaderTs,
    steps: usize,
    /// Does it end within a frame? Then it cannot be committed.
    in_frame: bool,
    /// The whole units in it.
    whole: Whole,
    since: Instant,
    /// Of the WAL, when it began.
    wal_bytes: u64,
    /// What it adds to the WAL, in bytes, at a guess that is rather too high.
    weight: u64,
    /// The part of it since the WAL was compared.
    unchecked: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whole {
    None,
    /// Their steps are there, so that they can be repeated.
    OfThisCall,
    OfEarlierCalls,
}

impl Generation {
    /// Where the LDB stands, what is not committed included.
    pub(crate) fn standing(&self) -> Standing {
        match self.open {
            Some(OpenTransaction { position, in_frame, .. }) => {
                Standing { position: Some(position), in_frame }
            }
            None => Standing { position: self.position, in_frame: false },
        }
    }

    /// Applies the steps.
    pub(crate) fn apply(&mut self, steps: &[Step], ahead: Ahead) -> Result<Outcome, Error> {
        if let Some(open) = &mut self.open
            && open.whole == Whole::OfThisCall
        {
            open.whole = Whole::OfEarlierCalls;
        }
        // The first step that can be undone and repeated.
        let mut from = 0;
        for unit in units(steps, self.standing().in_frame) {
            let continued = self.standing().in_frame;
            if !unit.whole && !continued && ahead != Ahead::InHand {
                // A long frame gets a transaction of its own: undoing it must not undo what came before.
                self.commit_open()?;
                from = unit.steps.start;
            }
            if let Some((step, source)) = self.unit(steps, &unit)? {
                return self.refused(&steps[from..unit.steps.start], step, source);
            }
            self.note(steps, &unit);
            // What began in an earlier call cannot be repeated, so it is committed as soon as it can be.
            if unit.whole && ((continued && ahead != Ahead::InHand) || self.is_full(ahead)) {
                self.commit_open()?;
                from = unit.steps.end;
            }
        }
        match ahead {
            Ahead::InHand => {}
            Ahead::More if self.standing().in_frame => {}
            Ahead::More => self.commit_open()?,
            Ahead::Nothing => {
                if !self.settle()? {
                    return Ok(Outcome::Undone { step: steps.len().saturating_sub(1) });
                }
                // Caught up: what the large transactions needed is not needed any more.
                self.connection.release_memory().map_err(Error::sqlite("write"))?;
            }
        }
        Ok(Outcome::Done)
    }

    /// Commits what is open. A frame whose end does not come is undone; false when whole units went with it.
    pub(crate) fn settle(&mut self) -> Result<bool, Error> {
        match self.open {
            Some(OpenTransaction { in_frame: true, whole, .. }) => {
                self.roll_back_open().map(|()| whole == Whole::None)
            }
            Some(_) | None => self.commit_open().map(|()| true),
        }
    }

    /// Commits what waited for so long, if it can be committed.
    pub(crate) fn settle_after(&mut self, time: Duration) -> Result<(), Error> {
        let ripe = |open: &OpenTransaction| !open.in_frame && open.since.elapsed() >= time;
        if self.open.as_ref().is_some_and(ripe) { self.commit_open() } else { Ok(()) }
    }

    /// Undoes what is not committed.
    pub(crate) fn roll_back_open(&mut self) -> Result<(), Error> {
        if self.open.take().is_none() {
            return Ok(());
        }
        self.roll_back()
    }

    /// How many steps wait in an open transaction.
    pub(crate) fn waiting(&self) -> usize {
        self.open.map_or(0, |open| open.steps)
    }

    /// Cuts a WAL that readers kept from being cut after the last commit: the next one may be long in coming.
    pub(crate) fn tidy(&mut self) -> Result<(), Error> {
        if self.connection.is_autocommit() {
            self.checkpoint.run_idle(&self.crash)?;
        }
        Ok(())
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
                    let run = (&steps[index], statement);
                    match self.feed.run(&self.connection, &mut self.columns, run) {
                        Ok(()) => self.crash.pass(Point::Statement)?,
                        Err(error) if is_poison(&error) => return Ok(Some((index, error))),
                        Err(error) => return Err(Error::sqlite("write")(error)),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Remembers a unit that was applied.
    fn note(&mut self, steps: &[Step], unit: &Unit) {
        let Some(last) = unit.steps.clone().last().map(|last| &steps[last]) else { return };
        let checkpoint = &self.checkpoint;
        let open = self.open.get_or_insert_with(|| OpenTransaction {
            position: last.position,
            time: LeaderTs::UNKNOWN,
            steps: 0,
            in_frame: false,
            whole: Whole::None,
            since: Instant::now(),
            wal_bytes: checkpoint.wal_bytes(),
            unchecked: 0,
            weight: 0,
        });
        let mut times = steps[unit.steps.clone()].iter().rev().map(|step| step.leader_ts);
        open.time = times.find(|time| *time != LeaderTs::UNKNOWN).unwrap_or(open.time);
        open.position = last.position;
        open.steps += unit.steps.len();
        let weight: u64 = steps[unit.steps.clone()].iter().map(weight).sum();
        open.weight = open.weight.saturating_add(weight);
        open.unchecked = open.unchecked.saturating_add(weight);
        open.whole = match (open.whole, unit.whole) {
            // The beginning of the frame came in an earlier call.
            (_, true) if open.in_frame => Whole::OfEarlierCalls,
            (Whole::None, true) => Whole::OfThisCall,
            (whole, _) => whole,
        };
        open.in_frame = !unit.whole;
    }

    fn is_full(&mut self, ahead: Ahead) -> bool {
        let Some(open) = &mut self.open else { return false };
        // What was begun far behind the ledger's end is ended as one.
        let near = ahead == Ahead::Nothing && open.whole != Whole::OfEarlierCalls;
        let most = if near { NEAR } else { FAR };
        if open.steps >= most.steps || open.since.elapsed() >= most.time {
            return true;
        }
        if self.checkpoint.room().is_some_and(|room| open.weight >= room) {
            return true;
        }
        if open.unchecked < self.checkpoint.limits().slack() {
            return false;
        }
        // Has SQLite begun to write pages that its cache has no room for? Then the WAL is to be cut before more comes:
        // within a transaction nobody can cut it.
        open.unchecked = 0;
        self.checkpoint.wal_bytes() > open.wal_bytes
    }

    /// Undoes what a poisoned unit did, and commits what was good before it, if that can be repeated.
    fn refused(
        &mut self,
        good: &[Step],
        step: usize,
        source: rusqlite::Error,
    ) -> Result<Outcome, Error> {
        let repeatable = self.open.is_none_or(|open| open.whole != Whole::OfEarlierCalls);
        self.open = None;
        self.roll_back()?;
        if !repeatable {
            return Ok(Outcome::Undone { step });
        }
        for again in units(good, false) {
            if let Some((_, source)) = self.unit(good, &again)? {
                return Err(Error::sqlite("repeat what worked before in")(source));
            }
            self.note(good, &again);
        }
        self.commit_open()?;
        Ok(Outcome::Poison { step, why: words(source) })
    }

    fn commit_open(&mut self) -> Result<(), Error> {
        match self.open.take() {
            Some(open) => self.commit(open.position, open.time),
            None => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.checkpoint.admit()?;
        self.execute("BEGIN IMMEDIATE")?;
        self.crash.pass(Point::Begun)
    }

    fn roll_back(&mut self) -> Result<(), Error> {
        // Tables may be undone with it.
        self.columns.forget();
        self.feed.undone();
        self.execute("ROLLBACK")
    }

    fn execute(&self, sql: &str) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(sql)?.execute([]);
        run().map(|_| ()).map_err(Error::sqlite("write"))
    }

    fn commit(&mut self, position: Position, time: LeaderTs) -> Result<(), Error> {
        self.crash.pass(Point::BeforePosition)?;
        self.store(position, time).map_err(Error::sqlite("write"))?;
        self.feed.prepare(&position);
        self.crash.pass(Point::BeforeCommit)?;
        self.execute("COMMIT")?;
        self.position = Some(position);
        if time != LeaderTs::UNKNOWN {
            self.last_update = Some(time);
        }
        self.crash.pass(Point::Committed)?;
        let told = self.ctl.tell(position.seq);
        // After the page: who hears of a change finds it.
        self.feed.committed();
        told?;
        self.crash.pass(Point::Told)?;
        self.checkpoint.run(&self.crash)
    }

    fn store(&self, position: Position, time: LeaderTs) -> rusqlite::Result<()> {
        write_position(&self.connection, &position)?;
        let sql = "REPLACE INTO _ldb_seq (id, seq) VALUES (1, ?)";
        self.connection.prepare_cached(sql)?.execute([position.seq.to_i64()])?;
        if time != LeaderTs::UNKNOWN {
            let sql = "REPLACE INTO _ldb_last_update (name, timestamp) VALUES ('ledger', ?)";
            self.connection.prepare_cached(sql)?.execute([time.to_go_text()])?;
        }
        Ok(())
    }
}

//! The writer of a directory: applies to the generation at work, keeps its WAL within limits by replacing the file, and
//! heals what fails.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daemon::log::Chain;
use ledger::Seq;

use crate::changes::Recorder;
use crate::ldb::checkpoint::LONGEST;
use crate::ldb::ctl::Ctl;
use crate::ldb::draft::Drafts;
use crate::ldb::feed::Feed;
use crate::ldb::generation::{Generation, Setting};
use crate::ldb::lock::Lock;
use crate::ldb::rebuild::Rebuild;
use crate::ldb::retired::{Fate, Retired};
use crate::ldb::switch::Claim;
use crate::ldb::{Ahead, Condition, Error, Health, Outcome, clean, dir, space};
use crate::replay::Step;

/// The file is replaced at most this often because readers hold its WAL.
const BETWEEN_SWITCHES: Duration = Duration::from_secs(10);
/// Who is attached is asked this often.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// After so many failures in a row it is not the moment but the file.
const MANY: u32 = 3;

/// The one writer of an LDB.
#[derive(Debug)]
pub(crate) struct Writer {
    /// What is applied to: what readers have, or what is built to take its place.
    pub(super) work: Generation,
    pub(super) rebuild: Option<Rebuild>,
    retired: Vec<Retired>,
    pub(super) ctl: Arc<Ctl>,
    /// Who is told of changes of what is served.
    pub(super) feed: Feed,
    pub(super) drafts: Drafts,
    pub(super) setting: Setting,
    pub(super) dir: PathBuf,
    /// The file at work is bad and nothing may be applied to it.
    pub(super) damaged: bool,
    /// The last look showed that the ledger has no more.
    pub(super) ledger_ended: bool,
    pub(super) condition: Condition,
    /// In a row.
    failures: u32,
    last_switch: Option<Instant>,
    pub(super) last_look: Option<Instant>,
    attached: u64,
    switches: u64,
    // Last, so that nobody else comes in before the files are closed.
    pub(super) _lock: Lock,
}

/// What a writer is made of.
pub(super) struct Parts {
    pub(super) work: Generation,
    pub(super) rebuild: Option<Rebuild>,
    pub(super) retired: Vec<Retired>,
    pub(super) ctl: Arc<Ctl>,
    pub(super) drafts: Drafts,
    pub(super) setting: Setting,
    pub(super) dir: PathBuf,
    pub(super) lock: Lock,
}

impl Writer {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { work, rebuild, retired, ctl, drafts, setting, dir, lock } = parts;
        Self {
            work,
            rebuild,
            retired,
            ctl,
            feed: Feed::default(),
            drafts,
            setting,
            dir,
            damaged: false,
            ledger_ended: false,
            condition: Condition::Sound,
            failures: 0,
            last_switch: None,
            last_look: None,
            attached: 0,
            switches: 0,
            _lock: lock,
        }
    }

    /// From now on, changes of what is served are told.
    pub(crate) fn tell_changes(&mut self, recorder: Arc<Mutex<Recorder>>) {
        self.feed = Feed::to(recorder, Arc::clone(&self.ctl));
        if self.rebuild.is_none() {
            self.work.feed = self.feed.clone();
            self.feed.stands(self.work.position.as_ref());
        }
    }

    /// The ledger ends here, or later: far from it, changes are not told one by one.
    pub(crate) fn feed_ahead(&self, head: Seq) {
        self.feed.note_head(head);
    }

    /// Applies the steps; see [`Generation::apply`]. What was served before and is still open gets them, too.
    pub(crate) fn apply(&mut self, steps: &[Step], ahead: Ahead) -> Result<Outcome, Error> {
        // An older file has what is served, so nothing is left open that may be undone.
        let ahead = if self.retired.is_empty() { ahead } else { ahead.one_by_one() };
        let applied = self.apply_to_work(steps, ahead);
        let standing = self.work.standing();
        let reached = standing.position.map(|position| position.seq);
        let reached = steps.partition_point(|step| Some(step.position.seq) <= reached);
        for retired in &mut self.retired {
            retired.follow(&steps[..reached], ahead.one_by_one(), standing.in_frame);
        }
        self.noted(applied)
    }

    fn apply_to_work(&mut self, steps: &[Step], ahead: Ahead) -> Result<Outcome, Error> {
        if self.damaged {
            let what = "no other could be begun yet".to_owned();
            return Err(Error::Damaged { path: self.work.file(), what });
        }
        if !steps.is_empty() {
            space::reserve(&self.dir, self.reserve())?;
        }
        let mut from = 0;
        loop {
            match self.work.apply(&steps[from..], ahead) {
                Err(Error::WalFull { bytes, .. }) => {
                    self.make_room(bytes)?;
                    let own = self.work.seq();
                    from = steps.partition_point(|step| step.position.seq <= own);
                }
                Ok(Outcome::Poison { step, why }) => {
                    return Ok(Outcome::Poison { step: step + from, why });
                }
                Ok(Outcome::Undone { step }) => return Ok(Outcome::Undone { step: step + from }),
                outcome => return outcome,
            }
        }
    }

    /// A reader that stands still holds the WAL: the file is replaced by its copy, and the reader keeps the old one.
    fn make_room(&mut self, bytes: u64) -> Result<(), Error> {
        let rest = self
            .last_switch
            .map_or(Duration::ZERO, |last| BETWEEN_SWITCHES.saturating_sub(last.elapsed()));
        // A view that a reader keeps between its reads is older than the shortest budget and no reason for a copy.
        let budget = if rest.is_zero() { LONGEST } else { self.work.checkpoint.budget() };
        if self.work.checkpoint.cut(budget, &self.setting.crash)? {
            return Ok(());
        }
        if !rest.is_zero() {
            return Err(Error::Held { bytes, wait: rest });
        }
        match self.publish_copy() {
            Err(error @ Error::NoSpace { .. }) => {
                if self.condition != Condition::NoSpace {
                    tracing::error!(error = %Chain(&error), "a reader holds the WAL, and there is no room to replace the file");
                }
                self.condition = Condition::NoSpace;
                self.work.checkpoint.overdraw(BETWEEN_SWITCHES);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// What must stay free on the disk.
    pub(super) fn reserve(&self) -> u64 {
        self.setting.limits.wal_soft_limit.saturating_mul(2)
    }

    /// Commits what is open; see [`Generation::settle`].
    pub(crate) fn settle(&mut self) -> Result<bool, Error> {
        let settled = self.work.settle();
        self.noted(settled)
    }

    /// Commits what waited for so long, if it can be committed.
    pub(crate) fn settle_after(&mut self, time: Duration) -> Result<(), Error> {
        let settled = self.work.settle_after(time);
        self.noted(settled)
    }

    /// Undoes a frame whose end does not come.
    pub(crate) fn roll_back_open(&mut self) -> Result<(), Error> {
        for retired in &mut self.retired {
            retired.follow(&[], Ahead::Nothing, false);
        }
        let undone = self.work.roll_back_open();
        self.noted(undone)
    }

    /// What is due whether entries come or not: the WAL, older generations, a new one that is ready.
    pub(crate) fn tidy(&mut self) {
        self.feed.tend();
        let tidied = self.work.tidy().and_then(|()| self.end_rebuild()).and_then(|()| self.look());
        if let Err(error) = tidied {
            let known = self.condition == Condition::Failing;
            let failed: Result<(), Error> = self.noted(Err(error));
            if let (Err(error), false) = (failed, known) {
                tracing::warn!(error = %Chain(&error), "cannot tidy the LDB directory");
            }
        }
    }

    fn look(&mut self) -> Result<(), Error> {
        if self.last_look.is_some_and(|last| last.elapsed() < BETWEEN_LOOKS) {
            return Ok(());
        }
        self.last_look = Some(Instant::now());
        self.attached = self.work.files.attached();
        let mut outcome = Ok(());
        let (keep, crash) = (self.setting.limits.retired_for, &self.setting.crash);
        self.retired.retain_mut(|retired| match retired.tend(keep, crash) {
            Ok(fate) => fate == Fate::Stays,
            Err(error) => {
                outcome = Err(error);
                true
            }
        });
        outcome
    }

    /// Keeps a generation for those who have it open.
    pub(super) fn retire(&mut self, generation: Generation, follows: bool) -> Result<(), Error> {
        self.setting.crash.pass(crate::ldb::crash::Point::Retired)?;
        self.retired.push(Retired::now(generation, follows));
        Ok(())
    }

    /// The same for one that could not be opened.
    pub(super) fn retire_unopened(&mut self, number: u64) -> Result<(), Error> {
        let folder = dir::folder(&self.dir, number);
        self.retired.push(Retired::unopened(folder, number));
        Ok(())
    }

    /// They were those of a file that is not applied to any more.
    pub(super) fn forget_failures(&mut self) {
        (self.damaged, self.failures, self.condition) = (false, 0, Condition::Sound);
    }

    /// Is what is served bad, or is another file built to take its place?
    pub(crate) fn is_bad(&self) -> bool {
        self.damaged || self.rebuild.is_some()
    }

    /// The LDB has all that the ledger has.
    pub(crate) fn note_end_of_ledger(&mut self) {
        self.ledger_ended = true;
    }

    /// Has this node anything to serve?
    pub(crate) fn serves(&self) -> bool {
        self.ctl.seq().is_ok_and(|seq| seq > Seq::ZERO)
    }

    pub(super) fn note_switch(&mut self) {
        self.last_switch = Some(Instant::now());
        self.switches += 1;
    }

    /// Remembers how it went, for [`Writer::heal`].
    fn noted<T>(&mut self, outcome: Result<T, Error>) -> Result<T, Error> {
        self.condition = match &outcome {
            Ok(_) => {
                self.failures = 0;
                let overdrawn = self.work.checkpoint.is_overdrawn();
                if overdrawn { Condition::NoSpace } else { Condition::Sound }
            }
            Err(Error::Held { .. }) => Condition::Held,
            Err(error) if error.is_no_space() => Condition::NoSpace,
            Err(error) => {
                self.damaged |= error.is_damage();
                self.failures += u32::from(matches!(error, Error::Sqlite { .. }));
                Condition::Failing
            }
        };
        outcome
    }

    /// After a failure: opens the file anew, and begins another one if this one is bad.
    pub(crate) fn heal(&mut self) -> Result<(), Error> {
        if self.condition == Condition::Held {
            return Ok(());
        }
        let reopened = self.work.reopen();
        match reopened.and_then(|()| if self.damaged { self.work.check() } else { Ok(()) }) {
            Ok(()) => {
                self.damaged = false;
                let many = self.failures > 0 && self.failures.is_multiple_of(MANY);
                if many { self.replace() } else { self.tell() }
            }
            Err(error) if error.is_damage() || error.is_gone() => {
                self.damaged = true;
                self.begin_rebuild()
            }
            Err(error) => Err(error),
        }
    }

    /// The file can be opened and, time and again, not written: another process locks it, or its place on the disk is
    /// bad.
    fn replace(&mut self) -> Result<(), Error> {
        if self.last_switch.is_some_and(|last| last.elapsed() < BETWEEN_SWITCHES) {
            return self.tell();
        }
        match self.publish_copy() {
            // A ledger that was pruned cannot fill another file, so this one is given up only if it cannot be read.
            Err(error) if error.is_damage() || (error.is_io() && self.failures >= MANY * MANY) => {
                self.failures = 0;
                self.begin_rebuild()
            }
            outcome => outcome,
        }
    }

    fn tell(&self) -> Result<(), Error> {
        if self.rebuild.is_some() {
            return Ok(());
        }
        self.ctl.restore(self.work.number, self.work.seq(), Claim::AtLeast)
    }

    /// Where drafts for [`Writer::publish`] come from; usable while the writer is at work elsewhere.
    pub(crate) fn drafts(&self) -> Drafts {
        self.drafts.clone()
    }

    pub(crate) fn health(&self) -> Health {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let condition = match (&self.rebuild, self.damaged) {
            (_, true) => Condition::Damaged,
            (Some(_), false) if self.condition == Condition::Sound => Condition::Rebuilding,
            (Some(_) | None, false) => self.condition,
        };
        let checkpoint = &self.work.checkpoint;
        Health {
            condition,
            generation: self.rebuild.as_ref().map_or(self.work.number, |rebuild| rebuild.served),
            wal_bytes: self.work.wal_bytes(),
            wal_budget: checkpoint.budget(),
            wal_failures: checkpoint.failures,
            wal_reset: checkpoint.reset.elapsed(),
            attached: self.attached,
            retired: count(self.retired.len()),
            retired_attached: self.retired.iter().map(|retired| retired.attached).sum(),
            switches: self.switches,
        }
    }
}

impl Deref for Writer {
    type Target = Generation;

    fn deref(&self) -> &Generation {
        &self.work
    }
}

impl Drop for Writer {
    /// An orderly stop leaves a small WAL, and says that it was one.
    fn drop(&mut self) {
        let crash = &self.setting.crash;
        let is_good = self.rebuild.is_none() && !self.damaged && self.failures == 0;
        if crash.is_over() || !is_good {
            return;
        }
        let rested = self.work.roll_back_open();
        let cut = rested.and_then(|()| self.work.checkpoint.cut(LONGEST, crash));
        if cut.is_ok()
            && let Err(error) = clean::leave(&self.dir, self.work.number)
        {
            tracing::debug!(%error, "the next start will check the LDB");
        }
    }
}

//! How new the LDB is: its position, its age, and waiting for one's own write.

use std::time::{Duration, Instant, SystemTime};

use ledger::{LeaderTs, Mark, Position, Seq};

use crate::{Error, Ldb, meta};

/// Refuses an LDB whose newest entry was written longer ago than this.
pub(crate) fn check(last: Option<LeaderTs>, limit: Duration) -> Result<(), Error> {
    // One without any entry is as old as can be.
    let by = last.map_or(Duration::MAX, age);
    if by <= limit { Ok(()) } else { Err(Error::Stale { by, limit }) }
}

/// By the clocks of the writer and of this node.
fn age(written: LeaderTs) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_micros(
        u64::try_from(written.as_micros()).unwrap_or_default(),
    ))
}

/// What [`Ldb::at_least`] waits for: a [`Mark`] (the text of a header `ctlstore-position`, parsed), a [`Position`] of
/// another LDB, or a bare [`Seq`], which cannot tell one history from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    seq: Seq,
    mark: Option<Mark>,
}

impl From<Mark> for Goal {
    fn from(mark: Mark) -> Self {
        Self { seq: mark.seq, mark: Some(mark) }
    }
}

impl From<&Mark> for Goal {
    fn from(mark: &Mark) -> Self {
        (*mark).into()
    }
}

impl From<Position> for Goal {
    fn from(position: Position) -> Self {
        position.mark().into()
    }
}

impl From<&Position> for Goal {
    fn from(position: &Position) -> Self {
        position.mark().into()
    }
}

impl From<Seq> for Goal {
    fn from(seq: Seq) -> Self {
        Self { seq, mark: None }
    }
}

/// What an LDB's place says about a goal.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    NotYet,
    /// It went by, on another way.
    Forked,
}

/// An LDB is past a mark when it stands in the same history at or after its sequence. A new history begins above every
/// sequence ever seen, so an LDB of another history that is not past the mark may still get there (it follows from the
/// old history into the new one), and one that is past it never passed that very entry as far as anyone can tell.
fn judge(goal: &Goal, seq: Seq, position: Option<&Position>) -> Verdict {
    if seq < goal.seq {
        return Verdict::NotYet;
    }
    let (Some(mark), Some(position)) = (goal.mark, position) else { return Verdict::Reached };
    let same = position.history == mark.history;
    if same && (seq > mark.seq || position.digest == mark.digest) {
        Verdict::Reached
    } else {
        Verdict::Forked
    }
}

/// Whether it may still get there cannot be told from two histories, only that they are two.
fn not_reached(goal: &Goal, seen: Seq, position: Option<Position>, waited: Duration) -> Error {
    let histories = goal.mark.zip(position).map(|(mark, at)| (mark.history, at.history));
    let histories = histories.filter(|(wanted, seen)| wanted != seen).map(Box::new);
    Error::NotReached { wanted: goal.seq, seen, waited, histories }
}

impl Ldb {
    /// Where the LDB stands in the ledger. None while nothing is applied, and in an LDB of the original (see
    /// [`Ldb::seq`]).
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn position(&self) -> Result<Option<Position>, Error> {
        self.read(|session| meta::position(session.connection()))
    }

    /// The last ledger sequence applied; 0 while nothing is applied.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn seq(&self) -> Result<Seq, Error> {
        self.read(|session| Ok(meta::seq(session.connection())?.unwrap_or(Seq::ZERO)))
    }

    /// A sequence that every read of this process that begins from now on has passed. Unlike [`Ldb::seq`] it is no read of
    /// the file where an agent says what it committed.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn committed(&self) -> Result<Seq, Error> {
        match self.stand().and_then(|stand| Seq::new(stand.seq)) {
            Some(seq) => Ok(seq),
            None => self.seq(),
        }
    }

    /// How long ago the newest entry applied was written, by the clocks of its writer and of this node: the LDB is
    /// at most so far behind. None while no entry is applied. It rises while nobody writes.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn latency(&self) -> Result<Option<Duration>, Error> {
        Ok(self.last_update()?.map(age))
    }

    /// When the newest entry applied was written, by the clock of its writer. None while no entry is applied.
    ///
    /// # Errors
    /// The LDB cannot be read.
    pub fn last_update(&self) -> Result<Option<LeaderTs>, Error> {
        self.read(|session| session.last_update())
    }

    /// How long ago the agent of this node last said that it lives, which it does every second. None without an agent.
    /// An agent that lives may still have lost its source: see [`Ldb::latency`].
    #[must_use]
    pub fn agent_seen(&self) -> Option<Duration> {
        let seen = Duration::from_millis(self.ctl()?.heartbeat());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(now.saturating_sub(seen))
    }

    /// Waits until the LDB has what was written: a position from the executive's answer, in its header
    /// `ctlstore-position`. All reads of this process that begin afterwards see it.
    ///
    /// ```
    /// # use reader::{Goal, Ldb, Mark, testing::TestLdb};
    /// # use ledger::{ColumnType, Value};
    /// # use std::time::Duration;
    /// # let test = TestLdb::new()?;
    /// # test.table("billing", "limits", &[("tenant", ColumnType::String)], &["tenant"])?;
    /// # test.insert("billing", "limits", &[Value::Text("acme".into())])?;
    /// # let digest = "7".repeat(64);
    /// # test.sql(&format!("INSERT INTO _ldb_meta VALUES(1, 1, 'legacy', 1, x'{digest}', x'{digest}')"))?;
    /// # let header = format!("legacy.1.{digest}");
    /// let ldb = Ldb::open(test.dir())?;
    /// let written: Mark = header.parse()?;
    /// ldb.at_least(written, Duration::from_secs(5))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// It was not reached in time ([`Error::is_timeout`]; also [`Error::is_other_history`] where the LDB is in another
    /// history, from which it may or may not get there); the LDB is past it in another history or with another entry
    /// at its place, so the write may be lost ([`Error::is_forked`]); or the LDB cannot be read.
    pub fn at_least(&self, goal: impl Into<Goal>, timeout: Duration) -> Result<(), Error> {
        let goal = goal.into();
        let start = Instant::now();
        loop {
            let stand = self.stand();
            let (seq, position) = self.place()?;
            match judge(&goal, seq, position.as_ref()) {
                // A view of another thread is renewed when the page says so, which is a moment after the commit.
                Verdict::Reached if stand.is_none_or(|stand| stand.seq >= goal.seq.get()) => {
                    return Ok(());
                }
                Verdict::Forked => {
                    let (goal, position) = (goal.mark.map(Box::new), position.map(Box::new));
                    return Err(Error::Forked { goal, position });
                }
                Verdict::Reached | Verdict::NotYet => {}
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(not_reached(&goal, seq, position, timeout));
            }
            self.wait(stand, seq, left)?;
        }
    }

    fn place(&self) -> Result<(Seq, Option<Position>), Error> {
        self.read(|session| {
            let seq = meta::seq(session.connection())?.unwrap_or(Seq::ZERO);
            Ok((seq, meta::position(session.connection())?))
        })
    }
}

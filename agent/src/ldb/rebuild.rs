//! Builds the LDB anew from the ledger when the file is bad. Readers keep the bad one, of which most is good, until the
//! new one has come as far; then it takes its place like any other.

use crate::ldb::checkpoint::LONGEST;
use crate::ldb::ctl::Teller;
use crate::ldb::draft::{Draft, Drafts};
use crate::ldb::feed::Feed;
use crate::ldb::generation::{Generation, Setting};
use crate::ldb::switch::{Claim, lead};
use crate::ldb::{Condition, Error, Writer, space};

/// What is remembered while the work goes into a draft.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// The folder of what is built.
    pub(crate) draft: Draft,
    /// What readers have.
    pub(crate) served: u64,
    /// The same, if it could be opened: while it is open, readers find its shared memory in order.
    pub(crate) old: Option<Generation>,
}

impl Rebuild {
    /// An empty generation to begin with.
    pub(crate) fn draft(drafts: &Drafts, setting: &Setting) -> Result<(Draft, Generation), Error> {
        let draft = drafts.begin()?;
        let generation = Generation::create(draft.folder.clone(), draft.number, setting)?;
        Ok((draft, generation))
    }
}

impl Writer {
    /// From here on the ledger is applied to an empty generation, from its beginning.
    pub(crate) fn begin_rebuild(&mut self) -> Result<(), Error> {
        space::need(&self.dir, self.reserve())?;
        let (draft, work) = Rebuild::draft(&self.drafts, &self.setting)?;
        let mut bad = std::mem::replace(&mut self.work, work);
        let rebuild = match self.rebuild.take() {
            // What was built is bad, too; its folder goes with its draft.
            Some(Rebuild { draft: _, served, old }) => {
                bad.discard();
                Rebuild { draft, served, old }
            }
            None => {
                (bad.ctl, bad.feed) = (Teller::default(), Feed::default());
                Rebuild { draft, served: bad.number, old: Some(bad) }
            }
        };
        tracing::error!(
            generation = rebuild.served,
            "the LDB is built anew, reads of the old one go on"
        );
        self.rebuild = Some(rebuild);
        (self.damaged, self.condition) = (false, Condition::Sound);
        Ok(())
    }

    /// Serves what was built if it has come as far as what is served.
    pub(super) fn end_rebuild(&mut self) -> Result<(), Error> {
        let is_far = self.work.open.is_none() && self.work.seq() >= self.ctl.seq()?;
        let Some(mut rebuild) = self.rebuild.take_if(|_| is_far) else { return Ok(()) };
        let mut ready = || {
            // What can be is brought into the file, so that it is on the disk before it is served.
            self.work.checkpoint.cut(LONGEST, &self.setting.crash)?;
            self.work.check()?;
            lead(&self.dir, &mut rebuild.draft)
        };
        if let Err(error) = ready() {
            self.rebuild = Some(rebuild);
            return Err(error);
        }
        let told = self.announce(Claim::Instead);
        told.and(self.retire_bad(rebuild))
    }

    /// Nothing is applied to a bad file; it is kept for those who have it open.
    pub(super) fn retire_bad(&mut self, rebuild: Rebuild) -> Result<(), Error> {
        let Rebuild { draft: _, served, old } = rebuild;
        match old {
            Some(old) => self.retire(old, false),
            None => self.retire_unopened(served),
        }
    }
}

//! Builds the LDB anew from the ledger when the file is bad. Readers keep the bad one, of which most is good, until the
//! new one has come as far; then it takes its place like any other.

use reader::layout;

use crate::ldb::checkpoint::LONGEST;
use crate::ldb::ctl::Teller;
use crate::ldb::draft::{Draft, Drafts};
use crate::ldb::feed::Feed;
use crate::ldb::generation::{self, Generation, Setting};
use crate::ldb::switch::{Claim, lead};
use crate::ldb::{Error, Writer, dir, space};

/// What is remembered while the work goes into a draft.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// The folder of what is built.
    pub(crate) draft: Draft,
    /// What readers have.
    pub(crate) served: u64,
    /// What is served is of another ledger: its sequence need not be reached if this ledger ends before.
    pub(crate) forked: bool,
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
        self.build_on(draft, work, false);
        Ok(())
    }

    /// Builds the LDB anew from a filled draft. It is served at once if it has come as far as what is served, or if that
    /// cannot be read at all; else as soon as the ledger brought it there: no reader sees the sequence fall.
    pub(crate) fn rebuild_from(&mut self, draft: Draft, forked: bool) -> Result<(), Error> {
        let next = self.take_in(&draft)?;
        if next.seq() >= self.ctl.seq()? {
            let claim = if self.is_bad() || forked { Claim::Instead } else { Claim::AtLeast };
            return self.put_in_place(next, draft, claim);
        }
        if self.is_unreadable() {
            return self.put_in_place(next, draft, Claim::Instead);
        }
        self.build_on(draft, next, forked);
        Ok(())
    }

    /// A file of which nothing can be read is worth nothing to anybody: the empty one takes its place at once, and programs
    /// on this node see a node that has no LDB yet.
    pub(super) fn give_up_unreadable(&mut self) -> Result<(), Error> {
        if !self.is_unreadable() {
            return Ok(());
        }
        let Some(mut rebuild) = self.rebuild.take() else { return Ok(()) };
        lead(&self.dir, &mut rebuild.draft)?;
        let told = self.announce(Claim::Instead);
        told.and(self.retire_bad(rebuild))
    }

    fn is_unreadable(&self) -> bool {
        let served = self.rebuild.as_ref().map_or(self.work.number, |rebuild| rebuild.served);
        let file = dir::folder(&self.dir, served).join(layout::LDB);
        let books =
            generation::handle(&file).ok().and_then(|own| reader::meta::position(&own).ok());
        books.is_none()
    }

    fn build_on(&mut self, draft: Draft, work: Generation, forked: bool) {
        let mut before = std::mem::replace(&mut self.work, work);
        let rebuild = match self.rebuild.take() {
            // What was built is not needed any more; its folder goes with its draft.
            Some(Rebuild { draft: _, served, forked: was, old }) => {
                before.discard();
                Rebuild { draft, served, forked: forked || was, old }
            }
            None => {
                (before.ctl, before.feed) = (Teller::default(), Feed::default());
                Rebuild { draft, served: before.number, forked, old: Some(before) }
            }
        };
        tracing::warn!(
            generation = rebuild.served,
            "the LDB is built anew, reads of the old one go on"
        );
        self.rebuild = Some(rebuild);
        self.forget_failures();
    }

    /// Serves what was built if it has come as far as what is served.
    pub(super) fn end_rebuild(&mut self) -> Result<(), Error> {
        let (is_whole, is_far) = (self.work.open.is_none(), self.work.seq() >= self.ctl.seq()?);
        let ended = std::mem::take(&mut self.ledger_ended);
        let is_due = |rebuild: &mut Rebuild| is_whole && (is_far || (ended && rebuild.forked));
        let Some(mut rebuild) = self.rebuild.take_if(is_due) else { return Ok(()) };
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
        let Rebuild { draft: _, served, forked: _, old } = rebuild;
        match old {
            Some(old) => self.retire(old, false),
            None => self.retire_unopened(served),
        }
    }
}

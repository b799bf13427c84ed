//! Looks at what there is to begin with: the LDB, the ledger, the snapshots, and what the ledger has at their positions.

use std::collections::BTreeSet;

use daemon::log::Chain;
use ledger::{History, Position, Seq};
use store::Catalog;

use crate::bootstrap::decide::{Ledger, Own, Seen, Snapshots};
use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::replay::Need;
use crate::source::{Parent, Survey};

/// More snapshots than are kept are not looked at.
const MOST: usize = 100;

/// What there is.
#[derive(Debug)]
pub(super) struct Gathered {
    /// What is decided from.
    pub(super) seen: Seen,
    /// The LDB as it is, whatever is wanted in its place.
    pub(super) own: Own,
    /// Where the snapshots are, the newest history first.
    pub(super) catalogs: Vec<Catalog>,
    /// What could not be asked, and why.
    pub(super) detail: String,
}

impl Bootstrap {
    pub(super) async fn gather(
        &self,
        need: Need,
        demanded: bool,
    ) -> Result<Gathered, BootstrapError> {
        let first = self.requests.look(Vec::new()).await?;
        let mut detail = String::new();
        let histories = match &first.ledger {
            Ok(survey) => {
                let parent = survey.ledger.parent.map(|parent| parent.history);
                let all = std::iter::once(survey.ledger.history).chain(parent);
                Some(all.collect::<Vec<_>>())
            }
            Err(error) => {
                detail.push_str(&format!(" (ctldb: {})", Chain(error)));
                None
            }
        };
        let (catalogs, snapshots) = match self.snapshots.known(histories.as_deref()).await {
            Ok(known) => known,
            Err(error) => {
                detail.push_str(&format!(" ({})", Chain(&error)));
                (Vec::new(), Snapshots::Unreachable)
            }
        };
        let (own, ledger) = match first.ledger {
            Ok(survey) => {
                let seqs = in_question(first.own, &snapshots, &survey);
                let second = self.requests.look(seqs).await?;
                (second.own, second.ledger.ok().map(|survey| read(&survey)))
            }
            Err(_) => (first.own, None),
        };
        let stuck_at = match need {
            Need::Stuck(seq) => Some(seq),
            Need::Unknown | Need::Nothing | Need::Begin => None,
            Need::Damaged | Need::Forked | Need::Gap => None,
        };
        // Who demands another one does not want to hear that the LDB is sound.
        let replaced = if demanded && own != Own::Empty { Own::Unsound } else { own };
        let seen = Seen { own: replaced, ledger, snapshots, stuck_at };
        Ok(Gathered { seen, own, catalogs, detail })
    }
}

/// The entries that tell whether a copy is of this ledger. What lies outside of it needs no look.
fn in_question(own: Own, snapshots: &Snapshots, survey: &Survey) -> Vec<Seq> {
    let own = match own {
        Own::At(position) => Some(position),
        Own::Empty | Own::Unsound => None,
    };
    let mut stored: Vec<Position> = match snapshots {
        Snapshots::Known(all) => all.clone(),
        Snapshots::NotConfigured | Snapshots::Unreachable => Vec::new(),
    };
    stored.sort_by_key(|position| std::cmp::Reverse(position.seq));
    let seqs: BTreeSet<_> = own.iter().chain(stored.iter().take(MOST)).map(|at| at.seq).collect();
    let ledger = &survey.ledger;
    seqs.into_iter().filter(|seq| ledger.low_water <= *seq && *seq <= ledger.head).collect()
}

pub(super) fn read(survey: &Survey) -> Ledger {
    let parent = |Parent { history, seq, .. }: Parent| -> (History, Seq) { (history, seq) };
    Ledger {
        history: survey.ledger.history,
        parent: survey.ledger.parent.map(parent),
        head: survey.ledger.head,
        low_water: survey.ledger.low_water,
        entries: survey.digests.clone(),
    }
}

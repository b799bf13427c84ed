//! How many nodes may load another LDB at the same time. What makes one node begin anew often happens to all of them: a
//! ledger that was restored, an outage longer than entries are kept.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// Why a node that serves wants another LDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The ledger is another one.
    Forked,
    /// Entries that it lacks are gone.
    Gap,
    /// Its file is bad.
    Damaged,
    /// An entry cannot be applied, and a snapshot is beyond it.
    Stuck,
}

/// Who says whether this node's turn has come.
#[async_trait]
pub(crate) trait Share: fmt::Debug + Send + Sync {
    /// Asks once; an answer comes soon, also when nobody can be reached. `No` says when to ask again. A node that may
    /// and does not call [`Share::done`] counts as busy until then, or until it is gone.
    async fn may_rebuild(&self, reason: Reason) -> Turn;

    /// It has another LDB, or gave up for now.
    async fn done(&self);
}

/// Is it this node's turn?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Yes,
    /// Too many others are at it, or it cannot be told.
    No {
        again: Duration,
    },
}

/// For nodes that know nothing of each other: each waits for a time by chance, once for each trouble. So long that a node
/// that is quick is done before the next share begins.
#[derive(Debug)]
pub(crate) struct Jitter {
    percent: u8,
    waits: std::sync::Mutex<Option<tokio::time::Instant>>,
}

/// What a node takes to load another LDB, if all goes as usual.
const USUAL: Duration = Duration::from_secs(30);

impl Jitter {
    pub(crate) fn new(percent: u8) -> Self {
        Self { percent: percent.clamp(1, 100), waits: std::sync::Mutex::default() }
    }

    /// In so long, all nodes get their turn, a share in each usual time. With 100 %, none waits.
    fn spread(&self) -> Duration {
        (USUAL * 100 / u32::from(self.percent)).saturating_sub(USUAL)
    }
}

#[async_trait]
impl Share for Jitter {
    async fn may_rebuild(&self, _: Reason) -> Turn {
        use rand::RngExt as _;
        let now = tokio::time::Instant::now();
        let mut waits = self.waits.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let until = *waits
            .get_or_insert_with(|| now + self.spread().mul_f64(rand::rng().random_range(0.0..1.0)));
        if until <= now { Turn::Yes } else { Turn::No { again: until - now } }
    }

    async fn done(&self) {
        *self.waits.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nodes_get_their_turn_by_chance_and_a_share_of_them_at_a_time() {
        let nodes: Vec<_> = (0..1000).map(|_| Jitter::new(10)).collect();
        let mut waiting: Vec<_> = nodes.iter().collect();
        let mut turns = 0;
        while !waiting.is_empty() {
            let mut still = Vec::new();
            for node in &waiting {
                if matches!(node.may_rebuild(Reason::Forked).await, Turn::No { .. }) {
                    still.push(*node);
                }
            }
            let now = waiting.len() - still.len();
            assert!(now <= 150, "{now} of 1000 at a time");
            waiting = still;
            turns += 1;
            tokio::time::advance(USUAL).await;
        }
        assert!((8..=10).contains(&turns), "{turns}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_waits_once_for_a_trouble_and_anew_for_the_next() {
        let node = Jitter::new(1);
        let Turn::No { again } = node.may_rebuild(Reason::Gap).await else { panic!("at once") };
        tokio::time::advance(again).await;
        assert_eq!(node.may_rebuild(Reason::Gap).await, Turn::Yes);
        assert_eq!(node.may_rebuild(Reason::Gap).await, Turn::Yes);
        node.done().await;
        assert!(matches!(node.may_rebuild(Reason::Gap).await, Turn::No { .. }));
        assert_eq!(Jitter::new(100).may_rebuild(Reason::Gap).await, Turn::Yes);
    }
}

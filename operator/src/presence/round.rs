//! Every few seconds: take a census, and wake the tables whose status says something else.
//!
//! A table whose condition changes is woken at once. Numbers are brought up to date more seldom and few at a time. So the
//! number of writes is bounded, however often nodes report and however many tables there are.

use std::sync::Arc;
use std::time::Duration;

use crds::CtlTable;
use crds::condition::{ConditionType, find};
use kube::{Client, Resource};
use tokio::time::{Instant, sleep};

use crate::args::Percent;
use crate::cache::Cache;
use crate::metrics::Metrics;
use crate::presence::census::Census;
use crate::presence::way::{known_seq, way};
use crate::presence::{Fleet, Tainted, sweep};
use crate::wake::Wakes;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(5);

/// Between two times at which numbers are brought up to date.
const NUMBERS: Duration = Duration::from_secs(30);

/// So many tables get new numbers at a time.
const NUMBERED: usize = 100;

/// Between two looks for Leases of nodes that are gone.
const SWEEP: Duration = Duration::from_secs(60);

/// What rounds need.
pub(crate) struct Rounds {
    pub(crate) fleet: Fleet,
    pub(crate) share: Percent,
    pub(crate) cache: Cache,
    pub(crate) wakes: Wakes,
    pub(crate) metrics: Metrics,
    pub(crate) client: Client,
    /// Of the agents' Leases.
    pub(crate) namespace: String,
    /// New nodes that wait for their agents, where the operator looks after them.
    pub(crate) tainted: Option<Tainted>,
}

/// What a status says of a table's way, against what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outdated {
    No,
    Numbers,
    Condition,
}

/// Goes on until it is dropped.
pub(crate) async fn run(rounds: &Rounds) {
    let (mut numbered, mut swept) = (Instant::now(), Instant::now());
    loop {
        sleep(ROUND).await;
        let Some(census) = rounds.fleet.count() else { continue };
        rounds.metrics.nodes(census.nodes(), census.placed(), census.least());
        let with_numbers = numbered.elapsed() >= NUMBERS;
        if with_numbers {
            numbered = Instant::now();
        }
        rounds.wake(&census, with_numbers).await;
        if let Some(tainted) = &rounds.tainted {
            tainted.release(&rounds.fleet, &rounds.client).await;
        }
        if swept.elapsed() >= SWEEP {
            swept = Instant::now();
            sweep::sweep(&rounds.fleet, &rounds.client, &rounds.namespace).await;
        }
    }
}

impl Rounds {
    async fn wake(&self, census: &Census, with_numbers: bool) {
        let outdated = |table: &CtlTable| outdated(table, census, self.share);
        let turned = self.cache.tables.state_filter(|table| outdated(table) == Outdated::Condition);
        self.wakes.tables(&turned).await;
        if with_numbers {
            let mut stale: Vec<Arc<CtlTable>> =
                self.cache.tables.state_filter(|table| outdated(table) == Outdated::Numbers);
            stale.truncate(NUMBERED);
            self.wakes.tables(&stale).await;
        }
    }
}

fn outdated(table: &CtlTable, census: &Census, share: Percent) -> Outdated {
    let Some(status) = &table.status else { return Outdated::No };
    // Else it is looked at anyway, when it comes into the ledger.
    let Some(seq) = known_seq(status, table.meta().generation) else { return Outdated::No };
    let Some(said) = find(&status.conditions, ConditionType::Propagated) else {
        return Outdated::Condition;
    };
    let due = way(status, Some(seq), Some(census), share);
    let condition = due.condition;
    if said.status != condition.state.to_string() || said.reason != condition.reason.to_string() {
        Outdated::Condition
    } else if said.message != condition.message || status.propagation != due.propagation {
        Outdated::Numbers
    } else {
        Outdated::No
    }
}

#[cfg(test)]
mod tests {
    use crds::CtlTableStatus;
    use crds::condition::merge;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::presence::census::Standing;
    use crate::presence::way::Way;

    fn census(standings: &[Standing]) -> Census {
        let names = ["a", "b", "c"];
        Census::of(names.into_iter().zip(standings.iter().copied()))
    }

    /// A table whose status says what follows from this census.
    fn told(seq: i64, told: Option<&Census>) -> CtlTable {
        let Way { condition, propagation } =
            way(&CtlTableStatus::default(), Some(seq), told, Percent::DEFAULT);
        let mut table = CtlTable::new("plans", crds::CtlTableSpec::default());
        table.metadata.generation = Some(1);
        table.status = Some(CtlTableStatus {
            observed_generation: Some(1),
            conditions: merge(&[], &[condition], Some(1), &Time(jiff::Timestamp::UNIX_EPOCH)),
            schema_seq: Some(seq),
            propagation,
            ..CtlTableStatus::default()
        });
        table
    }

    #[test]
    fn only_a_table_whose_status_is_wrong_is_woken() {
        use Standing::{At, Silent};
        let check = |table: &CtlTable, now: &[Standing], want| {
            assert_eq!(outdated(table, &census(now), Percent::DEFAULT), want, "{now:?}");
        };
        let behind = told(10, Some(&census(&[At(10), At(3)])));
        check(&behind, &[At(10), At(3)], Outdated::No);
        check(&behind, &[At(500), At(3)], Outdated::No);
        check(&behind, &[At(10), At(4)], Outdated::Numbers);
        check(&behind, &[At(10), At(3), Silent], Outdated::Numbers);
        check(&behind, &[At(10), At(10)], Outdated::Condition);
        check(&behind, &[], Outdated::Condition);
        let there = told(10, Some(&census(&[At(10), At(10)])));
        for nodes in [[At(1), Silent], [At(99), At(99)], [Silent, Silent]] {
            check(&there, &nodes, Outdated::No);
        }
        let nobody = told(10, None);
        check(&nobody, &[], Outdated::No);
        check(&nobody, &[At(3)], Outdated::Condition);
    }

    #[test]
    fn a_table_that_is_looked_at_anyway_is_not_woken() {
        let all = census(&[Standing::At(10)]);
        let mut changed = told(10, None);
        changed.metadata.generation = Some(2);
        assert_eq!(outdated(&changed, &all, Percent::DEFAULT), Outdated::No);
        let fresh = CtlTable { status: None, ..changed };
        assert_eq!(outdated(&fresh, &all, Percent::DEFAULT), Outdated::No);
    }
}

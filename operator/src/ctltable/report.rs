//! Says in a table's status what came of it. Pure.

use crds::CtlTableStatus;
use crds::condition::{ConditionType, Reason, State, Wanted, merge};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use ledger::{LdbTable, Seq};

use crate::ctltable::apply::Applied;
use crate::verdict::Verdict;

/// What there is to say about a table.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    pub(crate) generation: Option<i64>,
    /// Its name in SQL, if its declaration has one.
    pub(crate) sql_name: Option<LdbTable>,
    /// The ledger entry that made it what it is, once it was there.
    pub(crate) schema_seq: Option<Seq>,
}

/// The verdict on a table that is as declared.
pub(crate) fn done(applied: &Applied) -> Verdict {
    let Applied { table, schema_seq } = applied;
    Verdict::Done { message: format!("table {table} is in the ledger at sequence {schema_seq}") }
}

/// The whole status that follows on `before`.
pub(crate) fn status(before: &CtlTableStatus, told: &Told, now: &Time) -> CtlTableStatus {
    let Told { verdict, generation, sql_name, schema_seq } = told;
    let mut wanted = verdict.conditions();
    wanted.push(Wanted::new(
        ConditionType::Propagated,
        State::Unknown,
        Reason::Pending,
        "nothing is known of the nodes",
    ));
    CtlTableStatus {
        observed_generation: *generation,
        conditions: merge(&before.conditions, &wanted, *generation, now),
        sql_name: sql_name.as_ref().map(ToString::to_string).or_else(|| before.sql_name.clone()),
        schema_seq: schema_seq.map(Seq::to_i64).or(before.schema_seq),
        propagation: before.propagation.clone(),
    }
}

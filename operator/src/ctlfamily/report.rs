//! Says in a family's status what came of it. Pure.

use crds::CtlFamilyStatus;
use crds::condition::merge;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::verdict::Verdict;

/// What there is to say about a family.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) verdict: Verdict,
    pub(crate) generation: Option<i64>,
    /// Its name in SQL, once it was accepted.
    pub(crate) sql_name: Option<String>,
    /// How many tables refer to it.
    pub(crate) tables: usize,
}

/// The whole status that follows on `before`.
pub(crate) fn status(before: &CtlFamilyStatus, told: &Told, now: &Time) -> CtlFamilyStatus {
    let Told { verdict, generation, sql_name, tables } = told;
    CtlFamilyStatus {
        observed_generation: *generation,
        conditions: merge(&before.conditions, &verdict.conditions(), *generation, now),
        sql_name: sql_name.clone().or_else(|| before.sql_name.clone()),
        table_count: i64::try_from(*tables).ok(),
    }
}

//! Says in a table's status what came of it. Pure.

use std::sync::Arc;

use crds::CtlTableStatus;
use crds::condition::{ConditionType, Reason, State, Wanted, find, merge};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use ledger::{LdbTable, Seq};

use crate::args::Percent;
use crate::ctltable::apply::Applied;
use crate::presence::{Census, known_seq, way};
use crate::sizes::Fullness;
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
    /// How large it is.
    pub(crate) fullness: Fullness,
    /// Where the nodes are.
    pub(crate) nodes: Nodes,
}

/// Where the nodes are, and how many must have a table.
#[derive(Debug, Clone)]
pub(crate) struct Nodes {
    pub(crate) census: Option<Arc<Census>>,
    pub(crate) share: Percent,
}

/// The verdict on a table that is as declared.
pub(crate) fn done(applied: &Applied) -> Verdict {
    let Applied { table, schema_seq, limit: _ } = applied;
    Verdict::Done { message: format!("table {table} is in the ledger at sequence {schema_seq}") }
}

/// The whole status that follows on `before`.
pub(crate) fn status(before: &CtlTableStatus, told: &Told, now: &Time) -> CtlTableStatus {
    let Told { verdict, generation, sql_name, schema_seq, fullness, nodes } = told;
    let mut wanted = verdict.conditions();
    if verdict.is_vague()
        && let Some(refused) = still_refused(&before.conditions, *generation)
    {
        wanted.retain(|wanted| wanted.type_ != ConditionType::Accepted);
        wanted.push(refused);
    }
    let in_ledger = schema_seq.map(Seq::to_i64).or_else(|| known_seq(before, *generation));
    let way = way(before, in_ledger, nodes.census.as_deref(), nodes.share);
    wanted.push(way.condition);
    match (fullness, sql_name) {
        (Fullness::Unknown, _) | (_, None) => wanted.extend(said_before(&before.conditions)),
        (fullness, Some(table)) => wanted.extend(fullness.condition(table)),
    }
    CtlTableStatus {
        observed_generation: *generation,
        conditions: merge(&before.conditions, &wanted, *generation, now),
        sql_name: sql_name.as_ref().map(ToString::to_string).or_else(|| before.sql_name.clone()),
        schema_seq: schema_seq.map(Seq::to_i64).or(before.schema_seq),
        propagation: way.propagation,
    }
}

/// What only the database can tell of this declaration stays said for as long as it cannot be asked.
fn still_refused(conditions: &[Condition], generation: Option<i64>) -> Option<Wanted> {
    let said = find(conditions, ConditionType::Accepted)?;
    let conflict = said.status == State::False.to_string()
        && said.reason == Reason::SchemaConflict.to_string()
        && said.observed_generation == generation;
    let message = said.message.as_str();
    let wanted =
        || Wanted::new(ConditionType::Accepted, State::False, Reason::SchemaConflict, message);
    conflict.then(wanted)
}

/// What was said of the size, for as long as nobody has measured the table again.
fn said_before(conditions: &[Condition]) -> Option<Wanted> {
    let said = find(conditions, ConditionType::SizeWarning)?;
    let reason = [Reason::AboveWarnSize, Reason::AboveMaxSize]
        .into_iter()
        .find(|reason| reason.to_string() == said.reason)?;
    Some(Wanted::new(ConditionType::SizeWarning, State::True, reason, said.message.clone()))
}

#[cfg(test)]
mod tests {
    use ctldb::SizeLimit;

    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn a_conflict_is_not_forgotten_while_the_database_is_away() {
        let after = |before: &CtlTableStatus, verdict, generation| {
            let told = Told {
                verdict,
                generation: Some(generation),
                sql_name: None,
                schema_seq: None,
                fullness: Fullness::Unknown,
                nodes: Nodes { census: None, share: Percent::DEFAULT },
            };
            status(before, &told, &Time(jiff::Timestamp::UNIX_EPOCH))
        };
        let accepted = |status: &CtlTableStatus| {
            let said = find(&status.conditions, ConditionType::Accepted).unwrap();
            format!("{}/{}", said.status, said.reason)
        };
        let away = Verdict::Trying {
            state: State::Unknown,
            reason: Reason::DatabaseUnavailable,
            message: "x".to_owned(),
        };
        let conflict = Refusal::accepted(Reason::SchemaConflict, "the table has note");
        let refused = after(&CtlTableStatus::default(), Verdict::Refused(conflict), 1);
        assert_eq!(accepted(&refused), "False/SchemaConflict");
        let still = after(&refused, away.clone(), 1);
        assert_eq!(accepted(&still), "False/SchemaConflict");
        assert_eq!(accepted(&after(&still, away.clone(), 1)), "False/SchemaConflict");
        // Nobody has compared this declaration.
        assert_eq!(accepted(&after(&still, away, 2)), "True/Applied");
        let done = Verdict::Done { message: "x".to_owned() };
        assert_eq!(accepted(&after(&still, done, 1)), "True/Applied");
    }

    #[test]
    fn a_warning_stays_until_somebody_has_measured_the_table_again() {
        let table = LdbTable::parse("billing___plans").unwrap();
        let after = |before: &CtlTableStatus, fullness| {
            let told = Told {
                verdict: Verdict::Done { message: "x".to_owned() },
                generation: Some(1),
                sql_name: Some(table.clone()),
                schema_seq: Some(Seq::FIRST),
                fullness,
                nodes: Nodes { census: None, share: Percent::DEFAULT },
            };
            status(before, &told, &Time(jiff::Timestamp::UNIX_EPOCH))
        };
        let reason = |status: &CtlTableStatus| {
            find(&status.conditions, ConditionType::SizeWarning).map(|said| said.reason.clone())
        };
        let limit = SizeLimit { max_bytes: 100, warn_bytes: 50 };
        let warned = after(&CtlTableStatus::default(), Fullness::AboveWarn { bytes: 60, limit });
        assert_eq!(reason(&warned).as_deref(), Some("AboveWarnSize"));
        assert_eq!(after(&warned, Fullness::Unknown), warned);
        let full = after(&warned, Fullness::AboveMax { bytes: 101, limit });
        assert_eq!(reason(&full).as_deref(), Some("AboveMaxSize"));
        assert_eq!(reason(&after(&full, Fullness::Fine)), None);
        assert_eq!(reason(&after(&CtlTableStatus::default(), Fullness::Unknown)), None);
    }
}

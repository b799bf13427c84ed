//! What came of looking at an object, and how its conditions say it. Pure.

use crds::condition::{ConditionType, Reason, State, Wanted};
use ctldb::Error;

use crate::database::{DatabaseError, outage};
use crate::metrics::Outcome;
use crate::refusal::Refusal;

/// What came of looking at an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is as declared.
    Done {
        /// Where to find it.
        message: String,
    },
    /// It is not done as it asks.
    Refused(Refusal),
    /// It is accepted, and something has to pass before it is done. It is tried again.
    Trying {
        /// False: it is known not to be as declared. Unknown: that cannot be told.
        state: State,
        /// Why.
        reason: Reason,
        /// Why, for people.
        message: String,
    },
}

impl Verdict {
    /// What a failure of the database means for the object that asked.
    pub(crate) fn of(error: &DatabaseError) -> Self {
        let source = match error {
            DatabaseError::Down(outage) => {
                return Self::trying(State::Unknown, outage.reason, &outage.message);
            }
            DatabaseError::Failed { action: _, source } => source.as_ref(),
        };
        if let Some(outage) = outage(source) {
            return Self::trying(State::Unknown, outage.reason, &outage.message);
        }
        match source {
            Error::WaitingForLock { .. } | Error::SchemaBusy { .. } => {
                Self::trying(State::False, Reason::WaitingForLock, &source.to_string())
            }
            Error::Refused(_) | Error::Foreign { .. } => {
                Self::Refused(Refusal::accepted(Reason::SchemaConflict, source.to_string()))
            }
            Error::Ddl { .. } => {
                Self::Refused(Refusal::programmed(Reason::DDLFailed, source.to_string()))
            }
            // Somebody else was faster; the next look sees what they did.
            other if other.is_conflict() || other.is_not_found() => {
                Self::trying(State::Unknown, Reason::ApplyingChanges, &source.to_string())
            }
            other => Self::trying(State::False, Reason::DDLFailed, &other.to_string()),
        }
    }

    fn trying(state: State, reason: Reason, message: &str) -> Self {
        Self::Trying { state, reason, message: message.to_owned() }
    }

    /// Nobody can tell how things stand. Said once, it may be a hiccup; said twice in a row, it is news.
    pub(crate) fn is_vague(&self) -> bool {
        matches!(self, Self::Trying { state: State::Unknown, .. })
    }

    /// For the metrics.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Done { .. } => Outcome::Done,
            Self::Refused(refusal) if refusal.may_pass() => Outcome::Waiting,
            Self::Refused(_) => Outcome::Refused,
            Self::Trying { reason: Reason::WaitingForLock, .. } => Outcome::Waiting,
            Self::Trying { .. } => Outcome::Failed,
        }
    }

    /// The conditions that say it.
    pub(crate) fn conditions(&self) -> Vec<Wanted> {
        use ConditionType::{Accepted, Programmed, Ready, Reconciling, Stalled};
        let legal =
            || Wanted::new(Accepted, State::True, Reason::Applied, "the declaration is legal");
        match self {
            Self::Done { message } => {
                let done =
                    |type_| Wanted::new(type_, State::True, Reason::Applied, message.as_str());
                vec![done(Ready), legal(), done(Programmed)]
            }
            Self::Refused(refusal) => {
                let Refusal { about, reason, message } = refusal;
                let said = |type_, state| Wanted::new(type_, state, *reason, message.as_str());
                let (accepted, programmed) = if *about == Accepted {
                    let waits = "nothing is done until the declaration is accepted";
                    let programmed =
                        Wanted::new(Programmed, State::Unknown, Reason::Pending, waits);
                    (said(Accepted, State::False), programmed)
                } else {
                    (legal(), said(Programmed, State::False))
                };
                let helpless = if refusal.may_pass() { Reconciling } else { Stalled };
                vec![said(Ready, State::False), accepted, programmed, said(helpless, State::True)]
            }
            Self::Trying { state, reason, message } => {
                let said = |type_, state| Wanted::new(type_, state, *reason, message.as_str());
                vec![
                    said(Ready, *state),
                    legal(),
                    said(Programmed, *state),
                    said(Reconciling, State::True),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::breaker::Outage;

    #[expect(clippy::needless_pass_by_value, reason = "a case is one line")]
    fn check(verdict: Verdict, want: Expect) {
        let show = |wanted: &Wanted| format!("{}={}/{}", wanted.type_, wanted.state, wanted.reason);
        want.assert_eq(&verdict.conditions().iter().map(show).collect::<Vec<_>>().join(" "));
    }

    fn failed(source: Error) -> Verdict {
        Verdict::of(&DatabaseError::Failed { action: "test", source: Box::new(source) })
    }

    #[test]
    fn conditions_say_what_came_of_it() {
        let table = ledger::LdbTable::parse("billing___plans").unwrap();
        let refused =
            |about, reason| Verdict::Refused(Refusal { about, reason, message: "x".into() });
        check(
            Verdict::Done { message: "x".into() },
            expect!["Ready=True/Applied Accepted=True/Applied Programmed=True/Applied"],
        );
        check(
            refused(ConditionType::Accepted, Reason::NameConflict),
            expect![
                "Ready=False/NameConflict Accepted=False/NameConflict Programmed=Unknown/Pending Stalled=True/NameConflict"
            ],
        );
        check(
            refused(ConditionType::Accepted, Reason::FamilyNotFound),
            expect![
                "Ready=False/FamilyNotFound Accepted=False/FamilyNotFound Programmed=Unknown/Pending Reconciling=True/FamilyNotFound"
            ],
        );
        check(
            refused(ConditionType::Accepted, Reason::SchemaConflict),
            expect![
                "Ready=False/SchemaConflict Accepted=False/SchemaConflict Programmed=Unknown/Pending Stalled=True/SchemaConflict"
            ],
        );
        check(
            refused(ConditionType::Programmed, Reason::OwnerConflict),
            expect![
                "Ready=False/OwnerConflict Accepted=True/Applied Programmed=False/OwnerConflict Stalled=True/OwnerConflict"
            ],
        );
        let outage = Outage { reason: Reason::DatabaseUnavailable, message: "x".into() };
        check(
            Verdict::of(&DatabaseError::Down(outage)),
            expect![
                "Ready=Unknown/DatabaseUnavailable Accepted=True/Applied Programmed=Unknown/DatabaseUnavailable Reconciling=True/DatabaseUnavailable"
            ],
        );
        check(
            failed(Error::Original),
            expect![
                "Ready=Unknown/DatabaseIncompatible Accepted=True/Applied Programmed=Unknown/DatabaseIncompatible Reconciling=True/DatabaseIncompatible"
            ],
        );
        check(
            failed(Error::WaitingForLock { table: table.clone(), blocker: "x".into() }),
            expect![
                "Ready=False/WaitingForLock Accepted=True/Applied Programmed=False/WaitingForLock Reconciling=True/WaitingForLock"
            ],
        );
        check(
            failed(Error::Ddl { table: table.clone(), words: "x".into() }),
            expect![
                "Ready=False/DDLFailed Accepted=True/Applied Programmed=False/DDLFailed Stalled=True/DDLFailed"
            ],
        );
        check(
            failed(Error::TableExists(table)),
            expect![
                "Ready=Unknown/ApplyingChanges Accepted=True/Applied Programmed=Unknown/ApplyingChanges Reconciling=True/ApplyingChanges"
            ],
        );
    }
}

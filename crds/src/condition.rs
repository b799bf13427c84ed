//! Types, states and reasons of conditions: the one place where these words exist, and the one way to change them.
//!
//! Reasons are part of the API: scripts wait for them and alerts name them. One may be added, none renamed.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// The schema's bound on messages; longer ones are cut.
const MESSAGE_MAX: usize = 4096;

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// Sums up: accepted and programmed, for this generation.
    Ready,
    /// The spec is legal beyond what the API server checks: the family is there and lets the namespace in, no name is taken,
    /// and a table of this name that is there already can become what is declared.
    Accepted,
    /// Database and ledger have it; the message carries the sequence.
    Programmed,
    /// Every node has it. For information: `Ready` never waits for it.
    Propagated,
    /// The table is larger than its warn level, or larger than it may be. There only while true; `Ready` does not follow it.
    SizeWarning,
    /// Work is pending. There only while true.
    Reconciling,
    /// No retry will help until somebody changes something. There only while true.
    Stalled,
}

/// Whether it is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It is so.
    True,
    /// It is not so.
    False,
    /// Nobody can tell yet, or at the moment.
    Unknown,
}

/// Why a condition is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The operator has not come to it yet.
    Pending,
    /// It is as declared.
    Applied,
    /// A schema change is under way.
    ApplyingChanges,
    /// The family that the table refers to is not there.
    FamilyNotFound,
    /// The family is there and not ready itself.
    FamilyNotReady,
    /// The family does not let the table's namespace add tables.
    NamespaceNotAllowed,
    /// An older object has the same name in SQL.
    NameConflict,
    /// Family and table name together are longer than the database takes.
    NameTooLong,
    /// The spec breaks a rule that the API server should have enforced, as with an older CRD.
    InvalidSpec,
    /// Rows or keys of the table would be larger than the database takes.
    TableTooWide,
    /// A table is there already whose columns or key differ in a way that adding columns does not mend.
    SchemaConflict,
    /// Another cluster or object owns the table and wants it otherwise.
    OwnerConflict,
    /// The table in the database was changed by somebody else.
    Drifted,
    /// Deleting the object would drop data, and the operator was not allowed to.
    DestructiveChangeBlocked,
    /// One pass would change more tables than it may; a confirmation is needed.
    TooManyChanges,
    /// Somebody holds a lock on the table in the database; the message names who.
    WaitingForLock,
    /// The database cannot be reached, or does not let the operator in.
    DatabaseUnavailable,
    /// The database user of the operator lacks a privilege; docs/grants.md lists what it needs.
    PrivilegeMissing,
    /// Another program writes the ledger behind the back of ctlstore.
    LedgerTaken,
    /// The database is of a version or kind that the operator must not touch.
    DatabaseIncompatible,
    /// The database refused the schema change.
    DDLFailed,
    /// The family is being deleted and tables still refer to it.
    TablesRemain,
    /// The object is being deleted.
    Deleting,
    /// The table is larger than its warn level.
    AboveWarnSize,
    /// The table is larger than it may be, and takes no more rows.
    AboveMaxSize,
    /// All nodes have it.
    AllNodes,
    /// Some nodes do not have it yet.
    NodesBehind,
    /// Nothing is known of the nodes.
    NoReports,
}

impl ConditionType {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Accepted,
        Self::Programmed,
        Self::Propagated,
        Self::SizeWarning,
        Self::Reconciling,
        Self::Stalled,
    ];
}

/// A condition as the operator wants it now; times are [`merge`]'s business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is about.
    pub type_: ConditionType,
    /// Whether it is so.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Why, for people. One line; never text of a driver, never a URL with a password.
    pub message: String,
}

impl Wanted {
    /// A condition, in one line of code.
    #[must_use]
    pub fn new(
        type_: ConditionType,
        state: State,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, state, reason, message: message.into() }
    }
}

/// The complete set of conditions to write: exactly `wanted`, in the order of [`ConditionType::ALL`].
/// `lastTransitionTime` stays where the status did not change, or the operator would wake itself up for ever.
#[must_use]
pub fn merge(
    present: &[Condition],
    wanted: &[Wanted],
    generation: Option<i64>,
    now: &Time,
) -> Vec<Condition> {
    let mut wanted: Vec<_> = wanted.iter().collect();
    wanted.sort_by_key(|wanted| wanted.type_);
    let build = |wanted: &Wanted| {
        let Wanted { type_, state, reason, message } = wanted;
        let (type_, status) = (type_.to_string(), state.to_string());
        let since = present
            .iter()
            .find(|was| was.type_ == type_ && was.status == status)
            .map_or(now, |was| &was.last_transition_time);
        Condition {
            type_,
            status,
            reason: reason.to_string(),
            message: one_line(message),
            observed_generation: generation,
            last_transition_time: since.clone(),
        }
    };
    wanted.into_iter().map(build).collect()
}

/// Those of `after` that are news compared with `before`: new, or with another status or reason. One event is due for each.
pub fn news<'a>(
    before: &'a [Condition],
    after: &'a [Condition],
) -> impl Iterator<Item = &'a Condition> {
    after.iter().filter(|now| {
        !before.iter().any(|was| {
            was.type_ == now.type_ && was.status == now.status && was.reason == now.reason
        })
    })
}

/// The condition of this type, if it is there.
#[must_use]
pub fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    let name = type_.to_string();
    conditions.iter().find(|condition| condition.type_ == name)
}

/// True when the condition is there, is true, and was said of this generation (where it names one).
#[must_use]
pub fn is_true(conditions: &[Condition], type_: ConditionType, generation: Option<i64>) -> bool {
    find(conditions, type_).is_some_and(|condition| {
        condition.status == State::True.to_string()
            && (generation.is_none() || condition.observed_generation == generation)
    })
}

fn one_line(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MESSAGE_MAX).collect()
}

// The variants' names are the words themselves.

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

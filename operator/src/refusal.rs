//! What the operator answers when it does not do what an object asks for. A refusal is an answer, not a failure.

use crds::condition::{ConditionType, Reason};

/// Why an object is not done as it asks, and which condition says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// [`ConditionType::Accepted`] or [`ConditionType::Programmed`].
    pub(crate) about: ConditionType,
    /// Why, in a word.
    pub(crate) reason: Reason,
    /// Why, for people, with the cure.
    pub(crate) message: String,
}

impl Refusal {
    /// The declaration itself is not accepted.
    pub(crate) fn accepted(reason: Reason, message: impl Into<String>) -> Self {
        Self { about: ConditionType::Accepted, reason, message: message.into() }
    }

    /// The declaration is accepted, and the database cannot be made to follow it.
    pub(crate) fn programmed(reason: Reason, message: impl Into<String>) -> Self {
        Self { about: ConditionType::Programmed, reason, message: message.into() }
    }

    /// Does it end by itself, when another object comes or goes? Then the object is at work, not stalled: tools that
    /// apply a family and its tables together must not give up because they were seen in the wrong order.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self.reason,
            Reason::FamilyNotFound | Reason::FamilyNotReady | Reason::TablesRemain
        )
    }
}

//! Why a store did not do what it was asked.

use std::error::Error;
use std::fmt;

/// What is the matter, in the words that callers decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No such object.
    NotFound,
    /// The condition of a put does not hold, or somebody writes the same object right now.
    Changed,
    /// These credentials may not, or there are none.
    Denied,
    /// The bucket or folder is not there.
    NoBucket,
    /// It is larger than the caller can take.
    TooLarge,
    /// The store cannot be reached, is overloaded, or the connection broke: it passes.
    Unavailable,
    /// The store refuses for another reason: repeating it does not help.
    Refused,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Kind::NotFound => "it is not there",
            Kind::Changed => "somebody else changed it",
            Kind::Denied => "access denied, check the credentials and what they may do",
            Kind::NoBucket => "the bucket or folder does not exist, make it first",
            Kind::TooLarge => "it is larger than it can be",
            Kind::Unavailable => "the store is not available",
            Kind::Refused => "the store refuses",
        })
    }
}

/// A store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {object}: {kind}")]
pub struct StoreError {
    verb: &'static str,
    object: String,
    kind: Kind,
    #[source]
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    pub(crate) fn new(verb: &'static str, object: impl Into<String>, kind: Kind) -> Self {
        Self { verb, object: object.into(), kind, source: None }
    }

    pub(crate) fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What is the matter.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// No such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// The condition of a put did not hold: read again, decide again.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.kind == Kind::Changed
    }

    /// Repeating it does not help until somebody has changed something.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// It passes: try again later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }
}

/// What a library said, as text: its own errors hold requests and answers, and show them when printed for debugging.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Said(pub(crate) String);

impl Said {
    /// The texts of an error and of all its causes.
    pub(crate) fn chain(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let said = cause.to_string();
            // Some libraries repeat the cause in their own text.
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = cause.source();
        }
        Self(text)
    }
}

//! From where to go on, in a form to be kept.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ledger::Seq;

/// From where to follow on: a sequence, and in which epoch it means something (a ledger's history, and how often the LDB
/// stepped back). To be kept as text by programs that keep what they were told across restarts: whoever comes back to an
/// LDB of another history, after a restore, is told to reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    pub(crate) seq: Seq,
    /// None where it is not known: then it is not compared.
    pub(crate) epoch: Option<Arc<str>>,
}

impl Resume {
    /// The sequence.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }
}

/// A sequence alone: of what epoch it is the caller knows.
impl From<Seq> for Resume {
    fn from(seq: Seq) -> Self {
        Self { seq, epoch: None }
    }
}

/// Text that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a place to follow on from: pass on the text of a Resume as it was written")]
pub struct ResumeError;

impl fmt::Display for Resume {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.epoch {
            Some(epoch) => write!(out, "{}@{epoch}", self.seq),
            None => write!(out, "{}", self.seq),
        }
    }
}

impl FromStr for Resume {
    type Err = ResumeError;

    fn from_str(text: &str) -> Result<Self, ResumeError> {
        let (seq, epoch) =
            text.split_once('@').map_or((text, None), |(seq, rest)| (seq, Some(rest)));
        let seq = seq.parse().ok().and_then(Seq::new).ok_or(ResumeError)?;
        // It becomes part of a query, which knows no such signs.
        let good = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
            !text.is_empty() && text.len() <= 100 && text.bytes().all(plain)
        };
        match epoch {
            Some(epoch) if !good(epoch) => Err(ResumeError),
            epoch => Ok(Self { seq, epoch: epoch.map(Arc::from) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_after_it_was_kept_as_text() {
        for text in ["7", "0", "7@legacy.1", "42@0d5e0a5c-6a8f-4c9b-9d4f-0f1b7a3c2e11.3"] {
            assert_eq!(text.parse::<Resume>().unwrap().to_string(), text);
        }
        for text in ["", "x", "-1", "7@", "7@a b", "7@a&after=1", "7@a\r\n"] {
            assert_eq!(text.parse::<Resume>(), Err(ResumeError), "{text:?}");
        }
    }
}

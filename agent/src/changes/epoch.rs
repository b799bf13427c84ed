//! Where sequences mean the same: a ledger's history, and this directory's count of how often its sequence stepped back.
//! Who comes back with a sequence of another epoch is told to reload, for it may have read what is not so any more.

use std::fmt;
use std::str::FromStr;

use ledger::History;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `HISTORY.INCARNATION`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) history: History,
    /// As the control page has it.
    pub(crate) incarnation: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.history, self.incarnation)
    }
}

impl FromStr for Epoch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (history, incarnation) = text.rsplit_once('.')?;
            Some(Self { history: history.parse().ok()?, incarnation: incarnation.parse().ok()? })
        };
        parse().ok_or("not an epoch: pass on that of an event as it came")
    }
}

impl Serialize for Epoch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

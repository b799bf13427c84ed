//! What is told between changes, as JSON: the first line of a file or a stream, the position where no change has its
//! sequence, and that changes were passed over.

use ledger::Seq;
use serde::Serialize;

use crate::changes::Epoch;

/// The version of the change log's format.
const FORMAT: u8 = 2;

/// A line that is no change.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line<'a> {
    pub(crate) seq: Seq,
    op: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Begins a file or a stream: what follows is all that came after this sequence.
    pub(crate) fn start(seq: Seq, epoch: Option<Epoch>, file: Option<u64>) -> Self {
        Self { format: Some(FORMAT), epoch, file, ..Self::plain(seq, "start") }
    }

    /// Everything up to this sequence was told.
    pub(crate) fn position(seq: Seq) -> Self {
        Self::plain(seq, "position")
    }

    /// What happened up to this sequence was not told, or not all of it.
    pub(crate) fn reload(seq: Seq, reason: &'a str) -> Self {
        Self { reason: Some(reason), ..Self::plain(seq, "reload") }
    }

    fn plain(seq: Seq, op: &'static str) -> Self {
        Self { seq, op, format: None, file: None, epoch: None, reason: None }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use ledger::History;

    use super::*;

    #[test]
    fn each_says_where_and_what() {
        let seq = Seq::new(5).unwrap();
        let check = |line: Line<'_>, want: Expect| {
            want.assert_eq(&serde_json::to_string(&line).unwrap());
        };
        let epoch = Epoch { history: History::Legacy, incarnation: 2 };
        check(
            Line::start(seq, Some(epoch), Some(3)),
            expect![[r#"{"seq":5,"op":"start","format":2,"file":3,"epoch":"legacy.2"}"#]],
        );
        check(Line::start(seq, None, None), expect![[r#"{"seq":5,"op":"start","format":2}"#]]);
        check(Line::position(seq), expect![[r#"{"seq":5,"op":"position"}"#]]);
        check(Line::reload(seq, "why"), expect![[r#"{"seq":5,"op":"reload","reason":"why"}"#]]);
    }
}

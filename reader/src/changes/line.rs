//! A line of a change log of either format, which is also the data of an event of `/v1/watch`.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{ColumnName, ColumnType, FamilyName, LeaderTs, Seq, TableName, Value};
use serde::Deserialize;

use crate::changes::{Change, Op};

/// A line.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// The first of a file of format v2: what follows came after this sequence.
    Start {
        seq: Seq,
        file: u64,
        /// In which sequences mean something.
        epoch: Option<String>,
    },
    Change(Change),
    Position(Seq),
    Reload(Seq),
    /// Of the original: a count, and a row that was touched.
    Original {
        count: u64,
        change: Change,
    },
}

#[derive(Debug, Deserialize)]
struct Raw {
    seq: u64,
    op: Option<String>,
    file: Option<u64>,
    epoch: Option<String>,
    family: Option<FamilyName>,
    table: Option<TableName>,
    key: Option<Vec<RawKey>>,
    at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RawKey {
    name: ColumnName,
    #[serde(rename = "type")]
    declared: String,
    value: serde_json::Value,
}

impl Line {
    /// None when it is no line of a change log, or one that this version does not know.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let raw: Raw = serde_json::from_slice(text).ok()?;
        let seq = Seq::new(raw.seq);
        match raw.op.as_deref() {
            None => {
                let count = raw.seq;
                Some(Line::Original { count, change: raw.change(None, Op::Touch)? })
            }
            Some("start") => Some(Line::Start { seq: seq?, file: raw.file?, epoch: raw.epoch }),
            Some("position") => Some(Line::Position(seq?)),
            Some("reload") => Some(Line::Reload(seq?)),
            Some(op) => {
                let op = Op::parse(op)?;
                Some(Line::Change(raw.change(Some(seq?), op)?))
            }
        }
    }

    /// The ledger's sequence, where the line has one.
    pub(crate) fn seq(&self) -> Option<Seq> {
        match self {
            Line::Start { seq, .. } | Line::Position(seq) | Line::Reload(seq) => Some(*seq),
            Line::Change(change) => change.seq,
            Line::Original { .. } => None,
        }
    }
}

impl Raw {
    fn change(self, seq: Option<Seq>, op: Op) -> Option<Change> {
        let key = self.key.unwrap_or_default().into_iter().map(RawKey::read);
        let at = self.at.and_then(|at| time(&at));
        let (family, table, key) = (self.family?, self.table?, key.collect::<Option<_>>()?);
        Some(Change { seq, at, op, family, table, key })
    }
}

impl RawKey {
    fn read(self) -> Option<(ColumnName, Value)> {
        use serde_json::Value as Json;
        let bytes = ColumnType::from_sqlite(&self.declared).is_some_and(ColumnType::is_bytes);
        let value = match self.value {
            Json::Null => Value::Null,
            Json::String(text) if bytes => Value::Bytes(STANDARD.decode(text).ok()?),
            Json::String(text) => Value::Text(text),
            Json::Number(number) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Decimal(number.as_f64()?),
            },
            Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
        };
        Some((self.name, value))
    }
}

/// `2026-01-31T23:59:59.123456Z`
fn time(text: &str) -> Option<SystemTime> {
    let at: LeaderTs = text.strip_suffix('Z')?.replacen('T', " ", 1).parse().ok()?;
    let since = Duration::from_micros(u64::try_from(at.as_micros()).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ColumnName {
        ColumnName::parse(text).unwrap()
    }

    #[test]
    fn both_formats_are_read_and_keep_types() {
        let text = br#"{"seq":1,"family":"family1","table":"table1234","key":[{"name":"field1","type":"INTEGER","value":1234},{"name":"b","type":"BLOB(255)","value":"AP8="}]}"#;
        let Some(Line::Original { count: 1, change }) = Line::parse(text) else { panic!() };
        assert_eq!((change.seq, change.op), (None, Op::Touch));
        let bytes = Value::Bytes(vec![0, 255]);
        assert_eq!(change.key, [(name("field1"), Value::Integer(1234)), (name("b"), bytes)]);
        let text = br#"{"seq":7,"op":"upsert","family":"fam","table":"tbl","key":[{"name":"s","type":"VARCHAR(191)","value":"AP8="}],"at":"1970-01-01T00:00:01.500000Z"}"#;
        let Some(Line::Change(change)) = Line::parse(text) else { panic!() };
        assert_eq!(change.key, [(name("s"), Value::Text("AP8=".to_owned()))]);
        assert_eq!(change.at, Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1500)));
        assert_eq!(change.seq, Seq::new(7));
    }

    #[test]
    fn what_is_not_understood_is_none() {
        let check = |text: &str, good: bool| {
            assert_eq!(Line::parse(text.as_bytes()).is_some(), good, "{text}");
        };
        check(r#"{"seq":5,"op":"start","format":2,"file":3,"epoch":"legacy.1"}"#, true);
        check(r#"{"seq":5,"op":"position"}"#, true);
        check(r#"{"seq":5,"op":"reload","reason":"x"}"#, true);
        check(r#"{"seq":5,"op":"drop","family":"fam","table":"tbl"}"#, true);
        check(r#"{"seq":5,"op":"rename","family":"fam","table":"tbl"}"#, false);
        check(r#"{"seq":5,"op":"drop","family":"fam"}"#, false);
        check(r#"{"seq":-5,"op":"position"}"#, false);
        check(r#"{"seq":5,"op":"posi"#, false);
        check("", false);
    }
}

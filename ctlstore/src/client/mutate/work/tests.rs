//! What becomes of an answer, for the lines that it is about.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::client::error::Refusal;
use crate::client::mutate::cookie::Place;

/// Lines 11, 12, …; `x` is a change, anything else an empty line.
fn batch(kinds: &str) -> Vec<Line> {
    let line = |(number, kind): (u64, char)| Line {
        place: Place { lines: number, digest: number.to_string() },
        change: (kind == 'x')
            .then(|| serde_json::from_value(json!({"table": "plans", "values": {}})).unwrap()),
        bytes: 1,
    };
    (11..).zip(kinds.chars()).map(line).collect()
}

fn refused(status: u16, field: Option<&str>) -> Error {
    Error::Refused(Refusal {
        who: "the executive",
        status: StatusCode::from_u16(status).unwrap(),
        code: None,
        message: "no".to_owned(),
        field: field.map(str::to_owned),
        retry_after: Some(Duration::from_secs(1)),
    })
}

#[test]
fn what_stands_before_a_bad_line_goes_first() {
    let bad = |change| refused(400, Some(change));
    let batch = batch("x.xx");
    assert_eq!(step(&bad("mutations[1].values.n"), &batch), Step::Fewer(2));
    assert_eq!(step(&bad("mutations[2]"), &batch), Step::Fewer(3));
    assert_eq!(step(&bad("mutations[0]"), &batch), Step::GiveUp);
    assert_eq!(step(&bad("mutations"), &batch), Step::GiveUp);
    assert_eq!(
        whose(&batch, blamed(&bad("mutations[1].values.n"), &batch), "rows"),
        "line 13 of rows, before which all is written"
    );
    assert_eq!(whose(&batch, None, "rows"), "lines 11 to 14 of rows");
}

#[test]
fn a_batch_that_is_too_large_goes_in_parts_and_one_line_does_not() {
    assert_eq!(step(&refused(413, None), &batch("xxxx")), Step::Fewer(2));
    assert_eq!(step(&refused(413, None), &batch("..xx")), Step::Fewer(3));
    assert_eq!(step(&refused(413, None), &batch("..x")), Step::GiveUp);
}

#[test]
fn what_passes_is_waited_for_and_what_does_not_is_told() {
    for status in [408, 429, 502, 503, 504] {
        assert_eq!(step(&refused(status, None), &batch("xx")), Step::Wait, "{status}");
    }
    for status in [400, 401, 403, 404, 409, 500, 507] {
        assert_eq!(step(&refused(status, None), &batch("xx")), Step::GiveUp, "{status}");
    }
}

//! Tells an object what came of it: its status, and one event for each transition.
//!
//! The cache may lag behind what we wrote a moment ago. So a status that seems due is compared once more with the one
//! that is stored; only what differs there is written, and only then an event goes out.

use crds::condition::{ConditionType, Reason, State, find, news};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::objects::{News, ObjectId, Objects, ObjectsError};

/// An event holds one kilobyte.
const NOTE_MAX: usize = 1000;

/// A status of one of our kinds.
pub(crate) trait Status:
    Serialize + DeserializeOwned + Default + PartialEq + Send + Sync
{
    /// Its conditions.
    fn conditions(&self) -> &[Condition];

    /// The ledger entry that made the object what it is.
    fn schema_seq(&self) -> Option<i64>;
}

impl Status for crds::CtlFamilyStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn schema_seq(&self) -> Option<i64> {
        None
    }
}

impl Status for crds::CtlTableStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn schema_seq(&self) -> Option<i64> {
        self.schema_seq
    }
}

/// Brings the stored status up to date, if it is not; tells the news.
pub(crate) async fn publish<S: Status>(
    objects: &dyn Objects,
    object: &ObjectId,
    cached: Option<&S>,
    wanted: impl Fn(&S) -> S + Send,
) -> Result<(), ObjectsError> {
    if cached.is_some_and(|cached| wanted(cached) == *cached) {
        return Ok(());
    }
    let Some(stored) = objects.status(object).await? else { return Ok(()) };
    // What cannot be read is replaced.
    let before: S = serde_json::from_value(stored).unwrap_or_default();
    let after = wanted(&before);
    if after == before {
        return Ok(());
    }
    let value = serde_json::to_value(&after).expect("BUG: a status is plain data");
    objects.set_status(object, &value).await?;
    let told = [told(&before, &after), outgrown(before.conditions(), after.conditions())];
    for news in told.into_iter().flatten() {
        objects.tell(object, &news).await;
    }
    Ok(())
}

/// The one event of a transition: that of `Ready`, which repeats the reason of whatever changed below it.
fn told<S: Status>(before: &S, after: &S) -> Option<News> {
    let ready = find(after.conditions(), ConditionType::Ready)?;
    let turned = news(before.conditions(), after.conditions())
        .any(|news| news.type_ == ConditionType::Ready.to_string());
    let grew = before.schema_seq() != after.schema_seq();
    if !(turned || grew) || ready.reason == Reason::Pending.to_string() {
        return None;
    }
    let note = ready.message[..ready.message.floor_char_boundary(NOTE_MAX)].to_owned();
    let warning = ready.status != State::True.to_string();
    Some(News { warning, reason: ready.reason.clone(), note })
}

/// The event of a table that outgrows its limits, or is within them again.
fn outgrown(before: &[Condition], after: &[Condition]) -> Option<News> {
    let was = find(before, ConditionType::SizeWarning);
    match (was, find(after, ConditionType::SizeWarning)) {
        (was, Some(is)) if was.map(|was| &was.reason) != Some(&is.reason) => {
            let note = is.message[..is.message.floor_char_boundary(NOTE_MAX)].to_owned();
            Some(News { warning: true, reason: is.reason.clone(), note })
        }
        (Some(_), None) => {
            let note = "the table is below its warn level again".to_owned();
            Some(News { warning: false, reason: Reason::Applied.to_string(), note })
        }
        (_, Some(_)) | (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use crds::CtlTableStatus;
    use crds::condition::{Wanted, merge};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn status(state: State, reason: Reason, message: &str, seq: i64) -> CtlTableStatus {
        let wanted = [
            Wanted::new(ConditionType::Ready, state, reason, message),
            Wanted::new(ConditionType::Programmed, state, reason, message),
        ];
        let now = Time(jiff::Timestamp::UNIX_EPOCH);
        let conditions = merge(&[], &wanted, Some(1), &now);
        CtlTableStatus { conditions, schema_seq: Some(seq), ..CtlTableStatus::default() }
    }

    #[test]
    fn one_event_for_a_transition_and_none_for_a_repetition() {
        let ready = |seq, text| status(State::True, Reason::Applied, text, seq);
        let conflict = |text| status(State::False, Reason::SchemaConflict, text, 1);
        let note = |before, after| {
            told(&before, &after).map(|news| (news.warning, news.reason, news.note))
        };
        let news =
            |warning, reason: &str, note: &str| Some((warning, reason.to_owned(), note.to_owned()));
        assert_eq!(note(CtlTableStatus::default(), ready(1, "a")), news(false, "Applied", "a"));
        assert_eq!(note(ready(1, "a"), ready(1, "b")), None, "the same in other words");
        assert_eq!(
            note(ready(1, "a"), ready(2, "b")),
            news(false, "Applied", "b"),
            "it got columns"
        );
        assert_eq!(note(ready(1, "a"), conflict("c")), news(true, "SchemaConflict", "c"));
        assert_eq!(note(conflict("c"), conflict("d")), None);
        let pending = status(State::Unknown, Reason::Pending, "p", 1);
        assert_eq!(note(CtlTableStatus::default(), pending), None, "nothing happened yet");
    }

    #[test]
    fn outgrowing_a_limit_is_told_once_and_so_is_its_end() {
        let said = |reason| {
            let wanted = [Wanted::new(ConditionType::SizeWarning, State::True, reason, "x")];
            merge(&[], &wanted, Some(1), &Time(jiff::Timestamp::UNIX_EPOCH))
        };
        let (warn, full) = (said(Reason::AboveWarnSize), said(Reason::AboveMaxSize));
        let news = |before: &[Condition], after: &[Condition]| {
            outgrown(before, after).map(|news| (news.warning, news.reason))
        };
        assert_eq!(news(&[], &warn), Some((true, "AboveWarnSize".to_owned())));
        assert_eq!(news(&warn, &warn), None);
        assert_eq!(news(&warn, &full), Some((true, "AboveMaxSize".to_owned())));
        assert_eq!(news(&full, &[]), Some((false, "Applied".to_owned())));
        assert_eq!(news(&[], &[]), None);
    }
}

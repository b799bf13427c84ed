//! Which of two objects that want one name in SQL gets it: the older one, and of two of the same second the one with the
//! smaller uid. Pure. Every operator comes to the same answer, whatever it saw first.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Does `other` go before `me`?
#[must_use]
pub(crate) fn goes_before(other: &ObjectMeta, me: &ObjectMeta) -> bool {
    let rank = |meta: &ObjectMeta| {
        // The API server sets both; an object without a time is one that it has not seen yet.
        let time = meta.creation_timestamp.as_ref().map(|time| time.0);
        (time.is_none(), time, meta.uid.clone(), meta.namespace.clone(), meta.name.clone())
    };
    rank(other) < rank(me)
}

/// `namespace/name`, or the name alone where there is no namespace.
#[must_use]
pub(crate) fn full_name(meta: &ObjectMeta) -> String {
    let name = meta.name.as_deref().unwrap_or_default();
    match meta.namespace.as_deref() {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn meta(second: Option<i64>, uid: &str) -> ObjectMeta {
        let time = second.map(|second| Time(jiff::Timestamp::from_second(second).unwrap()));
        ObjectMeta { creation_timestamp: time, uid: Some(uid.to_owned()), ..ObjectMeta::default() }
    }

    #[test]
    fn the_older_goes_first_then_the_smaller_uid() {
        let (old, young) = (meta(Some(5), "z"), meta(Some(6), "a"));
        assert!(goes_before(&old, &young) && !goes_before(&young, &old));
        let (first, second) = (meta(Some(5), "a"), meta(Some(5), "b"));
        assert!(goes_before(&first, &second) && !goes_before(&second, &first));
        assert!(!goes_before(&first, &first));
        assert!(goes_before(&young, &meta(None, "a")));
    }
}

//! JSON objects as the original's decoder reads them: names match in any case, of two equal names the last counts,
//! unknown names are passed over, and `null` in place of a value is as if it were absent. A body that is `null` is refused.
//!
//! Values stay text until somebody knows their type, so that 64-bit integers survive. Pure.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order.
#[derive(Debug, Default)]
pub(crate) struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        if text.trim_ascii() == b"null" {
            return Err(serde::de::Error::custom("null is no request, send an object"));
        }
        serde_json::from_slice(text)
    }

    /// The value of this name, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| value.get() != "null")
    }

    /// The value of this name as a `T`, or `T`'s default when it is absent or null.
    pub(crate) fn read<T: Deserialize<'a> + Default>(
        &self,
        name: &str,
    ) -> Result<T, serde_json::Error> {
        self.get(name).map_or(Ok(T::default()), |value| serde_json::from_str(value.get()))
    }

    /// All members, in their order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_unit<E>(self) -> Result<Object<'de>, E> {
                Ok(Object::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_any(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_the_last_counts() {
        let object = Object::parse(br#"{"A": 1, "b": 2, "a": 3, "c": null}"#).unwrap();
        assert_eq!(object.get("a").unwrap().get(), "3");
        assert_eq!(object.read::<i64>("B").unwrap(), 2);
        assert_eq!(object.read::<Option<i64>>("c").unwrap(), None);
        assert_eq!(object.read::<Option<i64>>("d").unwrap(), None);
        assert!(object.read::<String>("a").is_err());
    }

    #[test]
    fn null_and_other_kinds_are_refused() {
        for bad in
            ["null", " null\n", "[1]", "1", "\"x\"", "{", "{}x", "{\"a\":NaN}", "", "{\"a\":01}"]
        {
            assert!(Object::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn integers_keep_their_text() {
        let object = Object::parse(br#"{"n": 9223372036854775807}"#).unwrap();
        assert_eq!(object.get("n").unwrap().get(), "9223372036854775807");
    }
}

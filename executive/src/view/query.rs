//! The parameters behind the question mark: numbers, each within its bounds. Unknown ones are refused, for a misspelt limit
//! is no limit.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use crate::app::App;
use crate::error::{Code, Error};

/// Parameters, by name.
#[derive(Debug, Default)]
pub(crate) struct Numbers(BTreeMap<String, String>);

impl Numbers {
    /// Takes a parameter out, or the default when it is absent.
    pub(super) fn take(
        &mut self,
        name: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, Error> {
        let Some(text) = self.0.remove(name) else { return Ok(default) };
        let (least, most) = (*bounds.start(), *bounds.end());
        text.parse().ok().filter(|number| bounds.contains(number)).ok_or_else(|| {
            let text = format!("{name} is {text:?}, send a whole number from {least} to {most}");
            Error::new(Code::QueryInvalid, text).field(name)
        })
    }

    /// Refuses what was not taken.
    pub(super) fn end(self) -> Result<(), Error> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let text = format!("there is no parameter {name:?} here, leave it out");
                Err(Error::new(Code::QueryInvalid, text).field(name.as_str()))
            }
        }
    }
}

impl FromRequestParts<App> for Numbers {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Error> {
        match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self(pairs.into_iter().collect())),
            Err(_) => Err(Error::new(Code::QueryInvalid, "the query is not percent-encoded UTF-8")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_bounds_and_names_are_known() {
        let numbers = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            Numbers(pairs.collect())
        };
        let mut given = numbers(&[("limit", "7")]);
        assert_eq!(given.take("limit", 100, 1..=1000).unwrap(), 7);
        assert_eq!(given.take("after", 0, 0..=9).unwrap(), 0);
        given.end().unwrap();
        for wrong in ["0", "1001", "-1", "x", "", "1.0", "99999999999999999999"] {
            let refused = numbers(&[("limit", wrong)]).take("limit", 100, 1..=1000).unwrap_err();
            assert_eq!((refused.code(), refused.blamed()), (Code::QueryInvalid, Some("limit")));
        }
        assert_eq!(numbers(&[("limt", "7")]).end().unwrap_err().blamed(), Some("limt"));
    }
}

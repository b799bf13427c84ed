//! The parameters behind the question mark. Each is taken by its name; one that nobody takes is refused, for a misspelt limit
//! is no limit.

use std::ops::RangeInclusive;

use axum::extract::Query;
use axum::http::Uri;

use crate::read_api::error::{Code, Error};

/// Parameters that were not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Error> {
        if uri.query().is_none() {
            return Ok(Self::default());
        }
        match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => Ok(Self(pairs)),
            Err(_) => Err(Error::new(Code::QueryInvalid, "the query is not percent-encoded UTF-8")),
        }
    }

    /// Takes a parameter out; of several of one name, the last.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.all(name).pop()
    }

    /// Takes all of one name out.
    pub(crate) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.0.extract_if(.., |(other, _)| other == name).map(|(_, value)| value).collect()
    }

    /// Takes a whole number within bounds.
    pub(crate) fn number(
        &mut self,
        name: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let (least, most) = (*bounds.start(), *bounds.end());
        match text.parse().ok().filter(|number| bounds.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let text =
                    format!("{name} is {text:?}, send a whole number from {least} to {most}");
                Err(Error::new(Code::QueryInvalid, text).field(name))
            }
        }
    }

    /// Takes one of some words; the first is what holds when it is absent.
    pub(crate) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<T, Error> {
        let text = self.take(name);
        let text = text.as_deref().unwrap_or(words[0].0);
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                let text = format!("{name} is {text:?}, send {}", known.join(" or "));
                Err(Error::new(Code::QueryInvalid, text).field(name))
            }
        }
    }

    /// Refuses what was not taken.
    pub(crate) fn end(self) -> Result<(), Error> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => {
                let text = format!("there is no parameter {name:?} here, leave it out");
                Err(Error::new(Code::QueryInvalid, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn numbers_have_bounds_and_names_are_known() {
        let mut given = params("limit=7&family=a&family=b");
        assert_eq!(given.number("limit", 1..=1000).unwrap(), Some(7));
        assert_eq!(given.number("after", 0..=9).unwrap(), None);
        assert_eq!(given.all("family"), ["a", "b"]);
        given.end().unwrap();
        for wrong in ["0", "1001", "-1", "x", "", "1.0", "99999999999999999999"] {
            let refused = params(&format!("limit={wrong}")).number("limit", 1..=1000).unwrap_err();
            assert_eq!(refused.code(), Code::QueryInvalid, "{wrong}");
            assert!(refused.to_string().contains("from 1 to 1000"), "{refused}");
        }
        assert!(params("limt=7").end().unwrap_err().to_string().contains("\"limt\""));
    }

    #[test]
    fn a_word_is_one_of_those_that_are_known() {
        let words = [("number", 1), ("string", 2)];
        assert_eq!(params("").word("int64", &words).unwrap(), 1);
        assert_eq!(params("int64=string").word("int64", &words).unwrap(), 2);
        let refused = params("int64=text").word("int64", &words).unwrap_err();
        assert!(refused.to_string().contains("send number or string"), "{refused}");
    }
}

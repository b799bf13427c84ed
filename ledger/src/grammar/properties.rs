use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::Statement;
use crate::testing::{check_ledger_text, foreign_statement, statement, text};

/// The seeds of the fuzzer, and what it ever found.
#[test]
fn the_texts_of_the_corpus_are_refused_or_survive() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/statement");
    let files =
        fs::read_dir(&folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let texts: Vec<String> = files.filter_map(|bytes| String::from_utf8(bytes).ok()).collect();
    texts.iter().for_each(|text| check_ledger_text(text));
    let accepted = texts.iter().filter(|text| Statement::parse(text).is_ok()).count();
    assert!(accepted >= 10 && accepted < texts.len(), "{accepted} of {} are legal", texts.len());
}

#[derive(Debug, Clone)]
enum Edit {
    Remove(Index, Index),
    Insert(Index, String),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<(Index, Index)>().prop_map(|(at, to)| Edit::Remove(at, to)),
        (any::<Index>(), text()).prop_map(|(at, text)| Edit::Insert(at, text)),
        any::<(Index, Index)>().prop_map(|(at, to)| Edit::Repeat(at, to)),
    ]
}

/// Edits characters, few of a long text.
fn apply(text: &str, edit: &Edit) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let place = |index: &Index| index.index(characters.len() + 1);
    let range = |at: &Index, length: &Index| {
        let at = place(at);
        at..(at + length.index(8)).min(characters.len())
    };
    match edit {
        Edit::Remove(at, length) => drop(characters.drain(range(at, length))),
        Edit::Insert(at, text) => {
            let at = place(at);
            characters.splice(at..at, text.chars());
        }
        Edit::Repeat(at, length) => {
            let range = range(at, length);
            let part = characters[range.clone()].to_vec();
            characters.splice(range.start..range.start, part);
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn our_statements_read_back_as_they_were(statement in statement()) {
        prop_assert_eq!(Statement::parse(&statement.to_string()), Ok(statement));
    }

    #[test]
    fn our_texts_are_written_again_to_the_byte(statement in statement()) {
        let text = statement.to_string();
        prop_assert_eq!(Statement::parse(&text).map(|again| again.to_string()), Ok(text));
    }

    #[test]
    fn statements_with_any_literals_read_back_as_they_were(statement in foreign_statement()) {
        prop_assert_eq!(Statement::parse(&statement.to_string()), Ok(statement));
    }

    #[test]
    fn any_text_is_refused_or_survives(text in any::<String>(), bytes in any::<Vec<u8>>()) {
        check_ledger_text(&text);
        check_ledger_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_statements_are_refused_or_survive(
        statement in prop_oneof![statement(), foreign_statement()],
        edits in prop::collection::vec(edit(), 1..4)
    ) {
        let text = edits.iter().fold(statement.to_string(), |text, edit| apply(&text, edit));
        check_ledger_text(&text);
    }
}

// `./justw fuzz` runs this one, optimised.
proptest! {
    #![proptest_config(ProptestConfig { cases: 200_000, ..ProptestConfig::default() })]

    #[test]
    #[ignore = "takes minutes; `./justw fuzz` runs it"]
    fn very_many_damaged_statements_are_refused_or_survive(
        statement in prop_oneof![statement(), foreign_statement()],
        edits in prop::collection::vec(edit(), 0..6)
    ) {
        let text = edits.iter().fold(statement.to_string(), |text, edit| apply(&text, edit));
        check_ledger_text(&text);
    }
}

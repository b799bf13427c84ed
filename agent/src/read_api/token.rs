//! Where a list goes on, as text for clients: the key of the last row, bound to the table and the prefix that it was read
//! with. Not a secret, and not signed: whoever makes one up reads what anybody may read.

use ledger::LdbTable;
use reader::ResumeKey;

use crate::read_api::error::{Code, Error};
use crate::read_api::key::Part;

/// Characters of the digest that binds it: enough against mistakes.
const BINDING: usize = 12;

/// Of a list that goes on after this row.
pub(crate) fn write(table: &LdbTable, prefix: &[Part], after: &ResumeKey) -> String {
    format!("{}.{after}", binding(table, prefix))
}

/// After which row the list goes on.
pub(crate) fn read(table: &LdbTable, prefix: &[Part], text: &str) -> Result<ResumeKey, Error> {
    let refuse = |text: &str| Error::new(Code::ContinueInvalid, text).field("continue");
    let (bound, after) = text
        .split_once('.')
        .filter(|(bound, _)| bound.len() == BINDING)
        .ok_or_else(|| refuse("continue is none of ours, pass on its text as it came"))?;
    if bound != binding(table, prefix) {
        return Err(refuse(
            "continue belongs to another table or another prefix, pass it to the path that it came from",
        ));
    }
    after.parse().map_err(|_| refuse("continue was changed, pass on its text as it came"))
}

fn binding(table: &LdbTable, prefix: &[Part]) -> String {
    let digest = blake3::hash(format!("{table} {prefix:?}").as_bytes());
    digest.to_hex().chars().take(BINDING).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_it_came_from_and_nowhere_else() {
        let (table, other) =
            (LdbTable::parse("fam___tab").unwrap(), LdbTable::parse("fam___other").unwrap());
        let (prefix, after) = ([Part::Integer(7)], "i7.t61".parse().unwrap());
        let text = write(&table, &prefix, &after);
        assert_eq!(read(&table, &prefix, &text).unwrap(), after);
        for (table, prefix, words) in [
            (&other, &prefix[..], "another table"),
            (&table, &[Part::Integer(8)][..], "another prefix"),
            (&table, &[][..], "another prefix"),
        ] {
            let refused = read(table, prefix, &text).unwrap_err();
            assert_eq!(refused.code(), Code::ContinueInvalid);
            assert!(refused.to_string().contains(words), "{refused}");
        }
        for nonsense in ["", "x", "....", "i7.t61", &text[..text.len() - 1], &text[1..]] {
            assert!(read(&table, &prefix, nonsense).is_err(), "{nonsense}");
        }
    }
}

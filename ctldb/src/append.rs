//! Appends entries to the ledger, under the ledger lock: dense sequences from the stored counter, the digest of each
//! entry, the chain, and who did it.

use std::time::{SystemTime, UNIX_EPOCH};

use ledger::{
    Chain, Entry, History, LdbTable, LeaderTs, Mark, Position, Seq, Statement, WriterName,
};

use crate::connection::{SqlValue, Step};
use crate::fault::cause;
use crate::session::Session;
use crate::{Author, Error, Fault, MAX_STATEMENT_BYTES, Meta};

/// Statements that were rendered and read back: fit for the ledger.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) texts: Vec<String>,
    pub(crate) upserts: i64,
    pub(crate) deletes: i64,
}

/// What was appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    pub(crate) first: Seq,
    pub(crate) last: Position,
}

/// Rows of one statement, at most, and their bytes; far below any `max_allowed_packet`.
pub(crate) const CHUNK_ROWS: usize = 64;
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

const ACTION: &str = "append to the ledger";

impl Rendered {
    /// Renders statements, and reads each back as every agent will.
    pub(crate) fn new(table: &LdbTable, statements: &[Statement]) -> Result<Self, Error> {
        let mut rendered =
            Self { texts: Vec::with_capacity(statements.len()), upserts: 0, deletes: 0 };
        for statement in statements {
            let table = statement.table().unwrap_or(table).clone();
            let text = statement.to_string();
            if text.len() > MAX_STATEMENT_BYTES {
                let (bytes, max) = (text.len(), MAX_STATEMENT_BYTES);
                return Err(Error::StatementTooLarge { table, bytes, max });
            }
            match Statement::parse(&text) {
                Ok(read) if read == *statement => rendered.texts.push(text),
                Ok(_) => return Err(Error::Poisonous { table, source: None }),
                Err(error) => return Err(Error::Poisonous { table, source: Some(error) }),
            }
            match statement {
                Statement::Upsert { .. } => rendered.upserts += 1,
                Statement::Delete { .. } => rendered.deletes += 1,
                Statement::Begin
                | Statement::Commit
                | Statement::CreateTable(_)
                | Statement::AddColumn { .. }
                | Statement::ClearTable(_)
                | Statement::DropTable(_) => {}
            }
        }
        Ok(rendered)
    }
}

/// Entries that a batch becomes, and the row of `ctlstore_batches` that goes with them.
#[derive(Debug)]
pub(crate) struct Numbered {
    pub(crate) entries: Vec<Entry>,
    pub(crate) appended: Appended,
    row: Vec<SqlValue>,
}

impl Numbered {
    /// The entries after `head`, all with the same time.
    pub(crate) fn new(
        history: History,
        head: Option<Position>,
        rendered: &Rendered,
        author: &Author,
    ) -> Result<Self, Error> {
        let head_seq = head.map_or(Seq::ZERO, |head| head.seq);
        let head_chain = head.map_or(Chain::GENESIS, |head| head.chain);
        let entries = number(head_seq, &rendered.texts)?;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Err(Error::EmptyBatch);
        };
        let (mut digest, mut chain) = (None, head_chain);
        for entry in &entries {
            let of_entry = entry.digest();
            chain = chain.link(of_entry);
            digest = Some(of_entry);
        }
        let digest = digest.expect("BUG: there is an entry");
        let last = Position { history, seq: last.seq, digest, chain };
        let appended = Appended { first: first.seq, last };
        let row = batch_row(&appended, rendered, author);
        Ok(Self { entries, appended, row })
    }
}

impl Session {
    /// Appends, and raises the counter. `meta` must have been read under the ledger lock that is held now.
    pub(crate) async fn append(
        &mut self,
        meta: &Meta,
        rendered: &Rendered,
        author: &Author,
    ) -> Result<Appended, Error> {
        let numbered = Numbered::new(meta.history, meta.last, rendered, author)?;
        let appended = numbered.appended;
        self.insert_entries(&numbered.entries).await?;
        let Step { sql, params } = counter_step(meta.last, &appended.last);
        if self.execute(ACTION, &sql, &params).await? == 0 {
            let source = Fault::Contention(cause("somebody moved the counter without the lock"));
            return Err(Error::Contended { action: ACTION, source });
        }
        self.pass("append: the counter was raised")?;
        let Step { sql, params } = batches_step(&[numbered]);
        self.execute(ACTION, &sql, &params).await?;
        self.pass("append: the batch was written")?;
        Ok(appended)
    }

    pub(crate) async fn insert_entries(&mut self, mut entries: &[Entry]) -> Result<(), Error> {
        while !entries.is_empty() {
            let mut bytes = 0;
            let fits = |entry: &&Entry| {
                bytes += entry.statement.len();
                bytes <= CHUNK_BYTES
            };
            let count = entries.iter().take(CHUNK_ROWS).take_while(fits).count();
            let (now, rest) = entries.split_at(chunk(count));
            let Step { sql, params } = entries_step(now);
            self.run(&sql, &params).await.map_err(|fault| match fault {
                source @ Fault::Duplicate(_) => Error::LedgerTaken { source },
                other => Error::bookkeeping(ACTION, other),
            })?;
            self.pass("append: entries were written")?;
            entries = rest;
        }
        Ok(())
    }
}

/// Writes entries.
pub(crate) fn entries_step<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Step {
    let mut params = Vec::new();
    for Entry { seq, leader_ts, statement } in entries {
        params.push(seq.to_i64().into());
        params.push(leader_ts.to_string().into());
        params.push(statement.as_str().into());
    }
    let places = vec!["(?, ?, ?)"; params.len() / 3].join(", ");
    let sql =
        format!("INSERT INTO ctlstore_dml_ledger (seq, leader_ts, statement) VALUES {places}");
    Step { sql, params }
}

/// Writes who did it, a row for each batch, after the counter was raised. Each takes its chain only where the counter
/// stands as [`counter_step`] left it. Where it does not there is none, which the column refuses, and with it the commit
/// in the same packet.
pub(crate) fn batches_step(batches: &[Numbered]) -> Step {
    const PLACES: &str = "(?, ?, (SELECT ? FROM ctlstore_meta WHERE id = 1 AND last_seq = ? AND last_digest = ?), ?, ?, ?, ?, ?, ?, ?)";
    let places = vec![PLACES; batches.len()].join(", ");
    let sql = format!(
        "INSERT INTO ctlstore_batches (first_seq, last_seq, chain, writer, principal, source_address, request_id, reason, upserts, deletes) VALUES {places}"
    );
    let counter = batches.last().map(|batch| {
        let Position { seq, digest, .. } = batch.appended.last;
        [seq.to_i64().into(), digest.as_bytes().as_slice().into()]
    });
    let params = |batch: &Numbered| {
        let (front, back) = batch.row.split_at(CHAIN + 1);
        [front, counter.as_ref().map_or(&[], <[_; 2]>::as_slice), back].concat()
    };
    Step { sql, params: batches.iter().flat_map(params).collect() }
}

/// The place of the chain in [`batch_row`].
const CHAIN: usize = 2;

fn batch_row(appended: &Appended, rendered: &Rendered, author: &Author) -> Vec<SqlValue> {
    let Author { writer, principal, source_address, request_id, reason } = author;
    let Appended { first, last } = appended;
    vec![
        first.to_i64().into(),
        last.seq.to_i64().into(),
        last.chain.as_bytes().as_slice().into(),
        writer.as_ref().map(WriterName::as_str).into(),
        cut(principal, 191).into(),
        cut(source_address, 64).into(),
        cut(request_id, 64).into(),
        reason.as_deref().map(|reason| cut(reason, 1024)).into(),
        rendered.upserts.into(),
        rendered.deletes.into(),
    ]
}

/// Raises the counter, if it still stands where it stood before: nobody restored another state meanwhile.
pub(crate) fn counter_step(before: Option<Position>, last: &Position) -> Step {
    const SQL: &str = "UPDATE ctlstore_meta SET last_seq = ?, last_digest = ?, chain = ? WHERE id = 1 AND last_seq = ?";
    let mut params: Vec<SqlValue> = vec![
        last.seq.to_i64().into(),
        last.digest.as_bytes().as_slice().into(),
        last.chain.as_bytes().as_slice().into(),
        before.map_or(Seq::ZERO, |before| before.seq).to_i64().into(),
    ];
    // Before the first entry there is no digest.
    let Some(before) = before else { return Step::new(SQL, params) };
    params.push(before.digest.as_bytes().as_slice().into());
    Step::new(format!("{SQL} AND last_digest = ?"), params)
}

impl Appended {
    pub(crate) fn mark(&self) -> Mark {
        self.last.mark()
    }
}

fn number(mut seq: Seq, texts: &[String]) -> Result<Vec<Entry>, Error> {
    let leader_ts = now();
    let entry = |statement: &String| {
        let full = || Error::Corrupt { what: "no sequence is left above the last one".to_owned() };
        seq = seq.next().ok_or_else(full)?;
        Ok(Entry { seq, leader_ts, statement: statement.clone() })
    };
    texts.iter().map(entry).collect()
}

/// How many rows of so many to write at once: few batches are large, and those need not make many different texts to
/// prepare.
pub(crate) fn chunk(rows: usize) -> usize {
    match rows {
        0 => 1,
        1..=32 => rows,
        _ => rows - rows % 16,
    }
}

pub(crate) fn now() -> LeaderTs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LeaderTs::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The first characters, as many as the column takes.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use ledger::{ColumnName, Literal};

    use super::*;

    fn upsert(values: Vec<Literal>) -> Statement {
        let table = LdbTable::parse("shop___items").unwrap();
        Statement::Upsert { table, columns: vec![ColumnName::parse("id").unwrap()], values }
    }

    fn render(statement: Statement) -> Result<Rendered, Error> {
        Rendered::new(&LdbTable::parse("shop___items").unwrap(), &[statement])
    }

    #[test]
    fn what_agents_cannot_read_never_gets_into_the_ledger() {
        assert_eq!(render(upsert(vec![Literal::Integer(1)])).unwrap().upserts, 1);
        let outside =
            [vec![], vec![Literal::Text("a\0".to_owned())], vec![Literal::Real(f64::NAN)]];
        for values in outside {
            let error = render(upsert(values)).unwrap_err();
            assert!(matches!(error, Error::Poisonous { source: Some(_), .. }), "{error:?}");
        }
    }

    #[test]
    fn large_batches_are_written_in_few_sizes() {
        assert_eq!([0, 1, 2, 31, 32, 33, 63, 64].map(chunk), [1, 1, 2, 31, 32, 32, 48, 64]);
    }

    #[test]
    fn text_is_cut_at_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("", 3), "");
    }
}

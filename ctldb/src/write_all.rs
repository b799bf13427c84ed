//! Writes batches inside a transaction that has the ledger lock: each is judged by itself, and those that may be written
//! follow each other in the ledger as if each had been alone. The last statements are left to the commit.

use std::sync::Arc;

use ledger::{LdbTable, Mark};

use crate::append::{CHUNK_BYTES, Numbered, batches_step, counter_step, entries_step};
use crate::connection::Step;
use crate::desk::Reply;
use crate::facts::Facts;
use crate::prepared::{Memory, Prepared, Verdict};
use crate::session::Session;
use crate::writers::Writer;
use crate::{Committed, Error, Meta, TableMutation};

/// What is to be answered when the commit went well.
pub(crate) struct Written {
    /// To each batch.
    pub(crate) replies: Vec<Result<Reply, Error>>,
    /// The last entry; none when nothing is to be committed.
    pub(crate) last: Option<Mark>,
    /// What is left to run.
    pub(crate) steps: Vec<Step>,
}

/// Entries that go with the commit, at most; more are written before.
const ENTRIES_WITH_COMMIT: usize = 2000;

impl Session {
    pub(crate) async fn write_all(
        &mut self,
        batches: &[Arc<Prepared>],
        facts: &mut Facts,
        reserved: &[LdbTable],
    ) -> Result<Written, Error> {
        let mut replies = Vec::with_capacity(batches.len());
        let (mut chosen, mut memories, mut numbered) = (Vec::new(), Vec::new(), Vec::new());
        let mut head = facts.meta.last;
        for batch in batches {
            let memory = match self.decide(batch, facts, reserved).await? {
                Ok(memory) => memory,
                Err(reply) => {
                    replies.push(reply);
                    continue;
                }
            };
            let next = Numbered::new(facts.meta.history, head, &batch.rendered, &batch.author)?;
            let (first_seq, last) = (next.appended.first, next.appended.last);
            head = Some(last);
            let committed = Committed { mark: last.mark(), first_seq, repeated: false };
            replies.push(Ok(Reply::Done(committed)));
            chosen.push(batch);
            memories.push(memory);
            numbered.push(next);
        }
        let Some(last) = numbered.last().map(|last| last.appended.last) else {
            return Ok(Written { replies, last: None, steps: Vec::new() });
        };
        let changes: Vec<&TableMutation> =
            chosen.iter().flat_map(|batch| &batch.mutations).collect();
        self.write_rows(&changes).await?;
        let mut steps = self.entries_with_commit(&numbered).await?;
        steps.push(counter_step(facts.meta.last, &last));
        steps.push(batches_step(&numbered));
        for ((batch, memory), numbered) in chosen.iter().zip(&memories).zip(&numbered) {
            if let (Some(claim), Some(memory)) = (&batch.claim, memory) {
                steps.extend(batch.remember(claim, memory, &numbered.appended, facts));
            }
        }
        for ((batch, memory), numbered) in chosen.iter().zip(&memories).zip(&numbered) {
            facts.learn(batch, memory.as_ref(), numbered.appended.last);
        }
        self.pass("mutate: all but the last statements were run")?;
        Ok(Written { replies, last: Some(last.mark()), steps })
    }

    /// What is to be remembered of a batch that may be written, or else what to answer.
    async fn decide(
        &mut self,
        batch: &Prepared,
        facts: &Facts,
        reserved: &[LdbTable],
    ) -> Result<Result<Option<Memory>, Result<Reply, Error>>, Error> {
        match self.check_fence(&facts.meta, batch.fence).await {
            Err(deposed @ Error::Deposed { .. }) => return Ok(Err(Err(deposed))),
            checked => checked?,
        }
        Ok(match batch.judge(facts) {
            Ok(Verdict::Write { memory, altered })
                if altered.iter().all(|table| reserved.contains(table)) =>
            {
                Ok(memory)
            }
            // Columns are on their way since we looked; the lock was taken in the wrong order.
            Ok(Verdict::Write { altered, .. }) => Err(Ok(Reply::Altered(altered))),
            Ok(Verdict::Repeated(writer)) => {
                Err(Ok(Reply::Done(self.repeated(&writer, &facts.meta).await?)))
            }
            Err(refused) => Err(Err(refused)),
        })
    }

    /// The entries, as a step that goes with the commit; when they are many, they are written now.
    async fn entries_with_commit(&mut self, numbered: &[Numbered]) -> Result<Vec<Step>, Error> {
        let entries = || numbered.iter().flat_map(|numbered| &numbered.entries);
        let bytes: usize = entries().map(|entry| entry.statement.len()).sum();
        if bytes <= CHUNK_BYTES && entries().count() <= ENTRIES_WITH_COMMIT {
            return Ok(vec![entries_step(entries())]);
        }
        for numbered in numbered {
            self.insert_entries(&numbered.entries).await?;
        }
        Ok(Vec::new())
    }

    /// Where the writer's last batch stands.
    async fn repeated(&mut self, writer: &Writer, meta: &Meta) -> Result<Committed, Error> {
        let corrupt = || Error::Corrupt { what: "a writer's digest without a sequence".to_owned() };
        let last = writer.last_seq.ok_or_else(corrupt)?;
        let mark = match self.entry(last).await? {
            Some(entry) => Mark { history: meta.history, seq: last, digest: entry.digest() },
            // Pruned since. The head is behind it, and whoever waits for the head waits long enough.
            None => meta.last.ok_or_else(corrupt)?.mark(),
        };
        let first_seq = self.first_of_batch(last).await?.unwrap_or(last);
        Ok(Committed { mark, first_seq, repeated: true })
    }
}

//! What a batch leaves behind besides its rows and entries: what its writer wrote last, and how much.

use crate::append::Appended;
use crate::connection::{SqlValue, Step};
use crate::facts::{Facts, Usage};
use crate::prepared::{Claim, Memory, Prepared};

impl Prepared {
    /// Writes the writer's cookie, by what a repetition of the batch is recognised, and how many rows it has.
    pub(crate) fn remember(
        &self,
        claim: &Claim,
        memory: &Memory,
        appended: &Appended,
        facts: &Facts,
    ) -> Vec<Step> {
        let name = || SqlValue::from(claim.credentials.writer.as_str());
        let mut steps = Vec::new();
        if let Some(cookie) = claim.cookie.as_deref() {
            let sql = "UPDATE mutators SET cookie = ?, clock = clock + 1 WHERE writer = ?";
            steps.push(Step::new(sql, [cookie.into(), name()]));
        }
        let sql = match memory.writer.is_ours {
            true => "UPDATE ctlstore_writers SET last_digest = ?, last_seq = ? WHERE writer = ?",
            false => {
                "INSERT INTO ctlstore_writers (last_digest, last_seq, writer) VALUES (?, ?, ?)"
            }
        };
        let last_seq = appended.last.seq.to_i64().into();
        steps.push(Step::new(sql, [self.digest.as_slice().into(), last_seq, name()]));
        steps.extend(memory.usage.map(|usage| self.count(claim, facts, usage)));
        steps
    }

    fn count(&self, claim: &Claim, facts: &Facts, usage: Usage) -> Step {
        let window = usage.limit.window(facts.now);
        let sql = match usage.rows {
            Some(_) => "UPDATE writer_usage SET amount = ? WHERE writer_name = ? AND bucket = ?",
            None => "INSERT INTO writer_usage (amount, writer_name, bucket) VALUES (?, ?, ?)",
        };
        let writer = claim.credentials.writer.as_str();
        Step::new(sql, [self.amount(usage).into(), writer.into(), window.bucket.into()])
    }

    /// The writer's rows in this window, these included.
    pub(crate) fn amount(&self, usage: Usage) -> i64 {
        i64::try_from(usage.rows.unwrap_or(0).saturating_add(self.rows())).unwrap_or(i64::MAX)
    }
}

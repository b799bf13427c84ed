//! A batch that was checked and rendered, and what the facts say to it.

use ledger::{FamilyName, LdbTable, Statement, framed};
use sha2::{Digest as _, Sha256};

use crate::append::Rendered;
use crate::facts::{Facts, TableFacts, Usage};
use crate::writers::{Writer, check_cookie_length};
use crate::{
    Author, Batch, Credentials, Error, Fence, IntentKind, Limits, SizeLimit, TableMutation,
    TableRecord,
};

/// A batch that was checked and rendered: all that can be refused without ctldb was not.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) family: FamilyName,
    /// The writer; none when the product itself writes.
    pub(crate) claim: Option<Claim>,
    pub(crate) mutations: Vec<TableMutation>,
    pub(crate) author: Author,
    pub(crate) fence: Fence,
    pub(crate) rendered: Rendered,
    /// Of the statements: tells a repeated batch.
    pub(crate) digest: [u8; 32],
    pub(crate) tables: Vec<LdbTable>,
}

/// Who wants to write, and how it stands with its cookie.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) credentials: Credentials,
    pub(crate) cookie: Option<Vec<u8>>,
    pub(crate) check_cookie: Option<Vec<u8>>,
}

/// What a batch comes to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may be written.
    Write {
        /// What is then to be remembered; nothing of the product's own.
        memory: Option<Memory>,
        /// Those of its tables that are getting columns just now: they must be reserved before the ledger lock is taken.
        altered: Vec<LdbTable>,
    },
    /// It is in the ledger already; the writer did not get the answer.
    Repeated(Writer),
}

/// What was known of a writer when its batch was judged.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) writer: Writer,
    /// None when rows are not counted.
    pub(crate) usage: Option<Usage>,
}

impl Prepared {
    pub(crate) fn new(batch: &Batch) -> Result<Self, Error> {
        let Batch { family, credentials, cookie, check_cookie, mutations, author } = batch;
        for cookie in [cookie, check_cookie].into_iter().flatten() {
            check_cookie_length(cookie)?;
        }
        let claim = Claim {
            credentials: credentials.clone(),
            cookie: cookie.clone(),
            check_cookie: check_cookie.clone(),
        };
        Self::rendered(family, Some(claim), mutations.clone(), author.clone(), Fence::Open)
    }

    pub(crate) fn rendered(
        family: &FamilyName,
        claim: Option<Claim>,
        mutations: Vec<TableMutation>,
        author: Author,
        fence: Fence,
    ) -> Result<Self, Error> {
        let mut tables: Vec<LdbTable> = Vec::new();
        for TableMutation { schema, .. } in &mutations {
            let table = schema.table();
            if table.family() != family {
                let (family, table) = (family.clone(), table.clone());
                return Err(Error::OtherFamily { family, table });
            }
            if !tables.contains(table) {
                tables.push(table.clone());
            }
        }
        let first = tables.first().ok_or(Error::EmptyBatch)?;
        let statement =
            |TableMutation { schema, mutation }: &TableMutation| mutation.statement(schema);
        let statements: Vec<Statement> = framed(mutations.iter().map(statement).collect());
        let rendered = Rendered::new(first, &statements)?;
        let digest = digest(&rendered);
        let family = family.clone();
        Ok(Self { family, claim, mutations, author, fence, rendered, digest, tables })
    }

    /// As writers' limits count.
    pub(crate) fn rows(&self) -> u64 {
        u64::try_from(self.mutations.len()).unwrap_or(u64::MAX)
    }

    /// What it weighs in the ledger.
    pub(crate) fn bytes(&self) -> usize {
        self.rendered.texts.iter().map(String::len).sum()
    }

    /// What the facts say to it. Only what is read under the ledger lock counts.
    pub(crate) fn judge(&self, facts: &Facts) -> Result<Verdict, Error> {
        let Some(claim) = &self.claim else {
            return Ok(Verdict::Write { memory: None, altered: self.altered(facts)? });
        };
        let writer = facts.writer(&claim.credentials)?;
        writer.check_family(&claim.credentials.writer, &self.family)?;
        // A batch that is in the ledger already is recognised whatever became of its tables and limits.
        let conflict = match claim.judge(&writer, &self.digest) {
            Ok(true) => return Ok(Verdict::Repeated(writer)),
            Ok(false) => None,
            Err(conflict) => Some(conflict),
        };
        let altered = self.altered(facts)?;
        let usage = self.check_limits(claim, facts)?;
        match conflict {
            Some(conflict) => Err(conflict),
            None => Ok(Verdict::Write { memory: Some(Memory { writer, usage }), altered }),
        }
    }

    /// Checks its tables against the registry; names those that are getting columns just now.
    fn altered(&self, facts: &Facts) -> Result<Vec<LdbTable>, Error> {
        let mut altered = Vec::new();
        for table in &self.tables {
            let TableFacts { record, .. } =
                facts.table(table).ok_or_else(|| Error::TableNotFound(table.clone()))?;
            match record.intent.as_ref().map(|intent| &intent.kind) {
                Some(IntentKind::Create | IntentKind::Drop) => {
                    return Err(Error::SchemaBusy { table: table.clone() });
                }
                Some(IntentKind::AddColumns(_)) => altered.push(table.clone()),
                None => {}
            }
        }
        let moved = |TableMutation { schema, .. }: &&TableMutation| {
            let now = facts.table(schema.table());
            now.is_none_or(|TableFacts { record: TableRecord { schema: now, .. }, .. }| {
                *now != **schema
            })
        };
        match self.mutations.iter().find(moved) {
            Some(change) => Err(Error::SchemaMoved(change.schema.table().clone())),
            None => Ok(altered),
        }
    }

    /// Sizes before rates, as the original. Nothing of a batch that is refused counts.
    fn check_limits(&self, claim: &Claim, facts: &Facts) -> Result<Option<Usage>, Error> {
        let Some(Limits { size: SizeLimit { max_bytes, .. }, .. }) = facts.limits else {
            return Ok(None);
        };
        for table in &self.tables {
            let Some(TableFacts { bytes: Some(bytes), limit, .. }) = facts.table(table) else {
                continue;
            };
            let limit = limit.map_or(max_bytes, |own| own.max_bytes);
            if *bytes > limit && self.grows(table) {
                return Err(Error::TableFull { table: table.clone(), bytes: *bytes, limit });
            }
        }
        let writer = &claim.credentials.writer;
        let Some(usage) = facts.usage(writer)? else { return Ok(None) };
        let amount = usage.rows.unwrap_or(0).saturating_add(self.rows());
        if amount > usage.limit.rows {
            let retry_after = usage.limit.window(facts.now).left;
            let (writer, limit) = (writer.clone(), usage.limit);
            return Err(Error::RateLimited { writer, limit, retry_after });
        }
        Ok(Some(usage))
    }

    /// Deletes pass, or a table that is full could never be emptied.
    fn grows(&self, table: &LdbTable) -> bool {
        self.mutations.iter().any(|TableMutation { schema, mutation }| {
            schema.table() == table && matches!(mutation, ledger::Mutation::Upsert(_))
        })
    }
}

impl Claim {
    /// Is the batch a repetition? It is recognised only so: it checks a cookie and sets another, that other one is stored,
    /// and the writer's last batch had the same statements. A client that sends one constant cookie for ever loses no
    /// batch.
    fn judge(&self, writer: &Writer, digest: &[u8]) -> Result<bool, Error> {
        let Some(check) = &self.check_cookie else { return Ok(false) };
        if *check == writer.cookie {
            return Ok(false);
        }
        let same = writer.last_digest.as_deref() == Some(digest);
        match &self.cookie {
            Some(cookie) if *cookie == writer.cookie && same => Ok(true),
            Some(_) | None => Err(Error::CookieConflict),
        }
    }
}

fn digest(rendered: &Rendered) -> [u8; 32] {
    let mut digest = Sha256::new();
    for text in &rendered.texts {
        // With its length, so that no two batches run together to the same bytes.
        digest.update(text.len().to_string());
        digest.update([0]);
        digest.update(text);
    }
    digest.finalize().into()
}

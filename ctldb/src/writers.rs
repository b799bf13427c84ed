//! Writers: their secrets (as hashes), their cookies, and what they wrote last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::{FamilyName, Seq, WriterName};

use crate::connection::SqlRow;
use crate::session::Session;
use crate::{Created, Credentials, CtlDb, Error, Fault, Fence, MAX_COOKIE_BYTES, Secret, meta};

/// What ctldb knows of a writer.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Set by its last batch or by [`CtlDb::set_cookie`].
    pub(crate) cookie: Vec<u8>,
    /// The only families that it may write; `None`: all.
    families: Option<Vec<FamilyName>>,
    /// The digest of its last batch's statements.
    pub(crate) last_digest: Option<Vec<u8>>,
    /// That batch's last sequence.
    pub(crate) last_seq: Option<Seq>,
    /// Has it a row of ours? The original's writers have none before their first batch.
    pub(crate) is_ours: bool,
}

/// Of `mutators m` and `ctlstore_writers w`, as [`Writer::read`] takes them.
pub(crate) const COLUMNS: &str =
    "m.secret, m.cookie, w.families_json, w.last_digest, w.last_seq, w.writer";
pub(crate) const COLUMNS_COUNT: usize = 6;

/// The original's: a SHA-256 HMAC that a slip made constant. It makes a new writer read its cookie before it can check it.
const INITIAL_COOKIE: [u8; 32] = [
    0x6b, 0xef, 0xc8, 0xb8, 0x48, 0x8c, 0xab, 0xe3, 0x3b, 0x1d, 0x0c, 0xe7, 0x2d, 0xd4, 0x82, 0x32,
    0x13, 0xc4, 0x38, 0x9f, 0x29, 0xe4, 0xac, 0x71, 0x8a, 0x51, 0x6c, 0xb5, 0x0a, 0x93, 0xb8, 0x92,
];

const ACTION: &str = "look up a writer";
const REGISTER: &str = "register a writer";
const BIND: &str = "bind a writer to families";
const SET_COOKIE: &str = "set a writer's cookie";

impl CtlDb {
    /// Registers a writer. Doing it again with the same secret changes nothing.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the writer exists with another secret, or the secret's length is impossible.
    pub async fn register_writer(
        &self,
        writer: &WriterName,
        secret: &Secret,
    ) -> Result<Created, Error> {
        secret.check_length()?;
        let mut session = self.write_session().await?;
        session.begin_locked(Fence::Open).await?;
        let result = session.register(writer, secret).await;
        session.end(REGISTER, result).await
    }

    /// Binds a writer to the only families that it may write, or, with none given, frees it to write all.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or there is no such writer.
    pub async fn bind_writer(
        &self,
        writer: &WriterName,
        families: Option<Vec<FamilyName>>,
    ) -> Result<(), Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(Fence::Open).await?;
        let result = session.bind(writer, families).await;
        session.end(BIND, result).await
    }

    /// The only families that a writer may write; none when it may write all.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or there is no such writer.
    pub async fn writer_families(
        &self,
        writer: &WriterName,
    ) -> Result<Option<Vec<FamilyName>>, Error> {
        self.session().await?.known_writer(writer).await
    }

    /// The writer's cookie.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the credentials are wrong.
    pub async fn cookie(&self, credentials: &Credentials) -> Result<Vec<u8>, Error> {
        Ok(self.session().await?.authenticate(credentials).await?.cookie)
    }

    /// Sets the writer's cookie, whatever it was.
    ///
    /// # Errors
    /// ctldb is away or not migrated, the credentials are wrong, or the cookie is too long.
    pub async fn set_cookie(&self, credentials: &Credentials, cookie: &[u8]) -> Result<(), Error> {
        check_cookie_length(cookie)?;
        let mut session = self.write_session().await?;
        // Before the ledger lock: who has no credentials does not hold up those who have.
        session.authenticate(credentials).await?;
        session.begin_locked(Fence::Open).await?;
        let result = session.overwrite_cookie(credentials, cookie).await;
        session.end(SET_COOKIE, result).await
    }
}

pub(crate) fn check_cookie_length(cookie: &[u8]) -> Result<(), Error> {
    match cookie.len() {
        bytes if bytes > MAX_COOKIE_BYTES => Err(Error::CookieTooLong { bytes }),
        _ => Ok(()),
    }
}

impl Session {
    /// Is it the writer that it says it is?
    pub(crate) async fn authenticate(&mut self, who: &Credentials) -> Result<Writer, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM mutators m LEFT JOIN ctlstore_writers w ON w.writer = m.writer WHERE m.writer = ?"
        );
        let rows = self.query(ACTION, &sql, &[who.writer.as_str().into()]).await?;
        Writer::read(rows.first().ok_or(Error::WriterNotFound)?, who)
    }

    async fn register(&mut self, writer: &WriterName, secret: &Secret) -> Result<Created, Error> {
        const INSERT: &str =
            "INSERT INTO mutators (writer, secret, cookie, clock) VALUES (?, ?, ?, 0)";
        let name = || writer.as_str().into();
        let cookie = STANDARD.encode([writer.as_str().as_bytes(), &INITIAL_COOKIE].concat());
        let params = [name(), secret.hash().into(), cookie.as_bytes().into()];
        match self.run(INSERT, &params).await {
            Ok(_) => {}
            Err(Fault::Duplicate(_)) => {
                let credentials = Credentials { writer: writer.clone(), secret: secret.clone() };
                return match self.authenticate(&credentials).await {
                    Ok(_) => Ok(Created::AlreadyThere),
                    Err(Error::WriterNotFound) => Err(Error::WriterExists(writer.clone())),
                    Err(error) => Err(error),
                };
            }
            Err(fault) => return Err(Error::bookkeeping(REGISTER, fault)),
        }
        self.pass("register: the writer was written")?;
        let sql = "REPLACE INTO ctlstore_writers (writer) VALUES (?)";
        self.execute(REGISTER, sql, &[name()]).await?;
        Ok(Created::New)
    }

    /// The families that a writer is bound to, if there is such a writer.
    pub(crate) async fn known_writer(
        &mut self,
        writer: &WriterName,
    ) -> Result<Option<Vec<FamilyName>>, Error> {
        let sql = "SELECT m.writer, w.families_json FROM mutators m LEFT JOIN ctlstore_writers w ON w.writer = m.writer WHERE m.writer = ?";
        let rows = self.query(ACTION, sql, &[writer.as_str().into()]).await?;
        let row = rows.first().ok_or_else(|| Error::WriterUnknown(writer.clone()))?;
        families(row, 1, writer)
    }

    async fn bind(
        &mut self,
        writer: &WriterName,
        families: Option<Vec<FamilyName>>,
    ) -> Result<(), Error> {
        self.known_writer(writer).await?;
        let json = families.as_ref().map(serde_json::to_string).transpose();
        let json = json.map_err(|error| Error::Corrupt { what: error.to_string() })?;
        let params = [json.into(), writer.as_str().into()];
        let sql = "UPDATE ctlstore_writers SET families_json = ? WHERE writer = ?";
        if self.execute(BIND, sql, &params).await? == 0 {
            // One of the original's, which has not written since.
            let sql = "INSERT INTO ctlstore_writers (families_json, writer) VALUES (?, ?)";
            self.execute(BIND, sql, &params).await?;
        }
        Ok(())
    }

    async fn overwrite_cookie(&mut self, who: &Credentials, cookie: &[u8]) -> Result<(), Error> {
        let writer = || who.writer.as_str().into();
        let sql = "UPDATE mutators SET cookie = ?, clock = clock + 1 WHERE writer = ?";
        self.execute(SET_COOKIE, sql, &[cookie.into(), writer()]).await?;
        self.pass("set cookie: the cookie was written")?;
        // This cookie came with no batch, so no batch is a repetition of it.
        let sql = "UPDATE ctlstore_writers SET last_digest = NULL WHERE writer = ?";
        self.execute(SET_COOKIE, sql, &[writer()]).await.map(|_| ())
    }
}

fn families(
    row: &SqlRow,
    index: usize,
    writer: &WriterName,
) -> Result<Option<Vec<FamilyName>>, Error> {
    let families = row.optional(index, SqlRow::text)?.map(|text| {
        serde_json::from_str(text).map_err(|error| Error::Corrupt {
            what: format!("families of writer {:?}: {error}", writer.as_str()),
        })
    });
    families.transpose()
}

impl Writer {
    /// Reads the row, if it is the writer's that it says it is; there is none when all is NULL.
    pub(crate) fn read(row: &SqlRow, who: &Credentials) -> Result<Self, Error> {
        let secret = row.optional(0, SqlRow::text)?.ok_or(Error::WriterNotFound)?;
        if !who.secret.matches(secret) {
            return Err(Error::WriterNotFound);
        }
        let last_seq = row.optional(4, SqlRow::int)?.map(meta::seq);
        Ok(Self {
            cookie: row.bytes(1)?.to_vec(),
            families: families(row, 2, &who.writer)?,
            last_digest: row.optional(3, SqlRow::bytes)?.map(<[u8]>::to_vec),
            last_seq: last_seq.transpose()?,
            is_ours: row.optional(5, SqlRow::text)?.is_some(),
        })
    }

    pub(crate) fn check_family(&self, who: &WriterName, family: &FamilyName) -> Result<(), Error> {
        match &self.families {
            Some(families) if !families.contains(family) => {
                Err(Error::WriterBound { writer: who.clone(), family: family.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

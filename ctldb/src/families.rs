//! Families: names under which tables stand.

use ledger::{FamilyName, LdbTable};

use crate::session::Session;
use crate::{CtlDb, Error, Fence};

/// Was it made, or was it there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is new.
    New,
    /// It was there already, just so.
    AlreadyThere,
}

/// What became of a family that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FamilyDeleted {
    /// It is gone.
    Deleted,
    /// It was not there.
    NotThere,
    /// It stays, for these tables are in it.
    TablesRemain(Vec<LdbTable>),
}

const CREATE: &str = "create a family";
const DELETE: &str = "delete a family";

impl CtlDb {
    /// All families, by name.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn families(&self) -> Result<Vec<FamilyName>, Error> {
        let mut session = self.session().await?;
        let rows =
            session.query("list families", "SELECT name FROM families ORDER BY name", &[]).await?;
        let name = |text: &str| {
            FamilyName::parse(text).map_err(|error| Error::Corrupt { what: error.to_string() })
        };
        rows.iter().map(|row| name(row.text(0)?)).collect()
    }

    /// Makes a family.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the fence no longer holds.
    pub async fn create_family(&self, family: &FamilyName, fence: Fence) -> Result<Created, Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.insert_family(family).await;
        session.end(CREATE, result).await
    }

    /// Deletes a family that has no tables.
    ///
    /// # Errors
    /// ctldb is away or not migrated, or the fence no longer holds.
    pub async fn delete_family(
        &self,
        family: &FamilyName,
        fence: Fence,
    ) -> Result<FamilyDeleted, Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(fence).await?;
        let result = session.remove_family(family).await;
        session.end(DELETE, result).await
    }
}

impl Session {
    pub(crate) async fn has_family(&mut self, family: &FamilyName) -> Result<bool, Error> {
        let sql = "SELECT name FROM families WHERE name = ?";
        Ok(!self.query("look up a family", sql, &[family.as_str().into()]).await?.is_empty())
    }

    async fn insert_family(&mut self, family: &FamilyName) -> Result<Created, Error> {
        if self.has_family(family).await? {
            return Ok(Created::AlreadyThere);
        }
        let sql = "INSERT INTO families (name) VALUES (?)";
        self.execute(CREATE, sql, &[family.as_str().into()]).await?;
        Ok(Created::New)
    }

    async fn remove_family(&mut self, family: &FamilyName) -> Result<FamilyDeleted, Error> {
        let sql = "SELECT table_name FROM ctlstore_tables WHERE family = ? ORDER BY table_name";
        let rows = self.query(DELETE, sql, &[family.as_str().into()]).await?;
        let table = |text: &str| {
            LdbTable::parse(text).map_err(|error| Error::Corrupt { what: error.to_string() })
        };
        let tables: Vec<_> =
            rows.iter().map(|row| table(row.text(0)?)).collect::<Result<_, _>>()?;
        if !tables.is_empty() {
            return Ok(FamilyDeleted::TablesRemain(tables));
        }
        let sql = "DELETE FROM families WHERE name = ?";
        match self.execute(DELETE, sql, &[family.as_str().into()]).await? {
            0 => Ok(FamilyDeleted::NotThere),
            _ => Ok(FamilyDeleted::Deleted),
        }
    }
}

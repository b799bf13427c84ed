//! The schemas of the tables that were written lately, so that a batch need not ask for them again.
//!
//! They may be stale. That is found out under the ledger lock, where ctldb compares the schema that a batch was checked
//! against with the registry's, and says `SchemaMoved`; a batch that is refused is read again with fresh schemas first.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use ctldb::{CtlDb, Error, TableRecord};
use ledger::{FamilyName, LdbTable, Seq, TableSchema};

use crate::mutations::decode::Schemas;

/// More would be a sign of a fleet of tables, each of which is written rarely.
const MAX_TABLES: usize = 4096;

/// Where the schemas come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Those at hand do.
    Cached,
    /// They are fetched again.
    Fresh,
}

/// Schemas at hand.
#[derive(Debug, Default)]
pub(crate) struct Catalog(RwLock<HashMap<LdbTable, Arc<TableSchema>>>);

impl Catalog {
    /// The schemas of these tables, all of one family. A table that does not exist is left out.
    ///
    /// # Errors
    /// ctldb failed, or a table is being created.
    pub(crate) async fn schemas(
        &self,
        db: &CtlDb,
        family: &FamilyName,
        tables: BTreeSet<&LdbTable>,
        freshness: Freshness,
    ) -> Result<Schemas, Error> {
        let mut schemas = match freshness {
            Freshness::Cached => self.cached(&tables),
            Freshness::Fresh => Schemas::new(),
        };
        let missing: Vec<_> =
            tables.into_iter().filter(|table| !schemas.contains_key(*table)).collect();
        let records = match missing.as_slice() {
            [] => return Ok(schemas),
            [table] => db.table(table).await?.into_iter().collect(),
            _ => db.tables(Some(family)).await?,
        };
        for TableRecord { schema, schema_seq, .. } in records {
            let table = schema.table().clone();
            if !missing.contains(&&table) {
                continue;
            }
            if schema_seq == Seq::ZERO {
                return Err(Error::SchemaBusy { table });
            }
            schemas.insert(table, Arc::new(schema));
        }
        self.keep(&missing, &schemas);
        Ok(schemas)
    }

    fn cached(&self, tables: &BTreeSet<&LdbTable>) -> Schemas {
        let cache = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let pair = |table: &&LdbTable| {
            cache.get(*table).map(|schema| ((*table).clone(), Arc::clone(schema)))
        };
        tables.iter().filter_map(pair).collect()
    }

    /// Keeps what was found, and forgets what was not.
    fn keep(&self, asked: &[&LdbTable], schemas: &Schemas) {
        let mut cache = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for table in asked {
            cache.remove(*table);
        }
        if cache.len() + schemas.len() > MAX_TABLES {
            cache.clear();
        }
        cache.extend(schemas.iter().map(|(table, schema)| (table.clone(), Arc::clone(schema))));
    }
}

//! The heartbeat: one row that is written again and again, so that every copy can tell how old it is.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ledger::{Column, ColumnName, ColumnType, LdbTable, Mutation, Row, TableSchema, Value};

use crate::mutate::Trusted;
use crate::{
    Author, Committed, CtlDb, Deletion, Error, Fence, Owner, OwnerId, SchemaChange,
    SchemaChangeKind, TableMutation,
};

impl CtlDb {
    /// Writes the heartbeat, as the original's: the row `heartbeat` of `ctlstore.heartbeats`, with the nanoseconds since
    /// 1970. Makes family and table where they are missing.
    ///
    /// # Errors
    /// As of [`CtlDb::mutate`], or the fence no longer holds, or a table of this name has other columns.
    pub async fn heartbeat(&self, author: &Author, fence: Fence) -> Result<Committed, Error> {
        let schema = Arc::new(schema());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        let values = vec![Value::Text("heartbeat".to_owned()), Value::Integer(nanos)];
        let row = Row::new(&schema, values).expect("BUG: the values fit the columns above");
        let mutations =
            vec![TableMutation { schema: Arc::clone(&schema), mutation: Mutation::Upsert(row) }];
        let family = schema.table().family();
        let batch = Trusted { mutations, author: author.clone(), fence };
        match self.mutate_trusted(family, batch.clone()).await {
            Err(Error::TableNotFound(table)) => {
                self.make_heartbeats(&table, &schema, author, fence).await?;
                self.mutate_trusted(family, batch).await
            }
            Err(Error::SchemaMoved(table)) => {
                let what = "it has other columns than name STRING and value INTEGER".to_owned();
                Err(Error::Foreign { table, what })
            }
            result => result,
        }
    }

    async fn make_heartbeats(
        &self,
        table: &LdbTable,
        schema: &TableSchema,
        author: &Author,
        fence: Fence,
    ) -> Result<(), Error> {
        self.create_family(table.family(), fence).await?;
        let owner = Owner { id: OwnerId::Executive, deletion: Deletion::Retain };
        let kind = SchemaChangeKind::Create { schema: schema.clone(), owner };
        let change = SchemaChange { table: table.clone(), by: OwnerId::Executive, kind };
        match self.change_schema(&change, author, fence).await {
            Ok(_) | Err(Error::TableExists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn schema() -> TableSchema {
    let name = |text| ColumnName::parse(text).expect("BUG: a legal name");
    let column = |text, column_type| Column { name: name(text), column_type };
    let columns = vec![column("name", ColumnType::String), column("value", ColumnType::Integer)];
    let table = LdbTable::parse("ctlstore___heartbeats").expect("BUG: a legal name");
    TableSchema::new(table, columns, vec![name("name")]).expect("BUG: a legal table")
}

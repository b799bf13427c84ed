//! The one lock under which tables are made, changed and dropped. It belongs to a connection and ends with it.

use crate::fault::cause;
use crate::session::Session;
use crate::{CtlDb, Error, Fault};

impl CtlDb {
    /// A connection that holds the schema lock. It serves the whole change and is closed after it.
    pub(crate) async fn schema_session(&self, action: &'static str) -> Result<Session, Error> {
        let turn = self.schema_turn(action).await?;
        let mut session = self.session().await?.with_turn(turn);
        match session.lock_schema().await {
            Ok(true) => Ok(session),
            Ok(false) => {
                let busy = "another connection holds the schema lock and is changing a table";
                Err(Error::Contended { action, source: Fault::Contention(cause(busy)) })
            }
            Err(fault) => Err(Error::statement(action, fault)),
        }
    }
}

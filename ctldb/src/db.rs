//! [`CtlDb`]: the handle that everything else hangs on.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ledger::CtlDbUrl;

use crate::acquaintances::Acquaintances;
use crate::connection::Backend;
use crate::desk::Desk;
use crate::mysql::MySql;
use crate::queue::Queues;
use crate::session::Session;
use crate::sqlite::Sqlite;
use crate::{Error, Options};

/// The system of record. Cloning is cheap, and clones share their connections.
#[derive(Clone)]
pub struct CtlDb {
    shared: Arc<Shared>,
}

struct Shared {
    place: RwLock<Place>,
    queues: Queues,
    desk: Desk,
    acquaintances: Acquaintances,
    options: Options,
}

struct Place {
    url: CtlDbUrl,
    backend: Arc<dyn Backend>,
}

impl CtlDb {
    /// Takes the place of a database. The network is first touched by the first call.
    ///
    /// # Errors
    /// None at present: what is wrong with a place shows when it is used.
    pub fn open(url: CtlDbUrl) -> Result<Self, Error> {
        Self::open_with(url, Options::default())
    }

    /// The same with settings.
    ///
    /// # Errors
    /// None at present.
    pub fn open_with(url: CtlDbUrl, options: Options) -> Result<Self, Error> {
        let place = Place { backend: backend(&url, &options), url };
        let (place, queues) = (RwLock::new(place), Queues::new(&options));
        let (desk, acquaintances) = (Desk::default(), Acquaintances::default());
        Ok(Self { shared: Arc::new(Shared { place, queues, desk, acquaintances, options }) })
    }

    /// Moves to another URL, for a secret that was rotated. Calls that are under way end on the old connections.
    #[expect(clippy::unused_async, reason = "callers must not depend on it being instant")]
    pub async fn replace_url(&self, url: CtlDbUrl) {
        let mut place = self.shared.place.write().unwrap_or_else(PoisonError::into_inner);
        if place.url != url {
            *place = Place { backend: backend(&url, &self.shared.options), url };
        }
    }

    /// A connection from the pool. It may have broken while it lay there.
    pub(crate) async fn untested(&self) -> Result<Session, Error> {
        let backend = {
            let place = self.shared.place.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&place.backend)
        };
        let connection = backend.connect().await;
        let connection = connection.map_err(|fault| Error::statement("connect to ctldb", fault))?;
        Ok(Session::new(connection, self.shared.options.clone()))
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn queues(&self) -> &Queues {
        &self.shared.queues
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.shared.desk
    }

    pub(crate) fn acquaintances(&self) -> &Acquaintances {
        &self.shared.acquaintances
    }
}

fn backend(url: &CtlDbUrl, options: &Options) -> Arc<dyn Backend> {
    match url {
        CtlDbUrl::MySql(url) => Arc::new(MySql::new(url, options)),
        CtlDbUrl::Sqlite(path) => Arc::new(Sqlite::new(path.clone(), options)),
    }
}

impl fmt::Debug for CtlDb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.shared.place.read().unwrap_or_else(PoisonError::into_inner);
        // A URL never shows its password.
        write!(out, "CtlDb({})", place.url)
    }
}

//! [`CtlDb`]: the handle that everything else hangs on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

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
    warm: Mutex<Option<Warm>>,
    options: Options,
}

/// The connection that wrote last. The pool would test it first.
struct Warm {
    session: Session,
    since: Instant,
}

/// Less than it takes a server to cut an idle connection.
const WARM: Duration = Duration::from_secs(5);
/// With fewer connections than this, all are for everybody.
const CONNECTIONS_TO_SPARE: u32 = 4;

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
        let warm = Mutex::default();
        let shared = Shared { place, queues, desk, acquaintances, warm, options };
        Ok(Self { shared: Arc::new(shared) })
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
        let backend = self.backend();
        let _waits = self.queues().waiting.enter();
        let connection = backend.connect().await;
        let connection = connection.map_err(|fault| Error::statement("connect to ctldb", fault))?;
        Ok(Session::new(connection, backend, self.shared.options.clone()))
    }

    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        let place = self.shared.place.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&place.backend)
    }

    /// The connection that wrote last, if that was just now. It may have broken since.
    pub(crate) fn warm(&self) -> Option<Session> {
        let warm = self.shared.warm.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let here = warm.session.leads_to(&self.backend());
        (here && warm.since.elapsed() < WARM).then_some(warm.session)
    }

    pub(crate) fn keeps_one_warm(&self) -> bool {
        self.shared.warm.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Keeps a connection for whoever writes next.
    pub(crate) fn keep_warm(&self, session: Session) {
        if self.shared.options.max_connections < CONNECTIONS_TO_SPARE {
            return;
        }
        let Some(session) = session.at_rest() else { return };
        let warm = Warm { session, since: Instant::now() };
        let before = self.shared.warm.lock().unwrap_or_else(PoisonError::into_inner).replace(warm);
        drop(before);
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

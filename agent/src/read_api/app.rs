//! What every request needs: the LDB, what of it is served, and the places that bound what is in hand.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daemon::serve::InFlight;
use ledger::FamilyName;
use reader::{Family, Ldb};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::args::{Families, ServeArgs};
use crate::read_api::error::{Code, Error};
use crate::read_api::feed::Feed;
use crate::read_api::metrics::ReadMetrics;
use crate::status::Status;

/// Lists in hand that are read as a whole, and those that are read in parts: with answers of `--read-max-bytes` and of
/// 256 KiB, each kind holds at most 64 MiB, however slowly its clients read.
const WHOLE: usize = 16;
const PARTS: usize = 256;

/// What every request needs. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Parts>);

/// The parts of an [`App`].
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) ldb: Ldb,
    pub(crate) node: Node,
    pub(crate) feed: Feed,
    pub(crate) metrics: ReadMetrics,
    pub(crate) limits: Limits,
    served: Option<Families>,
    /// Handles that were asked for, by the name as it was asked for.
    known: RwLock<HashMap<Box<str>, Family>>,
    pub(crate) places: InFlight,
    whole: Arc<Semaphore>,
    parts: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    /// Requests in hand, which the end of the process waits for.
    pub(crate) flight: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// The API's description.
    pub(crate) openapi: String,
}

/// Whose reads are served.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Of the agent that this process is.
    Agent(Status),
    /// Of an agent beside this process.
    Sidecar,
}

/// How much of a list is in memory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Whole,
    Parts,
}

/// What bounds a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_rows: u64,
    pub(crate) max_bytes: usize,
    pub(crate) timeout: Duration,
}

/// What an [`App`] is made from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) ldb: Ldb,
    pub(crate) node: Node,
    pub(crate) feed: Feed,
    pub(crate) metrics: ReadMetrics,
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) fn new(source: Source, args: &ServeArgs, openapi: String) -> Self {
        let Source { ldb, node, feed, metrics, stop } = source;
        let places = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Self(Arc::new(Parts {
            ldb,
            node,
            feed,
            metrics,
            limits: Limits {
                max_rows: args.read_max_rows,
                max_bytes: usize::try_from(args.read_max_bytes).unwrap_or(usize::MAX),
                timeout: args.read_timeout,
            },
            served: args.read_families.clone(),
            known: RwLock::default(),
            places: InFlight::new(places(args.read_max_in_flight)),
            whole: Arc::new(Semaphore::new(WHOLE)),
            parts: Arc::new(Semaphore::new(PARTS)),
            watchers: Arc::new(Semaphore::new(places(args.read_max_watchers))),
            flight: TaskTracker::new(),
            stop,
            openapi,
        }))
    }

    /// A family that is served, by its name in any case.
    pub(crate) fn family(&self, name: &str) -> Result<Family, Error> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some(family) = known {
            return Ok(family);
        }
        let wrong = |error: ledger::NameError| {
            Error::new(Code::NameInvalid, error.to_string()).field("family")
        };
        let folded = FamilyName::parse_folded(name).map_err(wrong)?;
        self.check_served(&folded)?;
        let family = self.ldb.family(folded.as_str())?;
        // Only by its own name, of which there are as many as families.
        if folded.as_str() == name {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(Box::from(name), family.clone());
        }
        Ok(family)
    }

    /// Refuses a family that is not served, in the words for one that is not there.
    pub(crate) fn check_served(&self, family: &FamilyName) -> Result<(), Error> {
        match &self.served {
            Some(served) if !served.has(family) => {
                let text = format!("family {family} is not served here");
                Err(Error::new(Code::FamilyNotFound, text).field("family"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The families that are served, where not all are.
    pub(crate) fn served(&self) -> Option<&Families> {
        self.served.as_ref()
    }

    /// A place for a list, waited for until the request's time is over.
    pub(crate) async fn place(&self, size: Size) -> Result<OwnedSemaphorePermit, Error> {
        let places = match size {
            Size::Whole => &self.whole,
            Size::Parts => &self.parts,
        };
        let place = Arc::clone(places).acquire_owned();
        match timeout_at(Instant::now() + self.limits.timeout, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Error::overloaded()),
        }
    }

    /// A place for one who follows.
    pub(crate) fn watcher(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            let text = "as many clients follow as --read-max-watchers allows, try again later";
            Error::new(Code::TooManyWatchers, text)
        })
    }

    /// Reads where it may take a while, and not on the threads that answer.
    pub(crate) async fn read_long<T: Send + 'static>(
        &self,
        read: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || read(&app)).await?
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

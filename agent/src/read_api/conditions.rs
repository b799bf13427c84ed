//! What a read may demand of the LDB before it is answered: to have one's own write (`min-seq`, `min-position`), and not to be
//! too far behind (`max-lag-ms`). And what every answer tells: `ctlstore-seq`, `ctlstore-lag-ms`.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use ledger::{Mark, Seq};
use reader::{Family, Goal, Ldb};
use tokio::time::{Instant, timeout_at};

use crate::read_api::app::App;
use crate::read_api::error::{Code, Error};
use crate::read_api::params::Params;

/// Header with a sequence that the answer has passed.
pub(crate) const SEQ: HeaderName = HeaderName::from_static("ctlstore-seq");
/// Header with the age of the newest entry applied, in milliseconds. Absent while none is.
pub(crate) const LAG: HeaderName = HeaderName::from_static("ctlstore-lag-ms");

/// What a request demands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    goal: Option<Goal>,
    /// At most so long; as long as the request may take without it.
    wait: Option<Duration>,
    max_lag: Option<Duration>,
}

impl Conditions {
    pub(crate) fn take(params: &mut Params) -> Result<Self, Error> {
        let seq = params.number("min-seq", 0..=Seq::MAX.get())?;
        let seq = seq.and_then(Seq::new).map(Goal::from);
        let position = params.take("min-position").map(|text| text.parse::<Mark>()).transpose();
        let position = position.map_err(|error| {
            Error::new(Code::QueryInvalid, error.to_string()).field("min-position")
        })?;
        if seq.is_some() && position.is_some() {
            let text = "min-seq and min-position are two ways to say one thing, send one of them";
            return Err(Error::new(Code::QueryInvalid, text).field("min-seq"));
        }
        let millis = |number: Option<u64>| number.map(Duration::from_millis);
        Ok(Self {
            goal: position.map(Goal::from).or(seq),
            wait: millis(params.number("wait-ms", 0..=MAX_WAIT_MS)?),
            max_lag: millis(params.number("max-lag-ms", 0..=Seq::MAX.get())?),
        })
    }

    /// Waits until the LDB has what is demanded; says no where it does not get there in time. True when it had to look: what
    /// was known of the LDB before is old.
    pub(crate) async fn wait(&self, app: &App) -> Result<bool, Error> {
        let Some(goal) = self.goal else { return Ok(false) };
        let most = self.wait.unwrap_or(app.limits.timeout).min(app.limits.timeout);
        let deadline = Instant::now() + most;
        loop {
            let seen = app.ldb.seq()?;
            match app.ldb.at_least(goal, Duration::ZERO) {
                Ok(()) => return Ok(true),
                Err(error) if error.is_timeout() => {
                    let moved = tokio::select! {
                        () = app.stop.cancelled() => return Err(Error::overloaded()),
                        moved = timeout_at(deadline, app.ldb.changed_async(seen)) => moved,
                    };
                    match moved {
                        Ok(moved) => drop(moved?),
                        Err(_) => return Err(not_reached(app, &error, most)),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The family, whose reads fail when the LDB is too far behind.
    pub(crate) fn fresh(&self, family: Family) -> Family {
        match self.max_lag {
            Some(limit) => family.max_staleness(limit),
            None => family,
        }
    }
}

/// The longest that a request can ask to wait; `--read-timeout` may be less.
const MAX_WAIT_MS: u64 = 60_000;

fn not_reached(app: &App, error: &reader::Error, most: Duration) -> Error {
    let reader::Error::NotReached { wanted, seen, histories, .. } = error else {
        return Error::new(Code::NotReached, error.to_string()).field("min-seq");
    };
    let head = match &app.node {
        crate::read_api::app::Node::Agent(status) => status.report().ledger.map(|seen| seen.head),
        crate::read_api::app::Node::Sidecar => None,
    };
    let why = match head {
        Some(head) if histories.is_none() && head < *wanted => {
            format!(", and the ledger itself ended at {head} when it was last seen")
        }
        Some(_) | None if histories.is_some() => ", in another history".to_owned(),
        Some(_) | None => String::new(),
    };
    let text = format!("the LDB did not reach {wanted} within {most:?}: it is at {seen}{why}");
    Error::new(Code::NotReached, text).field("min-seq")
}

/// Puts into headers where the LDB stands. Taken before the read, so the answer is at least that new.
pub(crate) fn stamp(ldb: &Ldb) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(2);
    if let Ok(seq) = ldb.committed() {
        headers.insert(SEQ, seq.get().into());
    }
    if let Ok(Some(lag)) = ldb.latency() {
        headers.insert(LAG, u64::try_from(lag.as_millis()).unwrap_or(u64::MAX).into());
    }
    headers
}

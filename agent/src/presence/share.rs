//! How many nodes build their file anew at the same time, agreed upon by their Leases.
//!
//! What is asked of the API server stays small when a whole fleet asks at once: only Leases with a claim are listed, by their
//! label; the nodes are counted by a list of one; and who is refused asks again after minutes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crds::presence::{CLAIM_SELECTOR, NodeReport, RebuildClaim};
use daemon::log::Chain;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use kube::api::ListParams;
use rand::RngExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::bootstrap::share::{Reason, Share, Turn};
use crate::presence::claims::{self, Rival, Silences};
use crate::presence::own::{Own, PresenceError, answered};

/// How long nodes wait for each other.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// What befalls one node often befalls all; their first questions are spread over this.
    spread: Duration,
    /// From a claim to a look at who else has one: claims that were under way have been written by then.
    settle: Duration,
    /// Who is refused asks again after this, or up to three times of it.
    again: Duration,
}

const PACE: Pace = Pace {
    spread: Duration::from_secs(30),
    settle: Duration::from_secs(5),
    again: Duration::from_secs(60),
};

/// The share of nodes that may build their files anew at the same time.
#[derive(Debug)]
pub struct FleetShare {
    own: Arc<Own>,
    percent: u8,
    /// Decides while the API server cannot be asked.
    alone: Box<dyn Share>,
    pace: Pace,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// When the first question may be asked.
    first: Option<Instant>,
    silences: Silences<Option<MicroTime>>,
}

#[async_trait]
impl Share for FleetShare {
    async fn may_rebuild(&self, reason: Reason) -> Turn {
        let mut memory = self.memory.lock().await;
        let spread = match reason {
            Reason::Forked | Reason::Gap | Reason::Stuck => self.pace.spread,
            // Nobody can read it meanwhile.
            Reason::Damaged => Duration::ZERO,
        };
        let now = Instant::now();
        let first = *memory.first.get_or_insert_with(|| now + by_chance(spread, 0.0..1.0));
        if now < first {
            return Turn::No { again: first - now };
        }
        match self.ask(&mut memory).await {
            Ok(turn) => turn,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the other nodes cannot be asked who loads another LDB, chance decides");
                self.alone.may_rebuild(reason).await
            }
        }
    }

    async fn done(&self) {
        self.memory.lock().await.first = None;
        if self.own.claimed().await.is_some()
            && let Err(error) = self.own.claim(None).await
        {
            tracing::info!(error = %Chain(&error), "the claim to load another LDB goes with the next renewal");
        }
        self.alone.done().await;
    }
}

impl FleetShare {
    pub(super) fn new(own: Arc<Own>, percent: u8, alone: Box<dyn Share>) -> Self {
        Self { own, percent, alone, pace: PACE, memory: Mutex::default() }
    }

    async fn ask(&self, memory: &mut Memory) -> Result<Turn, PresenceError> {
        let places = claims::places(self.percent, self.nodes().await?);
        let rivals = self.rivals(memory).await?;
        let refused = Turn::No { again: by_chance(self.pace.again, 1.0..3.0) };
        match self.own.claimed().await {
            Some(claim) if claim.building => Ok(Turn::Yes),
            None if claims::may_claim(&rivals, places) => {
                let claim = RebuildClaim { since: Timestamp::now(), building: false };
                self.own.claim(Some(claim)).await?;
                Ok(Turn::No { again: self.pace.settle })
            }
            None => Ok(refused),
            Some(claim) => {
                if claims::may_try(&self.own.lease(), &claim, &rivals, places) {
                    self.own.claim(Some(RebuildClaim { building: true, ..claim })).await?;
                    if claims::may_build(&self.rivals(memory).await?, places) {
                        return Ok(Turn::Yes);
                    }
                }
                self.own.claim(None).await?;
                Ok(refused)
            }
        }
    }

    /// How many nodes there are. A few other Leases of the namespace are counted with them.
    async fn nodes(&self) -> Result<u64, PresenceError> {
        let one = ListParams::default().limit(1);
        let list =
            answered("count", "the leases of nodes", self.own.leases().list_metadata(&one)).await?;
        let more = list.metadata.remaining_item_count.and_then(|more| u64::try_from(more).ok());
        Ok(more.unwrap_or(0).saturating_add(1))
    }

    /// The claims of others whose agents live, as they stand now.
    async fn rivals(&self, memory: &mut Memory) -> Result<Vec<Rival>, PresenceError> {
        let claimed = ListParams::default().labels(CLAIM_SELECTOR);
        let list =
            answered("list", "the claims of other nodes", self.own.leases().list(&claimed)).await?;
        let me = self.own.lease();
        let others: Vec<_> =
            list.items.into_iter().filter(|lease| lease.name_any() != me).collect();
        let renewed = others.iter().map(|lease| {
            let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.clone());
            (lease.name_any(), renewed)
        });
        let living = memory.silences.living(renewed.collect(), Instant::now());
        let rivals = others.into_iter().filter_map(|lease| {
            let claim = NodeReport::of(&lease.metadata).claim?;
            Some(Rival { name: lease.name_any(), claim })
        });
        Ok(rivals.filter(|rival| living.contains(&rival.name)).collect())
    }
}

fn by_chance(time: Duration, parts: Range<f64>) -> Duration {
    time.mul_f64(rand::rng().random_range(parts))
}

#[cfg(test)]
mod tests;

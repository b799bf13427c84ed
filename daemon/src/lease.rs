//! One leader among several processes, by a Kubernetes Lease: read it, decide, write it back on
//! condition that nobody else did.
//!
//! **The Lease is not the fence.** It makes two leaders rare, not impossible: a machine that is
//! suspended, a blocked executor or a Lease edited by hand can let two processes act for a moment.
//! Whatever must not be written by two leaders carries a fence of its own (an epoch in the
//! database, a conditional put). `leaseTransitions` is no such epoch, it starts again when the
//! Lease is deleted; it is kept up only because operators of clusters look at it.
//!
//! The rules are client-go's: expiry is judged by our own monotonic clock ([`decide`]), a conflict
//! means "read again" and never success, and a leader that could not renew for `renew_deadline`
//! is one no more. It ends the process then and there. An orderly shutdown would go on acting
//! while it drains: Cilium had two acting operators, and nodes with the same addresses, because
//! shutdown hooks ran past the deadline (cilium/cilium#42920).

mod config;
mod decide;
mod error;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod simulation;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

pub use self::config::{LeaseConfig, Timing, identity};
pub use self::decide::{Decision, Seen, decide};
pub use self::error::LeaseError;
use self::store::Store;
use crate::live::Pulse;
use crate::log::Chain;

/// How long the last line of the log may take before the process ends without it.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// The attempts to give the Lease back on an orderly stop.
const RELEASE_ATTEMPTS: u32 = 3;

/// What a candidate is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// We lead.
    Leading,
    /// We do not.
    Following {
        /// Who does, as far as we know.
        holder: Option<String>,
    },
}

/// Called when leadership is lost while it may still be in use.
type OnLost = Box<dyn Fn(&LeaseError) + Send + Sync>;

/// One candidate for one Lease.
pub struct Candidate {
    store: Store,
    config: LeaseConfig,
    leadership: watch::Sender<Leadership>,
    seen: Option<Seen>,
    /// Until when we lead; counted from before the renewal was sent, so that it is over before
    /// anyone else can believe that it is.
    leads_until: Option<Instant>,
    /// Rounds that failed in a row.
    failures: u32,
    on_lost: OnLost,
    pulse: Option<Pulse>,
    rng: StdRng,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Candidate {
    /// A candidate that follows, and the place to watch it lead.
    ///
    /// # Errors
    /// The times do not fit together.
    pub fn new(
        client: kube::Client,
        config: LeaseConfig,
    ) -> Result<(Self, watch::Receiver<Leadership>), LeaseError> {
        config.timing.check()?;
        Ok(Self::unchecked(client, config))
    }

    fn unchecked(client: kube::Client, config: LeaseConfig) -> (Self, watch::Receiver<Leadership>) {
        let (leadership, receiver) = watch::channel(Leadership::Following { holder: None });
        let candidate = Self {
            store: Store::new(client, &config),
            config,
            leadership,
            seen: None,
            leads_until: None,
            failures: 0,
            on_lost: Box::new(exit_at_once),
            pulse: None,
            rng: rand::make_rng(),
        };
        (candidate, receiver)
    }

    /// Beats after each look at the Lease. Allow at least `renew_deadline` of silence.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse: Some(pulse), ..self }
    }

    /// Replaces the exit of the process. For tests, and for a process in which the leader's work
    /// is cut off by the hook itself before it returns.
    #[must_use]
    pub fn with_on_lost(self, hook: impl Fn(&LeaseError) + Send + Sync + 'static) -> Self {
        Self { on_lost: Box::new(hook), ..self }
    }

    /// Stands for election until `work_over` is cancelled, then gives the Lease back.
    ///
    /// `work_over` is **not** the token by which the process is asked to stop. It is cancelled
    /// when the leader's work has ended, drain included, and not before, for the next leader
    /// begins at once; until then the Lease is renewed. Let the task that does the leader's work
    /// own `work_over.drop_guard()`, so that it is cancelled however that task ends.
    ///
    /// # Errors
    /// Leadership was lost. By default the process has ended then, and nothing is returned.
    pub async fn run(mut self, work_over: CancellationToken) -> Result<(), LeaseError> {
        loop {
            match watched(&work_over, self.leads_until, self.round()).await {
                Woken::Done(Ok(())) => self.failures = 0,
                Woken::Done(Err(error @ LeaseError::Deposed { .. })) => {
                    return Err(self.lose(error));
                }
                Woken::Done(Err(error)) => self.complain(&error),
                Woken::WorkOver => break,
                Woken::Late => return Err(self.late()),
            }
            if let Some(pulse) = &self.pulse {
                pulse.beat();
            }
            let pause = self.pause();
            match watched(&work_over, self.leads_until, sleep(pause)).await {
                Woken::Done(()) => {}
                Woken::WorkOver => break,
                Woken::Late => return Err(self.late()),
            }
        }
        self.release().await;
        Ok(())
    }

    /// Reads the Lease, decides, and writes it if it is to be ours.
    async fn round(&mut self) -> Result<(), LeaseError> {
        let found = self.read().await?;
        let leads = self.leads_until.is_some();
        let started = Instant::now();
        let Timing { duration, renew_deadline, .. } = self.config.timing;
        let decision = decide(self.seen.as_ref(), started, &self.config.identity, duration);
        match decision {
            Decision::Acquire | Decision::Wait if leads => {
                Err(LeaseError::Deposed { lease: self.lease(), holder: self.holder() })
            }
            Decision::Wait => {
                self.publish(Leadership::Following { holder: self.holder() });
                Ok(())
            }
            Decision::Acquire | Decision::Renew => {
                let written = self.write(found, decision).await?;
                self.see(Some(&written));
                let leads_until = started + renew_deadline;
                // If this process stood still meanwhile, the time is over before it began.
                if Instant::now() < leads_until {
                    self.leads_until = Some(leads_until);
                    self.publish(Leadership::Leading);
                }
                Ok(())
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Lease>, LeaseError> {
        let found = self.store.read().await?;
        self.see(found.as_ref());
        Ok(found)
    }

    fn see(&mut self, lease: Option<&Lease>) {
        let record = lease.map(|lease| lease.spec.clone().unwrap_or_default());
        self.seen = Seen::update(self.seen.take(), record.as_ref(), Instant::now());
    }

    async fn write(&self, found: Option<Lease>, decision: Decision) -> Result<Lease, LeaseError> {
        let now = MicroTime(Timestamp::now());
        // After a deletion the count goes on from what we saw last.
        let mut spec = self.seen.as_ref().map(|seen| seen.record.clone()).unwrap_or_default();
        if decision == Decision::Acquire {
            let before = self.seen.as_ref().map(|_| spec.lease_transitions.unwrap_or(0));
            spec.lease_transitions = Some(before.map_or(0, |count| count.saturating_add(1)));
            spec.acquire_time = Some(now.clone());
        }
        spec.holder_identity = Some(self.config.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.config.timing.duration.as_secs()).ok();
        spec.renew_time = Some(now);
        self.store.write(found, spec).await
    }

    /// Gives the Lease back, so that the next leader need not wait for it to expire. Failing is
    /// no error: it will expire.
    async fn release(&mut self) {
        self.leads_until = None;
        self.publish(Leadership::Following { holder: None });
        for _ in 0..RELEASE_ATTEMPTS {
            match self.try_release().await {
                Ok(()) => return,
                // A renewal that was under way may have come in between.
                Err(error) => tracing::warn!(error = %Chain(&error), "the Lease was not released"),
            }
        }
    }

    async fn try_release(&mut self) -> Result<(), LeaseError> {
        let Some(lease) = self.read().await? else { return Ok(()) };
        let mut spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_ref() != Some(&self.config.identity) {
            return Ok(());
        }
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.store.write(Some(lease), spec).await?;
        tracing::info!(lease = self.lease(), "released the Lease");
        Ok(())
    }

    fn late(&mut self) -> LeaseError {
        let deadline = self.config.timing.renew_deadline;
        self.lose(LeaseError::Late { lease: self.lease(), deadline })
    }

    fn lose(&mut self, error: LeaseError) -> LeaseError {
        (self.on_lost)(&error);
        self.leads_until = None;
        self.publish(Leadership::Following { holder: self.holder() });
        error
    }

    fn publish(&self, now: Leadership) {
        let lease = self.lease();
        self.leadership.send_if_modified(|last| {
            let changed = *last != now;
            if changed {
                tracing::info!(lease, now = ?now, "leadership changed");
                *last = now;
            }
            changed
        });
    }

    fn complain(&mut self, error: &LeaseError) {
        self.failures = self.failures.saturating_add(1);
        // A leader counts down to its end; a follower says it once.
        if self.leads_until.is_some() || self.failures == 1 {
            tracing::warn!(error = %Chain(error), failures = self.failures, "cannot keep the Lease");
        } else {
            tracing::debug!(error = %Chain(error), failures = self.failures, "cannot see the Lease");
        }
    }

    fn pause(&mut self) -> Duration {
        let retry = self.config.timing.retry;
        self.rng.random_range(retry / 2..=retry)
    }

    fn holder(&self) -> Option<String> {
        self.seen.as_ref().and_then(Seen::holder).map(str::to_owned)
    }

    fn lease(&self) -> String {
        self.store.lease()
    }

    #[cfg(test)]
    fn seeded(self, seed: u64) -> Self {
        Self { rng: rand::SeedableRng::seed_from_u64(seed), ..self }
    }
}

/// What came first.
enum Woken<T> {
    WorkOver,
    Late,
    Done(T),
}

async fn watched<T>(
    work_over: &CancellationToken,
    leads_until: Option<Instant>,
    step: impl Future<Output = T>,
) -> Woken<T> {
    let late = async {
        match leads_until {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = work_over.cancelled() => Woken::WorkOver,
        // Before the step: a renewal that comes in at the deadline comes too late.
        () = late => Woken::Late,
        done = step => Woken::Done(done),
    }
}

/// Ends the process without asking anybody. Not by an error returned to `main`: between here and
/// there other tasks drain, and they would act as leader while another one does.
#[allow(clippy::exit, clippy::disallowed_methods, reason = "past the renew deadline another leads")]
fn exit_at_once(error: &LeaseError) {
    // A write to the log can block for ever when nobody empties the pipe, so it gets a moment on
    // a thread of its own and no more.
    let (said, heard) = mpsc::channel();
    let text = Chain(error).to_string();
    let speaker = std::thread::Builder::new().spawn(move || {
        tracing::error!(error = text, "lost the Lease, the process ends at once");
        // The listener may have lost its patience.
        let _ = said.send(());
    });
    if speaker.is_ok() {
        let _ = heard.recv_timeout(LAST_WORDS);
    }
    std::process::exit(1);
}

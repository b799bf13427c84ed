//! What is told of snapshots: in the status, in metrics, and in the log once per change.

use std::time::{Duration, Instant, SystemTime};

use ledger::Position;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::status::Status;

/// From a small file to ten gigabytes over a slow network.
const SECONDS: [f64; 10] = [0.1, 0.5, 1., 5., 10., 30., 60., 300., 1800., 7200.];
/// What replay waits.
const PAUSE_SECONDS: [f64; 8] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5];

/// What became of the last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// None was made: it is not due, or not up to this process.
    Waiting,
    /// It is the newest one in the store.
    Published,
    /// Another process had published one that is as new.
    Superseded,
    /// There was no room for a copy, or readers kept the file from being frozen.
    Skipped,
    /// Another process was elected meanwhile.
    Deposed,
    /// It is tried again.
    Failed,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 6] = [
        Outcome::Waiting,
        Outcome::Published,
        Outcome::Superseded,
        Outcome::Skipped,
        Outcome::Deposed,
        Outcome::Failed,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Waiting => "waiting",
            Outcome::Published => "published",
            Outcome::Superseded => "superseded",
            Outcome::Skipped => "skipped",
            Outcome::Deposed => "deposed",
            Outcome::Failed => "failed",
        }
    }
}

/// How uploading snapshots goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Uploaded {
    /// Of the newest snapshot in the store, as far as this process knows.
    pub(crate) position: Option<Position>,
    /// When that was taken.
    pub(crate) at: Option<SystemTime>,
    /// What the last upload of this process sent.
    pub(crate) bytes: u64,
    pub(crate) outcome: Outcome,
    /// Why, and the cure.
    pub(crate) message: Option<String>,
}

/// What is counted.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    attempts: Family<Attempt, Counter>,
    bytes: Counter,
    parts: Counter,
    took: Histogram,
    pause: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    outcome: Outcome,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        EncodeLabelValue::encode(&self.as_str(), encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            bytes: Counter::default(),
            parts: Counter::default(),
            took: Histogram::new(SECONDS),
            pause: Histogram::new(PAUSE_SECONDS),
        }
    }
}

impl Metrics {
    /// Registers everything.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let Self { attempts, bytes, parts, took, pause } = self;
        let registry = registry.sub_registry_with_prefix("ctlstore_agent");
        let help = "Attempts to take a snapshot, by what became of them. Alert: failed or skipped over 1 h without a published one, see docs/snapshots.md";
        registry.register("snapshots", help, attempts.clone());
        let help = "Compressed bytes of parts uploaded. Alert: none";
        registry.register("snapshot_uploaded_bytes", help, bytes.clone());
        let help = "Parts uploaded; those that the store had are not. Alert: none";
        registry.register("snapshot_uploaded_parts", help, parts.clone());
        let help = "From the copy of the LDB to the verified pointer. Alert: none";
        registry.register_with_unit("snapshot", help, Unit::Seconds, took.clone());
        let help = "From the wish to freeze the LDB until it is frozen; replay waits for at most this long. Alert: p99 above 0.5 s for 1 h, readers keep views open";
        registry.register_with_unit("snapshot_freeze", help, Unit::Seconds, pause.clone());
        for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Waiting) {
            drop(attempts.get_or_create(&Attempt { outcome }));
        }
    }

    pub(crate) fn froze(&self, since: Instant) {
        self.pause.observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn took(&self, time: Duration) {
        self.took.observe(time.as_secs_f64());
    }
}

/// Tells it everywhere.
#[derive(Debug)]
pub(crate) struct Told {
    status: Status,
    pub(crate) metrics: Metrics,
}

impl Told {
    pub(crate) fn new(status: Status) -> Self {
        let (outcome, message) = (Outcome::Waiting, None);
        let nothing = Uploaded { position: None, at: None, bytes: 0, outcome, message };
        status.update(|report| report.snapshot = Some(nothing));
        Self { status, metrics: Metrics::default() }
    }

    /// The newest snapshot in the store.
    pub(crate) fn newest(&self, position: Position, at: SystemTime) {
        self.change(|now| (now.position, now.at) = (Some(position), Some(at)));
    }

    pub(crate) fn uploaded(&self, parts: usize, bytes: u64) {
        self.metrics.bytes.inc_by(bytes);
        self.metrics.parts.inc_by(u64::try_from(parts).unwrap_or(u64::MAX));
        self.change(|now| now.bytes = bytes);
    }

    /// An attempt ended. True when that is news.
    pub(crate) fn ended(&self, outcome: Outcome, message: Option<String>) -> bool {
        if outcome != Outcome::Waiting {
            self.metrics.attempts.get_or_create(&Attempt { outcome }).inc();
        }
        let mut news = false;
        self.change(|now| {
            news = now.outcome != outcome || now.message != message;
            (now.outcome, now.message) = (outcome, message);
        });
        news
    }

    fn change(&self, change: impl FnOnce(&mut Uploaded)) {
        self.status.update(|report| {
            if let Some(now) = &mut report.snapshot {
                change(now);
            }
        });
    }
}

//! Where snapshots are kept, and how they are taken.

use std::time::Duration;

use ledger::snapshot::Retention;
use store::Location;

/// Flags about snapshots.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct SnapshotArgs {
    /// Where snapshots are kept: s3://BUCKET/PREFIX?region=R&endpoint=URL&path-style=true or file:///DIR. A node without an
    /// LDB begins with the newest one, and need not replay the whole ledger. Credentials never stand in it. Without it
    /// there are no snapshots
    #[arg(long, value_name = "URL", value_parser = location)]
    pub snapshot_url: Option<Location>,
    /// Who uploads snapshots: elected is one agent of the cluster, by a Lease of Kubernetes; always is this one, for use
    /// outside Kubernetes (several do no harm); never is for nodes whose credentials may only read
    #[arg(long, value_name = "WHO", value_enum, default_value_t = Uploader::Elected)]
    pub snapshot_upload: Uploader,
    /// For how long the elected agent may be silent before another one takes over, in whole seconds. All agents look at
    /// the Lease five times as often
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = lease)]
    pub snapshot_lease: Duration,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its text would stand in the help")]
    pub taking: TakingArgs,
}

impl Default for SnapshotArgs {
    fn default() -> Self {
        let (snapshot_upload, snapshot_lease) = (Uploader::Elected, Duration::from_secs(300));
        let taking = TakingArgs::default();
        Self { snapshot_url: None, snapshot_upload, snapshot_lease, taking }
    }
}

impl SnapshotArgs {
    /// Uploads to this place, whoever else does.
    #[must_use]
    pub fn always(url: Location) -> Self {
        let snapshot_upload = Uploader::Always;
        Self { snapshot_url: Some(url), snapshot_upload, ..Self::default() }
    }

    /// Begins with snapshots of this place and uploads none.
    #[must_use]
    pub fn never(url: Location) -> Self {
        Self { snapshot_upload: Uploader::Never, ..Self::always(url) }
    }
}

/// Who uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Uploader {
    /// One agent of the cluster.
    Elected,
    /// This one.
    Always,
    /// Not this one.
    Never,
}

/// Flags about taking snapshots.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct TakingArgs {
    /// Time between two snapshots while rows change: a node that begins with one replays what was written since. Idle, one
    /// an hour is enough. Spread by a tenth
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = daemon::duration::parse)]
    pub snapshot_interval: Duration,
    /// So many ledger entries other than heartbeats make a new snapshot worth its upload; fewer wait for an hour
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub snapshot_min_entries: u64,
    /// The newest so many snapshots are kept, and those that are younger than so long; pruning the ledger needs at least
    /// two of them
    #[arg(long, value_name = "COUNT,AGE", default_value = "10,24h", value_parser = keep)]
    pub snapshot_keep: Retention,
    /// Bytes a second that uploads take of the network, on average over a part. Without it: what the network gives
    #[arg(long, value_name = "SIZE", value_parser = daemon::size::parse)]
    pub snapshot_rate_limit: Option<u64>,
    /// Write each snapshot in the original's layout, too, so that its reflectors can begin with it: s3://BUCKET/KEY or
    /// file:///FILE, gzip if it ends in .gz. The whole file each time
    #[arg(long, value_name = "URL", value_parser = location)]
    pub snapshot_compat: Option<Location>,
}

impl Default for TakingArgs {
    fn default() -> Self {
        Self {
            snapshot_interval: Duration::from_secs(300),
            snapshot_min_entries: 1,
            snapshot_keep: Retention { count: 10, age: Duration::from_secs(24 * 3600) },
            snapshot_rate_limit: None,
            snapshot_compat: None,
        }
    }
}

pub(super) fn location(text: &str) -> Result<Location, String> {
    Location::parse(text).map_err(|error| error.to_string())
}

fn keep(text: &str) -> Result<Retention, String> {
    let wrong = || "write a count and an age, like 10,24h".to_owned();
    let (count, age) = text.split_once(',').ok_or_else(wrong)?;
    let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
    let age = daemon::duration::parse(age).map_err(|_| wrong())?;
    Ok(Retention { count, age })
}

fn lease(text: &str) -> Result<Duration, String> {
    match daemon::duration::parse(text)? {
        time if time.subsec_nanos() == 0 && time >= Duration::from_secs(5) => Ok(time),
        _ => Err("write at least 5s, in whole seconds".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: SnapshotArgs,
    }

    fn parse(args: &[&str]) -> Result<SnapshotArgs, clap::Error> {
        Cli::try_parse_from(["agent"].iter().chain(args)).map(|cli| cli.args)
    }

    #[test]
    fn without_flags_it_is_as_in_code() {
        assert_eq!(parse(&[]).unwrap(), SnapshotArgs::default());
    }

    #[test]
    fn what_is_kept_is_a_count_and_an_age() {
        let kept = parse(&["--snapshot-keep", "3,48h"]).unwrap().taking.snapshot_keep;
        assert_eq!(kept, Retention { count: 3, age: Duration::from_secs(48 * 3600) });
        for wrong in ["3", "48h", "0,1h", "3,", "3,0s", "-1,1h", "3,48"] {
            let flag = format!("--snapshot-keep={wrong}");
            let text = parse(&[&flag]).unwrap_err().to_string();
            assert!(text.contains("like 10,24h"), "{wrong}: {text}");
        }
    }

    #[test]
    fn a_lease_has_whole_seconds() {
        let lease = |text| parse(&["--snapshot-lease", text]).map(|args| args.snapshot_lease);
        assert_eq!(lease("15s").unwrap(), Duration::from_secs(15));
        for wrong in ["4s", "5500ms", "5"] {
            assert!(lease(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_in_places_are_refused_and_not_repeated() {
        for flag in ["--snapshot-url", "--snapshot-compat"] {
            let own = parse(&[flag, "s3://key:hunter2@bucket/x"]).unwrap_err().kind();
            assert_eq!(own, clap::error::ErrorKind::ValueValidation);
        }
    }
}

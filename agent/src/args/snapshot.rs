//! Where snapshots are kept, and how they are taken.

use store::Location;

/// Flags about snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct SnapshotArgs {
    /// Where snapshots are kept: s3://BUCKET/PREFIX?region=R&endpoint=URL&path-style=true or file:///DIR. A node without an
    /// LDB begins with the newest one, and need not replay the whole ledger. Credentials never stand in it. Without it
    /// there are no snapshots
    #[arg(long, value_name = "URL", value_parser = location)]
    pub snapshot_url: Option<Location>,
}

fn location(text: &str) -> Result<Location, String> {
    Location::parse(text).map_err(|error| error.to_string())
}

//! How a node begins, and begins anew.

use store::Location;

/// Flags about bootstrapping.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BootstrapArgs {
    /// A snapshot of the original, s3://BUCKET/KEY or file:///FILE, gzip if it ends in .gz: a node begins with it if it has
    /// no LDB and there is no snapshot of ours
    #[arg(long, value_name = "URL", value_parser = location)]
    pub bootstrap_url: Option<Location>,
    /// How many percent of the nodes may load another LDB at the same time, when something happens to all of them: a store
    /// stands so many downloads, and applications so many old files
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rebuild_share: u8,
}

impl Default for BootstrapArgs {
    fn default() -> Self {
        Self { bootstrap_url: None, rebuild_share: 10 }
    }
}

fn location(text: &str) -> Result<Location, String> {
    Location::parse(text).map_err(|error| error.to_string())
}

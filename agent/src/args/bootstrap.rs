//! How a node begins, and begins anew.

/// Flags about bootstrapping.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BootstrapArgs {
    /// How many percent of the nodes may load another LDB at the same time, when something happens to all of them: a store
    /// stands so many downloads, and applications so many old files
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rebuild_share: u8,
}

impl Default for BootstrapArgs {
    fn default() -> Self {
        Self { rebuild_share: 10 }
    }
}

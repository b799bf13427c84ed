//! How a node begins, and begins anew.

use std::time::Duration;

use store::Location;

use crate::snapshot::original_place;

/// Flags about bootstrapping.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct BootstrapArgs {
    /// How many percent of the nodes may load another LDB at the same time, when something happens to all of them: a store
    /// stands so many downloads, and applications so many old files
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rebuild_share: u8,
    /// A snapshot of the original, or in its layout, for a node that has no LDB, where there is no snapshot of ours that
    /// fits: s3://BUCKET/KEY or file:///FILE, gzip if it ends in .gz. Needs ctldb, which must still have the last entry in it
    #[arg(long, value_name = "URL", value_parser = object)]
    pub bootstrap_url: Option<Location>,
    /// Nodes that start at the same moment ask a bucket for snapshots spread over this time, by chance; 0 is at once
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = daemon::duration::parse_or_off)]
    pub bootstrap_jitter: Duration,
}

impl Default for BootstrapArgs {
    fn default() -> Self {
        Self { rebuild_share: 10, bootstrap_url: None, bootstrap_jitter: Duration::from_secs(1) }
    }
}

fn object(text: &str) -> Result<Location, String> {
    let place = super::snapshot::location(text)?;
    match original_place(&place) {
        Some(_) => Ok(place),
        None => Err("name one object, as in s3://BUCKET/KEY.gz or file:///FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: BootstrapArgs,
    }

    fn parse(args: &[&str]) -> Result<BootstrapArgs, clap::Error> {
        Cli::try_parse_from(["agent"].iter().chain(args)).map(|cli| cli.args)
    }

    #[test]
    fn without_flags_it_is_as_in_code() {
        assert_eq!(parse(&[]).unwrap(), BootstrapArgs::default());
    }

    #[test]
    fn a_snapshot_of_the_original_is_one_object_and_secrets_are_not_repeated() {
        assert!(parse(&["--bootstrap-url", "s3://bucket/ldb.db.gz"]).is_ok());
        let text = parse(&["--bootstrap-url", "s3://bucket"]).unwrap_err().to_string();
        assert!(text.contains("name one object"), "{text}");
        assert!(parse(&["--bootstrap-url", "s3://key:hunter2@bucket/x"]).is_err());
    }
}

//! How a command finds the executive, and where the token or secret is that it shows there. Both are files: everybody on
//! a machine can read the arguments of its processes.

use std::path::PathBuf;

use crate::args::Output;

/// Which executive, and how to know that it is the right one.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Executive {
    /// The executive's address: http://HOST:PORT, or https://HOST:PORT.
    #[arg(long, value_name = "URL", env = "CTLSTORE_URL")]
    pub(crate) url: String,
    /// A PEM file of the authorities that may vouch for the executive's certificate; by default those that this machine
    /// trusts.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// The executive as an admin uses it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) executive: Executive,
    /// A file with an admin token, alone or as NAME:TOKEN. Not needed where the executive runs with --open-admin.
    #[arg(long, value_name = "FILE", env = "CTLSTORE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

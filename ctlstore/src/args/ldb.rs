//! Flags of `ctlstore ldb`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::args::Output;

/// What FILE may hold; a page of the manual within the help.
const FORMAT: &str = "\
A FILE is a stream of documents: YAML, separated by ---, or JSON, one a line. Each is one of

  a CtlTable manifest, as kubectl apply takes it; CtlFamily is taken, too, other kinds are refused
  rows of a table:  {table: billing/plans, rows: [{id: pro, seats: 10}, {id: free}]}
  one row:          {\"table\": \"billing/plans\", \"row\": {\"id\": \"pro\", \"seats\": 10}}

A table comes before its rows. Values are as the write API takes them: bytes are base64. A column that is left out is
null. Of rows with one key the last one stays. FILE - is stdin.

Exit code: 0 built, 1 error, 2 usage.

Example: ctlstore ldb build examples/billing/tables.yaml rows.jsonl --dir ldb";

#[derive(Debug, Subcommand)]
pub(crate) enum Ldb {
    /// Make an LDB from tables and rows, for unit tests of programs that read one
    #[command(after_help = FORMAT)]
    Build {
        /// Where tables and rows are, in this order.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The directory to make, laid out as an agent's. It must be empty or not be there.
        #[arg(long, value_name = "DIR", default_value = "ldb")]
        dir: PathBuf,
        /// How to print.
        #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Give the LDB's directory to the agent's user, making it if need be; for an init container that runs as root
    #[command(
        after_help = "It needs the capabilities CHOWN and FOWNER, and follows no links.\n\nExit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore ldb prepare --dir /var/lib/ctlstore --owner 64000"
    )]
    Prepare {
        /// The directory; everything in it is given, too, should an agent have run as another user.
        #[arg(long, value_name = "DIR", default_value = "/var/lib/ctlstore")]
        dir: PathBuf,
        /// The agent's user and group, a number; the default is the image's.
        #[arg(long, value_name = "ID", default_value_t = 64_000)]
        owner: u32,
        /// How to print.
        #[arg(long, value_name = "FORM", value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

//! Flags of `ctlstore limits …`.

use std::time::Duration;

use clap::Subcommand;

use crate::args::{Admin, TableName};

#[derive(Debug, Subcommand)]
pub(crate) enum Limits {
    /// How large tables may grow
    #[command(subcommand)]
    Table(TableLimits),
    /// How many rows writers may write
    #[command(subcommand)]
    Writer(WriterLimits),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TableLimits {
    /// List the limits that hold for all tables, and those that tables have of their own
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits table list --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    List {
        #[command(flatten)]
        admin: Admin,
    },
    /// Set the limits of a table
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits table set billing plans --max-size 100Mi --warn-size 80Mi --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Set {
        #[command(flatten)]
        table: TableName,
        /// Beyond this size, rows are refused: bytes, or with k, M, G, Ki, Mi, Gi. The original's default.
        #[arg(long, value_name = "SIZE", default_value = "100Mi", value_parser = daemon::size::parse)]
        max_size: u64,
        /// Beyond this size, somebody is warned; by default half of the largest size, as in the original.
        #[arg(long, value_name = "SIZE", value_parser = daemon::size::parse)]
        warn_size: Option<u64>,
        #[command(flatten)]
        admin: Admin,
    },
    /// Take the limits of a table away, so that those for all tables hold
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits table delete billing plans --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Delete {
        #[command(flatten)]
        table: TableName,
        #[command(flatten)]
        admin: Admin,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WriterLimits {
    /// List the limit that holds for all writers, and those that writers have of their own
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits writer list --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    List {
        #[command(flatten)]
        admin: Admin,
    },
    /// Set the limit of a writer
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits writer set importer --rows 5000 --period 1m --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Set {
        /// The writer.
        writer: String,
        /// Rows that it may write or delete in a period.
        #[arg(long, value_name = "N")]
        rows: u32,
        /// The period.
        #[arg(long, value_name = "TIME", default_value = "1m", value_parser = daemon::duration::parse)]
        period: Duration,
        #[command(flatten)]
        admin: Admin,
    },
    /// Take the limit of a writer away, so that the one for all writers holds
    #[command(
        after_help = "Exit code: 0 done, 1 error, 2 usage.\n\nExample: ctlstore limits writer delete importer --url http://ctlstore-executive:8080 --token-file /etc/ctlstore/token"
    )]
    Delete {
        /// The writer.
        writer: String,
        #[command(flatten)]
        admin: Admin,
    },
}

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
        #[arg(long, value_name = "SIZE", default_value = "100Mi", value_parser = size)]
        max_size: u64,
        /// Beyond this size, somebody is warned. The original's default.
        #[arg(long, value_name = "SIZE", default_value = "50Mi", value_parser = size)]
        warn_size: u64,
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

fn size(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => 0,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let fits = bytes.filter(|&bytes| bytes > 0 && i64::try_from(bytes).is_ok());
    fits.ok_or_else(|| "write a size like 104857600, 100Mi or 1G, more than zero".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_in_bytes_or_larger_units() {
        for (text, bytes) in [("7", 7), ("100Mi", 104_857_600), ("1G", 1_000_000_000)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "0", "Mi", "1.5Gi", "-1", "1e3", "100mb", "99999999999Gi"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}

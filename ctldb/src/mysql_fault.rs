//! MySQL's and MariaDB's error numbers, in our words.

use sqlx::mysql::MySqlDatabaseError;

use crate::Fault;
use crate::fault::cause;

fn number(error: &sqlx::Error) -> Option<u16> {
    let error = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(error.number())
}

/// Whatever keeps us from connecting, a wrong password too, may be repaired outside.
pub(crate) fn refused_to_connect(error: sqlx::Error) -> Fault {
    match number(&error) {
        // Access denied (to the database, with this password, by socket), unknown database.
        Some(1044 | 1045 | 1049 | 1698) => Fault::Login(cause(error)),
        Some(_) | None => Fault::Away(cause(error)),
    }
}

pub(crate) fn fault(error: sqlx::Error) -> Fault {
    match number(&error) {
        // Not the server's word: what the driver could not read or write is our bug, the rest is the connection.
        None => match error {
            sqlx::Error::Decode(_) | sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => {
                Fault::Refused(cause(error))
            }
            other => Fault::Away(cause(other)),
        },
        // Lock wait timeout, deadlock, row changed since read, table definition changed, statement to be prepared again,
        // lock not to be had at once.
        Some(1205 | 1213 | 1020 | 1412 | 1615 | 3572) => Fault::Contention(cause(error)),
        // Disk full, error of the storage engine, out of memory, table full, too many transactions.
        Some(1021 | 1030 | 1041 | 1114 | 1637) => Fault::Exhausted(cause(error)),
        // No such table, unknown table (of a DROP).
        Some(1146 | 1051) => Fault::NoSuchTable(cause(error)),
        Some(1062) => Fault::Duplicate(cause(error)),
        Some(1845 | 1846) => Fault::Algorithm(cause(error)),
        // Privileges missing: database, command, column, special.
        Some(1044 | 1142 | 1143 | 1227 | 1370) => Fault::Denied(cause(error)),
        // Too many connections, node not ready, shutdown, killed, idle too long, read-only, statement interrupted or too
        // slow; too many prepared statements, which closing the connection frees.
        Some(
            1040
            | 1047
            | 1053
            | 1077..=1079
            | 1152
            | 1158..=1161
            | 1184
            | 1203
            | 1290
            | 1317
            | 1461
            | 1792
            | 1836
            | 1927
            | 1969
            | 3024
            | 3032
            | 3169
            | 4031,
        ) => Fault::Away(cause(error)),
        Some(_) => Fault::Refused(cause(error)),
    }
}

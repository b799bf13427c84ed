//! MySQL's and MariaDB's error numbers, in our words.

use sqlx::mysql::MySqlDatabaseError;

use crate::Fault;

pub(crate) fn fault(error: sqlx::Error) -> Fault {
    let number = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>())
        .map(MySqlDatabaseError::number);
    match number {
        // Not the server's word: what the driver could not read or write is our bug, the rest is the connection.
        None => match error {
            sqlx::Error::Decode(_) | sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => {
                Fault::Refused(error.into())
            }
            other => Fault::Away(other.into()),
        },
        // Lock wait timeout, deadlock, row changed since read, table definition changed, lock not to be had at once.
        Some(1205 | 1213 | 1020 | 1412 | 3572) => Fault::Contention(error.into()),
        // No such table, unknown table (of a DROP).
        Some(1146 | 1051) => Fault::NoSuchTable(error.into()),
        Some(1062) => Fault::Duplicate(error.into()),
        Some(1845 | 1846) => Fault::Algorithm(error.into()),
        // Privileges missing: database, command, column, special.
        Some(1044 | 1142 | 1143 | 1227 | 1370) => Fault::Denied(error.into()),
        // Too many connections, shutdown, killed, idle too long, read-only, statement interrupted or too slow.
        Some(
            1040
            | 1053
            | 1077..=1079
            | 1152
            | 1158..=1161
            | 1184
            | 1203
            | 1290
            | 1317
            | 1792
            | 1836
            | 1927
            | 1969
            | 3024
            | 3032
            | 4031,
        ) => Fault::Away(error.into()),
        Some(_) => Fault::Refused(error.into()),
    }
}

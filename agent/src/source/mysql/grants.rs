//! What the agent's user may do.

use sqlx::Row as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};

/// The agent needs SELECT and nothing else. What it cannot do, nobody can do with its password.
pub(crate) async fn warn_of_writing(connection: &mut MySqlConnection) {
    const WRITING: [&str; 9] = [
        "ALL PRIVILEGES",
        "INSERT",
        "UPDATE",
        "DELETE",
        "CREATE",
        "DROP",
        "ALTER",
        "SUPER",
        "GRANT OPTION",
    ];
    let Ok(grants) = sqlx::query("SHOW GRANTS").fetch_all(connection).await else { return };
    let text = |row: &MySqlRow| row.try_get_unchecked::<String, _>(0).unwrap_or_default();
    let grants = grants.iter().map(text);
    let privileges: Vec<String> =
        grants.filter_map(|grant| Some(grant.split_once(" ON ")?.0.to_uppercase())).collect();
    let writes = WRITING.iter().filter(|word| privileges.iter().any(|grant| grant.contains(*word)));
    let writes: Vec<_> = writes.copied().collect();
    if !writes.is_empty() {
        tracing::warn!(
            privileges = writes.join(", "),
            "the agent's user may write to ctldb; give it SELECT on the ledger and the bookkeeping tables only"
        );
    }
}

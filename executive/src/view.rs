//! What only `/v1` shows: where the ledger stands, its entries with who wrote them, the versions of a row, and the families
//! that a writer may write.

pub(crate) mod bindings;
pub(crate) mod history;
pub(crate) mod ledger;
mod query;
pub(crate) mod status;
mod value;

use ctldb::BatchRecord;
use schemars::JsonSchema;
use serde::Serialize;

/// Who changed something, from where, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Who {
    /// The writer whose secret was shown.
    writer: Option<String>,
    /// The name of a token, the subject of a certificate, a writer, or a part of the product.
    principal: String,
    source_address: String,
    request_id: String,
    reason: Option<String>,
}

impl From<BatchRecord> for Who {
    fn from(BatchRecord { author, .. }: BatchRecord) -> Self {
        let ctldb::Author { writer, principal, source_address, request_id, reason } = author;
        let writer = writer.map(String::from);
        Self { writer, principal, source_address, request_id, reason }
    }
}

/// A time of the ledger in RFC 3339.
fn rfc3339(time: ::ledger::LeaderTs) -> String {
    time.to_string().replace(' ', "T") + "Z"
}

//! Who makes a change, for the audit columns of `ctlstore_batches`.

use ledger::WriterName;
use serde::{Deserialize, Serialize};

/// Who makes a change, from where, and why. What is longer than its column is cut when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The writer, when a writer's secret was shown.
    pub writer: Option<WriterName>,
    /// Whom we believe it to be: a token's name, a certificate's, a field manager, a process.
    pub principal: String,
    /// Where the request came from.
    pub source_address: String,
    /// The id of the request, given or made.
    pub request_id: String,
    /// Why, in the author's own words.
    pub reason: Option<String>,
}

impl Author {
    /// A part of the product itself, acting on nobody's request.
    #[must_use]
    pub fn system(principal: &str) -> Self {
        Self {
            writer: None,
            principal: principal.to_owned(),
            source_address: String::new(),
            request_id: uuid::Uuid::new_v4().to_string(),
            reason: None,
        }
    }
}

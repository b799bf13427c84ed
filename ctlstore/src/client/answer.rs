//! What answers to a change tell beside their status: the ledger entry that it became.

use hyper::header::HeaderMap;
use ledger::Seq;

/// The sequence of the last entry that a change wrote; an executive of the original does not say it.
pub(crate) fn seq(headers: &HeaderMap) -> Option<Seq> {
    let text = headers.get("ctlstore-seq")?.to_str().ok()?;
    Seq::try_from(text.parse::<u64>().ok()?).ok()
}

/// ` (ledger entry 7)`, where it was said.
pub(crate) fn entry(seq: Option<Seq>) -> String {
    seq.map(|seq| format!(" (ledger entry {seq})")).unwrap_or_default()
}

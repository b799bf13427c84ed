//! Epochs by cluster. Several clusters may share one ctldb, each with an operator that leads there: were there one epoch for
//! all, each start of one would depose the others. So a cluster's operators fence off each other, and nobody else.

use std::fmt;

use crate::session::Session;
use crate::{CtlDb, Epoch, Error, Fence};

const WIN: &str = "raise the epoch of a cluster's operator";

/// The name of a cluster: 1 to 63 bytes, as a DNS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterName {
    bytes: [u8; 63],
    length: u8,
}

/// The text is no cluster's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of a cluster: use 1 to 63 lower-case letters, digits and hyphens, no hyphen at the ends"
)]
pub struct NotAClusterName(String);

impl ClusterName {
    /// Takes a name.
    ///
    /// # Errors
    /// It is no DNS label.
    pub fn parse(text: &str) -> Result<Self, NotAClusterName> {
        let refused = || NotAClusterName(text.to_owned());
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let mut bytes = [0; 63];
        let place = bytes.get_mut(..text.len()).ok_or_else(refused)?;
        let at_the_ends = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || at_the_ends || !text.bytes().all(legal) {
            return Err(refused());
        }
        place.copy_from_slice(text.as_bytes());
        let length = u8::try_from(text.len()).map_err(|_| refused())?;
        Ok(Self { bytes, length })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)])
            .expect("BUG: parse() took ASCII only")
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

/// A leader's reign over one cluster's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reign {
    /// The cluster.
    pub cluster: ClusterName,
    /// The number of the reign; each cluster counts for itself.
    pub epoch: Epoch,
}

impl CtlDb {
    /// Begins the reign of a cluster's operator: whoever led there before may no longer write. Other clusters' operators
    /// go on.
    ///
    /// # Errors
    /// ctldb is away or not migrated.
    pub async fn win_reign(&self, cluster: ClusterName) -> Result<Reign, Error> {
        let mut session = self.write_session().await?;
        session.begin_locked(Fence::Open).await?;
        let result = session.raise_epoch(cluster).await;
        session.end(WIN, result).await
    }
}

impl Session {
    /// Does the reign still last? Asked under the ledger lock.
    pub(crate) async fn still_reigns(&mut self, mine: Reign) -> Result<(), Error> {
        let current = self.epoch_of(mine.cluster).await?;
        if current == mine.epoch {
            return Ok(());
        }
        Err(Error::Deposed { mine: mine.epoch, current })
    }

    async fn raise_epoch(&mut self, cluster: ClusterName) -> Result<Reign, Error> {
        let epoch = Epoch::new(self.epoch_of(cluster).await?.get() + 1);
        let sql = "REPLACE INTO ctlstore_epochs (cluster, epoch) VALUES (?, ?)";
        let number = i64::try_from(epoch.get()).unwrap_or(i64::MAX);
        self.execute(WIN, sql, &[cluster.as_str().into(), number.into()]).await?;
        Ok(Reign { cluster, epoch })
    }

    async fn epoch_of(&mut self, cluster: ClusterName) -> Result<Epoch, Error> {
        let sql = "SELECT epoch FROM ctlstore_epochs WHERE cluster = ?";
        let rows = self
            .query("read the epoch of a cluster's operator", sql, &[cluster.as_str().into()])
            .await?;
        Ok(Epoch::new(rows.first().map_or(Ok(0), |row| row.unsigned(0))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_like_a_host() {
        let longest = "a".repeat(63);
        for name in ["a", "prod-1", "0", longest.as_str()] {
            assert_eq!(ClusterName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "Prod", "a_b", "-a", "a-", "ä", &"a".repeat(64)] {
            let text = ClusterName::parse(name).unwrap_err().to_string();
            assert!(text.contains("use 1 to 63"), "{text}");
        }
    }
}

//! Writers' secrets. ctldb holds only their hash; a secret itself is never stored, shown or logged.

use std::fmt;

use ledger::WriterName;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::Error;

/// Fewest and most bytes of a secret.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=100;

/// A writer's secret. It has no text form, and its memory is wiped when it goes.
#[derive(Clone)]
pub struct Secret(SecretString);

/// Who writes, and the proof.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The writer.
    pub writer: WriterName,
    /// Its secret.
    pub secret: Secret,
}

impl Secret {
    /// Takes a secret as it came.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// What ctldb stores: the lower-case hexadecimal SHA-256, as the original.
    pub(crate) fn hash(&self) -> String {
        let digest = Sha256::digest(self.0.expose_secret().as_bytes());
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16);
        digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).flatten().collect()
    }

    /// Compares with a stored hash, in a time that does not depend on where they differ.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        self.hash().as_bytes().ct_eq(stored.as_bytes()).into()
    }

    pub(crate) fn check_length(&self) -> Result<(), Error> {
        match LENGTH.contains(&self.0.expose_secret().len()) {
            true => Ok(()),
            false => Err(Error::SecretLength),
        }
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_stored_as_its_sha256_and_never_shows() {
        let secret = Secret::from("hunter22");
        let sha256 = "20d2fe5e369db54ec7090639a9dc30ec4d608604936239d39e2de07fda09eb0b";
        assert_eq!(secret.hash(), sha256);
        assert!(secret.matches(&secret.hash()));
        assert!(!secret.matches(&Secret::from("hunter23").hash()));
        assert_eq!(format!("{secret:?}"), "***");
    }
}

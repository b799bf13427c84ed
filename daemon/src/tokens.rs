//! Bearer tokens with names, from a file that is read again when it changes.
//!
//! Tokens are kept and compared as digests, in constant time, and are never printed; nor is any line of the file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The longest name of a token, in characters: names are kept beside what was done with the token.
const MAX_NAME_CHARACTERS: usize = 100;
/// The name of a token that has none.
const DEFAULT_NAME: &str = "admin";

/// The tokens of a file.
pub struct Tokens {
    path: PathBuf,
    current: RwLock<Arc<Vec<Token>>>,
}

#[derive(PartialEq, Eq)]
struct Token {
    name: String,
    digest: [u8; 32],
}

/// A token file that cannot be used. The file's text is never repeated.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read {}, check that it is mounted and that we may read it", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No token in it.
    #[error("{} has no token, write one per line as NAME:TOKEN", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// A token that no HTTP header can carry.
    #[error(
        "{} line {line}: a token may have letters, digits and -._~+/= only, generate one with \"openssl rand -hex 32\"",
        path.display()
    )]
    Characters {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A name that is too long for the record of changes, or that would break its lines.
    #[error(
        "{} line {line}: the name is longer than {MAX_NAME_CHARACTERS} characters or has control characters, choose another",
        path.display()
    )]
    Name {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

impl Tokens {
    /// Reads a file of lines `NAME:TOKEN`, or of bare tokens, whose name is `admin`. Empty lines and lines that begin with
    /// `#` are passed over. A name may come several times: that is how a token is rotated.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let current = RwLock::new(Arc::new(read(path)?));
        Ok(Self { path: path.to_owned(), current })
    }

    /// Reads the file again; false when nothing is different.
    ///
    /// # Errors
    /// The file cannot be read or makes no sense; the tokens that were read before stay.
    pub fn reload(&self) -> Result<bool, TokenError> {
        let tokens = read(&self.path)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = **current != tokens;
        *current = Arc::new(tokens);
        Ok(changed)
    }

    /// Whose token it is. Looks at all of them, so that the time tells nothing.
    #[must_use]
    pub fn owner(&self, presented: &str) -> Option<String> {
        let tokens = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let digest: [u8; 32] = Sha256::digest(presented).into();
        let mut owner = None;
        for token in tokens.iter() {
            if bool::from(token.digest.ct_eq(&digest)) {
                owner = Some(token.name.as_str());
            }
        }
        owner.map(str::to_owned)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.current.read().unwrap_or_else(PoisonError::into_inner);
        out.debug_list().entries(tokens.iter().map(|token| &token.name)).finish()
    }
}

/// The token in the header `Authorization: Bearer TOKEN`.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn read(path: &Path) -> Result<Vec<Token>, TokenError> {
    let text = fs::read_to_string(path)
        .map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Token>, TokenError> {
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let (text, line) = (line.trim(), index + 1);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, token) = text.split_once(':').unwrap_or((DEFAULT_NAME, text));
        let (name, token) = (name.trim(), token.trim());
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if token.is_empty() || !token.bytes().all(legal) {
            return Err(TokenError::Characters { path: path.to_owned(), line });
        }
        if name.chars().count() > MAX_NAME_CHARACTERS || name.chars().any(char::is_control) {
            return Err(TokenError::Name { path: path.to_owned(), line });
        }
        let name = if name.is_empty() { DEFAULT_NAME } else { name };
        tokens.push(Token { name: name.to_owned(), digest: Sha256::digest(token).into() });
    }
    match tokens.is_empty() {
        true => Err(TokenError::Empty { path: path.to_owned() }),
        false => Ok(tokens),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn loaded(text: &str) -> (tempfile::TempDir, Tokens) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, text).unwrap();
        let tokens = Tokens::load(&path).unwrap();
        (dir, tokens)
    }

    #[test]
    fn a_token_names_its_owner() {
        let (_dir, tokens) =
            loaded("# comment\n\nalice:s3cret\nbob : t0ken \nbare-one\nalice:new\n");
        for (token, owner) in [
            ("s3cret", Some("alice")),
            ("new", Some("alice")),
            ("t0ken", Some("bob")),
            ("bare-one", Some("admin")),
            ("S3CRET", None),
            ("", None),
            ("alice:s3cret", None),
        ] {
            assert_eq!(tokens.owner(token).as_deref(), owner, "{token}");
        }
    }

    #[test]
    fn a_changed_file_is_followed_and_a_broken_one_is_not() {
        let (dir, tokens) = loaded("alice:first");
        assert!(!tokens.reload().unwrap());
        let path = dir.path().join("tokens");
        fs::write(&path, "alice:second").unwrap();
        assert!(tokens.reload().unwrap());
        assert_eq!(tokens.owner("first"), None);
        fs::write(&path, "# nothing").unwrap();
        assert!(matches!(tokens.reload(), Err(TokenError::Empty { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(tokens.reload(), Err(TokenError::Read { .. })));
        assert_eq!(tokens.owner("second").as_deref(), Some("alice"));
    }

    #[test]
    fn the_header_is_read_in_any_case_of_its_scheme() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).unwrap();
            bearer(&[(header::AUTHORIZATION, value)].into_iter().collect()).map(str::to_owned)
        };
        assert_eq!(of("Bearer s3cret").as_deref(), Some("s3cret"));
        assert_eq!(of("bearer  s3cret").as_deref(), Some("s3cret"));
        for other in ["Basic s3cret", "s3cret", "Bearer"] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn a_bad_file_is_refused_without_repeating_it() {
        let path = Path::new("tokens");
        let refused = |text: &str| parse(path, text).err().unwrap().to_string();
        assert!(refused("\n# none\n").contains("NAME:TOKEN"));
        assert!(refused("ok:fine\nname:two words").contains("line 2: a token may have"));
        assert!(refused("name:").contains("line 1: a token may have"));
        assert!(refused(&format!("{}:x", "n".repeat(101))).contains("line 1: the name"));
        let (_dir, tokens) = loaded("alice:s3cret");
        assert_eq!(format!("{tokens:?}"), "[\"alice\"]");
    }
}

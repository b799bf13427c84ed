//! What a command shows to the executive: an admin's token or a writer's secret, out of files.

use std::fs;
use std::path::{Path, PathBuf};

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

const WRITER: HeaderName = HeaderName::from_static("ctlstore-writer");
const SECRET: HeaderName = HeaderName::from_static("ctlstore-secret");

/// What a command shows. It is never printed: the values are marked as sensitive.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    /// Nothing, as on an executive with `--open-admin`.
    None,
    /// An admin's token.
    Token(HeaderValue),
    /// A writer's name and secret.
    Writer(HeaderValue, HeaderValue),
}

/// A file with a token or a secret that cannot be used. Its text is never repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("cannot read {}, the file of {flag}", file.display())]
    Read { flag: &'static str, file: PathBuf, source: std::io::Error },
    #[error(
        "{} cannot be sent as an HTTP header: write one line without control characters into it",
        file.display()
    )]
    Characters { file: PathBuf },
    #[error("{} is empty: write the token or the secret into it", file.display())]
    Empty { file: PathBuf },
    #[error("the writer's name {writer:?} cannot be sent as an HTTP header, choose another")]
    Writer { writer: String },
}

impl Credentials {
    /// The admin's token of a file, where it stands alone or as `NAME:TOKEN`.
    pub(crate) fn token(file: &Path) -> Result<Self, CredentialsError> {
        let text = read("--token-file", file)?;
        let token = text.rsplit(':').next().unwrap_or_default().trim();
        Ok(Self::Token(header(&format!("Bearer {token}"), file)?))
    }

    /// A writer and the secret of a file.
    pub(crate) fn writer(writer: &str, file: &Path) -> Result<Self, CredentialsError> {
        let name = HeaderValue::from_str(writer);
        let name = name.map_err(|_| CredentialsError::Writer { writer: writer.to_owned() })?;
        Ok(Self::Writer(name, header(&secret(file)?, file)?))
    }

    pub(crate) fn show(&self, headers: &mut HeaderMap) {
        match self {
            Self::None => {}
            Self::Token(token) => drop(headers.insert(AUTHORIZATION, token.clone())),
            Self::Writer(name, secret) => {
                headers.insert(WRITER, name.clone());
                headers.insert(SECRET, secret.clone());
            }
        }
    }
}

/// A writer's secret, without the line break that editors put at the end of a file.
pub(crate) fn secret(file: &Path) -> Result<String, CredentialsError> {
    read("--secret-file", file)
}

fn read(flag: &'static str, file: &Path) -> Result<String, CredentialsError> {
    let read = fs::read_to_string(file);
    let text =
        read.map_err(|source| CredentialsError::Read { flag, file: file.to_owned(), source })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(CredentialsError::Empty { file: file.to_owned() });
    }
    Ok(text.to_owned())
}

fn header(text: &str, file: &Path) -> Result<HeaderValue, CredentialsError> {
    let value = HeaderValue::from_bytes(text.as_bytes());
    let mut value = value.map_err(|_| CredentialsError::Characters { file: file.to_owned() })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_a_header_and_its_text_is_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = dir.path().join("file");
            fs::write(&path, text).unwrap();
            path
        };
        let shown = |credentials: Credentials| {
            let mut headers = HeaderMap::new();
            credentials.show(&mut headers);
            assert!(!format!("{headers:?}{credentials:?}").contains("s3cret"));
            let value = headers.get(AUTHORIZATION).or_else(|| headers.get(SECRET)).cloned();
            value.map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
        };
        for text in ["s3cret", "s3cret\n", "alice:s3cret\r\n", "alice: s3cret"] {
            let token = Credentials::token(&file(text)).unwrap();
            assert_eq!(shown(token).as_deref(), Some("Bearer s3cret"), "{text:?}");
        }
        let writer = Credentials::writer("importer", &file("a:s3cret é\n")).unwrap();
        assert_eq!(shown(writer).as_deref(), Some("a:s3cret é"));
        for text in ["s3cret\ntwo", "s3cret\u{7}"] {
            let refused = Credentials::writer("importer", &file(text)).unwrap_err();
            assert!(!refused.to_string().contains("s3cret"), "{refused}");
        }
        assert!(matches!(secret(&file(" \n")), Err(CredentialsError::Empty { .. })));
        assert!(matches!(secret(Path::new("/nowhere")), Err(CredentialsError::Read { .. })));
    }
}

//! Where ctldb is: `mysql://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:PATH`. The password never shows.

use std::fmt;
use std::path::PathBuf;

use ::url::Url;

/// Where ctldb is.
#[derive(Clone, PartialEq, Eq)]
pub enum CtlDbUrl {
    /// A MySQL or MariaDB server.
    MySql(MySqlUrl),
    /// A file: embedded mode.
    Sqlite(PathBuf),
}

/// A database on a MySQL or MariaDB server.
#[derive(Clone, PartialEq, Eq)]
pub struct MySqlUrl {
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The user's password; empty for none.
    pub password: String,
    /// The database.
    pub database: String,
    /// How the connection is secured.
    pub tls: Tls,
    /// A file of certificates (PEM) to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How a connection is secured, as MySQL's own clients name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// No TLS.
    Disabled,
    /// TLS where the server has it.
    Preferred,
    /// TLS, whoever answers.
    Required,
    /// TLS, and the certificate must be signed by a trusted authority.
    VerifyCa,
    /// TLS, and the certificate must also bear the server's name.
    VerifyIdentity,
}

impl Tls {
    const NAMES: [(&str, Tls); 5] = [
        ("disabled", Tls::Disabled),
        ("preferred", Tls::Preferred),
        ("required", Tls::Required),
        ("verify-ca", Tls::VerifyCa),
        ("verify-identity", Tls::VerifyIdentity),
    ];
}

/// Text that does not say where ctldb is. The text itself is not repeated, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CtlDbUrlError {
    /// Neither of the two schemes.
    #[error(
        "the ctldb URL begins with neither mysql:// nor sqlite:, write mysql://USER:PASSWORD@HOST:3306/DATABASE or sqlite:PATH"
    )]
    Scheme,
    /// No URL at all.
    #[error(
        "the ctldb URL cannot be read ({0}): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F"
    )]
    Syntax(&'static str),
    /// A part is missing.
    #[error("the ctldb URL has no {0}, write mysql://USER:PASSWORD@HOST:3306/DATABASE")]
    Missing(&'static str),
    /// A parameter that is not ours.
    #[error("the ctldb URL has the unknown parameter {0:?}, known are ssl-mode and ssl-ca")]
    Parameter(String),
    /// An unknown way to secure the connection.
    #[error(
        "the ctldb URL has an unknown ssl-mode, use disabled, preferred, required, verify-ca or verify-identity"
    )]
    SslMode,
}

impl CtlDbUrl {
    /// Reads a URL. White space around it is ignored, since it often comes from a file.
    ///
    /// # Errors
    /// The text is no such URL; the error never repeats it.
    pub fn parse(text: &str) -> Result<Self, CtlDbUrlError> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(CtlDbUrlError::Missing("path"))
            } else {
                Ok(CtlDbUrl::Sqlite(path.into()))
            };
        }
        if !text.starts_with("mysql://") {
            return Err(CtlDbUrlError::Scheme);
        }
        let url = Url::parse(text).map_err(|_| CtlDbUrlError::Syntax("bad syntax"))?;
        if url.fragment().is_some() {
            return Err(CtlDbUrlError::Syntax("it has a '#'"));
        }
        MySqlUrl::from_url(&url).map(CtlDbUrl::MySql)
    }
}

impl MySqlUrl {
    fn from_url(url: &Url) -> Result<Self, CtlDbUrlError> {
        let missing = |part| move || CtlDbUrlError::Missing(part);
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(missing("host"))?;
        let user =
            Some(url.username()).filter(|user| !user.is_empty()).ok_or_else(missing("user"))?;
        let database = url.path().trim_start_matches('/');
        if database.is_empty() || database.contains('/') {
            return Err(CtlDbUrlError::Missing("database"));
        }
        let mut tls = Tls::Preferred;
        let mut ca_file = None;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "ssl-mode" => {
                    let known = Tls::NAMES
                        .iter()
                        .find(|(name, _)| name.eq_ignore_ascii_case(&value.replace('_', "-")));
                    tls = known.ok_or(CtlDbUrlError::SslMode)?.1;
                }
                "ssl-ca" => ca_file = Some(PathBuf::from(value.as_ref())),
                other => return Err(CtlDbUrlError::Parameter(other.to_owned())),
            }
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(3306),
            user: decode(user)?,
            password: decode(url.password().unwrap_or(""))?,
            database: decode(database)?,
            tls,
            ca_file,
        })
    }
}

fn decode(text: &str) -> Result<String, CtlDbUrlError> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| CtlDbUrlError::Syntax("not UTF-8"))
}

impl fmt::Display for CtlDbUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CtlDbUrl::Sqlite(path) => write!(out, "sqlite:{}", path.display()),
            CtlDbUrl::MySql(MySqlUrl { host, port, user, database, .. }) => {
                write!(out, "mysql://{user}:***@{host}:{port}/{database}")
            }
        }
    }
}

impl fmt::Debug for CtlDbUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Debug for MySqlUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&CtlDbUrl::MySql(self.clone()), out)
    }
}

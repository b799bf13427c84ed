//! Where ctldb is: `mysql://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:PATH`. The password never shows.

use std::fmt;
use std::path::PathBuf;

use ::url::{ParseError, Url};

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
    /// How the connection is secured: `ssl-mode`. Where that is not given, [`Tls::VerifyCa`] if there is an `ssl-ca`,
    /// else [`Tls::Preferred`].
    pub tls: Tls,
    /// A file of certificates (PEM) to trust in place of the system's: `ssl-ca`.
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
    /// No URL at all, most often since the password has a special character.
    #[error(
        "the ctldb URL cannot be read ({0}): percent-encode special characters of user and password, '#' as %23, '?' as %3F, '@' as %40, '/' as %2F, '%' as %25"
    )]
    Syntax(&'static str),
    /// A part is missing.
    #[error("the ctldb URL has no {0}, write mysql://USER:PASSWORD@HOST:3306/DATABASE")]
    Missing(&'static str),
    /// A parameter that is not ours.
    #[error("the ctldb URL has the unknown parameter {0:?}, known are ssl-mode and ssl-ca")]
    Parameter(String),
    /// A port that is none.
    #[error("the ctldb URL has a bad port, use a number from 1 to 65535")]
    Port,
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
        let rest = text.strip_prefix("mysql://").ok_or(CtlDbUrlError::Scheme)?;
        check_special(rest)?;
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::EmptyHost => CtlDbUrlError::Missing("host"),
            ParseError::InvalidPort => CtlDbUrlError::Port,
            _ => CtlDbUrlError::Syntax("bad syntax"),
        })?;
        MySqlUrl::from_url(&url).map(CtlDbUrl::MySql)
    }
}

/// Finds special characters that should have been percent-encoded. Where one is, a part of the password would be taken
/// for the host, the database or a parameter, and errors about those could repeat it.
fn check_special(rest: &str) -> Result<(), CtlDbUrlError> {
    let syntax = |what| Err(CtlDbUrlError::Syntax(what));
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return syntax("it has white space or control characters inside");
    }
    if rest.contains('#') {
        return syntax("it has a '#'");
    }
    let hexadecimal =
        |code: &str| code.len() >= 2 && code.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !rest.split('%').skip(1).all(hexadecimal) {
        return syntax("it has a '%' that two hexadecimal digits do not follow");
    }
    let Some((credentials, place)) = rest.split_once('@') else {
        return Err(CtlDbUrlError::Missing("user"));
    };
    if credentials.contains(['/', '?']) {
        return syntax("it has a '/' or '?' before the '@'");
    }
    if place.contains('@') { syntax("it has more than one '@'") } else { Ok(()) }
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
        let (mode, ca_file) = parameters(url.query().unwrap_or(""))?;
        // Who names authorities to trust wants them asked.
        let default = if ca_file.is_some() { Tls::VerifyCa } else { Tls::Preferred };
        Ok(Self {
            host: decode(host.trim_matches(['[', ']']))?,
            port: match url.port() {
                Some(0) => return Err(CtlDbUrlError::Port),
                Some(port) => port,
                None => 3306,
            },
            user: decode(user)?,
            password: decode(url.password().unwrap_or(""))?,
            database: decode(database)?,
            tls: mode.unwrap_or(default),
            ca_file,
        })
    }
}

fn parameters(query: &str) -> Result<(Option<Tls>, Option<PathBuf>), CtlDbUrlError> {
    let (mut mode, mut ca_file) = (None, None);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decode(value)?;
        match name {
            "ssl-mode" => {
                let value = value.replace('_', "-");
                let mut known = Tls::NAMES.iter();
                let found = known.find(|(name, _)| name.eq_ignore_ascii_case(&value));
                mode = Some(found.ok_or(CtlDbUrlError::SslMode)?.1);
            }
            "ssl-ca" => ca_file = Some(PathBuf::from(value)),
            other => return Err(CtlDbUrlError::Parameter(other.to_owned())),
        }
    }
    Ok((mode, ca_file))
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
                let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                write!(
                    out,
                    "mysql://{}:***@{host}:{port}/{}",
                    user.escape_debug(),
                    database.escape_debug()
                )
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

#[cfg(test)]
mod tests;

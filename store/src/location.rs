//! Where a store is: `s3://BUCKET/PREFIX?OPTIONS` or `file:///DIR`. Credentials are never part of it.

use std::path::PathBuf;

use ledger::snapshot::{KeyError, ObjectKey};
use url::Url;

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A bucket of S3, or of what speaks like it.
    S3(Box<S3Location>),
    /// A folder.
    File(PathBuf),
}

/// A place in a bucket, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with: empty, or with a slash at its end.
    pub prefix: String,
    /// `region`; else what the environment or the profile says.
    pub region: Option<String>,
    /// `endpoint`: a server other than Amazon's.
    pub endpoint: Option<Url>,
    /// `path-style`: the bucket stands in the path and not in the host's name, as most servers other than Amazon's want it.
    pub path_style: bool,
    /// `credentials-file`: a file of profiles, mounted from a Secret; read again when the store denies access. Else the
    /// credentials are those of the environment, of the workload identity or of the instance.
    pub credentials_file: Option<PathBuf>,
    /// `profile`: which one of that file, else `default`.
    pub profile: Option<String>,
    /// `ca`: a file of certificates (PEM) to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// `proxy`: else what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say.
    pub proxy: Option<Url>,
}

/// Text that is no place of a store. What was given is not repeated where it may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// Not a URL.
    #[error("not a URL: write s3://BUCKET/PREFIX or file:///DIR")]
    NotAUrl {
        /// Why.
        source: url::ParseError,
    },
    /// Another scheme.
    #[error("snapshots cannot be kept at {0:?} URLs: write s3://BUCKET/PREFIX or file:///DIR")]
    Scheme(String),
    /// Credentials in a URL show up in logs and process lists.
    #[error(
        "the URL holds a user or password: give credentials through the environment, credentials-file or a workload identity"
    )]
    Credentials,
    /// No bucket.
    #[error("the URL names no bucket: write s3://BUCKET/PREFIX")]
    NoBucket,
    /// Not a folder of this machine.
    #[error("the URL names no folder of this machine: write file:///DIR")]
    NoFolder,
    /// A prefix that cannot be part of a key.
    #[error("the prefix cannot be part of an object's name")]
    Prefix {
        /// Why.
        source: KeyError,
    },
    /// Not an option.
    #[error(
        "unknown option {0:?}: known are region, endpoint, path-style, credentials-file, profile, ca and proxy"
    )]
    Option(String),
    /// An option's value.
    #[error("the value of option {name:?} is not {wanted}")]
    Value {
        /// The option.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Location {
    /// Reads the place of a store.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text.trim()).map_err(|source| LocationError::NotAUrl { source })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LocationError::Credentials);
        }
        match url.scheme() {
            "s3" => S3Location::read(&url).map(|location| Location::S3(Box::new(location))),
            "file" if url.query().is_none() => {
                url.to_file_path().map(Location::File).map_err(|()| LocationError::NoFolder)
            }
            "file" => Err(LocationError::NoFolder),
            other => Err(LocationError::Scheme(other.to_owned())),
        }
    }
}

impl S3Location {
    fn read(url: &Url) -> Result<Self, LocationError> {
        let bucket = url.host_str().filter(|host| !host.is_empty());
        let mut location = Self {
            bucket: bucket.ok_or(LocationError::NoBucket)?.to_owned(),
            prefix: prefix(url.path())?,
            region: None,
            endpoint: None,
            path_style: false,
            credentials_file: None,
            profile: None,
            ca_file: None,
            proxy: None,
        };
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match name.as_ref() {
                "region" => location.region = Some(value),
                "endpoint" => location.endpoint = Some(http_url("endpoint", &value)?),
                "path-style" => location.path_style = truth(&value)?,
                "credentials-file" => location.credentials_file = Some(value.into()),
                "profile" => location.profile = Some(value),
                "ca" => location.ca_file = Some(value.into()),
                "proxy" => location.proxy = Some(http_url("proxy", &value)?),
                other => return Err(LocationError::Option(other.to_owned())),
            }
        }
        Ok(location)
    }
}

fn prefix(path: &str) -> Result<String, LocationError> {
    let text = path.trim_matches('/');
    if text.is_empty() {
        return Ok(String::new());
    }
    let key = ObjectKey::chosen(text).map_err(|source| LocationError::Prefix { source })?;
    Ok(format!("{key}/"))
}

fn truth(value: &str) -> Result<bool, LocationError> {
    let wanted = LocationError::Value { name: "path-style", wanted: "true or false" };
    value.parse().map_err(|_| wanted)
}

fn http_url(name: &'static str, value: &str) -> Result<Url, LocationError> {
    let wanted = LocationError::Value { name, wanted: "an http or https URL" };
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or(wanted)?;
    if url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err(LocationError::Credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(text: &str) -> S3Location {
        match Location::parse(text).unwrap() {
            Location::S3(location) => *location,
            Location::File(dir) => panic!("{}", dir.display()),
        }
    }

    #[test]
    fn places_are_read() {
        let place = s3("s3://bucket");
        assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("bucket", ""));
        assert_eq!(s3("s3://bucket/prod/eu/").prefix, "prod/eu/");
        let all = "s3://b?region=r&endpoint=http://127.0.0.1:9&path-style=true&credentials-file=/c&profile=p&ca=/ca&proxy=http://p:1";
        let place = s3(all);
        assert_eq!(place.region.as_deref(), Some("r"));
        assert_eq!(place.endpoint.unwrap().as_str(), "http://127.0.0.1:9/");
        assert!(place.path_style);
        assert_eq!(place.credentials_file, Some(PathBuf::from("/c")));
        assert_eq!(place.profile.as_deref(), Some("p"));
        assert_eq!(place.ca_file, Some(PathBuf::from("/ca")));
        assert_eq!(place.proxy.unwrap().as_str(), "http://p:1/");
        let dir = Location::parse("file:///var/lib/snapshots").unwrap();
        assert_eq!(dir, Location::File("/var/lib/snapshots".into()));
    }

    #[test]
    fn what_is_no_place_is_refused_and_secrets_are_not_repeated() {
        let check = |text: &str, want: &str| {
            let error = Location::parse(text).unwrap_err();
            assert!(error.to_string().contains(want), "{text}: {error}");
            assert!(!format!("{error:?}{error}").contains("hunter2"), "{text}: {error:?}");
        };
        check("snapshots", "not a URL");
        check("gs://bucket", "cannot be kept");
        check("s3:///prefix", "no bucket");
        check("s3://key:hunter2@bucket", "user or password");
        check("s3://bucket?endpoint=http://key:hunter2@host", "user or password");
        check("s3://bucket?proxy=http://key:hunter2@host", "user or password");
        check("s3://bucket?endpoint=hunter2", "an http or https URL");
        check("s3://bucket?path-style=yes", "true or false");
        check("s3://bucket?Region=x", "unknown option");
        check("s3://bucket/a%20b", "prefix");
        check("file://host/dir", "no folder");
        check("file:///dir?region=x", "no folder");
    }
}

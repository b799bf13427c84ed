//! A real S3 server (versitygw) on a private folder, ready in well under a second, and a proxy that injects faults.
//!
//! Signatures are checked, conditional puts are atomic, ranges, metadata, lists and multipart uploads are there. It keeps
//! ETags in extended attributes, so the folder for temporary files must have them (in a folder of its own, it publishes
//! object and ETag one after the other, and loses conditional puts).

mod proxy;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use nix::sys::signal::Signal;

use crate::cache;
use crate::eventually::poll;
use crate::process::{Daemon, Home, Launch};
use crate::{free_port, random_name};

pub use proxy::{Asked, Fault, Proxy};

const START: Duration = Duration::from_secs(60);

/// Whom the server takes requests from.
pub const ACCESS_KEY: &str = "tester";
/// How such requests are signed.
pub const SECRET_KEY: &str = "tester-secret-key";

/// A running S3 server. Dropping it kills it and removes its data.
pub struct S3Server {
    server: Daemon,
    port: u16,
    home: Home,
}

impl S3Server {
    /// Starts a server without buckets. The first time ever, `hack/versitygw.sh` builds it, which takes a minute.
    ///
    /// # Errors
    /// When it cannot be built or does not come up; the end of its log is in the error.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same behind TLS, with this certificate and its key (PEM files).
    ///
    /// # Errors
    /// As [`S3Server::start`].
    pub fn start_tls(certificate: &Path, key: &Path) -> Result<Self> {
        let flag = |name: &str, file: &Path| format!("--{name}={}", file.display());
        Self::start_with(&[flag("cert", certificate), flag("key", key)])
    }

    fn start_with(flags: &[String]) -> Result<Self> {
        let program = cache::built("versitygw.sh")?.join("versitygw");
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::start_once(&program, flags) {
                // Somebody may have taken the port in between.
                Err(_) if tries < 3 => {}
                done => return done,
            }
        }
    }

    fn start_once(program: &Path, flags: &[String]) -> Result<Self> {
        let (home, port) = (Home::new()?, free_port());
        let path = |name: &str| home.path().join(name).display().to_string();
        std::fs::create_dir(path("buckets")).context("make the folder of buckets")?;
        let args = [
            format!("--port={}:{port}", Ipv4Addr::LOCALHOST),
            format!("--access={ACCESS_KEY}"),
            format!("--secret={SECRET_KEY}"),
            "--quiet".to_owned(),
            "--keep-alive".to_owned(),
        ];
        let args = [&args[..], flags, &["posix".to_owned(), path("buckets")]].concat();
        let log = home.path().join("versitygw.log");
        let mut server = Daemon::start(Launch { program: program.to_owned(), args, log })?;
        poll(START, || {
            server.check()?;
            Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(()))
        })
        .with_context(|| format!("versitygw did not come up:\n{}", server.tail()))?;
        Ok(Self { server, port, home })
    }

    /// Makes a bucket with a random name.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn create_bucket(&self) -> Result<String> {
        let name = random_name();
        std::fs::create_dir(self.folder(&name)).context("make a bucket")?;
        Ok(name)
    }

    /// The folder of a bucket: its objects are files there, by their keys.
    #[must_use]
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.home.path().join("buckets").join(bucket)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A file of profiles that holds these keys.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn credentials_file(&self, access_key: &str, secret_key: &str) -> Result<PathBuf> {
        let file = self.home.path().join(format!("credentials-{}", secret_key.len()));
        let text = format!(
            "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
        );
        std::fs::write(&file, text).context("write the credentials")?;
        Ok(file)
    }

    /// The URL of a snapshot store in this bucket, reached through `addr` (the server's own, or a proxy's).
    ///
    /// # Errors
    /// As [`S3Server::credentials_file`].
    pub fn url(&self, bucket: &str, addr: SocketAddr) -> Result<String> {
        let file = self.credentials_file(ACCESS_KEY, SECRET_KEY)?;
        Ok(format!(
            "s3://{bucket}/test?endpoint=http://{addr}&path-style=true&credentials-file={}",
            file.display()
        ))
    }

    /// Freezes it: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn sigstop(&self) -> Result<()> {
        self.server.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// When it is not there any more.
    pub fn sigcont(&self) -> Result<()> {
        self.server.signal(Signal::SIGCONT)
    }
}

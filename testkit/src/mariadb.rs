//! A real MariaDB server from the distribution's packages: ready in half a second, private to the test process.
//!
//! The server has its stock settings (Latin-1 as the default character set among them), except that a commit survives
//! a crash of the server but not of the machine. `root` has no password; nobody but this machine can connect.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::eventually::poll;
use crate::mysql::Admin;
use crate::process::{Daemon, Home, Launch};
use crate::{cache, free_port};

pub use crate::mysql::Database;

const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(60);

/// Settings of the data folder itself: a template made with others would not fit.
const LAYOUT: [&str; 2] = ["--innodb-log-file-size=16M", "--skip-name-resolve"];

/// A running server. Dropping it kills it and removes its data.
pub struct MariaDb {
    // Before `home`: the server ends before its data goes.
    daemon: Mutex<Option<Daemon>>,
    options: Vec<String>,
    port: u16,
    home: Home,
}

impl MariaDb {
    /// Starts a server on an empty data folder. Blocks for about half a second (the first time ever: 3 s).
    ///
    /// # Errors
    /// When the programs are missing or the server does not come up; the end of its log is in the error.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with more options of `mariadbd`, such as `--lock-wait-timeout=1`.
    ///
    /// # Errors
    /// As [`MariaDb::start`].
    pub fn start_with(options: &[&str]) -> Result<Self> {
        let template = template()?;
        let home = Home::new()?;
        copy_folder(&template, &home.path().join("data"))?;
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let mut tries = 0;
        loop {
            tries += 1;
            let port = free_port();
            match launch(home.path(), port, &options) {
                Ok(daemon) => {
                    return Ok(Self { daemon: Mutex::new(Some(daemon)), options, port, home });
                }
                // Somebody may have taken the port in between.
                Err(_) if tries < 3 => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// The one server of this test process, started by whoever asks first. Do not stop it; start your own for that.
    ///
    /// # Panics
    /// When it does not start: no test that asks for it can go on.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<MariaDb> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start().unwrap_or_else(|err| panic!("no MariaDB for the tests: {err:#}"))
        })
    }

    /// Makes an empty database with a random name.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    pub fn create_database(&self) -> Result<Database> {
        self.admin().create_database()
    }

    /// Makes a database with a random name that holds what `database` holds now.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    pub fn copy_database(&self, database: &Database) -> Result<Database> {
        let copy = self.create_database()?;
        self.admin().copy(database, &copy)?;
        Ok(copy)
    }

    /// Puts a database back to what `backup` holds, at one go: nobody sees half of it. The backup is used up.
    ///
    /// # Errors
    /// When the server refuses or is stopped.
    #[expect(clippy::needless_pass_by_value, reason = "the backup is used up")]
    pub fn restore_database(&self, database: &Database, backup: Database) -> Result<()> {
        self.admin().restore(database, &backup)
    }

    /// Runs SQL as root, outside any database; rows come back as lines, values separated by tabs.
    ///
    /// # Errors
    /// When the server refuses; its message is in the error.
    pub fn sql(&self, statements: &str) -> Result<String> {
        self.admin().sql(None, statements)
    }

    /// `mysql://root@127.0.0.1:PORT/DATABASE`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.admin().url(database)
    }

    /// The port on 127.0.0.1; it stays the same over a restart.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server as an administrator would and waits for its end. Stopped already is fine.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub fn stop(&self) -> Result<()> {
        self.lock().take().map_or(Ok(()), |daemon| daemon.stop(STOP))
    }

    /// Kills the server, as a power failure of its process would. What was committed stays.
    pub fn kill(&self) {
        drop(self.lock().take());
    }

    /// Stops the server if it runs, and starts it again on the same data and port.
    ///
    /// # Errors
    /// When it does not stop or does not come up.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        *self.lock() = Some(launch(self.home.path(), self.port, &self.options)?);
        Ok(())
    }

    /// Freezes the server: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn sigstop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen server go on.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn sigcont(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.lock().as_ref().context("the MariaDB server is stopped")?.signal(signal)
    }

    fn admin(&self) -> Admin {
        Admin {
            user: "root".to_owned(),
            password: None,
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: self.port,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Daemon>> {
        // A test that panicked while it held the lock did no harm to the server.
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the server on the data in `home` and waits until it greets.
fn launch(home: &Path, port: u16, options: &[String]) -> Result<Daemon> {
    let path = |name: &str| home.join(name).display().to_string();
    let mut args = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", path("data")),
        format!("--socket={}", path("mariadb.sock")),
        format!("--pid-file={}", path("mariadb.pid")),
        format!("--port={port}"),
        format!("--bind-address={}", Ipv4Addr::LOCALHOST),
        "--innodb-buffer-pool-size=64M".to_owned(),
        // Written to the system at each commit, not to the disk: enough for a crash of the process, and much faster.
        "--innodb-flush-log-at-trx-commit=2".to_owned(),
        "--performance-schema=OFF".to_owned(),
        "--max-connections=400".to_owned(),
    ];
    args.extend(LAYOUT.map(str::to_owned));
    args.extend(user_option(home)?);
    args.extend(options.iter().cloned());
    let mut daemon =
        Daemon::start(Launch { program: find("mariadbd")?, args, log: home.join("mariadb.log") })?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    poll(START, || {
        daemon.check()?;
        Ok(greets(address).then_some(()))
    })
    .with_context(|| format!("MariaDB did not come up:\n{}", daemon.tail()))?;
    Ok(daemon)
}

/// True when a server speaks first, as MySQL servers do.
fn greets(address: SocketAddr) -> bool {
    let patience = Duration::from_secs(1);
    TcpStream::connect_timeout(&address, patience).is_ok_and(|mut stream| {
        stream.set_read_timeout(Some(patience)).is_ok() && stream.read_exact(&mut [0; 5]).is_ok()
    })
}

/// An initialised data folder, made once per server version and then copied: initialising takes 2 s, copying 0.1 s.
fn template() -> Result<PathBuf> {
    let server = find("mariadbd")?;
    let output =
        Command::new(&server).arg("--version").output().context("ask mariadbd for its version")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .skip_while(|&word| word != "Ver")
        .nth(1)
        .context("mariadbd does not tell its version")?;
    let cache = cache::folder()?;
    let template = cache.join(format!("mariadb-{version}"));
    if template.is_dir() {
        return Ok(template);
    }
    let part = tempfile::Builder::new()
        .prefix("mariadb-part-")
        .tempdir_in(&cache)
        .context("make a folder in the cache")?;
    let data = part.path().join("data");
    let mut init = Command::new(find("mariadb-install-db")?);
    init.arg("--no-defaults").arg(format!("--datadir={}", data.display())).args(LAYOUT);
    init.args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(user_option(part.path())?);
    let output = init.output().context("start mariadb-install-db")?;
    if !output.status.success() {
        bail!(
            "mariadb-install-db failed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    match std::fs::rename(&data, &template) {
        // Another test process was faster: its template is as good.
        Err(_) if template.is_dir() => Ok(template),
        Err(err) => {
            Err(err).with_context(|| format!("put the data template at {}", template.display()))
        }
        Ok(()) => Ok(template),
    }
}

/// The server refuses to run as root unless told to. Whoever owns a folder that we made is who we are.
fn user_option(folder: &Path) -> Result<Option<String>> {
    let owner = folder.metadata().context("look at the private folder")?.uid();
    Ok((owner == 0).then(|| "--user=root".to_owned()))
}

/// Finds a program; servers often are outside a user's PATH.
fn find(program: &str) -> Result<PathBuf> {
    let path = cache::variable("PATH")?.unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into(), "/usr/libexec".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| {
            format!("{program} is missing: apt-get install mariadb-server-core mariadb-client-core")
        })
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .args(["-r", "--reflink=auto"])
        .arg(from)
        .arg(to)
        .status()
        .context("start cp")?;
    if !status.success() {
        bail!("copy {} to {}: cp ended with {status}", from.display(), to.display());
    }
    Ok(())
}

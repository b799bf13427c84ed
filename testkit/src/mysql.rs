//! Administration of a MySQL-like server through the `mariadb` program, and a MySQL server that somebody else runs.

use std::fmt;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

use crate::{cache, random_name};

/// Names the MySQL server that [`External`] uses: `mysql://USER:PASSWORD@HOST:PORT`, a user that may create databases.
pub const URL_VARIABLE: &str = "CTLSTORE_TEST_MYSQL_URL";

/// A database that one test owns.
#[derive(Debug, Clone)]
pub struct Database {
    /// `mysql://USER[:PASSWORD]@HOST:PORT/NAME`.
    pub url: String,
    /// Random, so that tests do not meet.
    pub name: String,
}

/// A MySQL server started by somebody else, as the tests on MySQL 9 use it.
#[derive(Debug)]
pub struct External {
    admin: Admin,
}

impl External {
    /// The server that the environment names, or `None`.
    ///
    /// # Errors
    /// When the variable is there and is not a URL of the form above.
    pub fn from_env() -> Result<Option<Self>> {
        let Some(url) = cache::variable(URL_VARIABLE)? else { return Ok(None) };
        let admin = Admin::parse(&url)
            .with_context(|| format!("{URL_VARIABLE} must be mysql://USER:PASSWORD@HOST:PORT"))?;
        Ok(Some(Self { admin }))
    }

    /// Makes an empty database with a random name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create_database(&self) -> Result<Database> {
        self.admin.create_database()
    }

    /// Runs SQL as the administrator; rows come back as lines, values separated by tabs.
    ///
    /// # Errors
    /// When the server refuses; its message is in the error.
    pub fn sql(&self, statements: &str) -> Result<String> {
        self.admin.sql(None, statements)
    }
}

/// Who administers which server.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Admin {
    fn parse(url: &str) -> Option<Self> {
        let (login, address) =
            url.strip_prefix("mysql://")?.trim_end_matches('/').rsplit_once('@')?;
        let (host, port) = address.rsplit_once(':')?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        Some(Self {
            user: user.to_owned(),
            password,
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }

    pub(crate) fn url(&self, database: &str) -> String {
        let Self { user, password, host, port } = self;
        let password = password.as_ref().map(|text| format!(":{text}")).unwrap_or_default();
        format!("mysql://{user}{password}@{host}:{port}/{database}")
    }

    pub(crate) fn create_database(&self) -> Result<Database> {
        let name = random_name();
        self.sql(None, &format!("CREATE DATABASE {name}"))?;
        Ok(Database { url: self.url(&name), name })
    }

    pub(crate) fn sql(&self, database: Option<&str>, statements: &str) -> Result<String> {
        let mut command = self.program("mariadb");
        command.args([
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "--execute",
            statements,
        ]);
        command.args(database);
        finish(command.output().context("start mariadb: is mariadb-client-core installed?")?)
    }

    /// Copies all tables of one database, with their rows, into another.
    pub(crate) fn copy(&self, from: &Database, to: &Database) -> Result<()> {
        let tables = self.tables(from)?;
        let (from, to) = (&from.name, &to.name);
        let statements: String = tables
            .lines()
            .map(|table| {
                format!("CREATE TABLE `{to}`.`{table}` LIKE `{from}`.`{table}`; INSERT INTO `{to}`.`{table}` SELECT * FROM `{from}`.`{table}`;")
            })
            .collect();
        if !statements.is_empty() {
            self.sql(None, &statements)?;
        }
        Ok(())
    }

    /// Moves all tables of a backup in the place of those of a database.
    pub(crate) fn restore(&self, database: &Database, backup: &Database) -> Result<()> {
        let gone = self.create_database()?;
        let moves = |from: &Database, to: &Database| -> Result<Vec<String>> {
            let tables = self.tables(from)?;
            let one = |table| format!("`{}`.`{table}` TO `{}`.`{table}`", from.name, to.name);
            Ok(tables.lines().map(one).collect())
        };
        let moves = [moves(database, &gone)?, moves(backup, database)?].concat();
        self.sql(None, &format!("RENAME TABLE {}", moves.join(", "))).map(drop)
    }

    fn tables(&self, database: &Database) -> Result<String> {
        let name = &database.name;
        let sql = format!(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = '{name}'"
        );
        self.sql(None, &sql)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.arg("--no-defaults").args([
            "--protocol=TCP",
            "--host",
            &self.host,
            "--user",
            &self.user,
        ]);
        command.args(["--port", &self.port.to_string()]).stdin(Stdio::null());
        // The environment and not an argument: arguments are public.
        command.env("MYSQL_PWD", self.password.as_deref().unwrap_or_default());
        command
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

fn finish(output: Output) -> Result<String> {
    let Output { status, stdout, stderr } = output;
    if !status.success() {
        bail!("the server refused: {}", String::from_utf8_lossy(&stderr).trim());
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end_matches('\n').to_owned())
}

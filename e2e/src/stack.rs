//! The product as a cluster runs it: operator, executive and agent as processes of their own, with database users that
//! may do what `docs/grants.md` grants and no more.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::http::{Answer, Request};
use testkit::mariadb::MariaDb;
use testkit::program::Program;
use testkit::random_name;
use tokio::sync::{Mutex, MutexGuard};

use crate::{Namespace, grants};

/// Any free port of this machine.
const ANY: &str = "127.0.0.1:0";
/// What an operator finds at the API server, it reconciles; two of different databases would fight.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The running product, and what it stands on.
pub struct Stack {
    /// A server of its own, to be stopped; its database is `ctlstore`.
    pub mariadb: MariaDb,
    /// Where the tables are declared.
    pub namespace: Namespace,
    /// The family of this test, for a family has no namespace.
    pub family: String,
    /// `ctlstore operator`
    pub operator: Service,
    /// `ctlstore executive`
    pub executive: Service,
    /// `ctlstore agent`
    pub agent: Service,
    secrets: Secrets,
    home: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// A process of the product.
pub struct Service {
    /// The process.
    pub program: Program,
    /// Its write or read API; the operator has none.
    pub api: Option<SocketAddr>,
    /// Health and metrics.
    pub admin: SocketAddr,
}

/// What must appear nowhere. Each has a part that can be looked for, however the rest of it is written.
struct Secrets {
    operator: String,
    executive: String,
    agent: String,
    admin_token: String,
    writer: String,
}

impl Stack {
    /// Starts everything on an empty database. The agent has not been granted anything yet.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same with more arguments for the operator.
    ///
    /// # Errors
    /// Something does not start.
    pub async fn start_with(operator_args: &[&str]) -> Result<Self> {
        let alone = ONE_AT_A_TIME.lock().await;
        let secrets = Secrets::new();
        let mariadb = MariaDb::start()?;
        mariadb.sql(&grants::statements("", &secrets.placeholders())?)?;
        let home = tempfile::tempdir().context("make a private folder")?;
        let namespace = Namespace::create().await?;
        let users = [
            ("operator", &secrets.operator),
            ("executive", &secrets.executive),
            ("agent", &secrets.agent),
        ];
        for (user, password) in users {
            let password = percent_encoded(password);
            let port = mariadb.port();
            let url = format!("mysql://ctlstore_{user}:{password}@127.0.0.1:{port}/ctlstore\n");
            write(&home.path().join(user), &url)?;
        }
        write(&home.path().join("tokens"), &format!("e2e:{}\n", secrets.admin_token))?;
        let place = home.path();
        Ok(Self {
            operator: operator(place, &namespace, operator_args).await?,
            executive: executive(place).await?,
            agent: agent(place).await?,
            mariadb,
            namespace,
            family: random_name(),
            secrets,
            home,
            _alone: alone,
        })
    }

    /// Lets the agent read the ledger, as an administrator does once the tables are there.
    ///
    /// # Errors
    /// The database refuses.
    pub fn grant_agent(&self) -> Result<()> {
        self.mariadb.sql(&grants::statements("agent", &[])?).map(drop)
    }

    /// The directory of the node's LDB.
    #[must_use]
    pub fn ldb(&self) -> PathBuf {
        self.home.path().join("ldb")
    }

    /// The file with the URL of a user: `operator`, `executive` or `agent`.
    #[must_use]
    pub fn url_file(&self, user: &str) -> PathBuf {
        self.home.path().join(user)
    }

    /// Kills the agent and starts another one on the same directory.
    ///
    /// # Errors
    /// It does not start.
    pub async fn replace_agent(&mut self) -> Result<()> {
        self.agent.program.kill()?;
        self.agent = agent(self.home.path()).await?;
        Ok(())
    }

    /// Registers the writer `e2e`.
    ///
    /// # Errors
    /// The executive refuses.
    pub fn register(&self) -> Result<()> {
        self.administer("/writers/e2e", self.secrets.writer.as_bytes())?.ok().map(drop)
    }

    /// Posts something that only an admin may.
    ///
    /// # Errors
    /// The executive is away.
    pub fn administer(&self, path: &str, body: &[u8]) -> Result<Answer> {
        let authorization = format!("Bearer {}", self.secrets.admin_token);
        let headers = [("authorization", authorization.as_str())];
        Request { method: "POST", path, headers: &headers, body }.send(self.executive.api()?)
    }

    /// Writes a batch; returns the ledger sequence of its commit.
    ///
    /// # Errors
    /// The executive refuses or is away.
    pub fn write(&self, batch: &Value) -> Result<u64> {
        let answer = self.try_write(batch, &self.secrets.writer)?.ok()?;
        let seq = answer.header("ctlstore-seq").context("the answer names no sequence")?;
        seq.parse().context("the answer's sequence is no number")
    }

    /// Sends a batch under a secret of the caller's choice.
    ///
    /// # Errors
    /// The executive is away.
    pub fn try_write(&self, batch: &Value, secret: &str) -> Result<Answer> {
        let headers = [("ctlstore-writer", "e2e"), ("ctlstore-secret", secret)];
        let path = format!("/families/{}/mutations", self.family);
        let (path, body) = (path.as_str(), batch.to_string());
        Request { method: "POST", path, headers: &headers, body: body.as_bytes() }
            .send(self.executive.api()?)
    }

    /// All processes.
    #[must_use]
    pub fn services(&self) -> [(&'static str, &Service); 3] {
        let Self { operator, executive, agent, .. } = self;
        [("operator", operator), ("executive", executive), ("agent", agent)]
    }

    /// The parts of the secrets that must appear nowhere.
    #[must_use]
    pub fn needles(&self) -> Vec<&str> {
        self.secrets.all().map(|secret| &secret[secret.len() - 12..]).to_vec()
    }
}

impl Service {
    /// The address of its API.
    ///
    /// # Errors
    /// It has none.
    pub fn api(&self) -> Result<SocketAddr> {
        self.api.context("the service has no API")
    }

    /// Asks its admin port.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, path: &str) -> Result<Answer> {
        Request { method: "GET", path, headers: &[], body: b"" }.send(self.admin)
    }

    /// Starts `ctlstore` with these arguments and waits until it says where it listens.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start(args: &[&str]) -> Result<Self> {
        let mut program = Program::ctlstore(args)?;
        let service = args.first().copied().unwrap_or_default();
        let wanted = format!("{service} started");
        let line = program.line(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == wanted.as_str()).then_some(line)
        });
        let line = line.await?;
        let address = |field: &str| line[field].as_str().and_then(|text| text.parse().ok());
        let admin = address("admin").context("it does not say where its admin port is")?;
        Ok(Self { program, api: address("api").or_else(|| address("read")), admin })
    }
}

async fn operator(place: &Path, namespace: &Namespace, more: &[&str]) -> Result<Service> {
    let (url, kubeconfig) = (place.join("operator"), namespace.server.kubeconfig());
    let (url, kubeconfig) = (url.display().to_string(), kubeconfig.display().to_string());
    let args = ["operator", "--ctldb-url-file", &url, "--kubeconfig", &kubeconfig];
    // The tests count entries.
    let quiet = ["--heartbeat-interval", "0"];
    let lease = ["--lease-namespace", &namespace.name, "--admin-bind", ANY, "--log", LOG];
    Service::start(&[&args[..], &quiet, &lease, more].concat()).await
}

async fn executive(place: &Path) -> Result<Service> {
    let url = place.join("executive").display().to_string();
    let tokens = place.join("tokens").display().to_string();
    let args = ["executive", "--ctldb-url-file", &url, "--admin-token-file", &tokens];
    let binds = ["--bind", ANY, "--admin-bind", ANY, "--log", LOG];
    Service::start(&[&args[..], &binds].concat()).await
}

async fn agent(place: &Path) -> Result<Service> {
    let url = place.join("agent").display().to_string();
    let ldb = place.join("ldb").display().to_string();
    let args = ["agent", "--ctldb-url-file", &url, "--ldb-dir", &ldb, "--poll-interval", "50ms"];
    let binds = ["--read-bind", ANY, "--admin-bind", ANY, "--log", LOG];
    Service::start(&[&args[..], &binds].concat()).await
}

/// All that can be said, so that a secret in any of it is found.
const LOG: &str = "debug";

impl Secrets {
    fn new() -> Self {
        // What a URL must escape stands in them, so that escaping is tried, too.
        let secret = |who: &str| format!("{who}#/@?%:{}", random_name());
        Self {
            operator: secret("op"),
            executive: secret("ex"),
            agent: secret("ag"),
            // Of few signs, for it stands in a header.
            admin_token: format!("token-{}", random_name()),
            writer: secret("writer"),
        }
    }

    fn placeholders(&self) -> [(&'static str, &str); 3] {
        [
            ("OPERATOR-PASSWORD", &self.operator),
            ("EXECUTIVE-PASSWORD", &self.executive),
            ("AGENT-PASSWORD", &self.agent),
        ]
    }

    fn all(&self) -> [&str; 5] {
        let Self { operator, executive, agent, admin_token, writer } = self;
        [operator, executive, agent, admin_token, writer]
    }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Writes a file that only we can read, as a mounted secret is.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = File::create(path).context("make a file with a secret")?;
    file.set_permissions(Permissions::from_mode(0o600)).context("close it to others")?;
    file.write_all(text.as_bytes()).context("write a file with a secret")
}

//! A real kube-apiserver on a real etcd, ready in about 4 seconds, private to the test process.
//!
//! Everything of the API is there: server-side apply, validation with CEL rules, RBAC, watches, Leases, events. Nothing that
//! acts on it is: no controllers (a deleted namespace stays `Terminating`), no scheduler, no kubelets.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::cache;
use crate::eventually::poll;
use crate::process::{Daemon, Home, Launch};
use crate::{free_port, random_name};

const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(30);

/// A user who may do everything.
const ADMIN: &str = "admin";

/// A running API server. Dropping it kills it and its etcd, and removes their data.
pub struct ApiServer {
    // In this order: the API server ends before its etcd, and both before their data goes.
    server: Mutex<Option<Daemon>>,
    _etcd: Daemon,
    place: Place,
}

/// Where things are, and how to reach them.
struct Place {
    programs: PathBuf,
    home: Home,
    port: u16,
    etcd_port: u16,
    token: String,
}

impl ApiServer {
    /// Starts etcd and kube-apiserver with nothing in them. Blocks for about 4 seconds; the first time ever, `hack/apiserver.sh`
    /// builds them, which takes minutes.
    ///
    /// # Errors
    /// When they cannot be built or do not come up; the end of the log is in the error.
    pub fn start() -> Result<Self> {
        let programs = cache::built("apiserver.sh")?;
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::start_once(programs.clone()) {
                // Somebody may have taken a port in between.
                Err(_) if tries < 3 => {}
                done => return done,
            }
        }
    }

    fn start_once(programs: PathBuf) -> Result<Self> {
        let place = Place {
            programs,
            home: Home::new()?,
            port: free_port(),
            etcd_port: free_port(),
            token: format!("{:032x}", rand::random::<u128>()),
        };
        let etcd = place.start_etcd()?;
        let server = place.start_server()?;
        Ok(Self { server: Mutex::new(Some(server)), _etcd: etcd, place })
    }

    /// The one API server of this test process, with our CRDs installed, started by whoever asks first.
    /// Do not stop it; start your own for that.
    ///
    /// # Panics
    /// When it does not start: no test that asks for it can go on.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        let start = || Self::start().and_then(|server| server.install_crds().map(|()| server));
        SHARED.get_or_init(|| {
            start().unwrap_or_else(|err| panic!("no API server for the tests: {err:#}"))
        })
    }

    /// A client of a user who may do everything. It belongs to the runtime that it is made in: make one in each test.
    ///
    /// # Errors
    /// When the configuration does not make sense to the client library.
    pub async fn client(&self) -> Result<Client> {
        self.client_with(json!({ "token": self.place.token })).await
    }

    /// A client of a user who may do only what RBAC objects grant him, such as `system:serviceaccount:NAMESPACE:NAME`.
    ///
    /// # Errors
    /// As [`ApiServer::client`].
    pub async fn client_as(&self, user: &str) -> Result<Client> {
        self.client_with(json!({ "token": self.place.token, "as": user })).await
    }

    async fn client_with(&self, user: serde_json::Value) -> Result<Client> {
        let config: Kubeconfig = serde_json::from_value(self.place.kubeconfig(&user))
            .context("the client's configuration")?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(config, &options).await;
        Client::try_from(config.context("the client's configuration")?).context("the client")
    }

    /// A kubeconfig file of a user who may do everything, for programs.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.place.file("kubeconfig")
    }

    /// A kubeconfig file of whoever has this token, for programs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig_of(&self, token: &str) -> Result<PathBuf> {
        self.kubeconfig_with(&json!({ "token": token }))
    }

    /// A kubeconfig file of a user who may do only what RBAC objects grant him, as [`ApiServer::client_as`], for programs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn kubeconfig_as(&self, user: &str) -> Result<PathBuf> {
        self.kubeconfig_with(&json!({ "token": self.place.token, "as": user }))
    }

    fn kubeconfig_with(&self, user: &serde_json::Value) -> Result<PathBuf> {
        let file = self.place.file(&format!("kubeconfig-{}", random_name()));
        let config = self.place.kubeconfig(user);
        write(&file, &config.to_string())?;
        Ok(file)
    }

    /// A client of whoever has this token, as [`ApiServer::client`].
    ///
    /// # Errors
    /// As [`ApiServer::client`].
    pub async fn client_of(&self, token: &str) -> Result<Client> {
        self.client_with(json!({ "token": token })).await
    }

    /// Installs our CRDs, or brings them up to date, and waits until the server takes objects of them.
    ///
    /// # Errors
    /// When the server refuses them; its message is in the error.
    pub fn install_crds(&self) -> Result<()> {
        let text = crds::definition::yaml().context("print the CRDs")?;
        self.kubectl_with(&["apply", "--server-side", "--filename=-"], &text)?;
        let names = crds::definition::all().into_iter().filter_map(|crd| crd.metadata.name);
        for name in names {
            let name = format!("crd/{name}");
            self.kubectl(&["wait", "--for=condition=Established", "--timeout=60s", &name])?;
        }
        Ok(())
    }

    /// Makes a namespace with a random name.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn create_namespace(&self) -> Result<String> {
        let name = random_name();
        self.kubectl(&["create", "namespace", &name])?;
        Ok(name)
    }

    /// Runs the kubectl of the server's own version, as a user who may do everything.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.place.kubectl(args, "")
    }

    /// The same with text on its standard input, for `--filename=-`.
    ///
    /// # Errors
    /// When it fails; what it said is in the error.
    pub fn kubectl_with(&self, args: &[&str], input: &str) -> Result<String> {
        self.place.kubectl(args, input)
    }

    /// Stops the API server and waits for its end; etcd keeps the objects. Stopped already is fine.
    ///
    /// # Errors
    /// When it does not end within half a minute.
    pub fn stop(&self) -> Result<()> {
        self.lock().take().map_or(Ok(()), |server| server.stop(STOP))
    }

    /// Stops the API server if it runs, and starts it again on the same port and objects.
    ///
    /// # Errors
    /// When it does not stop or does not come up.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        *self.lock() = Some(self.place.start_server()?);
        Ok(())
    }

    /// Freezes the API server: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn sigstop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a frozen API server go on.
    ///
    /// # Errors
    /// When it is stopped.
    pub fn sigcont(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.lock().as_ref().context("the API server is stopped")?.signal(signal)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Daemon>> {
        // A test that panicked while it held the lock did no harm to the server.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn start_etcd(&self) -> Result<Daemon> {
        let clients = self.etcd_url();
        let args = vec![
            format!("--data-dir={}", self.path("etcd")),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            // It has no peers; a port of the system's choice.
            format!("--listen-peer-urls=http://{}:0", Ipv4Addr::LOCALHOST),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ];
        self.launch("etcd", args)
    }

    /// Starts kube-apiserver and waits until it is ready to serve.
    fn start_server(&self) -> Result<Daemon> {
        write(
            &self.file("tokens.csv"),
            &format!("{},{ADMIN},{ADMIN},system:masters\n", self.token),
        )?;
        let user = json!({ "token": self.token });
        write(&self.file("kubeconfig"), &self.kubeconfig(&user).to_string())?;
        let mut server = self.launch("kube-apiserver", self.server_args())?;
        poll(START, || {
            server.check()?;
            Ok(self.kubectl(&["get", "--raw=/readyz"], "").is_ok().then_some(()))
        })
        .with_context(|| format!("kube-apiserver did not come up:\n{}", server.tail()))?;
        Ok(server)
    }

    fn server_args(&self) -> Vec<String> {
        let key = self.programs.join("service-account.key").display().to_string();
        vec![
            format!("--etcd-servers={}", self.etcd_url()),
            format!("--bind-address={}", Ipv4Addr::LOCALHOST),
            format!("--advertise-address={}", Ipv4Addr::LOCALHOST),
            "--endpoint-reconciler-type=none".to_owned(),
            format!("--secure-port={}", self.port),
            format!("--cert-dir={}", self.path("certs")),
            format!("--token-auth-file={}", self.path("tokens.csv")),
            "--authorization-mode=RBAC".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={key}"),
            format!("--service-account-signing-key-file={key}"),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            // Pods need no service account here. Owner references are checked as OpenShift does.
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement".to_owned(),
        ]
    }

    fn launch(&self, program: &str, args: Vec<String>) -> Result<Daemon> {
        let log = self.file(&format!("{program}.log"));
        Daemon::start(Launch { program: self.programs.join(program), args, log })
    }

    fn kubectl(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(self.programs.join("kubectl"));
        command.arg(format!("--kubeconfig={}", self.path("kubeconfig")));
        // Its cache would be one for all servers, and stale.
        command.arg(format!("--cache-dir={}", self.path("kubectl"))).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start kubectl")?;
        let mut stdin = child.stdin.take().context("BUG: its input was asked for")?;
        // A kubectl that fails early does not read it; its own words are better than ours.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().context("wait for kubectl")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn kubeconfig(&self, user: &serde_json::Value) -> serde_json::Value {
        let cluster = json!({
            "server": format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.port),
            // Made by the server at its first start; its authority stands in the same file.
            "certificate-authority": self.path("certs/apiserver.crt"),
        });
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "users": [{ "name": ADMIN, "user": user }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": ADMIN } }],
            "current-context": "test",
        })
    }

    fn etcd_url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.etcd_port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

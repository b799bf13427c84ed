//! A real cluster, and the product in it as users put it there: `kubectl`, `helm` and HTTP, nothing else.
//!
//! `hack/e2e.sh` makes the cluster or takes one that exists, loads the images, and tells the scenarios of `tests/cluster` by
//! a file where all is. Without that file they are not run, so that `cargo test` never touches a developer's cluster.

mod ask;
mod forward;
mod host;
mod readers;
mod site;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub use forward::Forward;
pub use readers::Readers;
pub use site::{Site, scenario};

/// The cluster of this run, and what drives it.
#[derive(Debug, Clone)]
pub struct Cluster {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    helm: PathBuf,
    images: BTreeMap<String, String>,
    /// Where to put what helps to understand a failure.
    pub artefacts: PathBuf,
}

impl Cluster {
    /// The cluster that `CTLSTORE_E2E` tells of.
    ///
    /// # Errors
    /// Nobody made one: run the scenarios by `./justw e2e`.
    #[expect(clippy::disallowed_methods, reason = "a test library has no command line of its own")]
    pub fn connect() -> Result<Self> {
        let file = std::env::var("CTLSTORE_E2E").context("no cluster: run ./justw e2e")?;
        let text = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        let told: Value = serde_json::from_str(&text).with_context(|| format!("read {file}"))?;
        let text =
            |name: &str| told[name].as_str().with_context(|| format!("{file} says no {name}"));
        Ok(Self {
            kubeconfig: text("kubeconfig")?.into(),
            kubectl: text("kubectl")?.into(),
            helm: text("helm")?.into(),
            artefacts: text("artefacts")?.into(),
            images: serde_json::from_value(told["images"].clone()).context("the images")?,
        })
    }

    /// The tag of an image that was loaded.
    ///
    /// # Errors
    /// It was not.
    pub fn image(&self, name: &str) -> Result<&str> {
        let image = self.images.get(name);
        image.map(String::as_str).with_context(|| format!("no image {name} was loaded"))
    }

    /// Runs kubectl; returns what it printed.
    ///
    /// # Errors
    /// It fails; its words are in the error.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        run(self.kubectl_command().args(args), "")
    }

    /// The same with something on its standard input.
    ///
    /// # Errors
    /// As [`Cluster::kubectl`].
    pub fn kubectl_with(&self, args: &[&str], input: &str) -> Result<String> {
        run(self.kubectl_command().args(args), input)
    }

    /// Applies manifests as a strict client does.
    ///
    /// # Errors
    /// The API server refuses.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        let args = ["apply", "--server-side", "--validate=strict", "--filename=-"];
        self.kubectl_with(&args, manifests)
    }

    /// Runs kubectl; returns what it said beside its output, such as warnings of the API server.
    ///
    /// # Errors
    /// It fails; its words are in the error.
    pub fn warnings(&self, args: &[&str]) -> Result<String> {
        let (_, said) = told(self.kubectl_command().args(args), "")?;
        Ok(said)
    }

    /// Objects as JSON: `get(&["pods", "--namespace=x"])`.
    ///
    /// # Errors
    /// There are none, or the API server does not answer.
    pub fn get(&self, args: &[&str]) -> Result<Value> {
        let text = self.kubectl(&[&["get", "--output=json"], args].concat())?;
        serde_json::from_str(&text).context("kubectl's JSON")
    }

    /// The names of all nodes.
    ///
    /// # Errors
    /// The API server does not answer.
    pub fn nodes(&self) -> Result<Vec<String>> {
        let nodes = self.get(&["nodes"])?;
        let names = nodes["items"].as_array().into_iter().flatten();
        Ok(names.filter_map(|node| node["metadata"]["name"].as_str().map(str::to_owned)).collect())
    }

    /// Runs helm.
    ///
    /// # Errors
    /// It fails; its words are in the error.
    pub fn helm(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.helm);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(args);
        run(&mut command, "")
    }

    /// Runs a script as an administrator would, in a shell with kubectl, in a directory; returns what it printed.
    ///
    /// # Errors
    /// A command of it fails.
    #[expect(clippy::disallowed_methods, reason = "a test library has no command line of its own")]
    pub fn shell(&self, dir: &Path, script: &str) -> Result<String> {
        let tools = self.kubectl.parent().context("kubectl is in no directory")?;
        let path = std::env::var("PATH").context("there is no PATH")?;
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(dir);
        command.env("KUBECONFIG", &self.kubeconfig);
        command.env("PATH", format!("{}:{path}", tools.display()));
        run(&mut command, "")
    }

    fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command
    }
}

/// The chart of this tree.
#[must_use]
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/ctlstore")
}

/// A manifest of `e2e/cluster`, with its words in capitals replaced.
fn manifest(name: &str, words: &[(&str, &str)]) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    Ok(words.iter().fold(text, |text, (word, by)| text.replace(word, by)))
}

fn run(command: &mut Command, input: &str) -> Result<String> {
    told(command, input).map(|(output, _)| output)
}

/// What a program printed, and what it said beside that.
fn told(command: &mut Command, input: &str) -> Result<(String, String)> {
    let program = command.get_program().to_owned();
    let words: Vec<_> =
        command.get_args().skip(2).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let what = format!("{} {}", Path::new(&program).display(), words.join(" "));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {what}"))?;
    let stdin = child.stdin.take().context("BUG: it was asked for")?;
    // It may end without having read all: then its own words are better than ours.
    let fed = { stdin }.write_all(input.as_bytes());
    let output = child.wait_with_output().with_context(|| format!("wait for {what}"))?;
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    fed.with_context(|| format!("feed {what}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let output = String::from_utf8(output.stdout);
    Ok((output.with_context(|| format!("the output of {what}"))?, said))
}

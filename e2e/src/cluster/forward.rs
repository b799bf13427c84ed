//! A port of this machine that leads to a Service, while the value lives.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result};
use testkit::program::Program;

use super::Cluster;

/// A running `kubectl port-forward`.
#[derive(Debug)]
pub struct Forward {
    /// Where to connect.
    pub address: SocketAddr,
    _program: Program,
}

impl Forward {
    /// Leads to `target` (`service/NAME`, `pod/NAME`) and its port.
    ///
    /// # Errors
    /// There is no such thing, or no pod of it is ready.
    pub async fn start(
        cluster: &Cluster,
        namespace: &str,
        target: &str,
        port: u16,
    ) -> Result<Self> {
        let mut command = Command::new(&cluster.kubectl);
        command.arg("--kubeconfig").arg(&cluster.kubeconfig);
        command.args(["port-forward", "--namespace", namespace, target, &format!(":{port}")]);
        let mut program = Program::start("kubectl port-forward", &command)?;
        let address = program.line(|line| {
            let (address, _) = line.strip_prefix("Forwarding from ")?.split_once(" -> ")?;
            address.parse().ok()
        });
        let address = address.await.context("forward a port")?;
        Ok(Self { address, _program: program })
    }
}

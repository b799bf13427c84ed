//! Secrets stay where they belong: in their files, and hashed in the database.

use std::fmt::Write;

use e2e::Stack;
use testkit::http::Request;

/// Looks for every secret of the run in everything that the run said: logs at their most talkative, arguments, statuses,
/// events, Leases, metrics, answers, and ctldb.
pub(crate) fn none(stack: &Stack) {
    let said = everything(stack);
    // What is looked through is really there.
    for sign in [
        "ctlstore agent",
        "--ctldb-url-file",
        "is in the ledger at sequence",
        "holderIdentity",
        "ctlstore_agent_",
        "ctlstore_executive_",
        "\"state\":",
        "CREATE TABLE",
    ] {
        assert!(said.contains(sign), "no {sign:?} in what the run said");
    }
    let files = ["operator", "executive", "agent", "tokens"];
    let home = stack.ldb();
    let home = home.parent().unwrap();
    let kept: String = files.map(|file| std::fs::read_to_string(home.join(file)).unwrap()).concat();
    for needle in stack.needles() {
        let found = said.lines().find(|line| line.contains(needle));
        assert_eq!(found, None, "a secret leaked");
        // The writer's is in no file at all.
        let known = kept.contains(needle) || needle == *stack.needles().last().unwrap();
        assert!(known, "{needle} is not what the services were given");
    }
}

fn everything(stack: &Stack) -> String {
    let mut said = String::new();
    for (name, service) in stack.services() {
        let pid = service.program.pid();
        let argv = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        let argv = argv.replace('\0', "\n");
        let metrics = service.ask("/metrics").unwrap().text();
        let (stdout, stderr) = (service.program.stdout(), service.program.stderr());
        writeln!(said, "ctlstore {name}\n{argv}\n{stdout}\n{stderr}\n{metrics}").unwrap();
    }
    let ask = Request { method: "GET", path: "/v1/status", headers: &[], body: b"" };
    said += &ask.send(stack.agent.api().unwrap()).unwrap().text();
    said += &stack.try_write(&super::steps::batch(), "not-the-secret").unwrap().text();
    let kinds = "events.events.k8s.io,leases,ctltables,ctlfamilies";
    let args = ["get", kinds, "--all-namespaces", "--output=yaml"];
    said += &stack.namespace.server.kubectl(&args).unwrap();
    for table in [
        "mutators",
        "ctlstore_dml_ledger",
        "ctlstore_batches",
        "ctlstore_tables",
        "ctlstore_writers",
    ] {
        let sql = format!("SELECT * FROM ctlstore.{table}");
        writeln!(said, "\n{}", stack.mariadb.sql(&sql).unwrap()).unwrap();
    }
    said
}

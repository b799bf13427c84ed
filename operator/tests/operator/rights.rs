//! The rights that the chart gives to the operator: all operators of these tests have them and no others.

use serde_json::json;

/// As whom operators come.
pub(crate) const USER: &str = "system:serviceaccount:default:operator";

/// The Lease by which they elect their leader.
pub(crate) const LEASE: &str = "operator";

const CLUSTER: &str = include_str!("../../../charts/ctlstore/files/rights/operator-cluster.yaml");
/// Only with a startup taint.
const NODES: &str = include_str!("../../../charts/ctlstore/files/rights/operator-nodes.yaml");
const NAMESPACE: &str =
    include_str!("../../../charts/ctlstore/files/rights/operator-namespace.yaml");

/// Manifests of the roles and their bindings. The operator's namespace is `default`.
pub(crate) fn objects() -> String {
    let roles = [
        ("ClusterRole", "operator", CLUSTER.to_owned()),
        ("ClusterRole", "operator-nodes", NODES.to_owned()),
        // One test splits the leadership by another Lease.
        ("Role", "operator", NAMESPACE.replace("LEASE-NAME", &format!("{LEASE}, another"))),
    ];
    let objects = roles.map(|(kind, name, rules)| {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{kind}Binding"),
            "metadata": {"name": name, "namespace": "default"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": "default"}],
        });
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: default}}\nrules:\n{rules}---\n{binding}\n---\n"
        )
    });
    objects.concat()
}

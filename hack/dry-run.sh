#!/usr/bin/env bash
# Asks a real API server whether it would take these manifests: each file by a server-side dry run, unknown fields are errors.
#   hack/dry-run.sh FILE...     on a kube-apiserver of its own, which takes 5 s; the CRDs are installed first, and the commands of
#                               docs/install.md and docs/kubernetes.md that need no node are run
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
programs=$(hack/apiserver.sh)
home=$(mktemp -d)
# shellcheck disable=SC2046 # one pid a word
stop() {
    # The API server would wait for its etcd.
    { kill -KILL $(jobs -p) && wait; } 2>/dev/null || true
    rm -rf "$home"
}
trap stop EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
etcd=$(free_port) peer=$(free_port) port=$(free_port) token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
(umask 077; echo "$token,admin,admin,system:masters" >"$home/tokens.csv")

"$programs/etcd" --unsafe-no-fsync --data-dir "$home/etcd" --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
    --listen-peer-urls "http://127.0.0.1:$peer" >"$home/etcd.log" 2>&1 &
"$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd" --secure-port "$port" --bind-address 127.0.0.1 --cert-dir "$home/certs" \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$programs/service-account.key" \
    --service-account-signing-key-file "$programs/service-account.key" --authorization-mode RBAC --token-auth-file "$home/tokens.csv" \
    --service-cluster-ip-range 10.0.0.0/24 --disable-admission-plugins ServiceAccount >"$home/apiserver.log" 2>&1 &
cat >"$home/kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$port", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: "$token"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
YAML
kubectl() { "$programs/kubectl" --kubeconfig "$home/kubeconfig" "$@"; }
for _ in $(seq 120); do
    [ "$(kubectl get --raw /readyz 2>/dev/null)" != ok ] || break
    sleep 0.5
done
# What docs/install.md says to do before the chart, as it stands there.
install=$PWD/docs/install.md
(
    cd "$home"
    for file in operator-url executive-url agent-url tokens; do echo x >"$file"; done
    eval "$(awk '/^```sh$/ { block++; next } /^```$/ { if (block) exit } block' "$install")" >/dev/null
)
kubectl --namespace ctlstore get secret ctldb-operator ctldb-executive ctldb-agent admin-tokens >/dev/null
kubectl apply --server-side --filename crds/crds.yaml >/dev/null
# And after it, as far as no node is needed.
eval "$(grep '^kubectl apply' docs/install.md)" >/dev/null
eval "$(grep '^kubectl .* get leases' docs/kubernetes.md)" >/dev/null
for file in "$@"; do
    echo "dry-run: $(basename "$file")" >&2
    kubectl apply --server-side --dry-run=server --validate=strict --force-conflicts --filename "$file" >/dev/null
done

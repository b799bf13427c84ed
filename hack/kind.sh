#!/usr/bin/env bash
# A kind cluster for the end-to-end tests: one control plane and three workers.
#   hack/kind.sh up              makes it if it is not there, and prints the name of its kubeconfig file
#   hack/kind.sh load FILE TAG   puts an image (an archive as docker save writes it) on the nodes that do not have it
#   hack/kind.sh logs DIR        collects the logs of nodes and pods
#   hack/kind.sh down            deletes it, and stops the engine if we started it
# CTLSTORE_KIND_CLUSTER names it (ctlstore-e2e). CTLSTORE_KIND_NODE_IMAGE names the node image; without it, it is kind's own
# where a container registry answers, and one that is built here (hack/kind/node-image.sh) where none does.
set -euo pipefail

hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=hack/tools.sh
. "$hack/tools.sh"
name=${CTLSTORE_KIND_CLUSTER:-ctlstore-e2e}
workers=${CTLSTORE_KIND_WORKERS:-3}
export KUBECONFIG=$CTLSTORE_CACHE/kind/$name.kubeconfig

fail() {
    echo "kind: $*" >&2
    exit 1
}

exists() { "$kind" get clusters 2>/dev/null | grep -qxF "$name"; }

# Which node image, and whether it is ours.
choose_image() {
    image=${CTLSTORE_KIND_NODE_IMAGE:-}
    ours=no
    [ -z "$image" ] || return 0
    if ! curl --silent --max-time 5 --output /dev/null https://registry-1.docker.io/v2/; then
        image=$("$hack/kind/node-image.sh")
        ours=yes
    fi
}

config() {
    cat <<YAML
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
$([ "$ours" = no ] || echo "networking: { disableDefaultCNI: true, kubeProxyMode: nftables }")
kubeadmConfigPatches:
  - |
    kind: KubeletConfiguration
    failCgroupV1: false
  - |
    kind: ClusterConfiguration
    apiServer:
      extraArgs:
        - name: enable-admission-plugins
          value: NodeRestriction,OwnerReferencesPermissionEnforcement
nodes:
  - role: control-plane
YAML
    for _ in $(seq "$workers"); do echo "  - role: worker"; done
}

# Our node image has no pod network of kind's, which is an image of its own: point-to-point links, and routes between the nodes.
network() {
    local nodes node other
    nodes=$("$kind" get nodes --name "$name")
    declare -A address range
    for node in $nodes; do
        address[$node]=$("$kubectl" get node "$node" --output 'jsonpath={.status.addresses[?(@.type=="InternalIP")].address}')
        range[$node]=$("$kubectl" get node "$node" --output 'jsonpath={.spec.podCIDR}')
    done
    for node in $nodes; do
        docker exec --interactive "$node" sh -c 'mkdir -p /etc/cni/net.d && cat >/etc/cni/net.d/10-pods.conflist' <<JSON
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [
  { "type": "ptp", "ipMasq": false, "ipam": { "type": "host-local", "dataDir": "/run/cni-ipam", "routes": [{ "dst": "0.0.0.0/0" }], "ranges": [[{ "subnet": "${range[$node]}" }]] } },
  { "type": "portmap", "capabilities": { "portMappings": true } } ] }
JSON
        for other in $nodes; do
            [ "$other" = "$node" ] || docker exec "$node" ip route replace "${range[$other]}" via "${address[$other]}"
        done
    done
}

up() {
    "$hack/kind/engine.sh" start
    if ! exists; then
        choose_image
        config | "$kind" create cluster --name "$name" ${image:+--image "$image"} --config - --kubeconfig "$KUBECONFIG" >&2
        [ "$ours" = no ] || network
    fi
    "$kubectl" wait --for=condition=Ready node --all --timeout=180s >&2
    echo "$KUBECONFIG"
}

load() {
    local node missing=""
    for node in $("$kind" get nodes --name "$name"); do
        docker exec "$node" ctr --namespace=k8s.io images list --quiet "name==docker.io/library/$2" 2>/dev/null | grep -q . || missing+=,$node
    done
    [ -z "$missing" ] || "$kind" load image-archive "$1" --name "$name" --nodes "${missing#,}"
}

down() {
    if docker info >/dev/null 2>&1 && exists; then
        "$kind" delete cluster --name "$name" --kubeconfig "$KUBECONFIG"
    fi
    "$hack/kind/engine.sh" stop
}

kind=$(tool kind)
kubectl=$("$hack/apiserver.sh")/kubectl
case ${1:-} in
    up | down) "$1" ;;
    load) load "${2:?usage: hack/kind.sh load FILE TAG}" "${3:?usage: hack/kind.sh load FILE TAG}" ;;
    logs) "$kind" export logs "${2:?usage: hack/kind.sh logs DIR}" --name "$name" ;;
    *) fail "usage: hack/kind.sh up|load FILE TAG|logs DIR|down" ;;
esac

#!/usr/bin/env bash
# Builds etcd, kube-apiserver and kubectl from Go modules, once, and prints the folder that holds them.
# Tests run against these: a real API server, without a cluster and without a container registry.
#   hack/apiserver.sh          about 4 minutes the first time, at once afterwards
# The folder is named after the content of the modules and of this script: new versions are built beside old ones.
set -euo pipefail

# shellcheck source=hack/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
modules=$(cd "$(dirname "${BASH_SOURCE[0]}")/../e2e/apiserver" && pwd -P)
key=$(cat "$modules"/{kubernetes,etcd}/go.{mod,sum} "${BASH_SOURCE[0]}" | sha256sum | cut -c1-16)
cache=$CTLSTORE_CACHE/apiserver
folder=$cache/$key

if [ ! -d "$folder" ]; then
    command -v go >/dev/null || {
        echo "hack/apiserver.sh: go is missing: install Go 1.26 or later from https://go.dev/dl" >&2
        exit 1
    }
    mkdir -p "$cache"
    # Whoever comes second waits here, then finds the folder made.
    exec 9>"$cache/lock"
    flock 9
fi

if [ ! -d "$folder" ]; then
    part=$(mktemp -d "$cache/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly"
    cd "$modules/kubernetes"
    release=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=$(cut -d. -f2 <<<"$release")
    echo "building kube-apiserver and kubectl $release, and etcd (about 4 minutes, once)" >&2
    # kube-apiserver refuses to start without a version: it compares its features with it.
    stamp=k8s.io/component-base/version
    flags="-s -w -X $stamp.gitVersion=$release -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean"
    for program in kube-apiserver kubectl; do
        go build -ldflags "$flags" -o "$part/$program" "k8s.io/kubernetes/cmd/$program" >&2
    done
    cd "$modules/etcd"
    go build -ldflags "-s -w" -o "$part/etcd" go.etcd.io/etcd/server/v3 >&2
    # A key that signs service account tokens; all test servers of this machine share it.
    cd "$part"
    go run "$(go env GOROOT)/src/crypto/tls/generate_cert.go" -host 127.0.0.1 -rsa-bits 2048 >&2
    mv key.pem service-account.key
    rm cert.pem
    chmod 755 "$part"
    mv -T "$part" "$folder"
    trap - EXIT
fi
echo "$folder"

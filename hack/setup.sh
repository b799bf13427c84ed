#!/usr/bin/env bash
# Makes sure that what a recipe needs is there: installs it where it can, else says exactly what to install.
#   hack/setup.sh demo     a Rust toolchain and a C compiler (SQLite is built from source)
#   hack/setup.sh test     as for demo, MariaDB's server, Go, the API server and S3 server that Go builds, and examples/readers built
#   hack/setup.sh mariadb  as for test, without Go and what it builds
#   hack/setup.sh bench    as for mariadb, and strace, which counts system calls
#   hack/setup.sh check    as for demo, rustfmt and clippy
#   hack/setup.sh chart    the API server, and helm, which Go builds
#   hack/setup.sh image    as for demo, jq and readelf
#   hack/setup.sh e2e      as for image and chart, the S3 server; the Docker engine is hack/kind/engine.sh's
# Does nothing, in well under a second, when all is there.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/cache.sh
. hack/cache.sh

fail() {
    echo "setup: $*" >&2
    exit 1
}

has() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$1" >/dev/null; }

# Runs a command as root, without asking for a password; fails when that cannot be done.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@" 2>/dev/null; fi
}

# packages PURPOSE NAME...: installs Debian packages, or tells which ones are missing.
packages() {
    local purpose=$1
    shift
    local install="apt-get install -y --no-install-recommends $*"
    command -v apt-get >/dev/null \
        || fail "$purpose is missing: install your system's equivalent of the Debian packages $*"
    echo "setup: installing $* ($purpose)" >&2
    if ! { as_root apt-get -qq update && as_root env DEBIAN_FRONTEND=noninteractive sh -c "$install" >&2; }; then
        fail "$purpose is missing: run \"sudo apt-get update && sudo $install\""
    fi
}

rust() {
    command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
    has cc || packages "a C compiler" gcc libc6-dev
}

component() {
    cargo "${1#rust}" --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null || fail "$1 is missing: install it as your Rust toolchain was installed"
    rustup component add "$1" >&2 || fail "$1 is missing: run \"rustup component add $1\""
}

mariadb() {
    has mariadbd && has mariadb-install-db && has mariadb && return
    packages "MariaDB, which the tests run on" mariadb-server-core mariadb-client-core
}

apiserver() {
    command -v go >/dev/null || fail "go is missing: install Go 1.26 or later from https://go.dev/dl (it builds kube-apiserver and etcd for the tests)"
    # Its first build takes minutes: better here, with a word about it, than silently inside a test.
    hack/apiserver.sh >/dev/null
}

s3() {
    command -v go >/dev/null || fail "go is missing: install Go 1.26 or later from https://go.dev/dl (it builds the S3 server for the tests)"
    hack/versitygw.sh >/dev/null
}

# What runs the programs of examples/readers. Go is there already, for the API server.
readers() {
    has python3 || packages "Python" python3
    { has node && has npm; } || packages "Node" nodejs npm
    { has java && has javac && has mvn; } || packages "a JDK and Maven" default-jdk-headless maven
    hack/readers.sh >/dev/null
}

helm() {
    # shellcheck source=hack/tools.sh
    . hack/tools.sh
    tool helm >/dev/null
}

image() {
    rust
    { has jq && has readelf; } || packages "what writes the image" jq binutils ca-certificates
}

case ${1:-} in
    demo) rust ;;
    test) rust; mariadb; apiserver; s3; readers ;;
    mariadb) rust; mariadb ;;
    bench) rust; mariadb; has strace || packages "strace" strace ;;
    check) rust; component rustfmt; component clippy ;;
    chart) apiserver; helm ;;
    image) image ;;
    e2e) image; apiserver; helm; s3 ;;
    *) fail "usage: hack/setup.sh demo|test|mariadb|bench|check|chart|image|e2e" ;;
esac

#!/usr/bin/env bash
# Builds versitygw, an S3 server on a folder, from its Go module, once, and prints the folder that holds it.
#   hack/versitygw.sh          about a minute the first time, at once afterwards
# The folder is named after the content of the module and of this script: new versions are built beside old ones.
set -euo pipefail

# shellcheck source=hack/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
module=$(cd "$(dirname "${BASH_SOURCE[0]}")/../e2e/versitygw" && pwd -P)
key=$(cat "$module"/go.{mod,sum} "${BASH_SOURCE[0]}" | sha256sum | cut -c1-16)
cache=$CTLSTORE_CACHE/versitygw
folder=$cache/$key

if [ ! -d "$folder" ]; then
    command -v go >/dev/null || {
        echo "hack/versitygw.sh: go is missing: install Go 1.26 or later from https://go.dev/dl" >&2
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
    cd "$module"
    echo "building versitygw, an S3 server for the tests (about a minute, once)" >&2
    CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" \
        go build -ldflags "-s -w" -o "$part/versitygw" github.com/versity/versitygw/cmd/versitygw >&2
    chmod 755 "$part"
    mv -T "$part" "$folder"
    trap - EXIT
fi
echo "$folder"

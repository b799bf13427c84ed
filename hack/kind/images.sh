#!/usr/bin/env bash
# Makes the images that the end-to-end tests run beside the product, and prints for each its tag and its archive:
#   ctlstore-e2e-mariadb     MariaDB from Debian's packages
#   ctlstore-e2e-python      Python from Debian's packages, with examples/readers/python
#   ctlstore-e2e-s3          versitygw, an S3 server
#   ctlstore-e2e-reader      pod-reader, which reads as an application in Rust does
# The first two take a minute, once: they are kept in the cache under the hash of what they are made of.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
# shellcheck source=hack/cache.sh
. "$project/hack/cache.sh"
place=$CTLSTORE_CACHE/kind/images
mkdir -p "$place"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# kept NAME KEY MAKE...: an image that is made once for each key. MAKE fills the folder that it is given.
kept() {
    local name=$1 key=$2 tag file
    shift 2
    tag=$name:$key
    file=$place/$name-$key.tar
    if [ ! -f "$file" ]; then
        rm -f "$place/$name"-*.tar
        mkdir -p "$work/$name"
        "$@" "$work/$name"
        tar -C "$work/$name" -c . | docker import - "$tag" >/dev/null
        docker save --output "$file.part" "$tag"
        docker rmi "$tag" >/dev/null
        mv "$file.part" "$file"
    fi
    echo "$name $tag $file"
}

debian() {
    command -v debootstrap >/dev/null || apt-get install -y -qq --no-install-recommends debootstrap >&2
    debootstrap --variant=minbase --include="$1" bookworm "$2" >"$work/debootstrap.log" 2>&1 || {
        tail -20 "$work/debootstrap.log" >&2
        return 1
    }
    rm -rf "$2"/var/cache/apt/* "$2"/var/lib/apt/lists/* "$2"/usr/share/{doc,man,locale}/*
}

python() {
    debian python3-minimal,libpython3-stdlib "$1"
    install -m 755 "$project/examples/readers/python/ldb.py" "$1/ldb.py"
}

program() {
    mkdir -p "$2/tmp"
    install -m 755 "$1" "$2/$(basename "$1")"
}

hash() { sha256sum | cut -c1-12; }

s3=$("$project/hack/versitygw.sh")/versitygw
cd "$project"
reader=$(cargo rustc --locked --package e2e --bin pod-reader --message-format json-render-diagnostics -- -C target-feature=+crt-static -C strip=symbols \
    | jq -r 'select(.reason == "compiler-artifact" and .target.name == "pod-reader") | .executable // empty')
kept ctlstore-e2e-mariadb "$(hash <"${BASH_SOURCE[0]}")" debian mariadb-server-core,mariadb-client-core
kept ctlstore-e2e-python "$(cat "${BASH_SOURCE[0]}" examples/readers/python/ldb.py | hash)" python
kept ctlstore-e2e-s3 "$(hash <"$s3")" program "$s3"
kept ctlstore-e2e-reader "$(hash <"$reader")" program "$reader"

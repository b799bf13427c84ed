#!/usr/bin/env bash
# Builds the container image from scratch: no registry, no Docker engine, no base image.
#   hack/image.sh archive FILE [TAG]   an OCI archive that docker load, kind load image-archive, skopeo and ctr take
#   hack/image.sh root DIR             only the files of the image; the Dockerfile takes these
# The profile is release, or dev with CTLSTORE_IMAGE_PROFILE=dev: that one shares what the tests build, so it takes seconds,
# and is larger and slower. With CTLSTORE_IMAGE_BINARY=FILE nothing is built, the file is taken.
#
# Same sources, same toolchain, same place: same digest. Nothing in it tells when or where it was made; the time is the commit's.
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
user=64000
profile=${CTLSTORE_IMAGE_PROFILE:-release}

fail() {
    echo "image: $*" >&2
    exit 1
}

# Prints the path of one static binary. The flag goes to the last crate alone: all others are shared with the
# builds of tests (dev) and benches (release).
binary() {
    if [ -n "${CTLSTORE_IMAGE_BINARY:-}" ]; then
        echo "$CTLSTORE_IMAGE_BINARY"
        return
    fi
    cd "$project"
    cargo rustc --locked --package ctlstore --bin ctlstore --profile "$profile" --message-format json-render-diagnostics \
        -- -C target-feature=+crt-static -C strip=symbols \
        | jq -r 'select(.reason == "compiler-artifact" and .target.name == "ctlstore") | .executable // empty'
}

# root DIR: all files of the image.
root() {
    local out=$1 program
    program=$(binary)
    [ -x "$program" ] || fail "cargo built no program"
    ! grep -q INTERP <(readelf --program-headers --wide "$program") || fail "$program is not static"
    [ -f /etc/ssl/certs/ca-certificates.crt ] || fail "there are no CA certificates: install the Debian package ca-certificates"
    mkdir -p "$out"/{etc/ssl/certs,tmp,usr/bin,licenses,var/lib/ctlstore}
    install -m 755 "$program" "$out/usr/bin/ctlstore"
    install -m 644 /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/ca-certificates.crt"
    printf 'root:x:0:0::/:/none\nctlstore:x:%s:%s::/:/none\n' "$user" "$user" >"$out/etc/passwd"
    printf 'root:x:0:\nctlstore:x:%s:\n' "$user" >"$out/etc/group"
    # Names of hosts come from the pod's /etc/hosts and from DNS, and from no module that would have to be loaded.
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$out/etc/nsswitch.conf"
    install -m 644 "$project/LICENSE" "$out/licenses/LICENSE"
    "$project/hack/image/licenses.sh" >"$out/licenses/DEPENDENCIES"
    chmod 644 "$out"/etc/{passwd,group,nsswitch.conf} "$out/licenses/DEPENDENCIES"
    chmod 1777 "$out/tmp"
    chmod 755 "$out" "$out"/{etc,etc/ssl,etc/ssl/certs,usr,usr/bin,licenses,var,var/lib,var/lib/ctlstore}
}

# blob FILE: puts a file under its digest, and prints the digest and the size.
blob() {
    local digest
    digest=$(sha256sum "$1" | cut -d' ' -f1)
    mkdir -p "$layout/blobs/sha256"
    mv "$1" "$layout/blobs/sha256/$digest"
    echo "$digest $(stat -c %s "$layout/blobs/sha256/$digest")"
}

# archive FILE TAG: the image as one file, in the OCI layout and, for engines that do not know it yet, Docker's.
archive() {
    local out=$1 tag=$2 layer diff config manifest revision seconds created version
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    layout=$work/layout
    mkdir "$layout" "$work/root"
    root "$work/root"
    revision=$(git -C "$project" rev-parse HEAD 2>/dev/null || echo unknown)
    seconds=${SOURCE_DATE_EPOCH:-$(git -C "$project" log -1 --format=%ct 2>/dev/null || echo 0)}
    created=$(date --utc --date "@$seconds" +%Y-%m-%dT%H:%M:%SZ)
    version=$("$work/root/usr/bin/ctlstore" --version | cut -d' ' -f2)
    reproducible=(--sort=name --format=ustar --owner=0 --group=0 --numeric-owner "--mtime=@$seconds")
    tar "${reproducible[@]}" -C "$work/root" --exclude=./var/lib/ctlstore -cf "$work/layer.tar" .
    # The one folder that is not root's.
    tar "${reproducible[@]}" --owner="$user" --group="$user" -C "$work/root" -rf "$work/layer.tar" ./var/lib/ctlstore
    diff=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
    gzip --no-name -6 "$work/layer.tar"
    layer=$(blob "$work/layer.tar.gz")
    jq -cnS --arg created "$created" --arg version "$version" --arg revision "$revision" --arg diff "sha256:$diff" --arg user "$user:$user" '{
        created: $created, architecture: "amd64", os: "linux",
        config: {
            User: $user, Entrypoint: ["/usr/bin/ctlstore"], Env: ["PATH=/usr/bin"], WorkingDir: "/",
            Labels: {
                "org.opencontainers.image.title": "ctlstore",
                "org.opencontainers.image.description": "Control data in a SQLite file on every node",
                "org.opencontainers.image.licenses": "Apache-2.0",
                "org.opencontainers.image.version": $version,
                "org.opencontainers.image.revision": $revision,
                "org.opencontainers.image.created": $created
            }
        },
        rootfs: {type: "layers", diff_ids: [$diff]},
        history: [{created: $created, created_by: "hack/image.sh"}]
    }' | tr -d '\n' >"$work/config.json"
    config=$(blob "$work/config.json")
    jq -cnS --arg config "${config% *}" --argjson config_size "${config#* }" --arg layer "${layer% *}" --argjson layer_size "${layer#* }" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: "sha256:\($config)", size: $config_size},
        layers: [{mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: "sha256:\($layer)", size: $layer_size}]
    }' | tr -d '\n' >"$work/manifest.json"
    manifest=$(blob "$work/manifest.json")
    jq -cnS --arg digest "${manifest% *}" --argjson size "${manifest#* }" --arg tag "$tag" '{
        schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: "sha256:\($digest)", size: $size,
            platform: {architecture: "amd64", os: "linux"},
            annotations: {"io.containerd.image.name": "docker.io/library/\($tag)", "org.opencontainers.image.ref.name": ($tag | split(":")[-1])}}]
    }' >"$layout/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
    jq -cnS --arg config "${config% *}" --arg layer "${layer% *}" --arg tag "$tag" \
        '[{Config: "blobs/sha256/\($config)", Layers: ["blobs/sha256/\($layer)"], RepoTags: [$tag]}]' >"$layout/manifest.json"
    tar "${reproducible[@]}" -C "$layout" -cf "$out" .
    echo "$tag sha256:${manifest% *} $(stat -c %s "$work/root/usr/bin/ctlstore") bytes of program, $(stat -c %s "$out") bytes of image" >&2
    echo "sha256:${manifest% *}"
}

[ "$(uname -m)" = x86_64 ] || fail "this script makes images for x86_64; elsewhere use the Dockerfile"
for program in jq readelf; do
    command -v "$program" >/dev/null || fail "$program is missing: install the Debian packages jq and binutils"
done
case ${1:-} in
    root) root "${2:?usage: hack/image.sh root DIR}" ;;
    archive) archive "${2:?usage: hack/image.sh archive FILE [TAG]}" "${3:-ctlstore:dev}" ;;
    *) fail "usage: hack/image.sh archive FILE [TAG] | root DIR" ;;
esac

#!/usr/bin/env bash
# Makes a node image for kind from Go modules and Debian packages, where no container registry can be reached, and prints its
# tag. About 12 minutes the first time (a minute with a warm Go cache), seconds afterwards: the image is kept in the cache under
# the hash of all that it is made of.
#
# In it: Kubernetes, etcd, CoreDNS (only what a cluster's own DNS needs), containerd; systemd and the user land by debootstrap; the
# node's own files (entrypoint, units, configuration) from kind's module.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
e2e=$here/../../e2e
# shellcheck source=hack/tools.sh
. "$here/../tools.sh"
containerd=v2.4.2
kind=$(pinned kind)
key=$(cat "$e2e"/apiserver/{kubernetes,etcd}/go.{mod,sum} "$e2e"/coredns/{go.mod,go.sum,main.go} \
    "$here"/{node-image.sh,runc-within-bounds} <(echo "$kind") | sha256sum | cut -c1-16)
tag=ctlstore-node:$key
kept=$CTLSTORE_CACHE/kind/node-$key.tar.gz

docker image inspect "$tag" >/dev/null 2>&1 && { echo "$tag"; exit; }
mkdir -p "$CTLSTORE_CACHE/kind"
exec 9>"$CTLSTORE_CACHE/kind/lock"
flock 9
docker image inspect "$tag" >/dev/null 2>&1 && { echo "$tag"; exit; }
[ ! -f "$kept" ] || { docker load --quiet --input "$kept" >/dev/null; echo "$tag"; exit; }

for program in debootstrap jq; do
    command -v "$program" >/dev/null || apt-get install -y -qq --no-install-recommends "$program" >&2
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false"
built=$work/built
root=$work/root
mkdir "$built"

programs() {
    local release stamp=k8s.io/component-base/version
    release=$(cd "$e2e/apiserver/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
    echo "node-image: building Kubernetes $release and its parts (minutes, once)" >&2
    (cd "$e2e/apiserver/kubernetes" && GOBIN=$built go install -ldflags "-s -w -X $stamp.gitVersion=$release -X $stamp.gitMajor=1 \
        -X $stamp.gitMinor=$(cut -d. -f2 <<<"$release") -X $stamp.gitTreeState=clean" tool)
    (cd "$e2e/apiserver/etcd" && go build -ldflags "-s -w" -o "$built/etcd" go.etcd.io/etcd/server/v3)
    (cd "$e2e/coredns" && go build -ldflags "-s -w" -o "$built/coredns" .)
    (cd "$work" && GOBIN=$built go install -ldflags "-s -w" "github.com/containerd/containerd/v2/cmd/containerd@$containerd" \
        "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@$containerd" "github.com/containerd/containerd/v2/cmd/ctr@$containerd")
    echo "$release" >"$work/release"
}

user_land() {
    local packages files units
    echo "node-image: building the node's user land" >&2
    packages=systemd,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,e2fsprogs
    packages=$packages,bash,ca-certificates,curl,jq,procps,runc,hostname,containernetworking-plugins
    rm -rf "$root"
    debootstrap --variant=minbase --include="$packages" bookworm "$root" >"$work/debootstrap.log" 2>&1 || {
        tail -20 "$work/debootstrap.log" >&2
        exit 1
    }
    files=$(cd "$work" && go mod download -json "sigs.k8s.io/kind@$kind" | jq -r .Dir)/images/base/files
    cp -r --no-preserve=mode "$files/." "$root/"
    chmod 755 "$root"/usr/local/bin/* "$root"/kind "$root"/kind/bin "$root"/kind/bin/*
    ln -sf /usr/lib/systemd/systemd "$root/usr/sbin/init"
    units=$root/usr/lib/systemd/system
    rm -f "$units"/sysinit.target.wants/systemd-tmpfiles-setup.service "$units"/multi-user.target.wants/* \
        "$root"/etc/systemd/system/*.wants/* "$units"/local-fs.target.wants/* "$units"/basic.target.wants/* \
        "$units"/sockets.target.wants/*udev* "$units"/sockets.target.wants/*initctl*
    echo "ReadKMsg=no" >>"$root/etc/systemd/journald.conf"
    chroot "$root" systemctl enable kubelet.service containerd.service undo-mount-hacks.service >&2
    ln -sf /dev/null "$root/etc/systemd/system/systemd-binfmt.service"
    mkdir -p "$root/etc/kubernetes/manifests" "$root/opt/cni/bin" "$root/usr/local/sbin"
    cp "$root"/usr/lib/cni/{host-local,loopback,ptp,portmap} "$root/opt/cni/bin/"
    install -m 755 "$here/runc-within-bounds" "$root/usr/local/sbin/runc"
    install -m 755 "$built"/{containerd,containerd-shim-runc-v2,ctr} "$root/usr/local/bin/"
    install -m 755 "$built"/{kubeadm,kubelet,kubectl} "$root/usr/bin/"
    cp "$work/release" "$root/kind/version"
    chroot "$root" /usr/local/bin/ctr oci spec | jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"} | del(.process.rlimits)' \
        >"$root/etc/containerd/cri-base.json"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
}

# image NAME FILE...: an image of those programs alone; the first is started.
image() {
    local name=$1 layer=$work/layer
    shift
    rm -rf "$layer"
    mkdir -p "$layer/usr/local/bin" "$layer/tmp"
    cp "$@" "$layer/usr/local/bin/"
    tar -C "$layer" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/sbin' \
        --change "ENTRYPOINT [\"/usr/local/bin/$(basename "$1")\"]" - "$name" >/dev/null
}

# kube-proxy runs in its nftables mode, so its image needs nft and what that links.
proxy_image() {
    local layer=$work/proxy library
    mkdir -p "$layer/usr/local/bin" "$layer/usr/sbin" "$layer/run" "$layer/tmp"
    cp "$built/kube-proxy" "$layer/usr/local/bin/"
    cp "$root/usr/sbin/nft" "$layer/usr/sbin/"
    for library in $(chroot "$root" ldd /usr/sbin/nft | grep -oE '/[^ ]+'); do
        install -D "$root$(chroot "$root" realpath "$library")" "$layer$library"
    done
    tar -C "$layer" -c . | docker import --change 'ENV PATH=/usr/local/bin:/usr/sbin' - "$1" >/dev/null
}

control_plane() {
    local name short pause
    echo "node-image: building the control plane's images" >&2
    printf '#include <signal.h>\n#include <unistd.h>\nint main(void) { signal(SIGTERM, _exit); for (;;) pause(); }\n' >"$work/pause.c"
    cc -static -Os -o "$built/pause" "$work/pause.c"
    "$built/kubeadm" config images list --kubernetes-version "$(cat "$work/release")" >"$work/names" 2>/dev/null
    while read -r name; do
        short=${name##*/}
        case $name in
            */kube-proxy:*) proxy_image "$name" ;;
            *) image "$name" "$built/${short%%:*}" ;;
        esac
    done <"$work/names"
    pause=$(grep /pause: "$work/names")
    # A host without CAP_SYS_RESOURCE refuses a lower score for the out-of-memory killer.
    sed -i -e "s#sandbox_image = .*#sandbox_image = \"$pause\"#" -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
        "$root/etc/containerd/config.toml"
    xargs docker save --output "$work/control-plane.tar" <"$work/names"
}

assemble() {
    local box
    echo "node-image: assembling $tag" >&2
    tar -C "$root" -c . | docker import --change 'ENV container=docker' - "$tag-base" >/dev/null
    box=$(docker run --detach --privileged --volume "$work/control-plane.tar:/control-plane.tar:ro" --entrypoint /usr/local/bin/containerd "$tag-base")
    for _ in $(seq 60); do
        docker exec "$box" ctr version >/dev/null 2>&1 && break
        sleep 0.5
    done
    docker exec "$box" ctr --namespace=k8s.io images import --all-platforms --no-unpack --digests /control-plane.tar >/dev/null
    docker stop "$box" >/dev/null
    docker commit --change 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]' "$box" "$tag" >/dev/null
    docker rm --force "$box" >/dev/null
    docker rmi --force "$tag-base" >/dev/null
    xargs docker rmi --force <"$work/names" >/dev/null
    # One is enough: older ones are of older versions.
    rm -f "$CTLSTORE_CACHE"/kind/node-*.tar.gz
    docker save "$tag" | gzip --fast >"$kept.part"
    mv "$kept.part" "$kept"
}

programs
user_land
control_plane
assemble
echo "$tag"

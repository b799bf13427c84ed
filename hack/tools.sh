# shellcheck shell=bash
# Source this: `tool NAME` prints the path of a pinned program, installing it first where it is missing.
#
# Each version has a folder of its own in the cache, so clones that pin different versions do not fight.
# The programs are built without optimisation: they are quick enough, and the build takes a third of the time.
# shellcheck source=hack/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"

# Needs a version bump? Change it here, and nowhere else.
pinned() {
    case $1 in
        just) echo 1.59.0 ;;
        cargo-deny) echo 0.20.2 ;;
        helm) echo v4.3.1 ;;
        kind) echo v0.33.0 ;;
        kwok) echo v0.8.0 ;;
        *) echo "hack/tools.sh: no version is pinned for \"$1\"" >&2; return 1 ;;
    esac
}

# The Go package of a program; all others are crates.
package() {
    case $1 in
        helm) echo helm.sh/helm/v4/cmd/helm ;;
        kind) echo sigs.k8s.io/kind ;;
        kwok) echo sigs.k8s.io/kwok/cmd/kwok ;;
        *) return 1 ;;
    esac
}

tool() {
    local name=$1 version root package
    version=$(pinned "$name") || return 1
    root=$CTLSTORE_CACHE/tools/$name-$version
    if package=$(package "$name"); then
        go_tool "$package@$version" "$root/bin/$name" || return 1
    elif [ ! -x "$root/bin/$name" ]; then
        echo "installing $name $version into $root (once, some minutes)" >&2
        # Two clones may come here together: cargo locks the root, and the second finds the work done.
        if ! env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 \
            cargo install "$name" --locked --debug --quiet --version "$version" --root "$root" >&2; then
            echo "$name $version is missing and could not be installed; by hand:" \
                "cargo install $name --locked --version $version --root $root" >&2
            return 1
        fi
    fi
    echo "$root/bin/$name"
}

# go_tool PACKAGE@VERSION FILE: the modules are checked against Go's checksum database.
go_tool() {
    [ ! -x "$2" ] || return 0
    echo "installing $1 into ${2%/*} (once, a minute or two)" >&2
    # Put in place when it is whole: two clones may come here together.
    local part
    mkdir -p "${2%/*}"
    part=$(mktemp -d "${2%/*}/part.XXXXXX")
    if ! (cd "$part" && CGO_ENABLED=0 GOFLAGS=-trimpath GOBIN=$part go install -ldflags "-s -w" "$1") >&2; then
        rm -rf "$part"
        echo "$1 could not be installed: it needs Go 1.26 or later, https://go.dev/dl" >&2
        return 1
    fi
    mv "$part/${2##*/}" "$2"
    rmdir "$part"
}

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
        *) echo "hack/tools.sh: no version is pinned for \"$1\"" >&2; return 1 ;;
    esac
}

tool() {
    local name=$1 version root
    version=$(pinned "$name") || return 1
    root=$CTLSTORE_CACHE/tools/$name-$version
    if [ ! -x "$root/bin/$name" ]; then
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

#!/usr/bin/env bash
# Runs a command against a real MySQL 9, beside the MariaDB that the tests start by themselves.
#   hack/mysql9.sh COMMAND ARGS...    COMMAND finds the server's URL in CTLSTORE_TEST_MYSQL_URL
#   CTLSTORE_TEST_MYSQL_URL=... set   uses that server, starts none
#
# Debian's stable release has no MySQL, so the packages of its unstable release are unpacked into the cache and run
# in a chroot: nothing is installed on this machine. 60 MB to fetch, 330 MB unpacked, about 15 s, once.
# Each run has a data folder of its own, which goes away with the server. Needs Debian and root.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: hack/mysql9.sh COMMAND ARGS..." >&2; exit 2; }
[ -z "${CTLSTORE_TEST_MYSQL_URL:-}" ] || exec "$@"

# shellcheck source=hack/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
home=$CTLSTORE_CACHE/mysql9

fail() {
    echo "mysql9: $*; or set CTLSTORE_TEST_MYSQL_URL to a server of yours" >&2
    exit 1
}

# fetch FOLDER: unpacks the server and all it links with into FOLDER.
fetch() {
    local folder=$1 mirror apt deb link
    # The Debian mirror that this machine uses already, in either of apt's two notations.
    mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null \
        | awk '$1 == "URIs:" || $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^https?:.*\/debian\/?$/) { print $i; exit } }' || true)
    [ -n "$mirror" ] || fail "apt has no Debian mirror configured"
    echo "mysql9: fetching MySQL (once)" >&2
    apt=$folder/.apt
    mkdir -p "$apt"/{lists/partial,archives/partial}
    : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main" >"$apt/sources.list"
    local options=(
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=-
        -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status"
        -o Dir::Cache::archives="$apt/archives" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
        -o APT::Sandbox::User=root -o Debug::NoLocking=1
    )
    apt-get "${options[@]}" -qq update >&2
    # With an empty status file, apt brings every dependency down to the C library.
    apt-get "${options[@]}" -qq install -y --download-only --no-install-recommends mysql-server-core >&2
    for deb in "$apt"/archives/*.deb; do dpkg-deb -x "$deb" "$folder"; done
    for link in bin sbin lib lib64; do [ -e "$folder/$link" ] || ln -s "usr/$link" "$folder/$link"; done
    mkdir -p "$folder"/{dev,tmp,srv}
    [ -e "$folder/dev/urandom" ] || mknod -m 666 "$folder/dev/urandom" c 1 9
    [ -e "$folder/dev/null" ] || mknod -m 666 "$folder/dev/null" c 1 3
    rm -rf "$apt"
}

if [ ! -d "$home" ]; then
    [ "$(id -u)" = 0 ] || fail "root is needed, to run MySQL in a chroot"
    command -v dpkg-deb >/dev/null || fail "Debian is needed, its packages hold MySQL"
    part=$(mktemp -d "$CTLSTORE_CACHE/mysql9.XXXXXX")
    chmod 755 "$part"
    trap 'rm -rf "$part"' EXIT
    fetch "$part"
    # Whoever comes second keeps what the first one made.
    mv -T "$part" "$home" 2>/dev/null || [ -d "$home" ]
fi

[ "$(id -u)" = 0 ] || fail "root is needed, to run MySQL in a chroot"
mysqld() { exec chroot "$home" /usr/sbin/mysqld --no-defaults --user=root --datadir="$inside/data" --log-error="$inside/log" "$@"; }
run=$(mktemp -d "$home/srv/run.XXXXXX")
inside=${run#"$home"}
server=
# End the server by its own pid, then its data; the command's exit code stays ours.
stop() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
    rm -rf "$run" "${part:-}"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$run/tmp"
(mysqld --initialize-insecure) || { cat "$run/log" >&2; fail "the data folder could not be made"; }

# mysqld cannot be told to take any free port, so it is given one after another until it starts.
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    (mysqld --bind-address=127.0.0.1 --port="$port" --socket="$inside/sock" --pid-file="$inside/pid" --tmpdir="$inside/tmp" \
        --mysqlx=OFF --secure-file-priv=NULL --performance-schema=OFF --innodb-buffer-pool-size=64M) &
    server=$!
    for _ in $(seq 300); do
        [ ! -S "$run/sock" ] || break 2
        kill -0 "$server" 2>/dev/null || continue 2
        sleep 0.1
    done
    cat "$run/log" >&2
    fail "MySQL did not start within 30 s"
done
kill -0 "$server" 2>/dev/null || { cat "$run/log" >&2; fail "MySQL found no free port in 5 tries"; }

chroot "$home" /usr/sbin/mysqld --version >&2
export CTLSTORE_TEST_MYSQL_URL=mysql://root@127.0.0.1:$port
"$@"

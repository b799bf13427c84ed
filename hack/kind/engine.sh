#!/usr/bin/env bash
# A Docker engine for machines where none runs and systemd would not start one.
#   hack/kind/engine.sh start    starts one from Debian's packages, if no engine answers; 10 s the first time
#   hack/kind/engine.sh stop     stops the engine that this script started, and no other
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=hack/cache.sh
. "$here/../cache.sh"
place=$CTLSTORE_CACHE/kind
pidfile=$place/dockerd.pid

start() {
    docker info >/dev/null 2>&1 && return
    if ! command -v dockerd >/dev/null || ! command -v jq >/dev/null; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
            echo "engine: no Docker engine answers; start one (https://docs.docker.com/engine/install)" >&2
            exit 1
        fi
        echo "engine: installing docker.io from Debian's packages" >&2
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io containerd runc iptables jq >/dev/null
    fi
    mkdir -p "$place"
    # The engine outlives this clone, so its runtime must, too.
    install -m 755 "$here/runc-within-bounds" "$place/runc-within-bounds"
    rm -f /var/run/docker.pid
    setsid dockerd --add-runtime "bounded=$place/runc-within-bounds" --default-runtime bounded >"$place/dockerd.log" 2>&1 </dev/null &
    echo $! >"$pidfile"
    for _ in $(seq 120); do
        docker info >/dev/null 2>&1 && return
        sleep 0.5
    done
    echo "engine: the Docker engine did not start; the end of $place/dockerd.log:" >&2
    tail -20 "$place/dockerd.log" >&2
    exit 1
}

stop() {
    [ -f "$pidfile" ] || return 0
    local pid
    pid=$(cat "$pidfile")
    rm -f "$pidfile"
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
    kill "$pid"
    for _ in $(seq 60); do
        [ -d "/proc/$pid" ] || return 0
        sleep 0.5
    done
}

case ${1:-} in
    start | stop) "$1" ;;
    *) echo "usage: hack/kind/engine.sh start|stop" >&2; exit 1 ;;
esac

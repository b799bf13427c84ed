#!/usr/bin/env bash
# Sends an executive, or the read API of a node, thousands of requests made from its own OpenAPI document, good and bad, and
# checks the answers against it: hack/schemathesis.sh CTLSTORE executive|node [schemathesis' arguments]
#   CTLSTORE    the binary to try
# Schemathesis comes from PyPI into a virtual environment in the cache, once.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/cache.sh
. hack/cache.sh
ctlstore=${1:?usage: hack/schemathesis.sh CTLSTORE executive|node [ARGUMENTS]}
service=${2:?name what to try: executive or node}
shift 2

version=4.32.5
venv=$CTLSTORE_CACHE/schemathesis-$version
if [ ! -x "$venv/bin/st" ]; then
    echo "schemathesis: installing $version (once)" >&2
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" --quiet install "schemathesis==$version"; }; then
        rm -rf "$venv"
        echo "schemathesis: needs Python 3.10 or later with venv, and PyPI" >&2
        exit 1
    fi
fi

dir=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$dir"' EXIT
SCHEMATHESIS_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
SCHEMATHESIS_SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export SCHEMATHESIS_TOKEN SCHEMATHESIS_SECRET

# wait_for FIELD: until the log says where the server listens; sets api.
wait_for() {
    api=
    for _ in $(seq 100); do
        api=$(grep -o "\"$1\":\"[^\"]*\"" "$dir/log" | cut -d'"' -f4 || true)
        [ -n "$api" ] && curl -fsS "http://$api/openapi.json" >/dev/null 2>&1 && return
        sleep 0.1
    done
    [ -n "$api" ] || { cat "$dir/log" >&2; exit 1; }
}

case $service in
    executive)
        echo "sqlite:$dir/ctldb" >"$dir/url"
        echo "robot:$SCHEMATHESIS_TOKEN" >"$dir/tokens"
        "$ctlstore" executive --bind 127.0.0.1:0 --admin-bind 127.0.0.1:0 --ctldb-url-file "$dir/url" \
            --admin-token-file "$dir/tokens" --allow-destructive --writer-limit 1000000000 2>"$dir/log" &
        server=$!
        wait_for api
        post() {
            curl -fsS -H "Authorization: Bearer $SCHEMATHESIS_TOKEN" --data-binary "$2" "http://$api$1"
        }
        post /v1/writers/robot "$SCHEMATHESIS_SECRET"
        post /v1/families/shop ''
        post /v1/families/shop/tables/items '{"fields":[["id","integer"],["name","string"]],"keyFields":["id"]}'
        only=()
        ;;
    node)
        "$ctlstore" ldb build examples/billing/tables.yaml --dir "$dir/ldb"
        echo "robot:$SCHEMATHESIS_TOKEN" >"$dir/tokens"
        "$ctlstore" sidecar --ldb "$dir/ldb" --bind 127.0.0.1:0 --read-token-file "$dir/tokens" \
            --read-timeout 500ms 2>"$dir/log" &
        server=$!
        wait_for read
        # A watch does not end. The original answers 500 to every mistake, and a sequence of the future is 504.
        only=(--exclude-path /v1/watch --exclude-checks not_a_server_error)
        ;;
    *)
        echo "schemathesis: $service is neither executive nor node" >&2
        exit 2
        ;;
esac

# What it remembers of a run goes with the folder.
config=$PWD/hack/schemathesis.toml
cd "$dir"
"$venv/bin/st" --config-file "$config" run "http://$api/openapi.json" \
    --phases examples,coverage,fuzzing --continue-on-failure "${only[@]}" "$@"

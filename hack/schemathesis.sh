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
servers=()
trap 'kill "${servers[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
SCHEMATHESIS_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
SCHEMATHESIS_SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export SCHEMATHESIS_TOKEN SCHEMATHESIS_SECRET

# wait_for LOG PATTERN: until the log says where a server listens, which the pattern's group is, and it answers; sets api.
wait_for() {
    api=
    for _ in $(seq 100); do
        api=$(sed -n "s#.*$2.*#\\1#p" "$1" | head -n 1)
        [ -n "$api" ] && curl -fsS "http://$api/openapi.json" >/dev/null 2>&1 && return
        sleep 0.1
    done
    [ -n "$api" ] || { cat "$1" >&2; exit 1; }
}

case $service in
    executive)
        echo "sqlite:$dir/ctldb" >"$dir/url"
        echo "robot:$SCHEMATHESIS_TOKEN" >"$dir/tokens"
        "$ctlstore" executive --bind 127.0.0.1:0 --admin-bind 127.0.0.1:0 --ctldb-url-file "$dir/url" \
            --admin-token-file "$dir/tokens" --allow-destructive --writer-limit 1000000000 2>"$dir/log" &
        servers+=($!)
        wait_for "$dir/log" '"api":"\([^"]*\)"'
        post() {
            curl -fsS -H "Authorization: Bearer $SCHEMATHESIS_TOKEN" --data-binary "$2" "http://$api$1"
        }
        post /v1/writers/robot "$SCHEMATHESIS_SECRET"
        post /v1/families/shop ''
        post /v1/families/shop/tables/items '{"fields":[["id","integer"],["name","string"]],"keyFields":["id"]}'
        only=()
        known=()
        ;;
    node)
        # A whole node: its own read API is open, the sidecar beside it asks for a token.
        "$ctlstore" dev --dir "$dir/dev" --manifests examples/billing --executive-bind 127.0.0.1:0 \
            --read-bind 127.0.0.1:0 >"$dir/dev.log" 2>&1 &
        servers+=($!)
        wait_for "$dir/dev.log" 'write API *http://\([0-9.:]*\)'
        until grep -q "quotas: Ready=True" "$dir/dev.log"; do sleep 0.1; done
        curl -fsS --data-binary "$SCHEMATHESIS_SECRET" "http://$api/writers/robot"
        curl -fsS -D "$dir/written" -H ctlstore-writer:robot -H "ctlstore-secret:$SCHEMATHESIS_SECRET" \
            --data @examples/billing/batches/rows.json "http://$api/families/billing/mutations"
        position=$(sed -n 's/^ctlstore-position: \([^[:space:]]*\).*/\1/p' "$dir/written")
        echo "robot:$SCHEMATHESIS_TOKEN" >"$dir/tokens"
        "$ctlstore" sidecar --ldb "$dir/dev/ldb" --bind 127.0.0.1:0 --read-token-file "$dir/tokens" \
            --read-timeout 500ms 2>"$dir/log" &
        servers+=($!)
        wait_for "$dir/log" '"read":"\([^"]*\)"'
        page=$(curl -fsS -H "Authorization: Bearer $SCHEMATHESIS_TOKEN" \
            "http://$api/v1/rows/billing/plans?limit=1&min-position=$position")
        page=${page##*\"continue\":\"}
        known=("$position" "${page%%\"*}")
        # A watch does not end.
        only=(--exclude-path /v1/watch)
        ;;
    *)
        echo "schemathesis: $service is neither executive nor node" >&2
        exit 2
        ;;
esac

# What it remembers of a run goes with the folder.
config=$PWD/hack/schemathesis-$service.toml
seed=$PWD/hack/schemathesis-seed.py
cd "$dir"
curl -fsS "http://$api/openapi.json" | python3 "$seed" "${known[@]}" >openapi.json
"$venv/bin/st" --config-file "$config" run openapi.json --url "http://$api" \
    --phases examples,coverage,fuzzing --continue-on-failure "${only[@]}" "$@"

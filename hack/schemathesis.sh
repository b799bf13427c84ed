#!/usr/bin/env bash
# Sends an executive thousands of requests made from its own OpenAPI document, good and bad, and checks the answers against
# it: hack/schemathesis.sh CTLSTORE [schemathesis' arguments]
#   CTLSTORE    the binary to try
# Schemathesis comes from PyPI into a virtual environment in the cache, once.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=hack/cache.sh
. hack/cache.sh
ctlstore=${1:?usage: hack/schemathesis.sh CTLSTORE}
shift

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
executive=
trap '[ -z "$executive" ] || kill "$executive" 2>/dev/null || true; rm -rf "$dir"' EXIT
SCHEMATHESIS_TOKEN=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
SCHEMATHESIS_SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export SCHEMATHESIS_TOKEN SCHEMATHESIS_SECRET
echo "sqlite:$dir/ctldb" >"$dir/url"
echo "robot:$SCHEMATHESIS_TOKEN" >"$dir/tokens"
"$ctlstore" executive --bind 127.0.0.1:0 --admin-bind 127.0.0.1:0 --ctldb-url-file "$dir/url" \
    --admin-token-file "$dir/tokens" --allow-destructive --writer-limit 1000000000 2>"$dir/log" &
executive=$!

api=
for _ in $(seq 100); do
    api=$(grep -o '"api":"[^"]*"' "$dir/log" | cut -d'"' -f4 || true)
    [ -n "$api" ] && curl -fsS "http://$api/healthcheck" >/dev/null 2>&1 && break
    sleep 0.1
done
[ -n "$api" ] || { cat "$dir/log" >&2; exit 1; }

post() {
    curl -fsS -H "Authorization: Bearer $SCHEMATHESIS_TOKEN" --data-binary "$2" "http://$api$1"
}
post /v1/writers/robot "$SCHEMATHESIS_SECRET"
post /v1/families/shop ''
post /v1/families/shop/tables/items '{"fields":[["id","integer"],["name","string"]],"keyFields":["id"]}'

# What it remembers of a run goes with the folder.
config=$PWD/hack/schemathesis.toml
cd "$dir"
"$venv/bin/st" --config-file "$config" run "http://$api/openapi.json" \
    --phases examples,coverage,fuzzing --continue-on-failure "$@"

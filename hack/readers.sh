#!/usr/bin/env bash
# Builds the programs of examples/readers, once, and prints the folder that holds them.
#   hack/readers.sh        about a minute and a half the first time, at once afterwards
# The folder is named after the content of the examples and of this script. In it: python/, go/, node/ and java/, each
# with an executable `ldb`, which tests run as other users.
set -euo pipefail

# shellcheck source=hack/cache.sh
. "$(dirname "${BASH_SOURCE[0]}")/cache.sh"
hack=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
examples=$hack/../examples/readers
key=$(cd "$examples" && git ls-files -z --cached --others --exclude-standard . | sort -z | xargs -0 cat "$hack/readers.sh" | sha256sum | cut -c1-16)
cache=$CTLSTORE_CACHE/readers
folder=$cache/$key

if [ ! -d "$folder" ]; then
    for program in python3 go node npm java mvn; do
        command -v "$program" >/dev/null || {
            echo "hack/readers.sh: $program is missing: it runs one of examples/readers (Python 3.11, Go 1.26, Node with npm, JDK 17 with Maven)" >&2
            exit 1
        }
    done
    mkdir -p "$cache"
    # Whoever comes second waits here, then finds the folder made.
    exec 9>"$cache/lock"
    flock 9
fi

if [ ! -d "$folder" ]; then
    echo "building the example readers in Python, Go, Node and Java (about a minute and a half, once)" >&2
    part=$(mktemp -d "$cache/part.XXXXXX")
    trap 'rm -rf "$part"' EXIT
    mkdir "$part"/{python,go,node,java}
    # Copied, so that nothing is left behind beside the sources.
    cp -R "$examples" "$part/src"

    # Not a shim of somebody's home folder, which other users may not enter.
    python=$(python3 -c 'import sys; print(sys.executable)')
    [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
    cp "$part/src/python/ldb.py" "$part/python/ldb.py"
    printf '#!/bin/sh\nexec %s "$(dirname "$0")/ldb.py" "$@"\n' "$python" >"$part/python/ldb"

    (cd "$part/src/go" && CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -mod=readonly" go build -o "$part/go/ldb" . >&2) &
    go=$!
    (cd "$part/src/node" && npm ci --silent --no-audit --no-fund >&2)
    cp "$part"/src/node/node_modules/node-linux-*/bin/node "$part/node/node"
    cp "$part"/src/node/{ldb.js,package.json} "$part/node/"
    printf '#!/bin/sh\nexec "$(dirname "$0")/node" "$(dirname "$0")/ldb.js" "$@"\n' >"$part/node/ldb"

    (cd "$part/src/java" && mvn --quiet --batch-mode -Dstyle.color=never compile >&2)
    cp -R "$part"/src/java/target/{classes,jars} "$part/java/"
    printf '#!/bin/sh\nexec java -cp "$(dirname "$0")/classes:$(dirname "$0")/jars/*" Main "$@"\n' >"$part/java/ldb"
    wait "$go"

    rm -rf "$part/src"
    chmod -R a+rX "$part"
    chmod 755 "$part"/*/ldb
    mv -T "$part" "$folder"
    trap - EXIT
fi
echo "$folder"

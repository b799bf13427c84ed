#!/usr/bin/env bash
# Checks the arrows between crates against ARCHITECTURE.md, in what is really linked (development dependencies aside).
# A new arrow is a decision: change the tables here and the picture there in the same commit, and say why in it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Which crates of ours each crate may link, directly or through another. A crate without a line here fails.
ours() {
    case $1 in
        crds | ledger | daemon) ;;
        reader | ctldb | store) echo ledger ;;
        operator) echo crds ctldb daemon ledger store ;;
        executive) echo ctldb daemon ledger store ;;
        agent) echo crds daemon ledger reader store ;;
        # Both only in tests: e2e drives the product from outside, and links none of its processes.
        testkit) echo crds ;;
        e2e) echo crds ledger reader testkit ;;
        # Measured as it is run, on servers of the tests.
        bench) echo agent crds ctldb daemon executive ledger reader store testkit ;;
        ctlstore) echo agent crds ctldb daemon executive ledger operator reader store ;;
        *) return 1 ;;
    esac
}

# Which foreign crates must not be linked, even through another one.
forbidden() {
    local kube="kube kube-client kube-core kube-runtime k8s-openapi" sql="sqlx sqlx-core rusqlite libsqlite3-sys"
    case $1 in
        # It can fail on no I/O because it has none.
        ledger) echo "$kube $sql tokio tracing axum hyper" ;;
        # Applications link it: whatever comes with it, they get.
        reader) echo "$kube sqlx sqlx-core tokio tracing axum hyper" ;;
        crds | daemon) echo "$sql" ;;
        ctldb) echo "$kube axum hyper" ;;
        store) echo "$kube $sql axum" ;;
        # The write API works where no Kubernetes is. So does the node's agent, which only tells it how it is: that this stays
        # in agent/src/presence is checked by hack/tidy.sh.
        executive) echo "$kube" ;;
        *) ;;
    esac
}

# Which foreign crates must not be named in Cargo.toml, though another crate may bring them: ctldb alone speaks to ctldb,
# and store alone to object stores.
undeclared() {
    case $1 in
        operator | executive) echo "rusqlite sqlx aws-config aws-sdk-s3" ;;
        agent) echo "aws-config aws-sdk-s3" ;;
        ctlstore) echo "rusqlite sqlx kube aws-config aws-sdk-s3" ;;
        *) ;;
    esac
}

# All that reader may declare: an application pays for each.
reader_declares="base64 ledger libc nix rusqlite serde serde_json thiserror"

bad=0
wrong() {
    echo "deps: $*" >&2
    bad=1
}

# linked CRATE DEPTH: the names of what CRATE links, each once. The first line of `cargo tree` is the crate itself.
linked() {
    cargo tree --locked --quiet --package "$1" --edges normal --prefix none --format '{p}' --depth "$2" \
        | awk 'NR > 1 && !seen[$1]++ { print $1 }'
}

members=$(cargo tree --locked --quiet --workspace --depth 0 --prefix none --format '{p}' | awk 'NF { print $1 }')
for crate in $members; do
    allowed=$(ours "$crate") || { wrong "crate \"$crate\" has no line in hack/deps.sh, say there what it may link"; continue; }
    tree=$(linked "$crate" 999)
    for name in $tree; do
        if grep -qx "$name" <<<"$members" && [[ " $allowed " != *" $name "* ]]; then
            wrong "$crate must not link our crate $name"
        fi
        if [[ " $(forbidden "$crate") " == *" $name "* ]]; then
            wrong "$crate must not link $name; how it gets there: cargo tree -p $crate -e normal -i $name"
        fi
    done
    direct=$(linked "$crate" 1)
    for name in $(undeclared "$crate"); do
        if grep -qx "$name" <<<"$direct"; then wrong "$crate must not declare $name, go through ctldb, reader or store"; fi
    done
    if [ "$crate" = reader ]; then
        for name in $direct; do
            [[ " $reader_declares " == *" $name "* ]] || wrong "reader must not declare $name, applications would pay for it"
        done
    fi
done
exit "$bad"

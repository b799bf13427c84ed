#!/usr/bin/env bash
# The end-to-end scenarios (e2e/tests/cluster) on a real cluster.
#   hack/e2e.sh run [FILTER]   cluster, images, scenarios, and all away again
#   hack/e2e.sh up             cluster and images, to be kept; a second time: new images
#   hack/e2e.sh test [FILTER]  the scenarios on what `up` made
#   hack/e2e.sh down           all away
# CTLSTORE_E2E_PROVIDER=existing takes a cluster that is there: CTLSTORE_E2E_CONTEXT names it among the contexts of kubectl, and
# CTLSTORE_E2E_REGISTRY where images are pushed to, with docker. The scenarios stop pods and install CRDs: not for a cluster in use.
# CTLSTORE_IMAGE_PROFILE=release tries the image that ships; without it, it is made of what the tests have built (seconds).
set -euo pipefail

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$project"
# shellcheck source=hack/tools.sh
. hack/tools.sh
provider=${CTLSTORE_E2E_PROVIDER:-kind}
export CTLSTORE_IMAGE_PROFILE=${CTLSTORE_IMAGE_PROFILE:-dev}
place=${CTLSTORE_E2E_DIR:-$CTLSTORE_CACHE/kind/e2e}
artefacts=${CTLSTORE_E2E_ARTEFACTS:-$place/artefacts}

images() {
    local digest
    mkdir -p "$place"
    digest=$(hack/image.sh archive "$place/ctlstore.tar" ctlstore:e2e 2>/dev/null || hack/image.sh archive "$place/ctlstore.tar" ctlstore:e2e)
    # A tag that says what is in it, so that nodes never run another one.
    docker load --quiet --input "$place/ctlstore.tar" >/dev/null
    tag=ctlstore:$(cut -c8-19 <<<"$digest")
    docker tag ctlstore:e2e "$tag"
    docker save --output "$place/ctlstore.tar" "$tag"
    echo "ctlstore $tag $place/ctlstore.tar"
    hack/kind/images.sh
}

# Prints the images under the names that the cluster knows them by.
load() {
    local name tag file
    while read -r name tag file; do
        case $provider in
            kind) hack/kind.sh load "$file" "$tag" >&2 ;;
            existing)
                docker load --quiet --input "$file" >/dev/null
                docker tag "$tag" "${CTLSTORE_E2E_REGISTRY:?names where to push images}/$tag"
                docker push --quiet "$CTLSTORE_E2E_REGISTRY/$tag" >&2
                tag=$CTLSTORE_E2E_REGISTRY/$tag
                ;;
        esac
        echo "$name $tag"
    done
}

cluster() {
    case $provider in
        kind) hack/kind.sh up ;;
        existing)
            mkdir -p "$place"
            kubectl config view --minify --flatten --context "${CTLSTORE_E2E_CONTEXT:?names the context of a cluster for tests}" >"$place/kubeconfig"
            echo "$place/kubeconfig"
            ;;
        *) echo "e2e: CTLSTORE_E2E_PROVIDER is kind or existing" >&2; exit 1 ;;
    esac
}

up() {
    mkdir -p "$place" "$artefacts"
    local kubeconfig start=$SECONDS
    kubeconfig=$(cluster)
    echo "e2e: the cluster is up ($((SECONDS - start)) s)" >&2
    start=$SECONDS
    images >"$place/images"
    echo "e2e: the images are built ($((SECONDS - start)) s)" >&2
    start=$SECONDS
    load <"$place/images" >"$place/loaded"
    echo "e2e: the images are loaded ($((SECONDS - start)) s)" >&2
    jq -Rn --arg kubeconfig "$kubeconfig" --arg kubectl "$(hack/apiserver.sh)/kubectl" --arg helm "$(tool helm)" --arg artefacts "$artefacts" \
        '{kubeconfig: $kubeconfig, kubectl: $kubectl, helm: $helm, artefacts: $artefacts, images: ([inputs | split(" ") | {(.[0]): .[1]}] | add)}' \
        "$place/loaded" >"$place/e2e.json"
}

scenarios() {
    CTLSTORE_E2E=$place/e2e.json cargo test --locked --package e2e --test cluster -- --ignored --nocapture --test-threads 1 "$@"
}

down() { [ "$provider" != kind ] || hack/kind.sh down; }

run() {
    trap down EXIT
    up
    scenarios "$@" || {
        [ "$provider" != kind ] || hack/kind.sh logs "$artefacts/nodes" >&2
        echo "e2e: what was seen is in $artefacts" >&2
        return 1
    }
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
    run | up | down) "$verb" "$@" ;;
    test) scenarios "$@" ;;
    *) echo "usage: hack/e2e.sh run|up|test|down [FILTER]" >&2; exit 1 ;;
esac

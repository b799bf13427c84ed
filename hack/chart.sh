#!/usr/bin/env bash
# Writes the parts of the chart that are made from other files, and checks the chart.
#   hack/chart.sh write     templates/crds/crds.yaml from crds/crds.yaml, README.md from values.yaml
#   hack/chart.sh stale     are they up to date, and does the chart's version follow the workspace's? No tool needed
#   hack/chart.sh check     lint, template and server-side dry run of each shape in ci/, and values that must be refused
set -euo pipefail
shopt -s extglob

cd "$(dirname "${BASH_SOURCE[0]}")/.."
chart=charts/ctlstore

# The CRDs are kept when the release is removed: with them would go every object, and with these their tables.
crds() {
    echo "{{- /* Written by hack/chart.sh from crds/crds.yaml. Do not edit. */}}"
    echo "{{- if .Values.crds.install }}"
    awk '/^#/ { next } { print } /^metadata:$/ { print "  annotations:"; print "    helm.sh/resource-policy: keep" }' crds/crds.yaml
    echo "{{- end }}"
}

# The text of README.md up to its table, and the table: a row for each value with a comment `# --`.
readme() {
    sed '/^## Values$/q' "$chart/README.md"
    printf '\n| value | default | what |\n|---|---|---|\n'
    awk '
        /^ *# -- / { sub(/^ *# -- /, ""); what = $0; next }
        what != "" && /^ *# / { sub(/^ *# /, ""); what = what " " $0; next }
        /^ *[a-zA-Z_]+:/ {
            indent = match($0, /[^ ]/) - 1
            key = $0; sub(/^ */, "", key); value = key
            sub(/:.*/, "", key); sub(/^[^:]*: */, "", value)
            path[indent / 2] = key
            full = path[0]
            for (i = 1; i <= indent / 2; i++) full = full "." path[i]
            if (what != "") {
                gsub(/\|/, "\\|", what)
                if (value == "") value = "see values.yaml"; else value = "`" value "`"
                printf "| `%s` | %s | %s |\n", full, value, what
                what = ""
            }
        }
    ' "$chart/values.yaml"
}

write() {
    crds >"$chart/templates/crds/crds.yaml"
    readme >"$chart/README.md.new"
    mv "$chart/README.md.new" "$chart/README.md"
}

stale() {
    local version
    if ! { diff -u "$chart/templates/crds/crds.yaml" <(crds) && diff -u "$chart/README.md" <(readme); }; then
        echo 'the chart is out of date: run "hack/chart.sh write"' >&2
        return 1
    fi
    version=$(sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml)
    if [ "$(grep -cxE "version: $version|appVersion: \"$version\"" "$chart/Chart.yaml")" != 2 ]; then
        echo "$chart/Chart.yaml: version and appVersion must be $version, as the workspace's" >&2
        return 1
    fi
    metrics_exist && documented_values_exist
}

# Alerts and panels on a metric that nobody serves are silent for ever, or never silent.
metrics_exist() {
    local name missing=0
    for name in $(grep -ohE 'ctlstore_[a-z0-9_]+' "$chart"/files/{rules.yaml,dashboard.json} | sort -u); do
        # A histogram serves three series under other names.
        if ! grep -qF -e "| \`$name\` |" -e "| \`${name%_@(bucket|sum|count)}\` | histogram |" docs/metrics.md; then
            echo "chart: $name is used by an alert or a panel, and is not in docs/metrics.md" >&2
            missing=1
        fi
    done
    return "$missing"
}

# What pages call a value of the chart is one, or a group of them.
documented_values_exist() {
    local value missing=0
    for value in $(grep -ohE '`(agent|executive|operator|snapshots|snapshotter|ctldb|image|crds|rbac|log|metrics|networkPolicy|admissionPolicies|readerVolumes)\.[a-zA-Z.]+' \
        docs/*.md "$chart/templates/NOTES.txt" | tr -d '`' | sort -u); do
        case $value in *.rs | *.sock | *.md | *.yaml) continue ;; esac
        if ! grep -qE "^\| \`${value//./\\.}(\.[a-zA-Z.]+)?\` \|" "$chart/README.md"; then
            echo "chart: docs speak of $value, which is no value of the chart" >&2
            missing=1
        fi
    done
    return "$missing"
}

# refused WORDS ARG...: these values must be refused, with these words.
refused() {
    local words=$1 output
    shift
    if output=$("$helm" template x "$chart" "$@" 2>&1); then
        echo "chart: not refused: $*" >&2
        return 1
    fi
    grep -qF -- "$words" <<<"$output" || { echo "chart: refused without \"$words\": $*"$'\n'"$output" >&2; return 1; }
}

must_be_refused() {
    local secret=(--set ctldb.existingSecret=s)
    refused "give existingSecret"
    refused "additional properties" "${secret[@]}" --set operater.replicas=1
    refused "additional properties" "${secret[@]}" --set agent.readApi.enable=true
    refused "additional properties" "${secret[@]}" --set operator.tolerations[0].opperator=Exists
    refused "/executive/replicas" "${secret[@]}" --set executive.replicas=-1
    refused "/snapshots/url" "${secret[@]}" --set snapshots.url=http://bucket
    refused "/snapshots/upload" "${secret[@]}" --set snapshots.upload=sometimes
    refused "/agent/hostPath" "${secret[@]}" --set agent.hostPath=relative
    refused "/image/digest" "${secret[@]}" --set image.digest=sha256:short
    refused "/agent/pollInterval" "${secret[@]}" --set agent.pollInterval=soon
    refused "needs agent.presence.enabled" "${secret[@]}" --set snapshots.url=s3://bucket/p --set agent.presence.enabled=false
    refused "operator.pruneKeep needs snapshots.url" "${secret[@]}" --set operator.pruneKeep=720h
    refused "snapshotter needs snapshots.url" "${secret[@]}" --set snapshots.upload=snapshotter
    refused "invents none" --set ctldb.embedded.enabled=true
}

check() {
    local values work
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$work'" RETURN
    must_be_refused
    for values in "$chart"/ci/*-values.yaml; do
        echo "chart: $values" >&2
        "$helm" lint --strict --quiet "$chart" --values "$values"
        "$helm" template trial "$chart" --namespace ctlstore --values "$values" >"$work/$(basename "$values")"
    done
    # The values that docs/install.md shows.
    awk '/^# values.yaml$/ { on = 1 } /^```$/ { on = 0 } on' docs/install.md >"$work/install.yaml"
    "$helm" template trial "$chart" --namespace ctlstore --values "$work/install.yaml" >"$work/documented-values.yaml"
    rm "$work/install.yaml"
    echo "chart: server-side dry run of all but the Prometheus operator's objects" >&2
    rm "$work/monitors-values.yaml"
    hack/dry-run.sh "$work"/*.yaml
}

case ${1:-} in
    write | stale) "$1" ;;
    check)
        # shellcheck source=hack/tools.sh
        . hack/tools.sh
        helm=$(tool helm)
        check
        ;;
    *) echo "usage: hack/chart.sh write|stale|check" >&2; exit 1 ;;
esac

#!/usr/bin/env bash
# Checks the house rules that no compiler knows; CONTRIBUTING.md says why each exists.
# Prints every offence as FILE:LINE: RULE: WORDS and fails if there is one.
#
# An exception carries its rule and its reason, on the line itself or the one above:
#     // tidy: allow spawn: one task per connection, joined when the listener stops
set -euo pipefail
shopt -s inherit_errexit

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Also what is not committed yet; not what is deleted and not committed yet.
mapfile -t files < <(git ls-files --cached --others --exclude-standard | while read -r f; do [ ! -f "$f" ] || echo "$f"; done)

# Text of ours. Recorded data (testdata, snapshots of foreign text) and lock files are kept as they came.
texts=() rust=()
for f in "${files[@]}"; do
    case $f in
        */testdata/* | *.lock | *.sum | LICENSE | *.png) ;;
        *) texts+=("$f") ;;
    esac
    case $f in *.rs) rust+=("$f") ;; esac
done

# The pattern for unfinished work is written so that it does not find itself.
# shellcheck disable=SC2016 # awk's own dollars
text_rules='
    /[ \t]+$/ { print FILENAME ":" FNR ": space: white space at the end of the line" }
    /(^|[^A-Za-z_`])(TOD[O]|FIXM[E]|XX[X])([^A-Za-z_`]|$)/ && !/(TOD[O]|FIXM[E]|XX[X])\(#[0-9]+\)/ {
        print FILENAME ":" FNR ": todo: name the issue that will do it, as in TOD" "O(#12)"
    }
'

name_rules() {
    local f
    for f in "${rust[@]}"; do
        case $f in
            */mod.rs) echo "$f:1: name: write foo.rs beside foo/, not foo/mod.rs" ;;
            */utils.rs | */util.rs | */common.rs | */helpers.rs | */helper.rs | */types.rs | */misc.rs)
                echo "$f:1: name: a file bears the noun of its one idea" ;;
        esac
    done
}

# Files that are modules of tests: named by `#[cfg(test)] mod NAME;` in the file above them.
# shellcheck disable=SC2016
test_modules='
    FNR == 1 {
        cfg_test = 0
        folder = FILENAME
        if (!sub(/(lib|main)\.rs$/, "", folder)) sub(/\.rs$/, "/", folder)
    }
    cfg_test && /^(pub(\([a-z]+\))? )?mod [a-z_0-9]+;/ { name = $0; sub(/^.*mod /, "", name); sub(/;.*$/, "", name); print folder name ".rs" }
    { cfg_test = ($0 ~ /^#\[cfg\((all\()?test/) || (cfg_test && $0 ~ /^#\[/) }
'

# The rules about code hold where users run it: not in tests, and not in the crates that are tests.
# shellcheck disable=SC2016
code_rules='
    BEGIN { for (n = split(tests, list, " "); n > 0; n--) is_test[list[n]] = 1 }
    FNR == 1 {
        close_lines()
        file = FILENAME; previous = ""; in_tests = 0; cfg_test = 0
        product = !(file in is_test) && file !~ /(^|\/)(tests|benches|examples)\// && file !~ /(^|\/)(tests|build)\.rs$/ && file !~ /^(e2e|bench|testkit)\//
    }
    { lines = FNR }
    # Unit tests stand at the end of their file, in one module.
    cfg_test && /^(pub(\(crate\))? )?mod [a-z_]+ \{/ { in_tests = 1 }
    { cfg_test = ($0 ~ /^#\[cfg\((all\()?test/) || (cfg_test && $0 ~ /^#\[/) }
    product && !in_tests && $0 !~ /^[ \t]*\/\// { check() }
    { previous = $0 }
    END { close_lines() }

    function close_lines() {
        if (lines > 500) print file ":" lines ": lines: more than 500 lines, split it by idea"
        lines = 0
    }
    function check() {
        if ($0 ~ /(^|[^a-z_])kube(_client|_core|_runtime)?::/ && file !~ /^(crds|operator)\/|^daemon\/src\/lease(\.rs|\/)|^agent\/src\/presence(\.rs|\/)/)
            offend("kube", "Kubernetes is known to crds, operator, daemon::lease and agent::presence only")
        if ($0 ~ /(^|[^a-z_])sqlx::/ && file !~ /^ctldb\/|^agent\/src\/source(\.rs|\/)/)
            offend("sqlx", "MySQL is spoken by ctldb and agent::source only")
        if ($0 ~ /(^|[^a-z_])rusqlite::/ && file !~ /^(ctldb|reader)\/|^agent\/src\/(ldb|source)(\.rs|\/)/)
            offend("rusqlite", "SQLite is spoken by ctldb, reader, agent::ldb and agent::source only")
        if ($0 ~ /(^|[^a-z_])env::(var|var_os|vars|vars_os)\(/ && file !~ /(^|\/)args(\.rs|\/)/)
            offend("env", "configuration is read once, in args.rs")
        # A spawn that is given nothing starts a child process; one that is given a closure, a thread.
        if ($0 ~ /spawn(_local|_on)?\(($|[^)])/ && $0 !~ /spawn\((move )?\||thread::|fn spawn/ && file !~ /(^|\/)run(\.rs$|\/)|^daemon\/src\/(tasks|signal)\.rs$/)
            offend("spawn", "only run.rs starts tasks, through daemon::tasks")
    }
    function offend(rule, why) {
        if ($0 ~ ("// tidy: allow " rule ": .") || previous ~ ("// tidy: allow " rule ": .")) return
        print file ":" FNR ": " rule ": " why
    }
'

tests=$(awk "$test_modules" "${rust[@]}" | tr '\n' ' ')
offences=$({ awk "$text_rules" "${texts[@]}"; name_rules; awk -v tests="$tests" "$code_rules" "${rust[@]}"; } | sort -t: -k1,1 -k2,2n)
[ -z "$offences" ] || { echo "$offences" >&2; exit 1; }

#!/usr/bin/env bash
# Prints what is linked into the program, each crate with its licence, and then the text of each licence once.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
declare -A crates_of text_of
linked=$(cargo tree --locked --package ctlstore --edges normal --prefix none --format '{p}' \
    | awk '!/\(\// || /proc-macro/ { print $1, substr($2, 2) }' | sort -u)
sources=$(cargo metadata --locked --format-version 1 \
    | jq -r '.packages[] | select(.source) | [.name, .version, .license // "see its texts", .manifest_path] | @tsv' | LC_ALL=C sort)

echo "ctlstore is licensed under the Apache License 2.0, see LICENSE. It is linked with these, each under its own licence:"
echo
while IFS=$'\t' read -r name version license manifest; do
    grep -qxF "$name $version" <<<"$linked" || continue
    echo "$name $version: $license"
    for file in "${manifest%/*}"/{LICEN[CS]E,COPYING,COPYRIGHT,NOTICE,UNLICENSE,license}*; do
        [ -f "$file" ] || continue
        digest=$(sha256sum "$file" | cut -d' ' -f1)
        text_of[$digest]=$file
        crates_of[$digest]+=" $name-$version"
    done
done <<<"$sources"
echo "Rust's standard library: MIT OR Apache-2.0"
echo "GNU C Library, linked statically: LGPL-2.1-or-later; hack/image.sh links the program anew with another one"

for digest in $(printf '%s\n' "${!text_of[@]}" | LC_ALL=C sort); do
    printf '\n================\nOf%s:\n\n' "${crates_of[$digest]}"
    cat "${text_of[$digest]}"
done
lgpl=/usr/share/common-licenses/LGPL-2.1
[ ! -f "$lgpl" ] || { printf '\n================\nOf the GNU C Library:\n\n'; cat "$lgpl"; }

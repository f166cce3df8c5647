#!/usr/bin/env bash
# Instructions of one lookup, by callgrind (Debian package `valgrind`): two runs that differ by 100,000
# lookups, so that building the list counts for nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
tool() { cargo bench --quiet --bench tool --no-run --message-format=json | sed -n '/"name":"tool"/s/.*"executable":"\([^"]*\)".*/\1/p'; }
tool="$(tool)"
count() { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tool" lookups "$1" "$2" 2>&1 | sed -n 's/.*Collected : //p'; }
for kind in hit miss second; do
    few="$(count "$kind" 1)"
    many="$(count "$kind" 100001)"
    echo "$kind: $(((many - few) / 100000)) instructions"
done

#!/usr/bin/env bash
# Instructions of one lookup, and of one whole query, by callgrind (Debian package `valgrind`): two runs that differ by 100,000
# lookups, so that building the list counts for nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
tool() { cargo bench --quiet --bench tool --no-run --message-format=json | sed -n '/"name":"tool"/s/.*"executable":"\([^"]*\)".*/\1/p'; }
tool="$(tool)"
count() { valgrind --tool=callgrind --callgrind-out-file=/dev/null "$tool" "$1" "$2" "$3" 2>&1 | sed -n 's/.*Collected : //p'; }
for what in "lookups hit" "lookups miss" "lookups second" "resolve blocked" "resolve refused" \
    "resolve cached" "resolve inspected"; do
    read -r what kind <<<"$what"
    few="$(count "$what" "$kind" 1)"
    many="$(count "$what" "$kind" 100001)"
    echo "$what $kind: $(((many - few) / 100000)) instructions"
done

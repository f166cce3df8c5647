#!/usr/bin/env bash
# Time, size and peak memory from text to serving: the seeded list of 1,000,000 names, and every list
# named as an argument. Each in a process of its own, so that its peak is its own.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
tool="$(cd "$here" && cargo bench --quiet --bench tool --no-run --message-format=json | sed -n '/"name":"tool"/s/.*"executable":"\([^"]*\)".*/\1/p')"
names="$(mktemp)"
trap 'rm -f "$names"' EXIT
"$tool" names 1000000 >"$names"
for list in "$names" "$@"; do
    "$tool" load "$list"
done

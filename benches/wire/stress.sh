#!/usr/bin/env bash
# Portcullis under stress: four trials of a bounded time, twice over on one process, so that memory which
# only grows is seen. Prints a line with figures for each thing that must hold, and fails if one does not.
#
#   --quick            a third of the time
#   --port N           the first of three ports used, default 25300
#   --portcullis FILE  another build of the server
#   --wire FILE        another build of the load tool
set -euo pipefail
source "$(dirname "$0")/common.sh"

first_port=25300 portcullis='' wire='' part=1
while (($#)); do
    case "$1" in
    --quick) part=3 ;;
    --port) first_port="$2" && shift ;;
    --portcullis) portcullis="$(realpath "$2")" && shift ;;
    --wire) wire="$(realpath "$2")" && shift ;;
    *) die "what is $1? $(sed -n '/^#   --/s/^# //p' "$0")" ;;
    esac
    shift
done
port=$((first_port + 1)) upstream_port=$((first_port + 2)) threads=1
need_free "$port" "$upstream_port"
source "$here/benches/wire/own.sh"
build
mkdir -p "$lists"
"$wire" list "$lists"

# Longer than the whole script takes, so that only what was pushed out of the cache is asked for again.
ttl=7200
failed=0 most=0

# One figure of a line of JSON.
of() { sed 's/.*"'"$2"'":\([^,}]*\).*/\1/' <<<"$1"; }
holds() { # EXPRESSION TEXT
    if awk "BEGIN { exit !($1) }"; then echo "PASS  $2"; else echo "FAIL  $2  ($1)" && failed=1; fi
}
upstream() { # OPTION…
    [[ -z ${upstream:-} ]] || stop "$upstream"
    on 1 "$wire" upstream --listen "127.0.0.1:$upstream_port" --ttl "$ttl" "$@"
    upstream="$pid"
}
load() { # SECONDS OPTION…
    local seconds="$1"
    shift
    timeout 120 taskset -c 1 "$wire" load --json --server "127.0.0.1:$port" --pid "$server" --cores 0 --idle yield --ttl "$ttl" \
        --seconds "$seconds" --timeout 2000 --allowed 20000 "$@"
}
# No answer wrong, and none missing but for what found a full socket buffer.
all_right() { # TRIAL JSON
    local wrong lost dropped
    wrong="$(of "$2" wrong)" lost="$(of "$2" lost)" dropped="$(of "$2" dropped)"
    holds "$wrong == 0 && $lost <= $dropped" \
        "$1: $(of "$2" right) right, $wrong wrong, $lost lost, $dropped dropped by the socket; $(figures "$2")"
}
figures() { # JSON
    printf '%.0f queries/s, p50 %.0f µs, p99 %.0f µs, server on %.2f of its processor' "$(of "$1" queries_per_second)" \
        "$(of "$1" p50_us)" "$(of "$1" p99_us)" "$(of "$1" cpu_share)"
    [[ $(of "$1" disturbed) == false ]] || printf ', with others on it'
}
# One run against another, unless something else on the machine has disturbed one of them.
compare() { # JSON JSON EXPRESSION TEXT
    if [[ $(of "$1" disturbed)$(of "$2" disturbed) == falsefalse ]]; then
        holds "$3" "$4"
    else
        echo "?     $4: not to be told, the machine was busy with something else"
    fi
}

# In the second turn no more than the most of the first.
memory() { # TRIAL
    local now
    now="$(awk '/VmRSS/ { print int($2 / 1000) }' "/proc/$server/status")"
    if ((turn == 1)); then
        most=$((now > most ? now : most))
        echo "      $1: $now MB afterwards"
    else
        holds "$now <= $most * 1.1 + 2" "$1: $now MB afterwards, at most $most MB in the first turn"
    fi
}

upstream
configure_portcullis
cat >>"$folder/portcullis.toml" <<END
[cache]
size = "16MiB"
END
since="$EPOCHREALTIME"
on 0 "${command[@]}"
server="$pid"
"$wire" first --server "127.0.0.1:$port" --name "$(tail -1 "$lists/domains.txt")" --since "$since" >"$folder/first"

# Blocked and cached names as fast as it goes, beside new names at a rate that the upstream could bear;
# these begin first and end last. The figures are `known` and `new`.
both() { # SECONDS
    load $(($1 + 6)) --work forwarded --any-code --rate 5000 --sockets 16 --window 2000 --lead 0 --timeout 6000 \
        >"$folder/new" &
    local loading="$!"
    known="$(load "$1" --work mixed)"
    wait "$loading"
    new="$(<"$folder/new")"
}

upstream_dies() {
    local known new before
    both $((6 / part))
    before="$known"
    echo "      upstream alive: $(figures "$before")"
    echo "      new names beside them: $(figures "$new")"
    upstream --manner silent
    both $((30 / part))
    upstream
    all_right "upstream dead" "$known"
    compare "$known" "$before" "$(of "$known" queries_per_second) >= 0.9 * $(of "$before" queries_per_second)" \
        "upstream dead: as many blocked and cached answers as with it alive"
    compare "$known" "$before" "$(of "$known" p99_us) <= 2 * $(of "$before" p99_us)" "upstream dead: they come as soon"
    echo "      new names beside them: $(of "$new" right) answered, $(of "$new" lost) not within 6 s"
}

flood() {
    local steady=(--work cached --rate 2000 --sockets 4 --window 64) before during
    before="$(load $((6 / part)) "${steady[@]}")"
    # It begins first and ends last.
    load $((26 / part)) --work forwarded --suffixes example.org --any-code --window 32 --lead 0 >"$folder/flood" &
    during="$(load $((20 / part)) "${steady[@]}" --cold)"
    wait $!
    echo "      before the flood: $(figures "$before")"
    echo "      the flood: $(figures "$(<"$folder/flood")")"
    all_right "flood of random names" "$during"
    holds "$(of "$during" hits) >= 0.99" "flood of random names: $(of "$during" hits) of the steady answers from the cache"
    holds "$(of "$during" p99_us) <= 20000" "flood of random names: the steady answers in time"
}

broken() {
    local during
    during="$(load $((10 / part)) --work mixed --broken 5)"
    all_right "5 % broken packets" "$during"
    echo "      $(of "$during" broken) broken packets, $(of "$during" broken_replies) of them answered"
}

reload() {
    local before before_last during loading done
    reloads() { grep -c reloaded "$folder/log.$server" || true; }
    before="$(reloads)"
    load $((10 / part)) --work mixed >"$folder/reload" &
    loading="$!"
    while kill -0 "$loading" 2>/dev/null; do
        kill -HUP "$server"
        sleep 1
    done
    wait "$loading"
    # What the last signal has set going must not be taken for memory that stays.
    until before_last="$(reloads)" && sleep 2 && [[ "$(reloads)" == "$before_last" ]]; do :; done
    during="$(<"$folder/reload")"
    done="$(($(reloads) - before))"
    all_right "reload every second" "$during"
    # The lists take most of a second of the processor, which the load has too: now and then a signal comes
    # while the one before is still being worked on, and one reload does for both.
    holds "$done >= 8 / $part" "reload every second: $done reloads were done"
}

for turn in 1 2; do
    echo "-- turn $turn --"
    for trial in upstream_dies flood broken reload; do
        "$trial"
        memory "$trial"
    done
done
kill -0 "$server" || failed=1
exit "$failed"

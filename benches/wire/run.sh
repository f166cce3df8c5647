#!/usr/bin/env bash
# Queries a second, processor time, latency, memory and start of Portcullis and of every other server on
# this machine, for one list of 1,000,000 names, against the ceiling: a bare loop that echoes packets.
# Installs nothing, speaks only over loopback, ends what it started. Prints Markdown.
#
#   --quick              one round of one second, blocked and cached only, Portcullis and the echo
#   --rounds N           default 3
#   --seconds N          of each measurement, default 3
#   --servers A,B        default: portcullis, portcullis-compiled and whichever peers are installed
#   --work A,B           default: blocked,cached,mixed,forwarded
#   --parts A,B          default: one,two,light (one core; two threads on two cores; one query at a time)
#   --port N             the first of ten ports used, default 25300
#   --json FILE          keeps the figures of every run
#   --portcullis FILE    another build of the server
#   --wire FILE          another build of the load tool
set -euo pipefail
source "$(dirname "$0")/common.sh"

rounds=3 seconds=3 servers='' parts=one,two,light first_port=25300 json="$folder/json" portcullis='' wire=''
work=blocked,cached,mixed,forwarded
while (($#)); do
    case "$1" in
    --quick) rounds=1 seconds=1 servers=portcullis work=blocked,cached parts=one ;;
    --rounds) rounds="$2" && shift ;;
    --seconds) seconds="$2" && shift ;;
    --servers) servers="$2" && shift ;;
    --work) work="$2" && shift ;;
    --parts) parts="$2" && shift ;;
    --port) first_port="$2" && shift ;;
    --json) json="$2" && shift ;;
    --portcullis) portcullis="$(realpath "$2")" && shift ;;
    --wire) wire="$(realpath "$2")" && shift ;;
    *) die "what is $1? $(sed -n '/^#   --/s/^# //p' "$0")" ;;
    esac
    shift
done
[[ $(nproc) -ge 2 ]] || die "this needs two processors"
port=$((first_port + 1)) upstream_port=$((first_port + 2)) echo_port=$((first_port + 3))
threads=1
need_free $(seq "$first_port" $((first_port + 9)))
source "$here/benches/wire/peers.sh"
source "$here/benches/wire/own.sh"

say() { echo "$(date +%T) $*" >&2; }
build
mkdir -p "$lists"
"$wire" list "$lists"
blocked_name="$(tail -1 "$lists/domains.txt")"
"$portcullis" compile "$lists/domains.txt" -o "$lists/domains.idx" >"$folder/log"
: >"$json"

# Starts a server and waits for its first right answer, which is noted.
serve() { # PROCESSORS SERVER
    "configure_$2" || return 1
    local since="$EPOCHREALTIME"
    on "$1" "${command[@]}"
    taskset -c "$load_on" "$wire" first --server "127.0.0.1:$port" --name "$blocked_name" --since "$since" \
        --pid "$pid" --label "$2" >>"$json" || { stop "$pid" && tail -5 "$folder/log.$pid" >&2 && return 1; }
}

load() { # PORT OPTION…
    local to="$1"
    shift
    timeout 180 taskset -c "$load_on" "$wire" load --json --server "127.0.0.1:$to" --seconds "$seconds" "$@"
}

# The size of Portcullis' replies, so that the echo's are of the same.
declare -A size
measure_sizes() {
    local kind
    on 1 "$wire" upstream --listen "127.0.0.1:$upstream_port"
    local upstream="$pid"
    configure_portcullis-compiled
    on 0 "${command[@]}"
    local server="$pid"
    "$wire" first --server "127.0.0.1:$port" --name "$blocked_name" --since 0 >/dev/null
    for kind in ${work//,/ }; do
        size[$kind]="$(timeout 60 "$wire" load --json --server "127.0.0.1:$port" --work "$kind" --queries 5000 --lead 0 --idle yield |
            sed 's/.*"reply_octets":\([0-9]*\).*/\1/')"
    done
    stop "$server" "$upstream"
}

# One server just after the echo; again if somebody else was on one of the processors meanwhile.
beside() { # PORT:PID-OF-ECHO PID-OF-SERVER OPTION…
    local echo="$1" server_pid="$2" try
    shift 2
    for try in 1 2 3 4; do
        if ! { load "${echo%:*}" --echo --pid "${echo#*:}" "$@" && load "$port" --pid "$server_pid" "$@"; } >"$folder/pair"; then
            say "no figures: $*"
            return
        fi
        grep -q '"disturbed":true' "$folder/pair" || break
        say "disturbed, try $try of 4"
        sleep "$((try * 2))"
    done
    cat "$folder/pair" >>"$json"
}

# Every kind of work on every server in turn, each just after the echo, so that a machine that gets slower
# or faster meanwhile does so for both.
throughput() { # PROCESSORS-OF-SERVER SECTION OPTION…
    local server_on="$1" section="$2" round server kind options
    shift 2
    declare -A echo_at
    local next="$echo_port"
    for kind in ${work//,/ }; do
        on "$server_on" "$wire" echo --listen "127.0.0.1:$next" --reply-size "${size[$kind]}" --threads "$threads"
        echo_at[$kind]="$next:$pid" next=$((next + 1))
    done
    on "$load_on" "$wire" upstream --listen "127.0.0.1:$upstream_port"
    local upstream="$pid" running
    for ((round = 1; round <= rounds; round++)); do
        for server in ${servers//,/ }; do
            say "$section, round $round: $server"
            [[ $threads == 1 || " ${single_threaded[*]} " != *" $server "* ]] || continue
            serve "$server_on" "$server" || { say "$server is left out" && continue; }
            running="$pid"
            for kind in ${work//,/ }; do
                options=(--work "$kind" --label "$server" --section "$kind, $section" "$@")
                # The upstream shares the generator's processor; where all share all, it is in the figures.
                [[ $kind == forwarded ]] && options+=(--idle yield)
                [[ $kind == forwarded && $threads -gt 1 ]] || options+=(--cores "$server_on")
                beside "${echo_at[$kind]}" "$running" "${options[@]}"
            done
            stop "$running"
        done
    done
    stop "$upstream" "${echo_at[@]#*:}"
}

# One query at a time, of a new name: through a server to the upstream, and to the upstream itself. Both
# stand on one processor, so that waking the other across processors, which can take longer than all the
# rest, happens once either way.
latency() {
    local section="one query at a time, forwarded" round server running
    on 0 "$wire" upstream --listen "127.0.0.1:$upstream_port"
    local upstream="$pid"
    local options=(--work forwarded --sockets 1 --window 1 --section "$section")
    for ((round = 1; round <= rounds; round++)); do
        load "$upstream_port" "${options[@]}" --label "upstream, directly" >>"$json"
        for server in ${servers//,/ }; do
            say "$section, round $round: $server"
            serve 0 "$server" || { say "$server is left out" && continue; }
            running="$pid"
            load "$port" "${options[@]}" --label "$server" >>"$json"
            stop "$running"
        done
    done
    stop "$upstream"
}

if [[ -z $servers ]]; then
    servers=portcullis,portcullis-compiled
    for peer in "${peers[@]}"; do
        configure_"$peer" && servers+=",$peer"
    done
fi
load_on=1
measure_sizes
for part in ${parts//,/ }; do
    case "$part" in
    one) throughput 0 "one core" ;;
    two)
        threads=2 load_on=0,1
        throughput 0,1 "two threads" --threads 2 --sockets 16 --window 8 --idle sleep
        threads=1 load_on=1
        ;;
    light) latency ;;
    *) die "what part is $part?" ;;
    esac
done
"$wire" table "$json"
! grep -q '"wrong":[1-9]' "$json" || die "not every answer was right"

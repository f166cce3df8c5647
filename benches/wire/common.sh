# What run.sh and stress.sh share: the build, a folder that goes away, processes that end with the script.
# shellcheck shell=bash disable=SC2034

die() { echo "$*" >&2; exit 2; }

here="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
folder="$(mktemp -d)"
lists="$folder/lists"
started=()

# Ends what this script started, and nothing else.
stop() { # PID…
    local pid turn
    for pid in "$@"; do
        kill "$pid" 2>/dev/null || continue
        for ((turn = 0; turn < 50; turn++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
finish() {
    stop "${started[@]}"
    rm -rf "$folder"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Runs a command on the processors given, in the background, to end at the latest with this script;
# its process is `pid`.
on() { # PROCESSORS COMMAND…
    local processors="$1"
    shift
    local leash=()
    command -v setpriv >/dev/null && leash=(setpriv --pdeathsig KILL)
    (exec "${leash[@]}" taskset -c "$processors" "$@" >"$folder/log.$BASHPID" 2>&1) &
    pid=$!
    started+=("$pid")
}

# Other runs of this script bind with SO_REUSEPORT too, and would take some of the queries.
need_free() { # PORT…
    local one
    for one in "$@"; do
        ! grep -qi ":$(printf %04X "$one") [0-9A-F]*:0000 " /proc/net/udp || die "port $one is in use: give another --port"
    done
}

# Builds what was not given.
build() {
    local built
    [[ -x $wire && -x $portcullis ]] && return
    built="$(cd "$here" && cargo bench --quiet --bench wire --no-run --message-format=json)"
    program() { sed -n '/"name":"'"$1"'"/s/.*"executable":"\([^"]*\)".*/\1/p' <<<"$built" | tail -1; }
    [[ $wire ]] || wire="$(program wire)"
    [[ $portcullis ]] || portcullis="$(program portcullis)"
    [[ -x $wire && -x $portcullis ]] || die "the build gave no programs"
}

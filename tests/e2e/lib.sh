# SPDX-License-Identifier: AGPL-3.0-or-later
# shellcheck shell=bash
#
# tests/e2e/lib.sh: for the tests in this folder. A test is an executable bash script NAME.test that begins with
#     . "$(dirname "$0")/lib.sh"
# and runs in the repository's top folder with B (the build) and T (an empty folder of its own) set. It exits 0 when all
# held, by `skip REASON` when it cannot be tried here, else it failed. What it starts here ends with it.
# Limits are seconds, generous: they end a hang, they measure nothing. Waiting is always for a condition.

set -u
: "${B:=build/gcc}" "${T:=$(mktemp -d)}"
LIMIT=${LIMIT:-20}
started=()

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

skip() {
    echo "skip: $*"
    exit 77
}

need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip "$tool is not installed"
    done
}

# The test touches namespaces, BPF or low ports. tests/e2e/run.sh counts those who say so: required and ran.
need_root() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# wait_for LIMIT CONDITION...: until the command succeeds; false after LIMIT seconds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# free_port [UDP port count]: the first of so many adjacent ports of 127.0.0.1 that nobody uses, by UDP or TCP.
# Each test asks below the kernel's own range for outgoing ports, in its lane's (6000 from PORTS_FROM on), at a place
# that depends on its process. Where all are taken it looks again until some are free.
free_port() {
    local count=${1:-1} from=${PORTS_FROM:-20000} end=$((SECONDS + 60)) first port tries
    local -A used
    while [ $SECONDS -lt $end ]; do
        used=()
        while read -r port; do
            used[$port]=1
        done < <(ss -Hlnut | awk '{ sub(/.*:/, "", $5); print $5 }')
        first=$((from + ($$ * 37 + RANDOM) % 6000))
        for ((tries = 6000 / count; tries >= 0; tries--, first = from + (first + count - from) % 6000)); do
            for ((port = first; port < first + count; port++)); do
                [ -z "${used[$port]-}" ] || continue 2
            done
            echo "$first"
            return
        done
        sleep 0.2
    done
    fail "no $count adjacent ports are free"
}

# start NAME COMMAND...: in the background, output in $T/NAME.log; its process id in the variable `last`.
start() {
    local name=$1
    shift
    # Emptied here and now: what an earlier one of that name said must not be taken for this one's.
    : >"$T/$name.log"
    "$@" >"$T/$name.log" 2>&1 &
    last=$!
    started+=("$last")
}

# Alive and not a zombie that waits for us.
is_alive() {
    [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [!ZX]* ]]
}

is_gone() {
    ! is_alive "$1"
}

says() {
    grep -q -- "$2" "$T/$1.log"
}

ready_or_gone() {
    says "$1" ready || is_gone "$2"
}

# start_refereed CONFIG [OPTION...]: the daemon, its log in $T/refereed.log, id in `refereed`; returns when it is ready.
start_refereed() {
    local config=$1
    shift
    start refereed "$B/refereed" -c "$config" "$@"
    refereed=$last
    wait_for "$LIMIT" ready_or_gone refereed "$refereed"
    if ! says refereed ready; then
        cat "$T/refereed.log" >&2
        fail "refereed did not become ready"
    fi
}

# write_config FILE PORT [KEY=VALUE...]: a configuration for users 1001 to 1003 (password secret1001 ...), all of them
# listening on 127.0.0.1:PORT, media ports above it, the admin socket in $T; a KEY (limits.calls) replaces its default.
write_config() {
    local file=$1 port=$2 key section media
    media=$((port / 2 * 2 + 10))
    declare -A value=(
        [sip.listen]="[127.0.0.1:$port]" [auth.algorithms]="[md5]" [media.quarantine]="0s" [log.level]=debug
        [media.ports]="$media-$((media + 79))" [admin.socket]="\"$T/admin\""
        [limits.calls]=50 [limits.transactions]=1k [limits.registrations]=64 [limits.trace_lines]=1024
        [store.records]=256 [drain.timeout]=1s
        [users]="[{name: '1001', password: secret1001}, {name: '1002', password: secret1002},
            {name: '1003', password: secret1003}]"
    )
    shift 2
    for key in "$@"; do
        value[${key%%=*}]=${key#*=}
    done
    {
        echo "version: 1"
        for section in $(printf '%s\n' "${!value[@]}" | sed 's/\..*//' | sort -u); do
            echo "$section:${value[$section]+ ${value[$section]}}"
            for key in "${!value[@]}"; do
                [[ $key != "$section".* ]] || echo "  ${key#*.}: ${value[$key]}"
            done
        done
    } >"$file"
}

# ctl ORDER...: what the daemon of this test answers to it. metric NAME: one counter. held WHAT: how many it holds now.
ctl() {
    "$B/refereectl" -s "$T/admin" "$@"
}

metric() {
    ctl metrics | awk -v name="$1" '$1 == name { print $2 }'
}

held() {
    ctl leftover | awk -v name="$1" '$1 == name { print $2 }'
}

holds() {
    [ "$(held "$1")" = "$2" ]
}

counted() {
    [ "$(metric "$1")" = "$2" ]
}

# Nothing of a call is left. Transactions end by timers of up to 64 * T1: a test that waits for them sets sip.t1.
calls_are_gone() {
    ctl leftover | awk '/^(calls|legs|transfers|ports) / && $2 { left = 1 } END { exit left }'
}

# stop ID: SIGTERM, SIGKILL if that does not help; returns the exit status. A sanitizer's finding shows there.
stop() {
    kill -TERM "$1" 2>/dev/null
    if ! wait_for "$LIMIT" is_gone "$1"; then
        kill -KILL "$1" 2>/dev/null
        echo "process $1 had to be killed" >&2
    fi
    wait "$1"
}

# Whatever is still running when the test ends; latest first.
stop_all() {
    local status=$? i
    trap - EXIT
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        is_alive "${started[i]}" && stop "${started[i]}" >/dev/null 2>&1
    done
    exit "$status"
}
trap stop_all EXIT
trap 'exit 143' TERM INT

# run_sipp NAME ARGUMENT...: SIPp to its end, in the foreground; messages and errors in $T/NAME-*.log. start_sipp: the
# same in the background, to be waited for with `wait $last`. SIPp exits 0 if every call went as the scenario says.
run_sipp() {
    need sipp
    sipp_here "$@" >"$T/$1.log" 2>&1 </dev/null
}

start_sipp() {
    need sipp
    local name=$1
    start "$name" sipp_here "$@" </dev/null
}

sipp_here() {
    local name=$1
    shift
    exec_in_subshell sipp "$@" -i "${SIPP_IP:-127.0.0.1}" -nostdin -timeout "${LIMIT}s" -timeout_error \
        -trace_msg -message_file "$T/$name-messages.log" -trace_err -error_file "$T/$name-errors.log"
}

# SIPp that was started listens on this port.
is_bound() {
    [ -n "$(ss -Hlnu "sport = :$1")" ]
}

# sipp_register NAME PORT USER DAEMON: USER's contact is 127.0.0.1:PORT now. sipp_call NAME PORT USER CALLED DAEMON
# [ARGUMENT...]: the caller's arguments, for run_sipp or start_sipp; sipp_answer NAME PORT: those of who is called.
sipp_register() {
    run_sipp "$1" "127.0.0.1:$4" -sf tests/e2e/sipp/register.xml -p "$2" -s "$3" -au "$3" -ap "secret$3" -m 1
}

sipp_call() {
    local name=$1 port=$2 user=$3 called=$4 daemon=$5
    shift 5
    echo "$name" "127.0.0.1:$daemon" -sf tests/e2e/sipp/caller.xml -p "$port" -key me "$user" -s "$called" \
        -au "$user" -ap "secret$user" -auth_uri "$called@127.0.0.1:$daemon" -m 1 "$@"
}

sipp_answer() {
    echo "$1" -sf tests/e2e/sipp/callee.xml -p "$2" -m 1
}

# A function started in the background is a shell of its own: replace it, so that signals reach the program.
exec_in_subshell() {
    if [ "$BASHPID" -ne $$ ]; then
        exec "$@"
    fi
    "$@"
}

# walk_flows FLOW...: each by the demo's phones, two at a time; returns when all have held. A sanitizer's daemon passes
# on what it had received before a splice somewhat later, which is one window: of the nine that --quick has, too many.
walk_flows() {
    [ -x "$B/referee-demo" ] || skip "referee-demo is not built (oRTP is missing)"
    [ -x "$B/refereed" ] || skip "refereed is not built"
    local flow ids quick=--quick
    [[ $B != *san* ]] || quick=
    while [ $# -gt 0 ]; do
        ids=()
        for flow in "${@:1:2}"; do
            start "$flow" "$B/referee-demo" $quick --flow "$flow" --daemon "$B/refereed"
            ids+=("$last")
        done
        for flow in "${ids[@]}"; do
            wait "$flow" || fail "the $1 flow"
            shift
        done
    done
}

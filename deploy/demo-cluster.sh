#!/bin/bash
# SPDX-License-Identifier: AGPL-3.0-or-later
# deploy/demo-cluster.sh [--flow FLOW] [--quick] [--verbose] [--keep] [--run FILE]: three nodes of Referee and a Redis
# Cluster (three masters, three replicas) on this machine, an address that all nodes have, and three phones that walk a
# transfer through them; the node that carries it out is killed in the midst. B: the folder with the programs. Exit
# status 0: the flow was completed as expected line by line, A and C heard each other, and nothing is left over.
# --run: instead of the phones, what the function `walk` of that file does, with all that is here. EXTRA, which it may
# set, is the rest of the nodes' configuration.
#
#   10.77.0.1, .2, .3   node 1 to 3, a network namespace each, with a Redis master (7001) and a replica (7002)
#   10.77.0.100         where phones send to: on lo of every node. A route leads to one that lives, as a router's would
#                       that is told by BFD or by a health check
#   10.77.0.254         the phones
#
# All of it is in namespaces of its own (network, processes, mounts; of users too, without root): they end with this
# script however that ends, and with them everything that was started.
set -u
cd "$(dirname "$0")/.." || exit 2
: "${B:=build/gcc}"
export B
VIP=10.77.0.100
PHONES=10.77.0.254
LIMIT=30
EXTRA="
users:
  - { name: a, password: alpha-secret }
  - { name: b, password: bravo-secret }
  - { name: c, password: charlie-secret }"

die() {
    echo "demo-cluster: $*" >&2
    exit 1
}

# ---- outside: the namespaces, and the folder, which goes in any case

outside() {
    local tool user=()
    for tool in unshare ip redis-server redis-cli; do
        command -v "$tool" >/dev/null || die "$tool is missing: make deps installs it"
    done
    for tool in referee-demo refereed refereectl; do
        [ -x "$B/$tool" ] || die "$B/$tool is not built"
    done
    [ "$(id -u)" -eq 0 ] || user=(--user --map-root-user)
    unshare "${user[@]}" --net --mount true 2>/dev/null ||
        die "network namespaces are needed: run this as root, or allow them to users (sysctl user.max_net_namespaces," \
            "kernel.unprivileged_userns_clone)"
    T=$(mktemp -d "${TMPDIR:-/tmp}/referee-cluster.XXXXXX") || die "no folder in ${TMPDIR:-/tmp}"
    export T
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # In the background, and waited for, so that a signal to this shell alone is not put off until the end.
    INSIDE=1 unshare "${user[@]}" --net --mount --pid --fork --kill-child --mount-proc "$0" "$@" &
    child=$!
    wait "$child"
}

# The first process inside is killed with unshare, and all the others with that one.
cleanup() {
    local status=$? keep=
    trap - EXIT
    trap '' INT TERM
    [ -z "${child-}" ] || { kill -KILL "$child" 2>/dev/null && wait "$child" 2>/dev/null; }
    [ -e "$T/keep" ] && keep=1
    if [ -n "$keep" ]; then
        echo "kept: $T"
    else
        rm -rf "$T"
    fi
    exit "$status"
}

# ---- inside

# until_true WHAT COMMAND...
until_true() {
    local what=$1 end=$((SECONDS + LIMIT))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            tail -n 5 "$T"/*.log >&2
            die "$what: not within $LIMIT s"
        fi
        sleep 0.05
    done
}

in_node() {
    local node=$1
    shift
    nsenter --net="/run/netns/node$node" "$@"
}

# start_in_node LOG NODE COMMAND...: its process id is $! then, and not that of a shell around it.
start_in_node() {
    local log=$1 node=$2
    shift 2
    exec nsenter --net="/run/netns/node$node" "$@" >"$T/$log.log" 2>&1 </dev/null
}

# Nodes and phones on one wire.
make_network() {
    local node
    mount -t tmpfs tmpfs /run && mkdir /run/netns || die "no /run of our own"
    ip link set lo up
    ip link add name wire type bridge || die "no bridge"
    ip address add $PHONES/24 dev wire
    ip link set wire up
    for node in 1 2 3; do
        ip netns add node$node && ip link add name port$node type veth peer name eth0 netns node$node ||
            die "no namespace for node $node"
        ip link set port$node master wire up
        ip -n node$node link set lo up
        ip -n node$node address add 10.77.0.$node/24 dev eth0
        ip -n node$node address add $VIP/32 dev lo
        ip -n node$node link set eth0 up
        # Who asks on the wire who has the common address is told nothing: it is reached by route.
        in_node $node sh -c 'cd /proc/sys/net/ipv4/conf/all && echo 1 >arp_ignore && echo 2 >arp_announce'
    done
}

start_redis() {
    local node port servers=()
    for port in 7001 7002; do
        for node in 1 2 3; do
            mkdir "$T/redis$node-$port"
            start_in_node redis$node-$port $node redis-server \
                --bind 10.77.0.$node --port $port --dir "$T/redis$node-$port" --save '' \
                --cluster-enabled yes --cluster-node-timeout 2000 --protected-mode no --maxmemory-policy noeviction \
                --repl-diskless-sync-delay 0 &
            servers+=("10.77.0.$node:$port")
        done
    done
    for port in "${servers[@]}"; do
        until_true "Redis at $port" redis-cli -h "${port%:*}" -p "${port#*:}" ping
    done
    redis-cli --cluster create "${servers[@]}" --cluster-replicas 1 --cluster-yes >"$T/redis-create.log" 2>&1 ||
        die "no Redis Cluster: $(tail -n 1 "$T/redis-create.log")"
    for node in 1 2 3; do
        until_true "the Redis Cluster" redis_is_whole $node
    done
}

redis_is_whole() {
    redis-cli -h 10.77.0.$1 -p 7001 cluster info | grep -q 'cluster_state:ok'
}

media_address() {
    echo "10.77.0.$1"
}

write_config() {
    local node=$1
    cat <<END
version: 1
node: { name: node$node }
sip:
  listen: ['$VIP:5060']
  realm: referee-demo
  t1: 200ms
  t4: 500ms
auth: { required: true, secret: one-secret-for-all-three }
media: { address: $(media_address $node), ports: 30000-30999, quarantine: 500ms, fastpath: ${FASTPATH:-off} }
# Who waits for an answer while its node is dead asks again 4 s after the last time.
transfer: { transferor_bye_wait: 10s }
drain: { timeout: ${DRAIN:-1s} }
cluster: { node: $node, listen: '10.77.0.$node:7060'${VIPS:+, media_vips: [$VIPS]} }
store:
  kind: redis
  cluster: true
  servers: [10.77.0.1:7001, 10.77.0.2:7001, 10.77.0.3:7001]
admin: { socket: $T/node$node.sock }
log: { level: ${LOG_LEVEL:-info} }
$EXTRA
END
}

start_node() {
    start_in_node node$1 $1 "$B/refereed" -c "$T/node$1.yaml" &
    disown $!
    echo $! >"$T/node$1.pid"
}

# Alive and not a zombie.
lives() {
    [[ $(sed 's/.*) //' "/proc/$(<"$T/node$1.pid")/stat" 2>/dev/null) == [!ZX]* ]]
}

ctl() {
    local node=$1
    shift
    "$B/refereectl" -s "$T/node$node.sock" "$@"
}

start_nodes() {
    local node
    {
        echo "phones $PHONES"
        echo "registrar $VIP:5060"
        echo "media 30000 30999"
    } >"$T/cluster"
    for node in 1 2 3; do
        write_config $node >"$T/node$node.yaml"
        start_node $node
        echo "node $node $(<"$T/node$node.pid") $T/node$node.sock" >>"$T/cluster"
    done
    for node in 1 2 3; do
        until_true "node $node" grep -q ready "$T/node$node.log"
    done
    until_true "three nodes with all buckets" all_owned
}

# Each of them knows all three, and their buckets are all there are.
all_owned() {
    local node
    for node in 1 2 3; do
        ctl $node nodes |
            awk -F 'buckets ' '/^node/ { sum += $2; n++; least = n == 1 || $2 + 0 < least ? $2 + 0 : least }
                               END { exit !(n == 3 && sum == 4096 && least > 0) }' || return 1
    done
}

# The route to the common address: by node 1, or the next one that lives.
steer() {
    local node now=
    while :; do
        for node in 1 2 3; do
            if lives $node; then
                [ "$now" = $node ] || ip route replace $VIP via 10.77.0.$node
                now=$node
                break
            fi
        done
        sleep 0.05
    done
}

# Fields of calls, of moves and of users' bindings; buckets and leases stay by intent.
left_in_redis() {
    local node key
    for node in 1 2 3; do
        redis-cli -h 10.77.0.$node -p 7001 --scan --pattern 'referee:*' | grep -v '^referee:[bn]:' |
            while read -r key; do
                redis-cli -h 10.77.0.$node -p 7001 type "$key" | sed "s/.*/$key: &/"
            done
    done
}

before_nodes() {
    :
}

demo=()
walk() {
    [[ " ${demo[*]} " == *" --flow "* ]] || demo+=(--flow death)
    "$B/referee-demo" --cluster "$T/cluster" "${demo[@]}"
}

inside() {
    local status left
    trap 'exit 1' INT TERM
    while [ $# -gt 0 ]; do
        case $1 in
        --keep) : >"$T/keep" ;;
        --run)
            # shellcheck disable=SC1090
            . "$2"
            shift
            ;;
        *) demo+=("$1") ;;
        esac
        shift
    done
    make_network
    start_redis
    echo "Redis Cluster of 3 masters and 3 replicas runs"
    before_nodes
    start_nodes
    echo "three nodes own all 4096 buckets:"
    ctl 1 nodes
    steer &
    until_true "the route to $VIP" ip route get $VIP from $PHONES
    walk
    status=$?
    left=$(left_in_redis)
    if [ -n "$left" ]; then
        printf 'FAILED left over in Redis:\n%s\n' "$left"
        status=1
    else
        echo "   ok  nothing is left over in Redis"
    fi
    if [ $status -eq 0 ]; then
        echo "demo-cluster: everything held"
    else
        tail -n 40 "$T"/node*.log
        echo "demo-cluster: NOT everything held"
    fi
    exit $status
}

if [ -n "${INSIDE-}" ]; then
    inside "$@"
else
    outside "$@"
fi

# SPDX-License-Identifier: AGPL-3.0-or-later
# shellcheck shell=bash disable=SC2154
#
# tests/e2e/rolling.sh, read by deploy/demo-cluster.sh --run: calls of all kinds through three nodes, each of which is
# drained, ends, starts again and gets a part of the calls. RATE: calls a second; SCENARIO: of bench-call;
# SHARDS: of each node.
RATE=${RATE:-15}
EXTRA="
runtime: { shards: ${SHARDS:-1} }
peers: [{ name: bench, address: $PHONES, trusted: true }]
routes:
  - { name: bench, prefix: b, next_hop: '$PHONES:6001' }
  - { name: bench, prefix: c, next_hop: '$PHONES:6002' }
"
# The pauses of a sanitizer's daemon are not for this test to judge.
[[ $B != *san* ]] || EXTRA+="limits: { lag: 0s }
"

bad() {
    echo "FAILED $*"
    wrong=1
}

calls() {
    ctl "$1" leftover | awk '$1 == "calls" { print $2 }'
}

has_calls() {
    [ "$(calls "$1")" -ge "$2" ]
}

is_gone() {
    ! lives "$1"
}

has_buckets() {
    ctl "$1" nodes | grep -q 'buckets [1-9][0-9]*, this one'
}

roll() {
    local node=$1 before=$SECONDS moved
    until_true "calls at node $node" has_calls "$node" 10
    moved=$(calls "$node")
    ctl "$node" drain >/dev/null
    until_true "node $node has drained" is_gone "$node"
    grep -q 'stop: drained' "$T/node$node.log" || bad "node $node: $(grep stop: "$T/node$node.log")"
    mv "$T/node$node.log" "$T/node$node-before.log"
    start_node "$node"
    until_true "node $node" grep -q ready "$T/node$node.log"
    until_true "node $node has buckets" has_buckets "$node"
    until_true "calls at node $node" has_calls "$node" 1
    echo "node $node: $moved calls moved, drained, started again and in use in $((SECONDS - before)) s"
}

empty() {
    ctl "$1" leftover | awk '/^(calls|legs|transfers|ports|records) / && $2 { left = 1 } END { exit left }'
}

walk() {
    local load node done failed started wrong=0
    "$B/bench-call" --target "$VIP:5060" --at "$PHONES:6000" --scenario "${SCENARIO:-mixed}" --rate "$RATE" \
        --seconds 300 --hold 4000 --tell \
        >"$T/load.log" 2>&1 &
    load=$!
    for node in 1 2 3; do
        roll $node
    done
    kill -TERM $load
    wait $load || bad "bench-call"
    cat "$T/load.log"
    read -r failed transfers < <(awk '$1 ~ /:5060$/ { print $5, $(NF - 1) }' "$T/load.log")
    [ "${failed:-x}" = 0 ] || bad "$failed calls failed"
    [ "${transfers:-0}" -gt 0 ] || bad "no transfer was made"
    ! grep -q "all slots taken" "$T/load.log" || bad "calls did not end"
    for node in 1 2 3; do
        until_true "node $node is empty" empty $node
    done
    echo "rolling: $failed failed, $transfers transfers"
    return $wrong
}

# SPDX-License-Identifier: AGPL-3.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154
#
# tests/e2e/vip.sh, read by deploy/demo-cluster.sh --run: each node has a media address of its own, 10.77.1.1 and so on,
# which the phones reach by a route. A and B talk, their node is killed, and its media address moves to the node that
# has taken the call over: no re-INVITE goes out, and the audio goes on.
FASTPATH=${FASTPATH:-auto}
VIPS="10.77.1.1, 10.77.1.2, 10.77.1.3"

media_address() {
    echo "10.77.1.$1"
}

at_node() {
    ip -n node$2 address add 10.77.1.$1/32 dev lo && ip route replace 10.77.1.$1 via 10.77.0.$2
}

recovered() {
    [ "$(ctl "$1" metrics | awk '$1 == "calls_recovered" { print $2 }')" -gt 0 ]
}

# What VRRP does, but for who has the call: there are two survivors.
move_address() {
    local dead node
    while :; do
        for dead in 1 2 3; do
            lives $dead && continue
            for node in 1 2 3; do
                if lives $node && recovered $node; then
                    at_node $dead $node
                    return
                fi
            done
        done
        sleep 0.05
    done
}

walk() {
    local status
    move_address &
    "$B/referee-demo" --cluster "$T/cluster" --flow vip --quick
    status=$?
    for node in 1 2 3; do
        lives $node && recovered $node || continue
        ctl $node metrics | grep "^reanchored \|^rtp_in "
        sed -n 's/.*fastpath: eth0: /fast path: /p' "$T/node$node.log"
    done
    return $status
}

before_nodes() {
    at_node 1 1
    at_node 2 2
    at_node 3 3
}

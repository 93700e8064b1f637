# SPDX-License-Identifier: AGPL-3.0-or-later
# shellcheck shell=bash
#
# tests/e2e/netns.sh, after lib.sh: two network namespaces of this test's own, the daemon's and the phones', joined by a
# veth. Mounts are not unshared (as ip netns exec would), so that pins and sockets are everybody's.
need_root
need ip nsenter python3
NET=ref$$
DEVICE=$NET
DAEMON_ADDRESS=10.99.0.1
PHONE_ADDRESSES="10.99.0.11 10.99.0.12 10.99.0.13"
MEDIA_ADDRESS=$DAEMON_ADDRESS
PHONE_MEDIA_ADDRESSES=$PHONE_ADDRESSES

# Signalling by IPv4, media by IPv6. Before the namespaces are made.
media_by_ipv6() {
    MEDIA_ADDRESS=fd99::1
    PHONE_MEDIA_ADDRESSES="fd99::11 fd99::12 fd99::13"
}

# All on a VLAN of the veth. Before the namespaces are made.
on_vlan() {
    DEVICE=$NET.100
}

end_with_namespaces() {
    local status=$?
    ip netns del "$NET-d" 2>/dev/null
    ip netns del "$NET-p" 2>/dev/null
    (exit $status)
    stop_all
}

# This kernel has them.
vlans_are_there() {
    ip netns add "$NET-v" || return
    ip -n "$NET-v" link add v type veth peer name w && ip -n "$NET-v" link add link v name v.100 type vlan id 100
    local status=$?
    ip netns del "$NET-v"
    return $status
}

make_namespaces() {
    local address
    trap end_with_namespaces EXIT
    ip netns add "$NET-d" || skip "no network namespaces here"
    ip netns add "$NET-p" || fail "a second network namespace"
    ip link add "$NET" netns "$NET-d" type veth peer name "$NET" netns "$NET-p" || fail "no veth"
    for address in "$NET-d" "$NET-p"; do
        [ "$DEVICE" = "$NET" ] || ip -n "$address" link add link "$NET" name "$DEVICE" type vlan id "${DEVICE##*.}"
    done
    ip -n "$NET-d" address add $DAEMON_ADDRESS/24 dev "$DEVICE"
    ip -n "$NET-d" address add fd99::1/64 dev "$DEVICE" nodad
    for address in $PHONE_ADDRESSES; do
        ip -n "$NET-p" address add "$address/24" dev "$DEVICE"
        ip -n "$NET-p" address add "fd99::${address##*.}/64" dev "$DEVICE" nodad
    done
    ip -n "$NET-d" -o link show "$NET" | sed 's/.*link\/ether \([^ ]*\).*/\1/' >"$T/mac"
    for address in "$NET-d" "$NET-p"; do
        ip -n "$address" link set lo up
        ip -n "$address" link set "$NET" up
        ip -n "$address" link set "$DEVICE" up
    done
}

# at_daemon COMMAND..., at_phones COMMAND...
at_daemon() {
    exec_in_subshell nsenter --net="/run/netns/$NET-d" "$@"
}

at_phones() {
    exec_in_subshell nsenter --net="/run/netns/$NET-p" env DAEMON=$DAEMON_ADDRESS PHONES="$PHONE_ADDRESSES" \
        DEVICE="$NET" DAEMON_MAC="$(cat "$T/mac")" \
        MEDIA=$MEDIA_ADDRESS PHONES_MEDIA="$PHONE_MEDIA_ADDRESSES" "$@"
}

# start_daemon_there CONFIG: like start_refereed. It has the capabilities RIGHTS only, if that is set (-all,+net_raw).
start_daemon_there() {
    # shellcheck disable=SC2086
    start refereed at_daemon ${RIGHTS:+setpriv --bounding-set=$RIGHTS --inh-caps=$RIGHTS} "$B/refereed" -c "$1"
    refereed=$last
    wait_for "$LIMIT" ready_or_gone refereed "$refereed"
    says refereed ready || fail "refereed did not become ready"
}

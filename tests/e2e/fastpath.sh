# SPDX-License-Identifier: AGPL-3.0-or-later
# shellcheck shell=bash
#
# tests/e2e/fastpath.sh, after lib.sh: the fast path in namespaces of its own.
. "$(dirname "$0")/netns.sh"

# Native XDP on one end of a veth sends only into an end that has a program itself.
prepare_for_xdp() {
    printf '%s\n' '__attribute__((section("xdp"), used)) int pass(void *x) { return 2; }' >"$T/pass.c"
    clang -target bpf -O2 -g -c "$T/pass.c" -o "$T/pass.o" || fail "no XDP program for the phones"
    ip -n "$NET-p" link set dev "$NET" xdpdrv obj "$T/pass.o" sec xdp || fail "XDP at the phones"
    at_phones python3 tests/e2e/fastpath.py --prepare "$NET" || fail "the veth is not prepared"
}

# start_fastpath MODE [KEY=VALUE...]: the daemon there, with media.fastpath=MODE.
start_fastpath() {
    local mode=$1
    shift
    write_config "$T/refereed.yaml" 5060 "sip.listen=[$DAEMON_ADDRESS:5060]" "media.fastpath=$mode" \
        media.ports=30000-30079 "media.address=\"$MEDIA_ADDRESS\"" "$@"
    start_daemon_there "$T/refereed.yaml"
}

# speak MODE: a chain of transfers (TRANSFERS of them, ten if not set), all of which goes by MODE; the daemon ends.
speak() {
    start speech at_phones python3 tests/e2e/fastpath.py 5060 "$1"
    wait "$last" || fail "$(tail -n 1 "$T/speech.log")"
    stop "$refereed" || fail "refereed did not end well"
}

# walk_fastpath MODE SAYS [KEY=VALUE...]: that in namespaces of its own.
walk_fastpath() {
    local mode=$1
    shift 2
    make_namespaces
    [ "$mode" != xdp ] || prepare_for_xdp
    start_fastpath "$mode" "$@"
    # The test is of XDP alone.
    [ "$mode" != xdp ] || at_daemon tc qdisc del dev "$NET" clsact || fail "tc was not there"
    speak "$mode"
}

# passed_device: of the packets that came in by the daemon's device, how many left by it: "most" or "few". What goes
# straight to the other end of a veth does not pass it.
passed_device() {
    local in out
    read -r in out < <(ip -n "$NET-d" -s -j link show "$DEVICE" | python3 -c '
import json, sys
stats = json.load(sys.stdin)[0]["stats64"]
print(stats["rx"]["packets"], stats["tx"]["packets"])')
    echo "$DEVICE: $in packets came in, $out left by it" >&2
    [ "$in" -gt 400 ] || fail "only $in packets came in"
    [ $((2 * out)) -gt "$in" ] && echo most || echo few
}

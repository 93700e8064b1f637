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

# walk_fastpath MODE SAYS [KEY=VALUE...]: ten transfers with media.fastpath=MODE.
walk_fastpath() {
    local mode=$1 port=5060
    shift 2
    make_namespaces
    [ "$mode" != xdp ] || prepare_for_xdp
    write_config "$T/refereed.yaml" "$port" "sip.listen=[$DAEMON_ADDRESS:$port]" "media.fastpath=$mode" \
        media.ports=30000-30079 "media.address=\"$MEDIA_ADDRESS\"" "$@"
    start_daemon_there "$T/refereed.yaml"
    # The test is of XDP alone.
    [ "$mode" != xdp ] || at_daemon tc qdisc del dev "$NET" clsact || fail "tc was not there"
    start speech at_phones python3 tests/e2e/fastpath.py "$port" "$mode"
    wait "$last" || fail "$(tail -n 1 "$T/speech.log")"
    stop "$refereed" || fail "refereed did not end well"
}

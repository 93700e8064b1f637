#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/shards.py PORT SHARDS steered|not: calls that fall to several shards, and what an operator sees of them."""
import re
import subprocess
import sys

import sip
from sip import Phone, call, check, ctl, metric, nothing_is_left, wait_for

PORT, SHARDS, CALLS = int(sys.argv[1]), int(sys.argv[2]), 12
STEERED = sys.argv[3] == "steered"


def lines(order):
    run = subprocess.run([f"{sip.BUILD}/refereectl", "-s", f"{sip.FOLDER}/admin", *order.split()],
                         capture_output=True, text=True)
    return (run.stdout or run.stderr).splitlines()


def calls_by_shard():
    return {int(s): int(n) for s, n in re.findall(r"^shard (\d+) calls (\d+)", "\n".join(lines("shards")), re.M)}


def calls_everywhere():
    a, b = Phone("A", 1001, PORT), Phone("B", 1002, PORT)
    for phone in (a, b):
        phone.register()
    check("one shard tells of the registrations", len(lines("registrations")) == 2, lines("registrations"))
    pairs = [call(a, b) for _ in range(CALLS)]
    by_shard = calls_by_shard()
    check("each shard tells of itself", sorted(by_shard) == list(range(SHARDS)), by_shard)
    check("all calls are there", sum(by_shard.values()) == CALLS, by_shard)
    check("two shards have calls, or more", len([n for n in by_shard.values() if n]) > 1, by_shard)
    check("`calls` lists those of all", len(lines("calls")) == CALLS, lines("calls"))
    check("`leftover` counts those of all", ctl("leftover")["calls"] == CALLS, ctl("leftover"))
    check("and bindings once", ctl("leftover")["bindings"] == 2, ctl("leftover"))
    for line in lines("calls"):
        number = line.split()[0]
        shown = lines(f"show {number}")
        check(f"{number} is shown", shown[0].startswith(number) and len(shown) > 5, shown)
    check("nobody has that call", lines("show 77") == ["error: no call 77; `calls` lists them"], lines("show 77"))
    check("nor knows that order", lines("sow")[0].startswith("error: unknown order"), lines("sow"))
    number = lines("calls")[-1].split()[0]
    refused = lines(f"transfer {number} 0 nonsense")
    check("an order reaches the shard of the call", refused[0].startswith("error: not a URI"), refused)
    # A phone sends the ACK and the BYE at once, and each may come to another shard first.
    for here, there in pairs:
        here.bye()
        there.answer_bye()
    nothing_is_left()
    check("messages went between shards", metric("mail_out") > 0)
    check("and none was lost there", metric("mail_full") == 0 and metric("peer_dropped") == 0, ctl("metrics"))
    wait_for("the calls are counted", lambda: metric("calls_started") == CALLS)
    # Each registration is told to all others; whatever else comes from them was handed over.
    bindings, heard = metric("registrations") * (SHARDS - 1), metric("peer_in")
    check("the kernel steers" if STEERED else "messages are handed over", (heard == bindings) == STEERED,
          (heard, bindings))


sip.run({"calls_everywhere": calls_everywhere}, sys.argv[4:])

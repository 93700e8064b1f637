#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/allocations.py PORT COUNTS CALLS: the daemon's calls of the allocator, while phones talk."""
import contextlib
import io
import struct
import sys

import sip
from sip import Phone, call, check

PORT, COUNTS, CALLS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
WARM_UP = 20


def counts():
    """malloc, calloc, realloc, free."""
    with open(COUNTS, "rb") as f:
        return struct.unpack("<4Q", f.read())


def calls(a, b, n):
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(n):
            here, there = call(a, b)
            here.bye()
            there.answer_bye()
            a.waiting.clear()
            b.waiting.clear()


def allocations():
    a, b = Phone("A", 1001, PORT), Phone("B", 1002, PORT)
    a.register()
    b.register()
    calls(a, b, WARM_UP)
    before = counts()
    check("the start was counted", before[0] > 0, before)
    calls(a, b, CALLS)
    after = counts()
    check(f"{CALLS} calls took nothing from the allocator", before == after, f"{before} before, {after} after")


sip.run({"allocations": allocations}, ["allocations"])

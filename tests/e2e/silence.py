#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/silence.py PORT CDR: with media.timeout 1s, a party that falls silent ends its call; one on hold, or one of
which only RTCP comes, does not."""
import json
import socket
import struct
import sys
import time

import sip
from sip import Failed, Phone, call, check, metric, nothing_is_left, wait_for
from speech import Speaker

PORT = int(sys.argv[1])


def phones():
    a, b = Phone("A", 1001, PORT), Phone("B", 1002, PORT)
    for phone in (a, b):
        phone.register()
    return a, b


def talking(a, b):
    here, there = call(a, b)
    return here, there, Speaker(here, sip.HOST, 0), Speaker(there, sip.HOST, 1)


def last_cause():
    with open(sys.argv[2], encoding="utf-8") as f:
        return json.loads(f.readlines()[-1])


def falls_silent(a, b):
    here, there, one, other = talking(a, b)
    time.sleep(2)
    check("both talk for longer than the timeout", metric("media_timeouts") == 0)
    other.speaks = False
    began = time.monotonic()
    for dialog in (here, there):
        bye = dialog.phone.request("BYE", dialog.call_id)
        check("BYE says why", 'text="No media"' in bye.get("Reason"), bye.get("Reason"))
        dialog.phone.respond(bye, 200)
    took = time.monotonic() - began
    check("after the timeout, and soon after", 0.9 < took < 5, took)
    for speaker in (one, other):
        speaker.stop()
    nothing_is_left()
    record = last_cause()
    media = [leg["media"] for leg in record["legs"]]
    check("and how it was", all(m["in"] > 50 and m["lost"] == 0 and m["mos"] > 4 for m in media), media)
    check("the record says so", (record["cause"], record["ended_by"]) == ("media", "callee"), record)


def on_hold(a, b):
    here, there, one, other = talking(a, b)
    check("B is answered recvonly", hold(there, here) == "recvonly")
    one.speaks = other.speaks = False
    time.sleep(3)
    check("who is on hold may be silent", metric("media_timeouts") == 1)
    here.bye()
    there.answer_bye()
    for speaker in (one, other):
        speaker.stop()


def hold(holder, held):
    invite = holder.message("INVITE", body=sip.sdp(holder.phone.address, holder.rtp, "sendonly", 2))
    holder.phone.send(invite.data)
    held.answer_reinvite()
    answer = holder.phone.final(invite)
    holder.ack(invite.cseq)
    return sip.direction_of(answer.body)


def rtcp_is_life(a, b):
    here, there, one, other = talking(a, b)
    other.speaks = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((b.address, there.rtp + 1))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            s.sendto(struct.pack(">BBHI", 0x80, 201, 1, 77), (sip.HOST, there.relay + 1))
            time.sleep(0.2)
    check("RTCP counts as life", metric("media_timeouts") == 1)
    here.bye()
    there.answer_bye()
    for speaker in (one, other):
        speaker.stop()


try:
    A, B = phones()
    falls_silent(A, B)
    on_hold(A, B)
    rtcp_is_life(A, B)
    wait_for("no calls left", lambda: sip.held("calls") == [0])
except Failed as failure:
    sys.exit(f"FAIL: {failure}")

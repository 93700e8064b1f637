#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""tests/e2e/restart.py PORT FOLDER: two phones talk over the death of the daemon. Files in FOLDER say how far it is:
talking, killed, heard-dead, restarted."""
import os
import socket
import sys
import time

import sip
from sip import Failed, Phone, call, check, metric, wait_for
from speech import Speaker, faults

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
ADDRESSES = os.environ["PHONES"].split()


def say(what):
    with open(f"{FOLDER}/{what}", "w", encoding="ascii"):
        pass


def heard(speakers, more, what):
    before = [len(s.heard) for s in speakers]
    wait_for(what, lambda: all(len(s.heard) >= n + more for s, n in zip(speakers, before)))


def stranger(address, port):
    """Goes up to where no daemon is: must neither be heard nor answered by ICMP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind((ADDRESSES[2], 0))
        s.connect((address, port))
        s.send(b"\x80\x00" + bytes(170))


def main():
    a, b = Phone("A", 1001, PORT, ADDRESSES[0]), Phone("B", 1002, PORT, ADDRESSES[1])
    for phone in (a, b):
        phone.register()
    here, there = call(a, b)
    speakers = [Speaker(dialog, dialog.relay_address, i) for i, dialog in enumerate((here, there))]
    heard(speakers, 20, "they talk")
    say("talking")
    wait_for("the daemon is killed", lambda: os.path.exists(f"{FOLDER}/killed"))
    heard(speakers, 200, "4 s without a daemon")
    stranger(here.relay_address, here.relay)
    say("heard-dead")
    wait_for("there is a daemon again", lambda: os.path.exists(f"{FOLDER}/restarted"))
    heard(speakers, 100, "2 s more")
    check("the new daemon has seen none of it", metric("rtp_in") == 0)
    time.sleep(0.1)
    for s in speakers:
        s.stop()
    for s in speakers:
        check(f"{s.who} heard one stream, all {len(s.heard)} packets", not faults(s.heard) and not s.bad)


try:
    main()
except Failed as failure:
    sys.exit(f"FAIL: {failure}")

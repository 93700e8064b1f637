#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""without_io_uring.py COMMAND...: runs it with io_uring_setup forbidden by seccomp, as containers do."""
import ctypes
import os
import struct
import sys

IO_URING_SETUP = 425  # the same on all architectures
LOAD_NUMBER, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7fff0000, 0x00050001
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER = 22, 38, 2


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


code = [(LOAD_NUMBER, 0, 0, 0), (JUMP_EQUAL, 0, 1, IO_URING_SETUP), (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in code))
program = Program(len(code), ctypes.addressof(text))
libc = ctypes.CDLL(None)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.byref(program)):
    sys.exit("seccomp is refused")
os.execv(sys.argv[1], sys.argv[1:])

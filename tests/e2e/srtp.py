# SPDX-License-Identifier: AGPL-3.0-or-later
"""A party that speaks SRTP with keys in its descriptions (RFC 4568), by libsrtp2, for the tests in this folder."""
import base64
import ctypes
import os
import re

from speech import Speaker

SUITE, KEY_BYTES, TRAILER = "AES_CM_128_HMAC_SHA1_80", 30, 64
ANY_INBOUND, ANY_OUTBOUND = 2, 3
library = ctypes.CDLL("libsrtp2.so.1")
library.srtp_init()


class CryptoPolicy(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("cipher", "key_n", "auth", "auth_key_n", "tag_n", "services")]


class Policy(ctypes.Structure):
    _fields_ = [("ssrc_type", ctypes.c_int), ("ssrc", ctypes.c_uint), ("rtp", CryptoPolicy), ("rtcp", CryptoPolicy),
                ("key", ctypes.c_char_p), ("keys", ctypes.c_void_p), ("keys_n", ctypes.c_ulong),
                ("reserved", ctypes.c_void_p), ("window", ctypes.c_ulong), ("repeat", ctypes.c_int),
                ("extensions", ctypes.c_void_p), ("extensions_n", ctypes.c_int), ("next", ctypes.c_void_p)]


class Session:
    """One direction; its rollover counters begin at 0."""

    def __init__(self, key, which):
        self.key, self.handle = key, ctypes.c_void_p()
        policy = Policy(ssrc_type=which, key=key, window=128)
        library.srtp_crypto_policy_set_rtp_default(ctypes.byref(policy.rtp))
        library.srtp_crypto_policy_set_rtcp_default(ctypes.byref(policy.rtcp))
        if library.srtp_create(ctypes.byref(self.handle), ctypes.byref(policy)):
            raise RuntimeError("srtp_create")

    def run(self, function, packet):
        """None: refused."""
        data, n = ctypes.create_string_buffer(packet, len(packet) + TRAILER), ctypes.c_int(len(packet))
        return None if function(self.handle, data, ctypes.byref(n)) else data.raw[:n.value]

    def protect(self, packet):
        return self.run(library.srtp_protect, packet)

    def unprotect(self, packet):
        return self.run(library.srtp_unprotect, packet)


def new_key():
    return os.urandom(KEY_BYTES)


def key_of(description):
    found = re.search(rf"^a=crypto:1 {SUITE} inline:([^|\s]+)", description, re.M)
    return base64.b64decode(found[1])


def secured(description, key):
    line = f"a=crypto:1 {SUITE} inline:{base64.b64encode(key).decode()}\r\n"
    return description.replace("RTP/AVP", "RTP/SAVP") + line


class SecureSpeaker(Speaker):
    """ours, theirs: the keys in the two descriptions. What cannot be read is in `bad`."""

    def __init__(self, dialog, host, who, ours, theirs, **more):
        self.way_out, self.way_in = Session(ours, ANY_OUTBOUND), Session(theirs, ANY_INBOUND)
        super().__init__(dialog, host, who, **more)

    def packet(self, number):
        return self.way_out.protect(super().packet(number))

    def take(self, data, src, at):
        plain = self.way_in.unprotect(data)
        if plain is None:
            self.bad.append(data)
        else:
            super().take(plain, src, at)

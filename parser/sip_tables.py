#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes parser/sip_tables.[ch]: the byte classes and the perfect hash of the header names in parser/sip_hdr.def.

Run from the top of the tree after a change of sip_hdr.def.
tests/unit/test_sip_hdr.c fails when a name of sip_hdr.def is not found through the table.
"""
import random
import re
import string
import sys

BITS = 9
ALNUM = set(string.ascii_letters + string.digits)
VISIBLE = set(chr(c) for c in range(0x21, 0x7f))
HIGH = set(chr(c) for c in range(0x80, 0x100))
CLASSES = [
    ('TOKEN', ALNUM | set("-.!%*_+`'~")),
    ('HOST', ALNUM | set('-._')),
    ('HEX', set(string.hexdigits)),
    ('LWS', set(' \t\r\n')),
    ('URI', (VISIBLE | HIGH) - set('<>"')),
    ('VALUE', (VISIBLE | HIGH) - set(';,"<>')),
    ('WORD', VISIBLE),
    ('DIGIT', set(string.digits)),
]


def name_hash(name, factor):
    """Of length, first two and middle two bytes; all names have two."""
    s = [ord(ch) | 0x20 for ch in name]
    middle = (len(s) - 1) // 2
    key = s[0] | s[1] << 8 | s[middle] << 16 | s[middle + 1] << 24
    return (key + len(s)) * factor % 2**32 >> (32 - BITS)


def search(names):
    draw = random.Random(1)
    for _ in range(10**6):
        factor = draw.getrandbits(32) | 1
        if len({name_hash(n, factor) for n in names}) == len(names):
            return factor
    sys.exit('no perfect hash: raise BITS')


def rows(cells, per_line):
    return ''.join('    ' + ' '.join(cells[i:i + per_line]) + '\n' for i in range(0, len(cells), per_line))


HEAD = """/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Written by parser/sip_tables.py from parser/sip_hdr.def; do not edit. */
"""


def header(factor):
    return HEAD + f"""#ifndef REFEREE_PARSER_SIP_TABLES_H
#define REFEREE_PARSER_SIP_TABLES_H

#define SIP_NAME_HASH_BITS {BITS}u
#define SIP_NAME_HASH_FACTOR {factor:#x}u

#endif
"""


def main():
    defs = re.findall(r'^HDR\((\w+), "([^"]+)", "([^"]*)", ([^)]+)\)', open('parser/sip_hdr.def').read(), re.M)
    factor = search([d[1] for d in defs])
    out = HEAD + '#include "parser/sip_scan.h"\n\n'
    out += 'const uint8_t sip_class[256] = {\n'
    cells = []
    for byte in range(256):
        cells.append('0x%02x,' % sum(1 << i for i, (_, chars) in enumerate(CLASSES) if chr(byte) in chars))
    out += rows(cells, 16) + '};\n\n'
    out += 'const uint8_t sip_compact_names[26] = {\n'
    out += rows(["['%s' - 'a'] = SIP_H_%s," % (d[2], d[0]) for d in sorted(defs, key=lambda d: d[2]) if d[2]], 3)
    out += '};\n\n'
    out += 'const uint8_t sip_name_ids[1u << SIP_NAME_HASH_BITS] = {\n'
    slots = sorted((name_hash(d[1], factor), d[0]) for d in defs)
    out += rows(['[%d] = SIP_H_%s,' % s for s in slots], 3) + '};\n\n'
    out += 'const struct sip_known_name sip_known_names[SIP_H_COUNT] = {\n'
    # "A" is not lower: no name is that of SIP_H_OTHER.
    out += '    [SIP_H_OTHER] = { "A", 0x1, 0 },\n'
    out += rows(['[SIP_H_%s] = { "%s:", %#x, %s },' % (d[0], d[1].lower(), (2 << len(d[1])) - 1, d[3])
                 for d in defs], 1) + '};\n'
    out += '\nconst uint32_t sip_equal_bytes[128] = {\n'
    out += rows(['0x%08x,' % (byte * 0x01010101) for byte in range(128)], 8) + '};\n'
    open('parser/sip_tables.c', 'w').write(out)
    open('parser/sip_tables.h', 'w').write(header(factor))


main()

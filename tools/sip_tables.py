#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes parser/sip_tables.c: the byte classes and the perfect hash of the header names in parser/sip_hdr.def.

Run from the top of the tree after a change of sip_hdr.def:  tools/sip_tables.py > parser/sip_tables.c
tests/unit/test_sip_hdr.c fails when a name of sip_hdr.def is not found through the table.
"""
import re
import string
import sys

SIZE = 512
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


def name_hash(name, a, b, c):
    s = [ord(ch) | 0x20 for ch in name]
    return (len(s) * a + s[0] * b + s[len(s) // 2] * c + s[-2]) % SIZE


def search(names):
    for a in range(1, 64):
        for b in range(1, 64):
            for c in range(64):
                if len({name_hash(n, a, b, c) for n in names}) == len(names):
                    return a, b, c
    sys.exit('no perfect hash: raise SIZE')


def rows(cells, per_line):
    return ''.join('    ' + ' '.join(cells[i:i + per_line]) + '\n' for i in range(0, len(cells), per_line))


def main():
    defs = re.findall(r'^HDR\((\w+), "([^"]+)", "([^"]*)"', open('parser/sip_hdr.def').read(), re.M)
    a, b, c = search([d[1] for d in defs])
    out = '/* SPDX-License-Identifier: AGPL-3.0-or-later */\n'
    out += '/* Written by tools/sip_tables.py from parser/sip_hdr.def; do not edit. */\n'
    out += '#include "parser/sip_scan.h"\n\n'
    out += 'const uint8_t sip_class[256] = {\n'
    cells = []
    for byte in range(256):
        cells.append('0x%02x,' % sum(1 << i for i, (_, chars) in enumerate(CLASSES) if chr(byte) in chars))
    out += rows(cells, 16) + '};\n\n'
    out += 'const uint8_t sip_compact_names[26] = {\n'
    out += rows(["['%s' - 'a'] = SIP_H_%s," % (d[2], d[0]) for d in sorted(defs, key=lambda d: d[2]) if d[2]], 3)
    out += '};\n\n'
    out += '/* (length * %d + first * %d + middle * %d + last but one) mod %d, in lower case */\n' % (a, b, c, SIZE)
    out += 'const struct sip_name_hash sip_name_hash = {\n'
    out += '    .length = %d, .first = %d, .middle = %d, .ids = {\n' % (a, b, c)
    slots = sorted((name_hash(d[1], a, b, c), d[0]) for d in defs)
    out += rows(['[%d] = SIP_H_%s,' % s for s in slots], 3).replace('    [', '        [')
    out += '    },\n};\n'
    sys.stdout.write(out)


main()

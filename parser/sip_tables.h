/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Written by parser/sip_tables.py from parser/sip_hdr.def; do not edit. */
#ifndef REFEREE_PARSER_SIP_TABLES_H
#define REFEREE_PARSER_SIP_TABLES_H

#define SIP_NAME_HASH_BITS 9u
#define SIP_NAME_HASH_FACTOR 0x550d40ddu

#endif

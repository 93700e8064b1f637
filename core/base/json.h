/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * json: texts of JSON (RFC 8259) into an sbuf. Bytes of the wire may be anything: what comes out is always valid UTF-8
 * and a valid JSON string.
 */
#ifndef REFEREE_BASE_JSON_H
#define REFEREE_BASE_JSON_H

#include "core/base/sbuf.h"

/* A quoted string. At most `max` bytes are read, and never a part of a character; what is left out is told by "..." at
 * the end. `"`, `\`, controls and DEL are escaped. A byte that is no part of valid UTF-8 (RFC 3629: overlong forms and
 * surrogates are not) becomes the character U+00XX of its value. Absent: null. */
void json_text(struct sbuf *b, struct slice s, uint32_t max);
/* ,"name": with the comma only behind another member, so that an object is written in any order. */
void json_name(struct sbuf *b, const char *name);
/* The member whole. */
void json_member(struct sbuf *b, const char *name, struct slice s, uint32_t max);
void json_member_u64(struct sbuf *b, const char *name, uint64_t v);
void json_member_bool(struct sbuf *b, const char *name, bool v);

#endif

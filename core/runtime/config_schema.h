/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * config_schema: the one table of keys, and how a text becomes a value. Seen by config*.c and its test only.
 */
#ifndef REFEREE_RUNTIME_CONFIG_SCHEMA_H
#define REFEREE_RUNTIME_CONFIG_SCHEMA_H

#include "core/runtime/config.h"

enum config_type {
    CT_TEXT,         /* char[size] */
    CT_BOOL,
    CT_COUNT,        /* uintN_t of `size` bytes; k = 1000, M = 1000000 */
    CT_BYTES,        /* uintN_t; k = 1024, M = 1048576 */
    CT_DURATION,     /* uintN_t in units of `scale` microseconds */
    CT_CHOICE,       /* uint32_t: index into choices, plus min */
    CT_LISTEN,       /* struct addr, with an optional "udp:" in front */
    CT_HOP,          /* struct addr with a port; when it is missing `min`, and 5060 without that */
    CT_NET,          /* struct addr followed by the uint8_t at peer_config.bits */
    CT_PORTS,        /* two uint16_t: first and last */
    CT_HEX,          /* char[size], exactly size - 1 hex digits */
};

/* A path like "sip.t1", "sip.listen[]" (elements of a list) or "users[].name" (keys of a list of sections). */
struct config_key {
    const char *path;
    enum config_type type;
    uint32_t offset;          /* in struct config, or in the list's element */
    uint32_t size;
    uint64_t min, max;        /* for durations in microseconds */
    const char *choices;      /* "a|b|c" */
    const char *later;        /* values that will exist: refused with a word about it */
    const char *standard;     /* the default; of a list: its elements, separated by commas */
    const char *help;
    uint32_t scale;
};

struct config_list_def {
    const char *path;         /* "users" */
    uint32_t offset;          /* of its struct config_list */
    uint32_t item_size;
    uint32_t max;
    bool sections;            /* elements are sections, not values */
    const char *help;
    bool single;              /* one value may stand there without a list */
};

extern const struct config_key config_keys[];
/* What the loader has room for; config_schema.c asserts it. */
#define CONFIG_KEYS_MAX 256
#define CONFIG_LISTS_MAX 32

extern const uint32_t config_key_count;
extern const struct config_list_def config_lists[];
extern const uint32_t config_list_count;

/* NULL: no such key. */
const struct config_key *config_key_find(const char *path);
const struct config_list_def *config_list_find(const char *path);
/* "users" of "users[].name" and "users[]"; NULL for a key of no list. */
const struct config_list_def *config_list_of(const struct config_key *k);

/* The list gets these elements, separated by commas, instead of what it has. False: `why` (size n) tells. */
bool config_list_set(struct config *c, const struct config_list_def *d, const char *text, char *why, size_t n);

/* base is the struct config or the list element. False: `why` (size n) tells what is wrong and what is allowed. */
bool config_set(const struct config_key *k, void *base, const char *text, char *why, size_t n);

#endif

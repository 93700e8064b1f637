/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "core/runtime/config_schema.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit time_units[] = {
    { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", UINT64_C(3600000000) }, { NULL, 0 },
};
static const struct unit count_units[] = { { "", 1 }, { "k", 1000 }, { "M", 1000000 }, { NULL, 0 } };
static const struct unit byte_units[] = { { "", 1 }, { "k", 1024 }, { "M", 1048576 }, { NULL, 0 } };

/* Digits and one unit of the list; 0 needs no unit. */
static bool parse_number(const char *text, const struct unit *units, uint64_t *out) {
    size_t digits = strspn(text, "0123456789");
    uint64_t v;
    if (!slice_u64(slice_of(text, digits), UINT64_C(1) << 40, &v))
        return false;
    for (; units->name; units++)
        if (strcmp(units->name, text + digits) == 0) {
            *out = v * units->factor;
            return true;
        }
    *out = 0;
    return v == 0 && !text[digits];
}

static void put_uint(void *at, uint32_t size, uint64_t v) {
    uint8_t v1 = (uint8_t)v;
    uint16_t v2 = (uint16_t)v;
    uint32_t v4 = (uint32_t)v;
    memcpy(at, size == 1 ? (void *)&v1 : size == 2 ? (void *)&v2 : size == 4 ? (void *)&v4 : (void *)&v, size);
}

static void put_time(char *to, size_t n, uint64_t us) {
    if (us % 1000000 == 0)
        snprintf(to, n, "%" PRIu64 "s", us / 1000000);
    else
        snprintf(to, n, "%" PRIu64 "ms", us / 1000);
}

static bool set_number(const struct config_key *k, void *at, const char *text, char *why, size_t n) {
    uint64_t v;
    bool bytes = k->type == CT_BYTES;
    if (!parse_number(text, bytes ? byte_units : count_units, &v) || v < k->min || v > k->max) {
        snprintf(why, n, "\"%.64s\" is not allowed; a number from %" PRIu64 " to %" PRIu64 ", k and M are understood",
                 text, k->min, k->max);
        return false;
    }
    put_uint(at, k->size, v);
    return true;
}

static bool set_duration(const struct config_key *k, void *at, const char *text, char *why, size_t n) {
    uint64_t us;
    if (!parse_number(text, time_units, &us) || us < k->min || us > k->max || us % k->scale) {
        char from[24], to[24];
        put_time(from, sizeof from, k->min);
        put_time(to, sizeof to, k->max);
        snprintf(why, n, "\"%.64s\" is not allowed; a time with its unit (ms, s, m, h) from %s to %s%s", text, from, to,
                 k->scale == 1000000 ? ", in whole seconds" : "");
        return false;
    }
    put_uint(at, k->size, us / k->scale);
    return true;
}

/* Index of text in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *text) {
    size_t n = strlen(text);
    for (int i = 0; choices && *choices; i++) {
        size_t len = strcspn(choices, "|");
        if (len == n && memcmp(choices, text, n) == 0)
            return i;
        choices += len + (choices[len] == '|');
    }
    return -1;
}

static bool set_choice(const struct config_key *k, void *at, const char *text, char *why, size_t n) {
    int i = choice_index(k->choices, text);
    if (i < 0) {
        bool later = choice_index(k->later, text) >= 0;
        snprintf(why, n, "\"%.64s\" %s; one of %s", text, later ? "is not built yet" : "is not allowed", k->choices);
        return false;
    }
    put_uint(at, k->size, (uint64_t)i + k->min);
    return true;
}

static bool set_bool(void *at, const char *text, char *why, size_t n) {
    bool yes = choice_index("true|yes|on", text) >= 0;
    if (!yes && choice_index("false|no|off", text) < 0) {
        snprintf(why, n, "\"%.64s\" is not allowed; true or false", text);
        return false;
    }
    memcpy(at, &yes, sizeof yes);
    return true;
}

static bool set_text(const struct config_key *k, char *at, const char *text, char *why, size_t n) {
    size_t len = strlen(text);
    if (len >= k->size || strcspn(text, "\r\n") != len) {
        snprintf(why, n, "is too long or has a line end; at most %u bytes in one line", k->size - 1);
        return false;
    }
    memset(at, 0, k->size);
    memcpy(at, text, len);
    return true;
}

static bool set_hex(const struct config_key *k, char *at, const char *text, char *why, size_t n) {
    size_t len = strlen(text);
    if (len != 0 && (len != k->size - 1 || strspn(text, "0123456789abcdefABCDEF") != len)) {
        snprintf(why, n, "is not a hash; exactly %u hex digits", k->size - 1);
        return false;
    }
    for (size_t i = 0; i < len; i++)
        at[i] = (char)ascii_lower((uint8_t)text[i]);
    at[len] = 0;
    return true;
}

static bool set_addr(const struct config_key *k, struct addr *at, const char *text, char *why, size_t n) {
    struct slice s = slice_str(text);
    if (k->type == CT_LISTEN && slice_has_prefix(s, SL("udp:")))
        s = slice_of(s.p + 4, s.n - 4);
    if (slice_has_prefix(s, SL("tcp:")) || slice_has_prefix(s, SL("tls:"))) {
        snprintf(why, n, "\"%.64s\": only UDP is built so far; an address such as 192.0.2.1:5060", text);
        return false;
    }
    /* Port 0 lets the kernel choose: for tests. */
    uint16_t port = k->min ? (uint16_t)k->min : 5060;
    if (!addr_parse(s, port, at)) {
        snprintf(why, n, "\"%.64s\" is not an address; 192.0.2.1:%u or [2001:db8::1]:%u", text, port, port);
        return false;
    }
    return true;
}

static bool set_net(struct peer_config *at, const char *text, char *why, size_t n) {
    size_t len = strcspn(text, "/");
    struct addr a = { 0 };
    uint64_t bits;
    bool ok = addr_parse_ip(slice_of(text, len), &a);
    uint64_t most = a.family == ADDR_V6 ? 128 : 32;
    bits = most;
    if (ok && text[len] == '/')
        ok = slice_u64(slice_str(text + len + 1), most, &bits);
    if (!ok) {
        snprintf(why, n, "\"%.64s\" is neither an address nor a network; 192.0.2.1 or 192.0.2.0/24", text);
        return false;
    }
    at->net = a;
    at->bits = (uint8_t)bits;
    return true;
}

static bool set_ports(const struct config_key *k, void *at, const char *text, char *why, size_t n) {
    size_t len = strcspn(text, "-");
    uint64_t from = 0, to = 0;
    bool ok = text[len] == '-' && slice_u64(slice_of(text, len), k->max, &from) &&
              slice_u64(slice_str(text + len + 1), k->max, &to);
    if (!ok || from < k->min || from % 2 || to % 2 == 0 || to < from) {
        snprintf(why, n, "\"%.64s\" is not allowed; an even and a higher odd port from 1024 to 65535: 30000-30999",
                 text);
        return false;
    }
    uint16_t pair[2] = { (uint16_t)from, (uint16_t)to };
    memcpy(at, pair, sizeof pair);
    return true;
}

bool config_set(const struct config_key *k, void *base, const char *text, char *why, size_t n) {
    void *at = (uint8_t *)base + k->offset;
    switch (k->type) {
    case CT_TEXT:
        return set_text(k, at, text, why, n);
    case CT_BOOL:
        return set_bool(at, text, why, n);
    case CT_COUNT:
    case CT_BYTES:
        return set_number(k, at, text, why, n);
    case CT_DURATION:
        return set_duration(k, at, text, why, n);
    case CT_CHOICE:
        return set_choice(k, at, text, why, n);
    case CT_LISTEN:
    case CT_HOP:
        return set_addr(k, at, text, why, n);
    case CT_NET:
        return set_net(base, text, why, n);
    case CT_PORTS:
        return set_ports(k, at, text, why, n);
    case CT_HEX:
        return set_hex(k, at, text, why, n);
    }
    return false;
}

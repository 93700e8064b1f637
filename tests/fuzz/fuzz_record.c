/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Any bytes as the record of a call: what cannot be read leaves nothing in the engine, what can be read is written and
 * read again, the same. The first byte says whether the rest is a record or the fields of one, to be packed,
 * and in which formats.
 */
#include "core/b2b/record.h"
#include "core/b2b/record_pack.h"
#include "core/b2b/record_tlv.h"
#include "core/base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct engine *engine_of_fuzz(void) {
    static struct engine *e;
    struct engine_config c;
    struct arena a;
    if (e)
        return e;
    engine_config_defaults(&c);
    c.sip_addr = c.media_addr = (struct addr){ .ip = { 192, 0, 2, 1 }, .port = 5060, .family = ADDR_V4 };
    c.calls_max = 4;
    c.media_port_max = c.media_port_min + 9;
    arena_init(&a, NULL, 0);
    engine_new(&a, &c, 1000000000, 1700000000000);
    size_t n = a.used;
    void *mem = malloc(n);
    CHECK(mem);
    arena_init(&a, mem, n);
    return e = engine_new(&a, &c, 1000000000, 1700000000000);
}

static void check_nothing_left(const struct engine *e) {
    struct engine_census now;
    engine_census(e, &now);
    CHECK(now.calls + now.legs + now.transfers + now.timers + now.ports + now.bufs == 0);
    CHECK(e->leg_map.used == 0);
}

static struct slice record_from(const struct engine *e, unsigned format, struct slice fields) {
    static char mem[2 * PACK_MAX];
    static char plain_mem[PACK_MAX], again_mem[PACK_MAX];
    const struct pack_known *known = &e->format.known[format];
    struct sbuf out = sbuf_on(mem, sizeof mem), plain = sbuf_on(plain_mem, sizeof plain_mem);
    struct sbuf again = sbuf_on(again_mem, sizeof again_mem);
    sbuf_lit(&out, "RFR");
    uint32_t from = tlv_open(&out, format);
    sbuf_put(&plain, known->text);
    sbuf_put(&plain, fields);
    if (plain.overflow)
        return fields;
    pack_put(&out, sbuf_slice(&plain), known);
    CHECK(!out.overflow);
    sbuf_put(&again, known->text);
    CHECK(pack_get(&again, slice_of(mem + from, out.n - from)) && slice_eq(sbuf_slice(&again), sbuf_slice(&plain)));
    tlv_close(&out, from);
    return sbuf_slice(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char first_mem[2 * PACK_MAX], again_mem[2 * PACK_MAX];
    struct engine *e = engine_of_fuzz();
    struct call *c;
    if (size < 1 || size > PACK_MAX)
        return 0;
    struct slice in = slice_of((const char *)data + 1, size - 1);
    if (data[0] & 1)
        in = record_from(e, data[0] & 2 ? 2 : 1, in);
    e->format.now = data[0] & 4 ? 1 : 2;
    enum record_error got = record_decode(e, in, &c);
    if (got != RECORD_OK) {
        check_nothing_left(e);
        return 0;
    }
    struct sbuf first = sbuf_on(first_mem, sizeof first_mem), again = sbuf_on(again_mem, sizeof again_mem);
    bool fits = record_encode(e, c, &first);
    record_drop(e, c);
    check_nothing_left(e);
    if (!fits)
        return 0;
    CHECK(record_decode(e, sbuf_slice(&first), &c) == RECORD_OK);
    CHECK(record_encode(e, c, &again) && slice_eq(sbuf_slice(&first), sbuf_slice(&again)));
    record_drop(e, c);
    check_nothing_left(e);
    return 0;
}

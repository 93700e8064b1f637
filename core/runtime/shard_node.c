/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The shard as a node of a cluster: between engine, lease, links and store. */
#include "core/runtime/shard.h"
#include "core/runtime/udp.h"

#include <unistd.h>

#define VIPS_US 100000
#define WORK_MAX 8192 /* steps of the lease a turn: all buckets, twice */

/* The decisions first: what was given up is forgotten before the store is told. */
static void carry_out(struct shard *s) {
    struct event ev;
    for (uint32_t i = 0; i < s->node.out.n; i++) {
        if (node_event(&s->node, i, &ev))
            shard_step_once(s, &ev);
        if (s->o.steering && s->node.out.d[i].verdict == LEASE_MINE)
            steering_give(s->o.steering, s->node.out.d[i].bucket, s->o.index);
    }
    for (uint32_t i = 0; i < s->node.out.op_n; i++)
        store_submit(s->store, &s->node.out.ops[i], s->wall_ms);
}

void shard_on_answer(struct shard *s, struct event *answer) {
    bool own = node_on_store(&s->node, answer);
    carry_out(s);
    if (!own)
        shard_step_once(s, answer);
}

void shard_work(struct shard *s) {
    for (int i = 0; i < WORK_MAX && node_work(&s->node); i++) {
        carry_out(s);
        shard_answers(s);
    }
}

void shard_on_link(struct shard *s, uint32_t which) {
    struct event ev;
    link_ready(&s->node.link, which);
    while (node_next(&s->node, &ev))
        shard_step(s, &ev);
}

/* Media addresses that move: whether one is here, a socket that is bound to it tells. */
void shard_look_for_addresses(struct shard *s) {
    const struct engine_config *n = &s->config->engine;
    if (s->mono_us < s->vips_us)
        return;
    s->vips_us = s->mono_us + VIPS_US;
    for (uint32_t k = 0; k < n->media_vip_count; k++) {
        struct event ev = { .kind = EV_ADDRESS };
        struct udp_options o = { .rcvbuf = 0 };
        int fd = udp_open(&n->media_vips[k], &o);
        ev.u.address.index = k;
        ev.u.address.here = fd >= 0;
        if (fd >= 0)
            close(fd);
        if (ev.u.address.here == (s->vips_here >> k & 1))
            continue;
        s->vips_here ^= 1u << k;
        char text[64];
        struct sbuf b = sbuf_on(text, sizeof text);
        addr_put_ip(&b, &n->media_vips[k]);
        log_line(&s->log, TRACE_INFO, "media", "%.*s is %s", (int)b.n, b.p,
                 ev.u.address.here ? "here" : "not here any more");
        shard_step(s, &ev);
    }
}

/* In a cluster the buckets go to the others, with what talks on them; only what is left at the end gets BYE. */
bool shard_leave(struct shard *s) {
    if (!s->node.on)
        return false;
    node_drain(&s->node);
    return true;
}

/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/sim/sim.h"

#define WHO_NET 0x100u

struct packet *packet_new(struct world *w) {
    struct packet *p = w->free_packets;
    if (!p && w->packets_used == SIM_PACKETS)
        sim_fail(w, "simulator: no packet left");
    if (p)
        w->free_packets = p->next;
    else
        p = &w->packets[w->packets_used++];
    p->n = 0;
    p->parsed = p->garbage = false;
    return p;
}

struct packet *packet_copy(struct world *w, const struct packet *p) {
    struct packet *copy = packet_new(w);
    memcpy(copy->data, p->data, p->n);
    copy->n = p->n;
    copy->from = p->from;
    copy->to = p->to;
    copy->garbage = p->garbage;
    return copy;
}

struct sip_msg *packet_read(struct packet *p) {
    struct sip_fault f;
    p->parsed = p->parsed || sip_parse(slice_of(p->data, p->n), &p->msg, &f) >= 0;
    return p->parsed ? &p->msg : NULL;
}

void packet_free(struct world *w, struct packet *p) {
    if (!p)
        return;
    p->next = w->free_packets;
    w->free_packets = p;
}

static void deliver(struct world *w, struct packet *p, uint64_t at) {
    struct sim_item item = { .at = at, .kind = ITEM_PACKET, .who = p->to, .packet = p };
    world_push(w, &item);
}

/* The delay is a base with jitter; now and then a packet is passed by those behind it. */
static uint64_t arrival(struct world *w, struct sim_path *path, uint32_t who) {
    const struct sim_setup *u = &w->script.setup;
    uint64_t at = w->now + u->delay_us + sim_draw(w, who, u->jitter_us);
    if (at < path->clog_until)
        at = path->clog_until;
    if (!w->calm && sim_draw(w, who, 1000) < u->reorder)
        return at + sim_draw(w, who, 300000);
    if (at < path->last)
        at = path->last;
    path->last = at;
    return at;
}

void net_send(struct world *w, struct packet *p) {
    const struct sim_setup *u = &w->script.setup;
    uint8_t phone = p->from == SIM_ENGINE ? p->to : p->from;
    struct sim_path *path = &w->path[phone][p->from == SIM_ENGINE];
    uint32_t who = WHO_NET + phone * 2u + (p->from == SIM_ENGINE);
    bool lost = w->now < path->cut_until || (!w->calm && sim_draw(w, who, 1000) < u->loss);
    bool twice = !w->calm && sim_draw(w, who, 1000) < u->dup;
    if (lost) {
        world_say(w, "lost", p);
        packet_free(w, p);
        return;
    }
    if (twice) {
        struct packet *again = packet_copy(w, p);
        uint64_t at = arrival(w, path, who);
        deliver(w, again, at + sim_draw(w, who, 50000));
    }
    deliver(w, p, arrival(w, path, who));
}

void net_act(struct world *w, const struct sim_event *ev) {
    struct sim_path *path = w->path[ev->phone];
    uint64_t until = w->now + 100000ull * (1 + ev->other) * (ev->other & 1 ? 1 : 10);
    for (unsigned i = 0; i < 2; i++) {
        if (!(ev->other >> 1 & (1u << i)) && ev->other > 3)
            continue;
        if (ev->action == ACT_CUT)
            path[i].cut_until = until;
        else
            path[i].clog_until = w->now + 50000ull * (1 + ev->other);
    }
    if (ev->action == ACT_CUT)
        w->lost_peer = true;
}

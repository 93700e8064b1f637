/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What the engine is told: its configuration, and what an operator does to it. */
#include "core/b2b/engine.h"
#include "tests/sim/sim_cluster.h"
#include "tests/sim/sim_direct.h"

#include <stdio.h>

#define SECOND 1000000ull

static void fill_users(struct world *w, const uint8_t *refer, const uint8_t *hold) {
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        w->users[i].refer = (enum refer_mode)refer[i];
        w->users[i].hold = (enum hold_mode)hold[i];
        w->users[i].anchor = (enum anchor_mode)w->script.setup.users_anchor[i];
        w->users[i].srtp = w->script.setup.srtp[i] ? SRTP_MODE_REQUIRE : SRTP_MODE_DEFAULT;
    }
}

/* One user may not transfer to the gateway, another to nobody. */
static void fill_rules(struct world *w) {
    const uint8_t odd = w->script.setup.odd_agents;
    memset(w->rules, 0, sizeof w->rules);
    snprintf(w->rules[0].from, sizeof w->rules[0].from, "user:u1");
    snprintf(w->rules[0].prefix, sizeof w->rules[0].prefix, "9");
    w->rules[0].action = TRANSFER_DENY;
    snprintf(w->rules[1].from, sizeof w->rules[1].from, "user:u2");
    w->rules[1].to = TRANSFER_TO_OUTSIDE;
    w->rules[1].action = TRANSFER_DENY;
    w->odd = (struct quirk_config){ .agent = "Odd", .replaces_swapped = odd & 1, .no_notify = odd & 2,
                                    .bye_at_once = odd & 4, .accept_200 = odd & 8 };
}

static void fill_policy(struct world *w) {
    struct engine_config *c = &w->config;
    const struct sim_setup *u = &w->script.setup;
    memset(w->users, 0, sizeof w->users);
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        snprintf(w->users[i].name, sizeof w->users[i].name, "u%u", i);
        snprintf(w->users[i].password, sizeof w->users[i].password, "secret");
    }
    w->route = (struct route_config){ .name = "gw", .prefix = "9", .next_hop = w->phones[SIM_PHONES - 1].addr };
    w->peer = (struct peer_config){ .name = "gw", .net = w->phones[SIM_PHONES - 1].addr, .bits = 32, .trusted = true };
    fill_users(w, u->users_refer, u->users_hold);
    fill_rules(w);
    static const char echo[1][CONFIG_NAME_MAX] = { "echo" };
    c->policy = (struct policy_config){ .users = w->users, .user_count = SIM_PHONES, .routes = &w->route,
                                        .route_count = 1, .peers = &w->peer, .peer_count = 1, .echo = echo,
                                        .echo_count = 1, .rules = w->rules, .rule_count = u->rules ? 2 : 0,
                                        .quirks = &w->odd, .quirk_count = u->odd_agents ? 1 : 0 };
}

void config_fill(struct world *w) {
    struct engine_config *c = &w->config;
    const struct sim_setup *u = &w->script.setup;
    engine_config_defaults(c);
    c->cdr = true;
    extras_config(c, u);
    direct_config(w);
    c->seed = (struct siphash_key){ sim_mix(w->seed, 1), sim_mix(w->seed, 2) };
    for (unsigned i = 0; i < sizeof c->secret; i++)
        c->secret[i] = (uint8_t)sim_mix(w->seed, 100 + i);
    c->sip_addr = c->media_addr = sim_engine_addr;
    c->media_port_min = SIM_PORT_MIN;
    c->media_port_max = SIM_PORT_MIN + 2 * SIM_PORT_PAIRS - 1;
    c->calls_max = 100;
    c->txns_max = 512;
    c->bindings_max = 64;
    c->trace_lines = 256;
    c->trace_level = w->opt.verbose ? TRACE_DEBUG : TRACE_ERROR;
    c->auth_required = u->auth;
    c->auth_sha256 = !(w->seed & 1);
    c->expires_min_s = 10;
    c->splice = u->late_offer ? SPLICE_LATE : SPLICE_OFFER;
    c->attended = u->join ? ATTENDED_JOIN : ATTENDED_REPLACE;
    c->notify_progress = u->progress;
    c->recall = u->recall;
    c->recall_time_us = 5 * SECOND;
    c->hold = u->hold_local ? HOLD_LOCAL : HOLD_PASS;
    c->accept = (enum accept_code)u->accept;
    c->durability = u->durable ? DURABILITY_CONFIRMED : DURABILITY_OFF;
    c->replace_timeout_us = 2 * SECOND;
    c->ring_timeout_us = 20 * SECOND;
    c->subscription_s = 20;
    c->refer = (enum refer_mode)u->refer;
    c->relay = (enum relay_variant)u->relay;
    c->transfer_music = u->music;
    c->transfer_ringback = u->ringback;
    if (u->fallback)
        snprintf(c->recall_uri, sizeof c->recall_uri, "sip:u3@10.0.0.1");
    if (u->depth)
        c->max_depth = u->depth;
    c->transfers_per_minute = u->per_minute;
    c->transfers_pending = u->pending;
    fill_policy(w);
}

/* ---- what a scenario does to it ---- */

static void order(struct world *w, unsigned variant) {
    static const char *const lines[] = { "calls",  "registrations", "metrics",  "leftover",
                                         "show 1", "nonsense",      "failures", "failure 1" };
    struct event ev = { .kind = EV_ADMIN };
    ev.u.admin.conn = 1;
    ev.u.admin.line = slice_str(lines[variant % 8]);
    world_step_engine(w, &ev);
}

static void garbage(struct world *w, const struct sim_event *ev) {
    static const char *const texts[] = {
        "\r\n\r\n", "hello", "INVITE sip:u1@10.0.0.1 SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n",
        "OPTIONS sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKg1\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:10.0.0.1>\r\nCall-ID: g1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n",
        "REFER sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.10:5060;branch=z9hG4bKg2\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:10.0.0.1>\r\nCall-ID: g2\r\nCSeq: 1 REFER\r\nRefer-To: <sip:u1@10.0.0.1>\r\nMax-Forwards: 5\r\n"
        "Content-Length: 0\r\n\r\n",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:b@c>;tag=2\r\nCall-ID: g3\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    };
    struct packet *p = packet_new(w);
    struct slice s = slice_str(texts[ev->other % (sizeof texts / sizeof *texts)]);
    memcpy(p->data, s.p, s.n);
    p->n = s.n;
    p->from = ev->phone;
    p->to = SIM_ENGINE;
    p->garbage = true;
    net_send(w, p);
}

static const struct leg *leg_of(const struct world *w, const struct pdlg *d) {
    uint32_t cursor = 0;
    handle h;
    for (const struct leg *l; d && (l = pool_next(&w->e->legs, &cursor, &h));)
        if (slice_eq(leg_str(l, DLG_CALL_ID), txt_slice(&d->call_id)) &&
            slice_eq(leg_str(l, DLG_REMOTE_TAG), txt_slice(&d->local_tag)))
            return leg_get(w->e, l->peer);
    return NULL;
}

static void put_leg(struct sbuf *b, const struct world *w, const struct leg *l) {
    sbuf_hex(b, leg_call(w->e, l)->id, 16);
    sbuf_char(b, ' ');
    sbuf_u64(b, l->number);
}

/* Whom the phone talks with goes to somebody else, or to whom it talks with in its other call. */
static void order_transfer(struct world *w, const struct sim_event *ev) {
    char mem[200];
    struct phone *ph = &w->phones[ev->phone];
    struct sbuf b = sbuf_on(mem, sizeof mem);
    const struct leg *a = leg_of(w, phone_dialog_at(ph, ev->scene, ev->call));
    const struct leg *c = leg_of(w, phone_dialog_at(ph, ev->scene, ev->call == 1 ? 2 : 1));
    struct event order = { .kind = EV_ADMIN };
    if (!a)
        return;
    sbuf_lit(&b, "transfer ");
    put_leg(&b, w, a);
    sbuf_char(&b, ' ');
    if (c && !(ev->other & 16)) {
        sbuf_lit(&b, "with ");
        put_leg(&b, w, c);
    } else {
        phone_put_user(w, &b, ev->other);
    }
    order.u.admin.conn = SIM_ORDER_CONN + ++w->orders;
    order.u.admin.line = sbuf_slice(&b);
    w->orders_open |= UINT64_C(1) << w->orders % 64;
    if (cluster_on(w))
        w->cluster->node[w->cluster->at].orders |= UINT64_C(1) << w->orders % 64;
    world_step_engine(w, &order);
}

/* Other modes for some users from now on. */
static void reload(struct world *w, unsigned variant) {
    const struct sim_setup *u = &w->script.setup;
    for (unsigned i = 0; i < SIM_PHONES; i++) {
        w->users[i].refer = (enum refer_mode)u->users_refer[(i + variant) % SIM_PHONES];
        w->users[i].hold = (enum hold_mode)u->users_hold[(i + variant) % SIM_PHONES];
    }
    engine_reload(w->e, &w->config.policy);
}

static void drain(struct world *w, unsigned variant) {
    struct event ev = { .kind = EV_DRAIN };
    w->drained = true;
    ev.u.drain.deadline_us = w->now + variant * SECOND / 2;
    for (unsigned k = 0; w->script.setup.lone && k < w->cluster->n; k++)
        if (k != w->cluster->at)
            shards_mail(w, w->cluster->at, k, &ev, SLICE_NONE);
    world_step_engine(w, &ev);
}

void config_act(struct world *w, const struct sim_event *ev) {
    switch (ev->action) {
    case ACT_GARBAGE: garbage(w, ev); break;
    case ACT_RELOAD: reload(w, ev->other); break;
    case ACT_ORDER: order_transfer(w, ev); break;
    case ACT_DRAIN: drain(w, ev->other); break;
    default: order(w, ev->other); break;
    }
}

/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * `config KEY VALUE` of a ladder, and the words of its lines; player.c has the language.
 */
#include "tests/ladder/ladder.h"

#include <stdlib.h>

const char *word(struct world *w, struct words *ws, unsigned i) {
    if (i >= ws->n)
        fail(w, "something is missing at the end of the line");
    ws->used[i] = true;
    return ws->w[i];
}

uint64_t word_time(struct world *w, struct words *ws, unsigned i) {
    uint64_t us;
    const char *text = word(w, ws, i);
    if (!parse_time(text[0] == '+' ? text + 1 : text, &us))
        fail(w, "%s is no time (2.1s, 300ms)", text);
    return us;
}

uint64_t word_number(struct world *w, struct words *ws, unsigned i) {
    uint64_t n;
    if (!parse_number(word(w, ws, i), &n))
        fail(w, "%s is no number", ws->w[i]);
    return n;
}

static bool config_time(struct world *w, const char *key, struct words *ws) {
    const struct {
        const char *key;
        uint64_t *at;
    } times[] = {
        { "replace-timeout", &w->cfg.replace_timeout_us },
        { "ring-timeout", &w->cfg.ring_timeout_us },
        { "recall-time", &w->cfg.recall_time_us },
        { "announcement", &w->cfg.announcement_us },
        { "bye-wait", &w->cfg.bye_wait_us },
        { "invite-timeout", &w->cfg.invite_timeout_us },
        { "budget", &w->cfg.durability_budget_us },
    };
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++) {
        if (strcmp(times[i].key, key) != 0)
            continue;
        *times[i].at = word_time(w, ws, 2);
        return true;
    }
    return false;
}

static void one_more(struct world *w, struct addr *to, uint32_t *count, uint32_t max, const char *text) {
    if (*count == max || !addr_parse_ip(slice_str(text), &to[*count]))
        fail(w, "no address, or too many");
    ++*count;
}

static bool config_number(struct world *w, const char *key, struct words *ws) {
    if (strcmp(key, "calls") == 0)
        w->cfg.calls_max = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "transactions") == 0)
        w->cfg.txns_max = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "ports") == 0)
        w->cfg.media_port_max = (uint16_t)(w->cfg.media_port_min + 2 * word_number(w, ws, 2) - 1);
    else if (strcmp(key, "per-minute") == 0)
        w->cfg.transfers_per_minute = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "media-vip") == 0)
        one_more(w, w->cfg.media_vips, &w->cfg.media_vip_count, MEDIA_VIPS_MAX, word(w, ws, 2));
    else if (strcmp(key, "media-address") == 0)
        one_more(w, w->cfg.media_more, &w->cfg.media_more_count, MEDIA_MORE_MAX, word(w, ws, 2));
    else if (strcmp(key, "media-vip-wait") == 0)
        w->cfg.media_vip_wait_us = (uint32_t)word_time(w, ws, 2);
    else if (strcmp(key, "reinvites-per-second") == 0)
        w->cfg.reinvites_per_second = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "pending") == 0)
        w->cfg.transfers_pending = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "max-depth") == 0)
        w->cfg.max_depth = (uint8_t)word_number(w, ws, 2);
    else if (strcmp(key, "subscription") == 0)
        w->cfg.subscription_s = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "session-expires") == 0)
        w->cfg.session.expires_s = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "session-min-se") == 0)
        w->cfg.session.min_se_s = (uint32_t)word_number(w, ws, 2);
    else if (strcmp(key, "t1") == 0)
        w->cfg.t1_us = (uint32_t)word_time(w, ws, 2);
    else
        return false;
    return true;
}

void do_config(struct world *w, struct words *ws) {
    const char *key = word(w, ws, 1), *v = word(w, ws, 2);
    if (w->engine)
        fail(w, "config comes before the first message");
    if (strcmp(key, "splice") == 0)
        w->cfg.splice = strcmp(v, "late-offer") == 0 ? SPLICE_LATE : SPLICE_OFFER;
    else if (strcmp(key, "attended") == 0)
        w->cfg.attended = strcmp(v, "join") == 0 ? ATTENDED_JOIN : ATTENDED_REPLACE;
    else if (strcmp(key, "refer") == 0)
        w->cfg.refer = strcmp(v, "reject") == 0  ? REFER_REJECT
                       : strcmp(v, "relay") == 0 ? REFER_RELAY
                       : strcmp(v, "auto") == 0  ? REFER_AUTO
                                                 : REFER_LOCAL;
    else if (strcmp(key, "anchor") == 0)
        w->cfg.anchor = strcmp(v, "no") == 0 ? ANCHOR_NO : strcmp(v, "yes") == 0 ? ANCHOR_YES : ANCHOR_AUTO;
    else if (strcmp(key, "srtp") == 0 && srtp_mode_named(v, &w->cfg.srtp))
        return;
    else if (strcmp(key, "hold") == 0)
        w->cfg.hold = strcmp(v, "local") == 0 ? HOLD_LOCAL : HOLD_PASS;
    else if (strcmp(key, "music") == 0)
        w->cfg.transfer_music = strcmp(v, "on") == 0;
    else if (strcmp(key, "early-media") == 0)
        w->cfg.transfer_early_media = strcmp(v, "on") == 0;
    else if (strcmp(key, "ringback") == 0)
        w->cfg.transfer_ringback = strcmp(v, "on") == 0;
    else if (strcmp(key, "recall") == 0)
        w->cfg.recall = strcmp(v, "on") == 0;
    else if (strcmp(key, "recall-uri") == 0)
        copy_text(w->cfg.recall_uri, sizeof w->cfg.recall_uri, slice_str(v));
    else if (strcmp(key, "relay") == 0)
        w->cfg.relay = strcmp(v, "forward") == 0 ? RELAY_FORWARD_REPLACES : RELAY_SPLICE;
    else if (strcmp(key, "durability") == 0)
        w->cfg.durability = strcmp(v, "confirmed") == 0 ? DURABILITY_CONFIRMED
                            : strcmp(v, "async") == 0   ? DURABILITY_ASYNC
                                                        : DURABILITY_OFF;
    else if (strcmp(key, "early-uas-replace") == 0)
        w->cfg.early_uas_replace = strcmp(v, "allow") == 0;
    else if (strcmp(key, "relay-replaces") == 0)
        w->cfg.relay_replaces = strcmp(v, "far-leg") == 0 ? RELAY_FAR_LEG
                                : strcmp(v, "opaque") == 0 ? RELAY_OPAQUE
                                                           : RELAY_KEEP;
    else if (strcmp(key, "accept") == 0)
        w->cfg.accept = strcmp(v, "200") == 0 ? ACCEPT_200 : strcmp(v, "202") == 0 ? ACCEPT_202 : ACCEPT_AUTO;
    else if (strcmp(key, "session-refresher") == 0)
        w->cfg.session.refresher = strcmp(v, "us") == 0     ? SESSION_US
                                   : strcmp(v, "peer") == 0 ? SESSION_PEER
                                                            : SESSION_AUTO;
    else if (strcmp(key, "progress") == 0)
        w->cfg.notify_progress = strcmp(v, "on") == 0;
    else if (strcmp(key, "echo") == 0 && w->cfg.policy.echo_count < 2)
        copy_text(w->echo[w->cfg.policy.echo_count++], sizeof w->echo[0], slice_str(v));
    else if (!config_number(w, key, ws) && !config_time(w, key, ws))
        fail(w, "config %s is not known", key);
}

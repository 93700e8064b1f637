/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * All RTP of a party goes through one port of it. What comes there must be whole, come once, from the address that the
 * target's description has named for that dialog, and have been sent by the other party of that call.
 */
#include "bench/call/call.h"
#include "bench/call/packet.h"

#include <string.h>

#define ALL ((1u << MEDIA_PACKETS) - 1)
#define PACE_US (MEDIA_PACE_MS * 1000u)
#define LATE_US 1000000u        /* what is under way longer than that is lost */

static void send_one(struct load *l, const struct dlg *d, uint8_t nth) {
    char name[16];
    uint8_t packet[PACKET_BYTES];
    struct sbuf b = sbuf_on(name, sizeof name);
    message_put_name(&b, (enum party)d->party, l, d->call, d->index);
    packet_write(packet, sbuf_slice(&b), d->call << 8 | d->index, nth);
    wire_rtp((enum party)d->party, &d->media, packet, sizeof packet);
    l->t.rtp_sent++;
}

void media_begin(struct load *l, struct bcall *c, const struct dlg *peer) {
    c->media.begun = c->media.busy = true;
    c->media.peer = peer->index;
    c->media.timer.owner = (handle)(c - l->calls) << 8 | MEDIA_TIMER;
    l->t.rtp_calls++;
    media_timer(l, c);
}

static unsigned missing(const struct media *m) {
    return (unsigned)(2 * MEDIA_PACKETS - __builtin_popcount(m->got[0]) - __builtin_popcount(m->got[1]));
}

static void end(struct load *l, struct bcall *c) {
    l->t.rtp_lost += missing(&c->media);
    l->t.rtp_bad += missing(&c->media) > 0 || c->media.foreign;
    media_forget(l, c);
    scenario_media_done(l, c);
}

void media_timer(struct load *l, struct bcall *c) {
    struct media *m = &c->media;
    if (m->sent == MEDIA_PACKETS) {
        end(l, c);
        return;
    }
    send_one(l, &c->dlg[0], m->sent);
    send_one(l, &c->dlg[m->peer], m->sent);
    m->sent++;
    wheel_set(&l->wheel, &m->timer, l->now + (m->sent < MEDIA_PACKETS ? PACE_US : LATE_US));
}

void media_forget(struct load *l, struct bcall *c) {
    wheel_cancel(&l->wheel, &c->media.timer);
    c->media.busy = false;
}

/* It is what the other party has sent, for the first time, and comes from where it should. */
static bool is_right(const struct bcall *c, enum party at, unsigned from_dlg, uint8_t nth, const struct addr *from) {
    const struct media *m = &c->media;
    if (from_dlg != 0 && from_dlg != m->peer)
        return false;
    const struct dlg *to = &c->dlg[from_dlg == 0 ? m->peer : 0];
    return to->party == at && nth < m->sent && !(m->got[from_dlg != 0] >> nth & 1) && addr_eq(from, &to->media);
}

void media_receive(struct load *l, enum party at, struct slice packet, const struct addr *from) {
    struct slice name;
    uint8_t nth;
    uint32_t call;
    unsigned dlg;
    if (!packet_read(packet, &name, &nth)) {
        l->t.rtp_foreign++;
        return;
    }
    if (!message_read_name(l, name, &call, &dlg) || !l->calls[call].media.busy)
        return; /* too late: it was lost, then */
    struct bcall *c = &l->calls[call];
    if (!is_right(c, at, dlg, nth, from)) {
        l->t.rtp_foreign++;
        c->media.foreign = true;
        return;
    }
    c->media.got[dlg != 0] |= (uint8_t)(1u << nth);
    if (c->media.got[0] == ALL && c->media.got[1] == ALL)
        end(l, c);
}

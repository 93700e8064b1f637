/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * Calls of a pair_rig, made where a test wants them.
 */
#ifndef REFEREE_TESTS_PAIR_CALLS_H
#define REFEREE_TESTS_PAIR_CALLS_H

#include "tests/unit/pair_rig.h"

static inline unsigned pair_hash(const struct engine_config *c, const char *call_id) {
    struct siphash_key k;
    memcpy(&k, c->secret, sizeof k);
    return (unsigned)(siphash64(k, call_id, strlen(call_id)) % LIMIT_BUCKETS);
}

/* A dialog whose INVITE belongs to engine `owner`. */
static inline void pair_invite_at(struct pair *p, struct rig_dialog *d, unsigned owner, enum rig_name from,
                                  enum rig_name to) {
    do
        rig_dialog_new(d, from, to);
    while (pair_owner(pair_hash(p->r.arg, d->call_id)) != owner);
    rig_request(&p->r, d, "INVITE", "Supported: replaces\r\n", rig_sdp("0 8", "sendrecv", 40000));
}

static inline void pair_call_at(struct pair *p, struct rig_dialog *a, struct rig_dialog *b, unsigned owner,
                                enum rig_name from, enum rig_name to) {
    pair_invite_at(p, a, owner, from, to);
    rig_reply(&p->r, to, "INVITE", 180, "", b);
    rig_reply(&p->r, to, "INVITE", 200, rig_sdp("0", "sendrecv", 41000), b);
    rig_learn(&p->r, a, "SIP/2.0 200");
    rig_request(&p->r, a, "ACK", "", "");
}

static inline void pair_hang_up(struct pair *p, struct rig_dialog *d, enum rig_name other) {
    rig_request(&p->r, d, "BYE", "", "");
    rig_reply(&p->r, other, "BYE", 200, "", NULL);
    CHECK_TRUE(*rig_last(&p->r, d->who, "SIP/2.0 200", "BYE") != '\0');
}

#endif

/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * transfer_refer: what a REFER says (RFC 3515, 3892, 4488, 4538), read and checked before anything is decided on it.
 * Private to the transfer*.c files.
 */
#ifndef REFEREE_B2B_TRANSFER_REFER_H
#define REFEREE_B2B_TRANSFER_REFER_H

#include "core/b2b/transfer.h"

/* What a REFER says, before it is decided on. status != 0: refused with it.
 * Views into the message, but for what was unescaped. */
struct refer {
    uint16_t status;
    struct slice reason;
    struct sip_nameaddr to;
    struct slice referred_by;
    struct slice by; /* principal of the transferor */
    uint8_t quirks;  /* enum quirk, of the same */
    bool has_replaces, require_replaces;
    bool no_subscription; /* none by the REFER itself: RFC 4488, or 7614 */
    bool explicit_sub;    /* one may be made by SUBSCRIBE: RFC 7614 */
    struct sip_replaces replaces;
    char replaces_text[2048];
    uint32_t replaces_n;
    struct sbuf extra; /* other URI headers, as header lines */
    char extra_mem[REFER_TO_MAX];
};

/* False: refused, with r->status and r->reason. */
bool refer_read(const struct sip_msg *msg, struct refer *r);
/* Always false: the refusal is noted. */
bool refer_bad(struct refer *r, uint16_t status, struct slice reason);
/* False: its Replaces lacks a tag, and nobody knows this user agent for that. */
bool refer_replaces_whole(struct refer *r);
/* What of it the transfer keeps. False: no memory. */
bool refer_keep(struct engine *e, struct transfer *t, const struct sip_msg *msg, const struct refer *r);
/* The status of an accepted one, and what its response says of the subscription. */
uint16_t refer_accept_code(const struct engine *e, const struct transfer *t, bool in_dialog);
void refer_put_accepted(struct engine *e, struct sbuf *h, const struct transfer *t, const struct sip_msg *msg);
/* May a party with this principal transfer at all, and this call? */
bool refer_allowed(const struct engine *e, struct slice principal, const struct call *c, struct refer *r);

/* Rules and limits (policy_transfer.c). consult: the transferor's leg of the consultation, or NULL. */
bool refer_within_rules(struct engine *e, struct slice principal, const struct leg *consult, struct refer *r);
/* enum quirk of who sent this REFER, in leg l if not NULL. */
uint8_t refer_quirks(const struct engine *e, const struct sip_msg *msg, const struct leg *l, struct slice principal);
/* Counts it; log and record. leg: in whose dialog, or NULL. */
void refer_note_refusal(struct engine *e, const struct leg *l, struct slice principal, const struct sip_msg *msg,
                        const struct refer *r);

#endif

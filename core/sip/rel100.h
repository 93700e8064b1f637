/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * rel100: RFC 3262, provisional responses that are acknowledged: the numbers, and what was heard in each early dialog
 * of one INVITE. No messages and no clock of its own.
 */
#ifndef REFEREE_SIP_REL100_H
#define REFEREE_SIP_REL100_H

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/base/rng.h"
#include "core/base/sbuf.h"
#include "parser/sip_msg.h"

#define REL100_LINES_MAX 64 /* bytes of what is written here for one message */

/* ---- UAC: what came in */

/* RSeq of a provisional response that must be acknowledged; 0: it need not be (100, no Require: 100rel, no RSeq that
 * can be read). */
uint32_t rel100_rseq(const struct sip_msg *response);

/* The early dialogs of one INVITE, by the hash of their To tag. */
struct rel100_early {
    uint32_t n;
    struct rel100_dialog {
        uint64_t tag;
        uint32_t rseq;   /* last one acknowledged; 0: none */
        struct buf *sdp; /* what its peer described last; NULL: nothing */
    } dialogs[LIMIT_FORKS_PER_LEG];
};

/* The dialog of this tag, a new one if it was not there; NULL: there are too many. */
struct rel100_dialog *rel100_dialog(struct rel100_early *all, uint64_t tag);

/* NEW: PRACK it, and let it pass. AGAIN: repeated, its PRACK is on the way: neither. GAP: one before it is missing and
 * will be repeated: neither (section 4). */
enum rel100_heard { REL100_NEW, REL100_AGAIN, REL100_GAP };
enum rel100_heard rel100_hear(struct rel100_dialog *d, uint32_t rseq);
/* "RAck: 1 314 INVITE\r\n" */
void rel100_put_rack(struct sbuf *b, uint32_t rseq, uint32_t cseq);

/* ---- UAS: what goes out */

/* The INVITE's sender understands it; it wants nothing else. */
bool rel100_is_supported(const struct sip_msg *invite);
bool rel100_is_required(const struct sip_msg *invite);
/* "Each provisional response is given a sequence number", the first uniformly between 1 and 2**31 - 1 (section 3). */
uint32_t rel100_first(struct rng *r);
/* "Require: 100rel\r\nRSeq: 1\r\n" */
void rel100_put_rseq(struct sbuf *b, uint32_t rseq);
/* The PRACK's RAck names this response. */
bool rel100_matches(const struct sip_msg *prack, uint32_t rseq, uint32_t invite_cseq);

#endif

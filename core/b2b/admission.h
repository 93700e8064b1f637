/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * admission: who sends a request. The answer is a principal, "user:NAME" or "peer:NAME": what later decides who may
 * replace whom.
 */
#ifndef REFEREE_B2B_ADMISSION_H
#define REFEREE_B2B_ADMISSION_H

#include "core/b2b/state.h"

#define PRINCIPAL_MAX (CONFIG_NAME_MAX + 8)

struct admission {
    bool admitted;          /* false: the request has been answered */
    bool direct;            /* of an INVITE: media_goes_direct; set by who asks */
    struct slice principal; /* in `memory`; absent: nobody we know (authentication is off) */
    struct slice user;      /* of a "user:" principal: its name */
    char memory[PRINCIPAL_MAX];
};

/* A trusted peer by its address; else digest, challenged with 401 (REGISTER) or 407. */
void admission_check(struct engine *e, const struct sip_msg *msg, handle txn, struct admission *out);

#endif

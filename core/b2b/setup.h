/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * setup: requests outside any dialog: who sends them (digest, trusted peers), and what they start: a call, a
 * registration, an answer.
 */
#ifndef REFEREE_B2B_SETUP_H
#define REFEREE_B2B_SETUP_H

#include "core/b2b/state.h"

/* A request without To tag that made server transaction txn. */
void setup_on_request(struct engine *e, const struct sip_msg *msg, handle txn);

#endif

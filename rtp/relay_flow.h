/* SPDX-License-Identifier: AGPL-3.0-or-later
 *
 * relay_flow: what a listener hears goes on where another relay left it. Private to the relay.
 */
#ifndef REFEREE_RTP_RELAY_FLOW_H
#define REFEREE_RTP_RELAY_FLOW_H

#include "rtp/relay.h"

/* A stream that has just been opened goes on with cmd->flow. */
bool relay_flow_resume(struct relay *r, const struct media_cmd *cmd, uint64_t now_us);
/* Whom it heard, by the key of this relay: fast_source_key. */
void relay_flow_source(struct relay *r, uint32_t listener, uint64_t key);

#endif

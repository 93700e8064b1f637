/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What is done otherwise for user agents that need it. */
#include "core/b2b/policy.h"

static bool peer_fits(const char *peer, struct slice principal) {
    return !peer[0] || (slice_has_prefix(principal, SL("peer:")) &&
                        slice_eq(slice_of(principal.p + 5, principal.n - 5), slice_str(peer)));
}

unsigned policy_quirks(const struct engine *e, struct slice agent, struct slice principal) {
    unsigned flags = 0;
    for (uint32_t i = 0; i < e->policy.quirk_count; i++) {
        const struct quirk_config *q = &e->policy.quirks[i];
        if (!slice_has_prefix(agent, slice_str(q->agent)) || !peer_fits(q->peer, principal))
            continue;
        flags |= (q->replaces_swapped ? QUIRK_REPLACES_SWAPPED : 0u) | (q->no_notify ? QUIRK_NO_NOTIFY : 0u) |
                 (q->bye_at_once ? QUIRK_BYE_AT_ONCE : 0u) | (q->accept_200 ? QUIRK_ACCEPT_200 : 0u) |
                 (q->replaces_tagless ? QUIRK_REPLACES_TAGLESS : 0u);
    }
    return flags;
}
